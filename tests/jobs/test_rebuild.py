"""``moorage rebuild``: what a store alone gives back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from typer.testing import CliRunner

from moorage.cli.main import app as command
from moorage.domain.names import RepositoryName
from moorage.registry import layers, repositories, uploads
from moorage.registry.tables import metadata
from tests import content
from tests.registry.kit import ACCOUNT, REGION

if TYPE_CHECKING:
    from tests.registry.kit import Bench

ENVIRONMENT = {"COLUMNS": "300", "MOORAGE_ACCOUNT_ID": ACCOUNT, "MOORAGE_REGION": REGION}
KEPT = {"accounts", "facts", "access_keys"}


def rebuilt(bench: Bench, *arguments: str) -> Any:
    storage = {"MOORAGE_STORAGE": bench.settings.storage} if bench.settings.storage else {}
    database = {"MOORAGE_DATABASE": bench.settings.database} if bench.settings.database else {}
    words = ["rebuild", "--json", "--data", str(bench.settings.data), *arguments]
    done = CliRunner().invoke(command, words, env=ENVIRONMENT | storage | database)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def lose_all_rows(bench: Bench) -> None:
    with bench.registry.database.write() as tx:
        for table in reversed(metadata.sorted_tables):
            if table.name not in KEPT:
                tx.execute(sa.delete(table))


def test_layers_come_back_from_a_store_alone(bench: Bench) -> None:
    """With the database empty, every layer is found, can be read, and can be mounted by a push that sends no bytes."""
    pushed = bench.image("v1")
    lose_all_rows(bench)
    told = rebuilt(bench)
    size = len(pushed.config) + len(pushed.layers[0])
    assert told == {"repository": "recovered", "layers": 2, "bytes": size, "storedBefore": 0}
    with bench.read() as ctx:
        recovered = repositories.get(ctx, RepositoryName("recovered"))
    assert bench.stored(content.digest_of(pushed.layers[0]), recovered) == pushed.layers[0]
    again = bench.repository("first")
    for part in (pushed.config, *pushed.layers):
        with bench.write() as ctx:
            layer = layers.get(ctx, recovered, content.digest_of(part))
            uploads.mount(ctx, again, layer)
    bench.put(pushed.manifest, "v1")
    assert rebuilt(bench)["layers"] == 0


def test_rows_that_are_there_stay(bench: Bench) -> None:
    """Only what no row names is looked at: neither layers nor uploads on their way are taken."""
    bench.image("v1")
    upload = bench.begin()
    bench.append(upload, b"some of it")
    assert rebuilt(bench, "--into", "found")["layers"] == 0
    assert bench.offset(upload) == 10


def test_what_was_found_waits_for_its_images(bench: Bench) -> None:
    """The collector looks at it after as many days as were asked for, and not before."""
    digest = bench.blob(b"layer")
    lose_all_rows(bench)
    rebuilt(bench, "--keep-days", "3")
    (due,) = bench.rows(sa.text("SELECT due_at FROM loose_layers"))
    (linked,) = bench.rows(sa.text("SELECT linked_at FROM repository_blobs"))
    days = (due[0] - linked[0]) / 86_400_000_000
    assert 2.9 < days < 3.1
    assert digest == content.digest_of(b"layer")

"""``moorage gc`` and ``moorage image``: what waits, what would go, and mistakes taken back, from a shell."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from typer.testing import CliRunner, Result

from moorage.cli.main import app as command
from moorage.domain.names import Digest
from moorage.registry import images
from moorage.registry.tables import loose_layers
from tests import content
from tests.registry.kit import ACCOUNT, REGION

if TYPE_CHECKING:
    from pathlib import Path

    from tests.registry.kit import Bench

ENVIRONMENT = {"COLUMNS": "300", "MOORAGE_ACCOUNT_ID": ACCOUNT, "MOORAGE_REGION": REGION}


def moorage(data: Path, *arguments: str) -> Result:
    done = CliRunner().invoke(command, [*arguments, "--data", str(data)], env=ENVIRONMENT)
    assert done.exit_code == 0, done.output
    return done


def read(bench: Bench, *arguments: str) -> Any:
    return json.loads(moorage(bench.settings.data, *arguments, "--json").stdout)


def test_a_dry_run_names_what_goes_and_what_keeps_the_rest(bench: Bench) -> None:
    """Each layer with its fate and, if it stays, the image that needs it; and nothing is touched."""
    loose, pushed = bench.blob(b"loose"), bench.image("v1")
    early = bench.blob(b"early")
    with bench.registry.database.write() as tx:
        tx.execute(sa.update(loose_layers).values(due_at=bench.registry.clock()).where(loose_layers.c.digest != early))
    fates = {row["digest"]: (row["fate"], row["neededBy"]) for row in read(bench, "gc", "run", "--dry-run")}
    assert fates[loose] == ("goes now", None)
    assert fates[early] == ("waits", None)
    assert fates[content.digest_of(pushed.config)] == ("stays", pushed.digest)
    assert "1 of 4 layers would go now, 5 bytes" in moorage(bench.settings.data, "gc", "run", "--dry-run").stdout
    assert bench.stored(loose) == b"loose"


def test_a_run_by_hand_is_told_and_its_figures_stay(bench: Bench) -> None:
    """The status has what the run did, and what still waits."""
    assert read(bench, "gc", "status")["run"] == "never"
    digest = bench.blob(b"loose")
    bench.blob(b"loose")  # its bytes are there already, and go at once
    moorage(bench.settings.data, "gc", "run")
    told = read(bench, "gc", "status")
    assert (told["run"], told["objectsDeleted"], told["bytesFreed"], told["looseLayers"]) == ("ok", 1, 5, 1)
    assert bench.stored(digest) == b"loose"


def test_a_deleted_image_is_brought_back(bench: Bench) -> None:
    """Listed with who deleted it, restored by its digest, in words and as JSON."""
    pushed, other = bench.image("v1"), bench.image("v2")
    with bench.write() as ctx:
        for image in (pushed, other):
            images.delete(ctx, bench.first, Digest(image.digest))
    listed = {row["digest"]: row for row in read(bench, "image", "deleted", "first")}
    assert (listed[pushed.digest]["tags"], listed[pushed.digest]["deletedBy"]) == (
        ["v1"],
        "arn:aws:iam::123456789012:root",
    )
    said = moorage(bench.settings.data, "image", "restore", "first", pushed.digest).stdout
    assert said == f"{pushed.digest} restored, tags: v1\n"
    assert read(bench, "image", "restore", "first", other.digest) == [
        {"digest": other.digest, "tags": ["v2"], "tagsElsewhere": []}
    ]
    assert read(bench, "image", "deleted", "first") == []


def test_what_cannot_be_restored_is_said_in_a_line(bench: Bench) -> None:
    """... and if one of several cannot be, none is."""
    pushed = bench.image("v1")
    with bench.write() as ctx:
        images.delete(ctx, bench.first, Digest(pushed.digest))
    never = content.digest_of(b"never")
    arguments = ["image", "restore", "first", pushed.digest, never, "--data", str(bench.settings.data)]
    done = CliRunner().invoke(command, arguments, env=ENVIRONMENT)
    assert done.exit_code == 2
    assert f"no deleted image {never}" in done.output
    assert len(read(bench, "image", "deleted", "first")) == 1

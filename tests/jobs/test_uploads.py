"""``expire-uploads``: what it forgets, and what it leaves alone."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import sqlalchemy as sa

from moorage.jobs import Run
from moorage.jobs.collection import collect
from moorage.jobs.uploads import expire_uploads
from moorage.registry.tables import uploads

if TYPE_CHECKING:
    from tests.jobs.conftest import Clock
    from tests.registry.kit import Bench


def remaining(bench: Bench) -> set[str]:
    """The ids of all uploads."""
    return {row.id for row in bench.rows(sa.select(uploads.c.id))}


def files(bench: Bench) -> int:
    """The number of files in the store."""
    return sum(1 for _ in bench.registry.blobs.older_than(bench.registry.clock() + timedelta(days=9999)))


def test_uploads_that_nobody_continued_are_forgotten(bench: Bench, clock: Clock) -> None:
    """After the time that the settings give, the rows of uploads and their bytes are gone; those in use stay."""
    old = [bench.begin() for _ in range(105)]
    bench.append(old[0], b"some bytes")
    clock.move(hours=23)
    fresh = bench.begin()
    bench.append(fresh, b"other bytes")
    clock.move(hours=1)
    assert files(bench) == 2

    expire_uploads(bench.registry, clock.now, run := Run())

    assert remaining(bench) == {fresh}
    collect(bench.registry, clock.now, Run())
    assert files(bench) == 1
    assert run.state() == {"done": 105, "total": None, "uploads": 105}


def test_an_upload_that_goes_on_stays(bench: Bench, clock: Clock) -> None:
    """Time counts from the last part and not from the begin."""
    upload = bench.begin()
    for _ in range(3):
        clock.move(hours=20)
        bench.append(upload, b"x")
        expire_uploads(bench.registry, clock.now, Run())

    assert bench.offset(upload) == 3


def test_layers_stay(bench: Bench, clock: Clock) -> None:
    """A finished upload is a layer, and no upload any more."""
    digest = bench.blob(b"a layer")

    clock.move(days=400)
    expire_uploads(bench.registry, clock.now, Run())

    assert bench.stored(digest) == b"a layer"

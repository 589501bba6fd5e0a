"""The job ``verify``: what is damaged is found, counts as missing, and is healed by the next push."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from moorage.domain.errors import ImageNotFound, LayerDamaged, RequiredLayersNotFound
from moorage.domain.names import Digest
from moorage.jobs import Run
from moorage.jobs.table import find
from moorage.jobs.verify import WrongStoreError, verify
from moorage.jobs.work import Stopped
from moorage.registry import damage, images, layers
from moorage.registry.tables import blobs, condemned, manifests
from tests import content

if TYPE_CHECKING:
    from pathlib import Path

    from tests.registry.kit import Bench


pytestmark = pytest.mark.usefixtures("require_disk")  # what is damaged in a bucket: tests/clients/test_bit_rot.py


def file_of(bench: Bench, digest: str) -> Path:
    ((location,),) = bench.rows(sa.select(blobs.c.location).where(blobs.c.digest == digest))
    return bench.settings.data / "blobs" / str(location)


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def verified(bench: Bench, argument: str = "", cursor: object = None) -> Run:
    run = Run(argument, cursor)
    verify(bench.registry, bench.registry.clock(), run)
    return run


def damaged(bench: Bench) -> list[str]:
    with bench.read() as ctx:
        return [one.digest for one in damage.damaged_blobs(ctx)]


def test_what_is_whole_stays_as_it_is(bench: Bench) -> None:
    """All bytes are read, and nothing is changed."""
    pushed = bench.image("v1")
    before = bench.snapshot()
    run = verified(bench)
    assert bench.snapshot() == before
    sizes = len(pushed.config) + sum(map(len, pushed.layers)) + len(pushed.manifest)
    assert (run.done, run.total) == (sizes, sizes)
    assert (run.facts["blobs"], run.facts["manifests"], run.facts["damaged"]) == (2, 1, 0)


def test_a_damaged_layer_counts_as_missing_and_names_its_images(bench: Bench) -> None:
    """Nobody is told that it is there, a manifest needs it anew, and the images and indexes that need it are named."""
    pushed, whole = bench.image("v1", "v2"), bench.image("other")
    index = content.index(pushed)
    bench.put(index, "all")
    digest = content.digest_of(pushed.layers[0])
    flip(file_of(bench, digest))
    verified(bench)
    with bench.read() as ctx:
        hits = {hit.digest: (list(hit.tags), list(hit.damaged)) for hit in damage.images_hit(ctx)}
        assert hits == {pushed.digest: (["v1", "v2"], [digest]), content.digest_of(index): (["all"], [digest])}
        assert layers.find(ctx, bench.first.id, digest) is None
        with pytest.raises(LayerDamaged):
            layers.get(ctx, bench.first, digest)
        assert damage.count(ctx.tx) == 1
    with pytest.raises(RequiredLayersNotFound):
        bench.put(pushed.manifest + b"\n")
    with pytest.raises(RequiredLayersNotFound):
        bench.put(pushed.manifest, "v3")
    assert bench.stored(content.digest_of(whole.layers[0])) == whole.layers[0]


def test_the_next_push_heals_every_repository(bench: Bench) -> None:
    """The new bytes take the place of the damaged ones, which stay until then and go afterwards."""
    other = bench.repository("other")
    digest = bench.blob(b"layer")
    bench.blob(b"layer", other)
    file = file_of(bench, digest)
    flip(file)
    verified(bench)
    bench.collect()
    assert file.exists()
    finished = bench.finish(bench.begin(), digest, data=b"layer")
    assert not finished.already_there
    assert (bench.stored(digest), bench.stored(digest, other)) == (b"layer", b"layer")
    assert file_of(bench, digest) != file
    assert damaged(bench) == []
    bench.collect()
    assert not file.exists()
    assert bench.rows(sa.select(condemned)) == []
    assert verified(bench).facts["damaged"] == 0


@pytest.mark.parametrize("how", ["missing", "truncated", "longer", "unreadable"])
def test_every_damage_is_found(bench: Bench, how: str) -> None:
    """A file that has gone, lost its end, grown, or cannot be read; each is healed by a push."""
    digest = bench.blob(b"some layer")
    bench.blob(b"another")
    file = file_of(bench, digest)
    match how:
        case "missing":
            file.unlink()
        case "truncated":
            file.write_bytes(b"some")
        case "longer":
            file.write_bytes(b"some layer and more")
        case _:
            file.unlink()
            file.mkdir()
    assert verified(bench).facts["damaged"] == 1
    assert damaged(bench) == [digest]
    bench.blob(b"some layer")
    assert bench.stored(digest) == b"some layer"


def test_a_mended_file_counts_again(bench: Bench) -> None:
    """Bytes that somebody has put back are found whole, and the mark goes."""
    digest = bench.blob(b"layer")
    file = file_of(bench, digest)
    file.write_bytes(b"bayer")
    verified(bench)
    file.write_bytes(b"layer")
    assert verified(bench).facts["whole"] == 1
    assert bench.stored(digest) == b"layer"


def test_a_push_does_not_rely_on_bytes_that_have_gone(bench: Bench) -> None:
    """What is pushed again is stored again where its file is missing, though nothing had looked for it yet."""
    digest = bench.blob(b"layer")
    file_of(bench, digest).unlink()
    assert not bench.finish(bench.begin(), digest, data=b"layer").already_there
    assert bench.stored(digest) == b"layer"


def test_a_damaged_manifest_is_healed_too(bench: Bench) -> None:
    """A manifest whose row has other bytes is not given out, and comes back with the same push."""
    pushed = bench.image("v1")
    with bench.registry.database.write() as tx:
        tx.execute(sa.update(manifests).values(body=pushed.manifest + b" "))
    assert verified(bench).facts["damaged"] == 1
    with bench.read() as ctx, pytest.raises(ImageNotFound):
        images.get(ctx, bench.first, Digest(pushed.digest))
    with bench.read() as ctx:
        assert [(hit.digest, hit.damaged) for hit in damage.images_hit(ctx)] == [(pushed.digest, [pushed.digest])]
    assert not bench.put(pushed.manifest, "v1").unchanged
    with bench.read() as ctx:
        assert images.get(ctx, bench.first, Digest(pushed.digest)).body == pushed.manifest
        assert damage.images_hit(ctx) == []


def test_one_repository_can_be_verified(bench: Bench) -> None:
    """Only what it has is read."""
    other = bench.repository("other")
    here, there = bench.blob(b"here"), bench.blob(b"there", other)
    flip(file_of(bench, here))
    flip(file_of(bench, there))
    run = verified(bench, other.id)
    assert (run.facts["blobs"], run.total, damaged(bench)) == (1, 5, [there])


def test_a_store_that_is_not_there_is_not_damage(bench: Bench) -> None:
    """Where no layer at all is whole the run fails, and marks nothing."""
    for number in range(25):
        file_of(bench, bench.blob(b"%d" % number)).unlink()
    with pytest.raises(WrongStoreError, match="is it mounted"):
        verified(bench)
    assert damaged(bench) == []


def test_a_run_goes_on_where_it_was_cut(bench: Bench) -> None:
    """Each blob is read once, in as many runs as it takes, and the count goes on."""
    for number in range(6):
        bench.blob(b"%d" % number)
    (last,) = bench.rows(sa.select(sa.func.max(blobs.c.digest)))
    flip(file_of(bench, last[0]))
    cursor, runs, counted = None, 0, []
    while not damaged(bench):
        run = Run("", cursor, turn=0)
        with suppress(Stopped):
            verify(bench.registry, bench.registry.clock(), run)
        cursor, runs = run.cursor, runs + 1
        counted.append(run.facts["blobs"])
    assert counted == [1, 2, 3, 4, 5, 6]
    assert runs == 6


def test_reading_is_paced(bench: Bench) -> None:
    """With a rate, the run waits for as long as its bytes should take."""
    waits: list[float] = []

    class Watched(Run):
        def wait(self, seconds: float) -> None:
            waits.append(seconds)

    bench.blob(bytes(1024 * 1024))
    object.__setattr__(bench.registry.settings, "verify_mib_per_second", 4)
    verify(bench.registry, bench.registry.clock(), Watched())
    assert sum(waits) == pytest.approx(0.25, abs=0.05)


def test_the_schedule_is_a_setting(bench: Bench) -> None:
    """It is off unless it is set."""
    job = find("verify", bench.registry)
    assert job is not None
    assert job.every is None
    object.__setattr__(bench.registry.settings, "verify_interval_days", 7)
    job = find("verify", bench.registry)
    assert job is not None
    assert job.every is not None
    assert job.every.days == 7

"""What every blob store must do. A new one is a line in `STORES`."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import threading
import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from moorage.drivers.disk import DiskStore
from moorage.registry.storage import Busy, Elsewhere, Missing, OnDisk, Streamed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from moorage.registry.storage import BlobStore

MIB = 1024 * 1024

STORES: dict[str, Callable[[Path], BlobStore]] = {
    "disk": lambda folder: DiskStore(folder / "blobs"),
}


@pytest.fixture(params=STORES)
def driver(request: pytest.FixtureRequest) -> str:
    """The name of a driver: a child process opens the same store by it."""
    name: str = request.param
    return name


@pytest.fixture
def store(driver: str, tmp_path: Path) -> BlobStore:
    """A store that is empty."""
    return STORES[driver](tmp_path)


@pytest.fixture
def location(store: BlobStore) -> str:
    """A location in which nothing is."""
    return store.new_location(str(uuid.uuid4()))


def put(store: BlobStore, location: str, *pieces: bytes, offset: int = 0) -> None:
    """Append pieces and make them durable."""
    writer = store.open(location, offset)
    try:
        for piece in pieces:
            writer.write(piece)
        writer.sync()
    finally:
        writer.close()


def whole(store: BlobStore, location: str) -> bytes:
    """Return all bytes of a location."""
    size = store.size(location)
    assert size is not None
    return b"".join(store.read(location, 0, size))


# --- Writing and reading -------------------------------------------------------------


def test_bytes_come_back(store: BlobStore, location: str) -> None:
    """What was written is read, in whatever pieces it came."""
    pieces = [b"", b"a", os.urandom(3 * MIB + 1), bytearray(b"bc"), memoryview(b"def")[1:]]
    put(store, location, *pieces)  # type: ignore[arg-type]

    expected = b"".join(bytes(piece) for piece in pieces)
    assert whole(store, location) == expected
    assert store.size(location) == len(expected)


def test_nothing_is_there_at_first(store: BlobStore, location: str) -> None:
    """A location without bytes has no size, cannot be read, and can be deleted."""
    assert store.size(location) is None
    with pytest.raises(Missing):
        list(store.read(location, 0, 1))
    store.delete(location)


def test_an_empty_upload_is_a_file_of_nothing(store: BlobStore, location: str) -> None:
    """A writer that writes nothing makes nothing into something of length zero."""
    put(store, location)

    assert (store.size(location), whole(store, location)) == (0, b"")


def test_every_range_can_be_read(store: BlobStore, location: str) -> None:
    """A range is exactly its bytes, across the store's own pieces too."""
    data = os.urandom(2 * MIB + 10)
    put(store, location, data)

    for start, stop in ((0, 0), (0, 1), (5, 5), (MIB - 1, MIB + 1), (0, len(data)), (len(data) - 1, len(data))):
        assert b"".join(store.read(location, start, stop)) == data[start:stop]


def test_reading_beyond_the_end_is_an_error(store: BlobStore, location: str) -> None:
    """Bytes that are not there are `Missing`, not fewer bytes."""
    put(store, location, b"12345")

    for start, stop in ((0, 6), (5, 6), (100, 101)):
        with pytest.raises(Missing):
            list(store.read(location, start, stop))


def test_a_writer_goes_on_where_another_ended(store: BlobStore, location: str) -> None:
    """Writers one after the other append, each from its offset."""
    put(store, location, b"one ")
    put(store, location, b"two ", offset=4)
    put(store, location, b"three", offset=8)

    assert whole(store, location) == b"one two three"


def test_bytes_beyond_the_offset_are_discarded(store: BlobStore, location: str) -> None:
    """What a writer that was cut off left is gone once another one writes, however much less that writes."""
    put(store, location, b"kept and much too much")

    put(store, location, b"!", offset=4)

    assert whole(store, location) == b"kept!"


def test_a_sync_alone_discards_too(store: BlobStore, location: str) -> None:
    """A writer that only syncs leaves exactly its offset."""
    put(store, location, b"kept and more")

    put(store, location, offset=4)

    assert whole(store, location) == b"kept"


def test_opening_takes_nothing_away(store: BlobStore, location: str) -> None:
    """To open and to close changes nothing, from whatever offset: the bytes may be a finished layer."""
    put(store, location, b"a finished layer")

    for offset in (0, 4, 16):
        store.open(location, offset).close()

    assert whole(store, location) == b"a finished layer"


def test_fewer_bytes_than_the_offset(store: BlobStore, location: str) -> None:
    """There is no writer beyond the end, and the attempt leaves the location free and as it was."""
    with pytest.raises(Missing):
        store.open(location, 1)
    put(store, location, b"1234")
    with pytest.raises(Missing):
        store.open(location, 5)

    put(store, location, b"5", offset=4)
    assert whole(store, location) == b"12345"


def test_what_is_deleted_is_gone(store: BlobStore, location: str) -> None:
    """Deleted bytes are not there, and the location can be written anew."""
    put(store, location, b"old")
    store.delete(location)

    assert store.size(location) is None
    put(store, location, b"new")
    assert whole(store, location) == b"new"


def test_locations_are_apart(store: BlobStore) -> None:
    """Each upload has a location of its own, the same each time it is asked for."""
    ids = [str(uuid.uuid4()) for _ in range(50)]

    locations = [store.new_location(one) for one in ids]

    assert len(set(locations)) == 50
    assert locations == [store.new_location(one) for one in ids]
    assert max(map(len, locations)) <= 1024


def test_a_place_is_one_of_three(store: BlobStore, location: str) -> None:
    """A location is a file with the very bytes, another address, or a stream."""
    put(store, location, b"data")

    match store.locate(location):
        case OnDisk(path):
            assert path.read_bytes() == b"data"
        case Elsewhere(url):
            assert url.startswith(("http://", "https://"))
        case place:
            assert isinstance(place, Streamed)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from(["commit", "abandon"]), st.binary(max_size=300)), max_size=8))
def test_only_what_was_counted_remains(store: BlobStore, steps: list[tuple[str, bytes]]) -> None:
    """Whatever writers are cut off between them, the bytes are those of the writers that were counted."""
    location, kept = store.new_location(str(uuid.uuid4())), b""
    for step, data in steps:
        put(store, location, data, offset=len(kept))
        kept += data if step == "commit" else b""
    put(store, location, offset=len(kept))

    assert whole(store, location) == kept


# --- One writer ----------------------------------------------------------------------


def test_a_second_writer_is_busy(store: BlobStore, location: str) -> None:
    """While one writer is open no other one is, from any thread, and afterwards one is."""
    first = store.open(location, 0)
    first.write(b"first")
    seen: list[str] = []

    def attempt() -> None:
        try:
            store.open(location, 0).close()
        except Busy:
            seen.append("busy")

    thread = threading.Thread(target=attempt)
    thread.start()
    thread.join()
    with pytest.raises(Busy):
        store.open(location, 5)
    first.sync()
    first.close()

    assert seen == ["busy"]
    put(store, location, b" second", offset=5)
    assert whole(store, location) == b"first second"


def test_a_refused_writer_disturbs_nothing(store: BlobStore, location: str) -> None:
    """Who is turned away has changed nothing of what the first one writes."""
    first = store.open(location, 0)
    first.write(b"12345")
    for _ in range(3):
        with pytest.raises(Busy):
            store.open(location, 0)
    first.write(b"678")
    first.sync()
    first.close()

    assert whole(store, location) == b"12345678"


def test_calls_may_come_from_different_threads(store: BlobStore, location: str) -> None:
    """A writer opened in one thread can be written in another and closed in a third."""
    writer = store.open(location, 0)
    for act in (lambda: writer.write(b"data"), writer.sync, writer.close):
        thread = threading.Thread(target=act)
        thread.start()
        thread.join()

    assert whole(store, location) == b"data"


HOLDER = """
import sys, pathlib
from tests.drivers.test_blob_stores import STORES
driver, folder, location = sys.argv[1:]
writer = STORES[driver](pathlib.Path(folder)).open(location, 0)
writer.write(b"of the child")
print("open", flush=True)
sys.stdin.read()
"""


def holder(driver: str, folder: Path, location: str) -> subprocess.Popen[str]:
    """Start a process that has a writer open and has written; it ends when it is killed or its input does."""
    command = [sys.executable, "-c", HOLDER, driver, str(folder), location]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "open\n"
    return process


def test_a_writer_of_another_process_excludes_too(store: BlobStore, driver: str, tmp_path: Path, location: str) -> None:
    """A writer in another process keeps this one out until that process ends, however it ends."""
    for end in ("killed", "ended"):
        with holder(driver, tmp_path, location) as process:
            with pytest.raises(Busy):
                store.open(location, 0)
            if end == "killed":
                process.kill()
            process.communicate(timeout=60)

        put(store, location, b"of the parent")
        assert whole(store, location) == b"of the parent"


def contend(driver: str, folder: Path, location: str, barrier: Any, results: Any) -> None:
    """Try to open a writer at the same moment as others do."""
    store = STORES[driver](folder)
    barrier.wait()
    try:
        writer = store.open(location, 0)
    except Busy:
        results.put("busy")
        barrier.wait()
        return
    results.put("open")
    barrier.wait()
    writer.close()


def test_one_of_many_processes_gets_the_writer(driver: str, store: BlobStore, tmp_path: Path, location: str) -> None:
    """Of several processes at once exactly one gets the writer."""
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(3), context.Queue()
    children = [context.Process(target=contend, args=(driver, tmp_path, location, barrier, results)) for _ in range(3)]
    for child in children:
        child.start()
    outcomes = sorted(results.get(timeout=60) for _ in children)
    for child in children:
        child.join(timeout=60)

    assert outcomes == ["busy", "busy", "open"]
    put(store, location, b"free again")


# --- Housekeeping and names ----------------------------------------------------------


def test_what_is_old_is_listed(store: BlobStore) -> None:
    """Locations last written before a moment are listed, each as the store itself names it."""
    locations = {store.new_location(str(uuid.uuid4())) for _ in range(5)}
    for location in locations:
        put(store, location, b"data")
    now = datetime.now(UTC)

    assert set(store.older_than(now + timedelta(hours=1))) == locations
    assert list(store.older_than(now - timedelta(hours=1))) == []
    for location in store.older_than(now + timedelta(hours=1)):
        store.delete(location)
    assert list(store.older_than(now + timedelta(hours=1))) == []


FOREIGN = [
    "",
    ".",
    "..",
    "/",
    "../x",
    "../../etc/passwd",
    "/etc/passwd",
    "ab/../../x",
    "ab/" + "../" * 12,
    "ab",
    "ab/x",
    "AB/" + "a" * 36,
    "ab/" + "a" * 35,
    "ab/" + "a" * 37,
    "ab/" + "a" * 36 + "\n",
    "ab/" + "a" * 35 + "/",
    "ab/" + "a" * 35 + ".",
    "ab\\" + "a" * 36,
    "ab/" + "a" * 35 + "\0",
    "٠٠/" + "a" * 36,
]


@pytest.mark.parametrize("foreign", FOREIGN)
def test_a_location_that_is_not_ours_is_refused(store: BlobStore, foreign: str) -> None:
    """No operation takes a location that the store has not made."""
    attempts: list[Callable[[], object]] = [
        lambda: store.open(foreign, 0),
        lambda: list(store.read(foreign, 0, 1)),
        lambda: store.locate(foreign),
        lambda: store.size(foreign),
        lambda: store.delete(foreign),
    ]
    for attempt in attempts:
        with pytest.raises(ValueError, match="not a location"):
            attempt()


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=50) | st.from_regex(r"[0-9a-f./-]{2,45}", fullmatch=True))
def test_any_text_is_refused_or_stays_inside(store: BlobStore, tmp_path: Path, text: str) -> None:
    """Whatever the text, it is refused, or names something within the store."""
    try:
        place = store.locate(text)
    except ValueError:
        return
    if isinstance(place, OnDisk):
        assert place.path.resolve().is_relative_to(tmp_path / "blobs")


# --- Disk alone ----------------------------------------------------------------------


def test_files_are_private(tmp_path: Path) -> None:
    """Layers on disk can be read by their owner only."""
    store = DiskStore(tmp_path / "blobs")
    location = store.new_location(str(uuid.uuid4()))
    put(store, location, b"data")

    assert (store.root / location).stat().st_mode & 0o777 == 0o600


def test_descriptors_are_given_back(tmp_path: Path) -> None:
    """Writers that were opened, refused or closed leave no open file behind."""
    store = DiskStore(tmp_path / "blobs")
    location = store.new_location(str(uuid.uuid4()))
    before = len(os.listdir("/dev/fd"))
    for _ in range(20):
        writer = store.open(location, 0)
        with pytest.raises(Busy):
            store.open(location, 0)
        writer.close()
        with pytest.raises(Missing):
            store.open(location, 1)

    assert len(os.listdir("/dev/fd")) == before

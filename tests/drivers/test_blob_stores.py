"""What every blob store must do. A new one is a line in `STORES` (conftest.py)."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
import urllib3
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from moorage.registry.storage import Busy, Elsewhere, Missing, OnDisk, Streamed, upload_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from moorage.registry.storage import BlobStore

MIB = 1024 * 1024


@pytest.fixture
def location(store: BlobStore) -> str:
    """A location in which nothing is."""
    return store.new_location(str(uuid.uuid4()))


def put(store: BlobStore, location: str, *pieces: bytes, offset: int = 0) -> str:
    """Append pieces and make them durable; return where they are."""
    writer = store.open(location, offset)
    try:
        for piece in pieces:
            writer.write(piece)
        done = writer.sync()
        writer.keep()
        return done
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
    done = put(store, location, *pieces)  # type: ignore[arg-type]

    expected = b"".join(bytes(piece) for piece in pieces)
    assert whole(store, done) == expected
    assert store.size(done) == len(expected)


def test_nothing_is_there_at_first(store: BlobStore, location: str) -> None:
    """A location without bytes has no size, cannot be read, and can be deleted."""
    assert store.size(location) is None
    with pytest.raises(Missing):
        list(store.read(location, 0, 1))
    store.delete(location)


def test_an_empty_upload_is_a_file_of_nothing(store: BlobStore, location: str) -> None:
    """A writer that writes nothing makes nothing into something of length zero."""
    done = put(store, location)

    assert (store.size(done), whole(store, done)) == (0, b"")


def test_every_range_can_be_read(store: BlobStore, location: str) -> None:
    """A range is exactly its bytes, across the store's own pieces too."""
    data = os.urandom(7 * MIB + 10)
    first = put(store, location, data[: 5 * MIB])
    done = put(store, first, data[5 * MIB :], offset=5 * MIB)

    edges = ((0, 0), (0, 1), (5, 5), (MIB - 1, MIB + 1), (0, len(data)), (len(data) - 1, len(data)))
    for start, stop in (*edges, (0, 5 * MIB), (5 * MIB, len(data)), (5 * MIB - 1, 5 * MIB + 1), (3, len(data) - 3)):
        assert b"".join(store.read(done, start, stop)) == data[start:stop]


def test_reading_beyond_the_end_is_an_error(store: BlobStore, location: str) -> None:
    """Bytes that are not there are `Missing`, not fewer bytes."""
    done = put(store, location, b"12345")

    for start, stop in ((0, 6), (5, 6), (100, 101)):
        with pytest.raises(Missing):
            list(store.read(done, start, stop))


def test_a_writer_goes_on_where_another_ended(store: BlobStore, location: str) -> None:
    """Writers one after the other append, each from its offset."""
    one = put(store, location, b"one ")
    two = put(store, one, b"two ", offset=4)
    three = put(store, two, b"three", offset=8)

    assert whole(store, three) == b"one two three"


@pytest.mark.parametrize("sizes", [(20 * MIB, 3), (3, 20 * MIB), (9 * MIB, 9 * MIB, 1), (1, MIB, 8 * MIB), (8 * MIB,)])
def test_writers_of_any_size_follow_each_other(store: BlobStore, location: str, sizes: tuple[int, ...]) -> None:
    """However much each of several writers brings, in pieces of any size, all of it is there."""
    data = os.urandom(sum(sizes))
    offset = 0
    for size in sizes:
        part = memoryview(data)[offset : offset + size]
        pieces = [bytes(part[at : at + 1_234_567]) for at in range(0, size, 1_234_567)]
        location = put(store, location, *pieces, offset=offset)
        offset += size

    assert whole(store, location) == data


def test_flushed_bytes_can_be_read_before_they_are_synced(store: BlobStore, location: str) -> None:
    """What a writer has flushed another one goes on from."""
    writer = store.open(location, 0)
    writer.write(b"one ")
    flushed = writer.flush()
    writer.keep()
    writer.close()

    assert whole(store, put(store, flushed, b"two", offset=4)) == b"one two"


def test_a_flush_of_nothing_changes_nothing(store: BlobStore, location: str) -> None:
    """A writer that brings nothing leaves the location as it is."""
    done = put(store, location, b"data")
    for where, offset in ((location, 0), (done, 4)) if done != location else ((done, 4),):
        writer = store.open(where, offset)
        assert writer.flush() == where
        writer.close()

    assert whole(store, done) == b"data"


def test_bytes_beyond_the_offset_are_discarded(store: BlobStore, location: str) -> None:
    """What a writer that no row counted left is gone once another one writes, however much less that writes."""
    kept = put(store, location, b"kept")
    lose(store, kept, 4)

    assert whole(store, put(store, kept, b"!", offset=4)) == b"kept!"


def test_a_sync_alone_discards_too(store: BlobStore, location: str) -> None:
    """A writer that only syncs leaves exactly its offset."""
    kept = put(store, location, b"kept")
    lose(store, kept, 4)

    assert whole(store, put(store, kept, offset=4)) == b"kept"


def test_opening_takes_nothing_away(store: BlobStore, location: str) -> None:
    """To open and to close changes nothing, from whatever offset it had: the bytes may be a finished layer."""
    begun = put(store, location, b"a fi")
    done = put(store, begun, b"nished layer", offset=4)

    for where, offset in ((location, 0), (begun, 4), (done, 16)):
        store.open(where, offset).close()

    assert whole(store, done) == b"a finished layer"


def test_discarded_bytes_leave_the_rest(store: BlobStore, location: str) -> None:
    """A writer that lost takes back what it flushed, and nothing that was there before."""
    kept = put(store, location, b"kept")
    writer = store.open(kept, 4)
    writer.write(b" and lost")
    writer.sync()
    writer.discard()
    writer.close()

    assert whole(store, put(store, kept, b"!", offset=4)) == b"kept!"


def test_fewer_bytes_than_the_offset(store: BlobStore, location: str) -> None:
    """There is no writer beyond the end, and the attempt leaves the location free and as it was."""
    with pytest.raises(Missing):
        store.open(location, 1)
    done = put(store, location, b"1234")
    with pytest.raises(Missing):
        store.open(done, 5)

    assert whole(store, put(store, done, b"5", offset=4)) == b"12345"


def test_what_is_deleted_is_gone(store: BlobStore, location: str) -> None:
    """Deleted bytes are not there, and the location can be written anew."""
    old = put(store, location, b"old")
    store.delete(old)

    assert store.size(old) is None
    assert whole(store, put(store, location, b"new")) == b"new"


def test_many_are_deleted_at_once(store: BlobStore) -> None:
    """All locations of a list are deleted, those that are gone already too, and no other."""
    done = [put(store, store.new_location(str(uuid.uuid4())), b"data") for _ in range(12)]
    store.delete(done[3])

    store.delete_many([])
    store.delete_many(done[:10])

    assert [store.size(one) for one in done] == [None] * 10 + [4, 4]


def test_locations_are_apart(store: BlobStore) -> None:
    """Each upload has a location of its own, the same each time it is asked for, and tells the upload."""
    ids = [str(uuid.uuid4()) for _ in range(50)]

    locations = [store.new_location(one) for one in ids]

    assert len(set(locations)) == 50
    assert locations == [store.new_location(one) for one in ids]
    assert [upload_of(one) for one in locations] == ids
    assert [upload_of(put(store, one, b"data")) for one in locations[:3]] == ids[:3]


def test_a_place_is_one_of_three(store: BlobStore, location: str) -> None:
    """A location is a file with the very bytes, another address, or a stream."""
    done = put(store, location, b"data")

    match store.locate(done):
        case OnDisk(path):
            assert path.read_bytes() == b"data"
        case Elsewhere(url):
            with urllib3.PoolManager() as pool:
                assert pool.request("GET", url()).data == b"data"
        case place:
            assert isinstance(place, Streamed)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from(["commit", "abandon"]), st.binary(max_size=300)), max_size=8))
def test_only_what_was_counted_remains(store: BlobStore, steps: list[tuple[str, bytes]]) -> None:
    """Whatever writers are cut off between them, the bytes are those of the writers that were counted."""
    location, kept = store.new_location(str(uuid.uuid4())), b""
    for step, data in steps:
        after = put(store, location, data, offset=len(kept)) if step == "commit" else lose(store, location, len(kept))
        if step == "commit":
            location, kept = after, kept + data
    location = put(store, location, offset=len(kept))

    assert whole(store, location) == kept


def lose(store: BlobStore, location: str, offset: int) -> str:
    """Write and flush, and have it not counted."""
    writer = store.open(location, offset)
    writer.write(b"lost, and longer than what follows")
    try:
        return writer.flush()
    finally:
        writer.close()


# --- Two writers ---------------------------------------------------------------------


def test_of_two_writers_one_counts(store: BlobStore, location: str) -> None:
    """A second writer is turned away, or writes without disturbing the first: the location that is kept is whole."""
    first = store.open(location, 0)
    first.write(b"first")
    try:
        second = store.open(location, 0)
    except Busy:
        pass
    else:
        second.write(b"and second")
        second.flush()
        second.discard()
        second.close()
    done = first.sync()
    first.keep()
    first.close()

    assert whole(store, put(store, done, b" third", offset=5)) == b"first third"


def test_calls_may_come_from_different_threads(store: BlobStore, location: str) -> None:
    """A writer opened in one thread can be written in another and closed in a third."""
    writer, done = store.open(location, 0), []
    for act in (lambda: writer.write(os.urandom(9 * MIB)), lambda: done.append(writer.sync()), writer.close):
        thread = threading.Thread(target=act)
        thread.start()
        thread.join()

    assert store.size(done[0]) == 9 * MIB


HOLDER = """
import sys
from tests.drivers.conftest import opened
address, location = sys.argv[1:]
writer = opened(address).open(location, 0)
writer.write(b"of the child" * 1_000_000)
print("open", flush=True)
sys.stdin.read()
"""


def holder(address: str, location: str) -> subprocess.Popen[str]:
    """Start a process that has a writer open and has written; it ends when it is killed or its input does."""
    command = [sys.executable, "-c", HOLDER, address, location]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "open\n"
    return process


def test_a_writer_that_was_killed_holds_nobody_up(store: BlobStore, address: str, location: str) -> None:
    """After a process that was writing has ended, however it ended, another one writes from where the row stands."""
    for end in ("killed", "ended"):
        with holder(address, location) as process:
            if end == "killed":
                process.kill()
            process.communicate(timeout=60)

        assert whole(store, put(store, location, b"of the parent")) == b"of the parent"


def test_what_a_killed_writer_left_is_swept(store: BlobStore, address: str, location: str) -> None:
    """Nothing of a writer that was killed remains after a sweep."""
    with holder(address, location) as process:
        process.kill()
        process.communicate(timeout=60)
    later = datetime.now(UTC) + timedelta(hours=1)

    left = len(list(store.older_than(later))) + store.abort_unfinished(later)
    store.delete_many(list(store.older_than(later)))

    assert left == 1
    assert list(store.older_than(later)) == []
    assert store.abort_unfinished(later) == 0


def test_what_is_being_written_is_not_swept(store: BlobStore, location: str) -> None:
    """A sweep of what is older leaves a writer alone that is younger."""
    earlier = datetime.now(UTC) - timedelta(hours=1)
    writer = store.open(location, 0)
    writer.write(b"x" * (9 * MIB))
    assert (list(store.older_than(earlier)), store.abort_unfinished(earlier)) == ([], 0)
    done = writer.sync()
    writer.close()

    assert whole(store, done) == b"x" * (9 * MIB)


def test_a_writer_that_goes_leaves_nothing(store: BlobStore, location: str) -> None:
    """What was not flushed is gone with its writer, or is cut off by the next one."""
    for size in (1, 9 * MIB):
        writer = store.open(location, 0)
        writer.write(b"x" * size)
        writer.close()

    later = datetime.now(UTC) + timedelta(hours=1)
    assert store.abort_unfinished(later) == 0
    assert set(store.older_than(later)) <= {location}


# --- Housekeeping and names ----------------------------------------------------------


def test_what_is_old_is_listed(store: BlobStore) -> None:
    """Locations last written before a moment are listed, each as the store itself names it."""
    locations = {put(store, store.new_location(str(uuid.uuid4())), b"data") for _ in range(5)}
    now = datetime.now(UTC)

    assert set(store.older_than(now + timedelta(hours=1))) == locations
    assert {piece for location in locations for piece in store.pieces(location)} == locations
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
        lambda: store.delete_many([foreign]),
    ]
    for attempt in attempts:
        with pytest.raises(ValueError, match="not a location"):
            attempt()


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=50) | st.from_regex(r"[0-9a-f./-]{2,45}", fullmatch=True))
def test_any_text_is_refused_or_stays_inside(store: BlobStore, address: str, text: str) -> None:
    """Whatever the text, it is refused, or names something within the store."""
    try:
        place = store.locate(text)
    except ValueError:
        return
    if isinstance(place, OnDisk):
        assert place.path.resolve().is_relative_to(address)

"""An object store that fails, is slow, or breaks off: asked again, never believed, and nothing is lost or left."""

from __future__ import annotations

import os
import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from moorage.domain.errors import StoreUnavailable
from moorage.drivers import object_writer
from moorage.drivers.objects import ObjectStore
from moorage.registry.storage import Missing
from tests import faults, objects
from tests.drivers.test_blob_stores import put, whole
from tests.faults import Fault

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults import Proxy

MIB = 1024 * 1024
SMALL = os.urandom(1000)
LARGE = os.urandom(17 * MIB)
"""Sent in parts."""


@pytest.fixture
def bucket(s3: objects.Starter) -> objects.Bucket:
    """A new bucket."""
    return s3(objects.preferred()).bucket()


@pytest.fixture
def proxy(bucket: objects.Bucket) -> Iterator[Proxy]:
    """What stands between the store's client and the bucket."""
    with faults.proxy(bucket.endpoint) as running:
        yield running


@pytest.fixture
def store(bucket: objects.Bucket, proxy: Proxy) -> ObjectStore:
    """A store that is not very patient."""
    url = bucket.url("layers", endpoint=proxy.endpoint, retry_seconds="3", stall_seconds="2")
    return ObjectStore(url, redirects=True)


@pytest.fixture
def hasty(bucket: objects.Bucket, proxy: Proxy) -> ObjectStore:
    """The same store with hardly any patience."""
    url = bucket.url("layers", endpoint=proxy.endpoint, retry_seconds="1", stall_seconds="1")
    return ObjectStore(url, redirects=True)


@pytest.fixture
def location(store: ObjectStore) -> str:
    """A location in which nothing is."""
    return store.new_location(str(uuid.uuid4()))


def puts(method: str, _path: str) -> bool:
    """Whether bytes are sent."""
    return method == "PUT"


def gets(method: str, path: str) -> bool:
    """Whether bytes are asked for."""
    return method == "GET" and "list-type" not in path


def completes(method: str, path: str) -> bool:
    """Whether parts are made an object."""
    return method == "POST" and "uploadId=" in path


def begins(method: str, path: str) -> bool:
    """Whether an upload in parts is begun."""
    return method == "POST" and "uploads" in path


def deletes(method: str, path: str) -> bool:
    """Whether objects are deleted."""
    return method == "DELETE" or (method == "POST" and "delete" in path)


TROUBLE = {
    "refused a few times": [Fault(refuse=503)] * 3,
    "broken a few times": [Fault(refuse=500)] * 3,
    "done and then denied": [Fault(late=500)],
    "done and then denied, twice": [Fault(late=503), Fault(late=500)],
    "slow": [Fault(delay=0.5)] * 3,
    "cut within the request": [Fault(cut_request=300)] * 2,
    "cut before the answer": [Fault(cut_request=10**9)],
    "cut within the answer": [Fault(cut_answer=0)],
}


@pytest.mark.parametrize("trouble", TROUBLE)
@pytest.mark.parametrize(
    ("data", "step"), [(SMALL, puts), (LARGE, puts), (LARGE, completes)], ids=["small", "part", "end"]
)
def test_a_write_survives_trouble(
    store: ObjectStore,
    proxy: Proxy,
    bucket: objects.Bucket,
    location: str,
    trouble: str,
    step: faults.Match,
    data: bytes,
) -> None:
    """What a store refuses, forgets to answer or denies having done is done in the end, once, and whole."""
    proxy.next_ones(step, *TROUBLE[trouble])

    done = put(store, location, data)

    proxy.plan = faults.fine
    assert whole(store, done) == data
    assert len(bucket.keys()) == 1


def test_a_long_layer_is_several_objects(
    store: ObjectStore, bucket: objects.Bucket, location: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None is so long that joining its parts takes a store too long; what is read is whole, and ranges cross them."""
    monkeypatch.setattr(object_writer, "LARGE", object_writer.PART)
    data = os.urandom(object_writer.PART) * 2 + b"end"

    writer = store.open(location, 0)
    for start in range(0, len(data), object_writer.PART // 2):
        writer.write(data[start : start + object_writer.PART // 2])
    done = writer.sync()
    writer.keep()
    writer.close()

    assert len(bucket.keys()) == 3
    assert whole(store, done) == data
    middle = object_writer.PART
    assert b"".join(store.read(done, middle - 5, middle + 5)) == data[middle - 5 : middle + 5]


def test_parts_are_joined_once_however_long_it_takes(store: ObjectStore, proxy: Proxy, location: str) -> None:
    """A store that copies for long before it says that the parts are one is waited for, and not told the same again."""
    proxy.next_ones(completes, Fault(delay=3))

    done = put(store, location, LARGE)

    assert sum(completes(method, path) for method, path in proxy.seen) == 1
    assert whole(store, done) == LARGE


def test_a_store_that_says_yes_and_has_nothing_is_not_believed(store: ObjectStore, proxy: Proxy, location: str) -> None:
    """An object made of parts is looked for before anybody is told that it is there."""
    said = b"<CompleteMultipartUploadResult><ETag>0</ETag></CompleteMultipartUploadResult>"
    proxy.next_ones(completes, Fault(refuse=200, saying=said))

    with pytest.raises(StoreUnavailable):
        put(store, location, LARGE)


@pytest.mark.parametrize("trouble", TROUBLE)
def test_a_read_survives_trouble(store: ObjectStore, proxy: Proxy, location: str, trouble: str) -> None:
    """A read gets every byte, once and in order."""
    done = put(store, location, LARGE)
    for start, stop in ((0, len(LARGE)), (5, len(LARGE) - 5)):
        proxy.next_ones(gets, *TROUBLE[trouble])
        assert b"".join(store.read(done, start, stop)) == LARGE[start:stop]


def test_a_read_goes_on_where_it_was_cut(store: ObjectStore, proxy: Proxy, location: str) -> None:
    """A read that is cut again and again, always after some bytes, asks for the rest and not for all of it."""
    done = put(store, location, LARGE)
    proxy.sent = 0
    proxy.next_ones(gets, *[Fault(cut_answer=3 * MIB)] * 5)

    assert b"".join(store.read(done, 0, len(LARGE))) == LARGE

    assert proxy.sent < 2 * len(LARGE)


def test_a_delete_survives_trouble(store: ObjectStore, proxy: Proxy, bucket: objects.Bucket) -> None:
    """Deletion is asked for again, also of what is gone by then."""
    for trouble in TROUBLE.values():
        done = [put(store, store.new_location(str(uuid.uuid4())), SMALL) for _ in range(3)]
        proxy.next_ones(deletes, *trouble)
        store.delete_many(done)
        assert bucket.keys() == []


def test_a_store_that_stays_away(hasty: ObjectStore, proxy: Proxy, location: str) -> None:
    """A store that refuses everything, for longer than it is asked, is a failure of its own and nothing is acknowledged."""
    done = put(hasty, location, SMALL)
    proxy.plan = lambda _method, _path: Fault(refuse=503)

    with pytest.raises(StoreUnavailable):
        put(hasty, location, SMALL)
    with pytest.raises(StoreUnavailable):
        put(hasty, location, LARGE)
    with pytest.raises(StoreUnavailable):
        list(hasty.read(done, 0, len(SMALL)))
    with pytest.raises(StoreUnavailable):
        hasty.size(done)
    with pytest.raises(StoreUnavailable):
        hasty.delete(done)
    with pytest.raises(StoreUnavailable):
        list(hasty.older_than(datetime.now(UTC)))
    with pytest.raises(StoreUnavailable):
        hasty.check()

    proxy.plan = faults.fine
    hasty.check()
    assert whole(hasty, done) == SMALL


def test_a_store_that_says_nothing(hasty: ObjectStore, proxy: Proxy, location: str) -> None:
    """A store that takes requests and never answers is given up."""
    done = put(hasty, location, SMALL)
    proxy.plan = lambda _method, _path: Fault(hang=True)

    with pytest.raises(StoreUnavailable):
        list(hasty.read(done, 0, len(SMALL)))
    with pytest.raises(StoreUnavailable):
        put(hasty, location, SMALL)


def test_what_fails_for_good_leaves_nothing(
    hasty: ObjectStore, proxy: Proxy, bucket: objects.Bucket, location: str
) -> None:
    """A write that the store will not take at some step fails, and neither an object nor a part remains."""
    for step in (puts, begins, completes):
        proxy.plan = faults.always(step, Fault(refuse=503))
        with pytest.raises(StoreUnavailable):
            put(hasty, location, LARGE)
    proxy.plan = faults.always(begins, Fault(cut_answer=0))
    with pytest.raises(StoreUnavailable):
        put(hasty, location, LARGE)
    proxy.plan = faults.fine

    # The answer that broke off was about an upload that nobody knows the name of.
    assert hasty.abort_unfinished(datetime.now(UTC) + timedelta(hours=1)) == 1
    assert bucket.unfinished() == []
    assert list(hasty.older_than(datetime.now(UTC) + timedelta(hours=1))) == []


def test_an_object_that_vanished_is_missing(store: ObjectStore, location: str) -> None:
    """An object that somebody removed is not an outage, which is asked again, but missing."""
    done = put(store, location, SMALL)
    store.delete(done)

    with pytest.raises(Missing):
        list(store.read(done, 0, len(SMALL)))
    assert store.size(done) is None


def test_what_is_not_ours_is_left_alone(store: ObjectStore, bucket: objects.Bucket, location: str) -> None:
    """Other things in the bucket, also below the prefix, are neither listed nor aborted."""
    done = put(store, location, SMALL)
    client = bucket.client()
    for key in ("layers/readme.txt", "layers/ab/readme", f"elsewhere/{done.partition('-')[0]}"):
        client.put_object(Bucket=bucket.name, Key=key, Body=b"theirs")
        client.create_multipart_upload(Bucket=bucket.name, Key=key)
    later = datetime.now(UTC) + timedelta(hours=1)

    assert list(store.older_than(later)) == [done]
    assert store.abort_unfinished(later) == 0
    assert len(bucket.unfinished()) == 3

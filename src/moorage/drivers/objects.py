"""
Bytes in a bucket: S3, and what speaks like it, Google Cloud Storage, Azure.

Nothing is renamed, copied or overwritten: every object has a name of its own
and is whole from the moment that it is there.
"""

from __future__ import annotations

import random
import time
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import cached_property, partial
from typing import TYPE_CHECKING, Final, cast

import obstore
from obstore.exceptions import BaseError

from moorage import logs
from moorage.domain.errors import StoreUnavailable
from moorage.drivers.clouds import Cloud
from moorage.drivers.object_urls import Target
from moorage.drivers.object_writer import ObjectWriter
from moorage.drivers.pieces import Location, Piece, is_key
from moorage.registry.storage import Elsewhere, Missing, Streamed

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence
    from datetime import datetime

    from obstore import GetResult, SignCapableStore, WritableFile
    from obstore.store import ObjectStore as Client

_CHUNK: Final = 1024 * 1024
_URL_LIFETIME: Final = timedelta(minutes=15)
_CUTS: Final = 6
"""Answers in a row that may break off without having brought a byte."""
_PAUSE: Final = 0.2
_ATTRIBUTES: Final = {"Content-Type": "application/octet-stream"}


class ObjectStore:
    """A `BlobStore` in one bucket, shared by any number of machines."""

    at_once = 4000
    """Four requests at a time: S3 takes a thousand keys in each."""

    def __init__(self, url: str, *, redirects: bool) -> None:
        target = Target.parse(url)
        self._patience = target.seconds("retry_seconds").total_seconds()
        self._cloud = Cloud(target)
        self._client = self._cloud.client()
        self._joining_client = self._cloud.client(joins=True)
        self._redirects = redirects

    def new_location(self, upload_id: str) -> str:
        """Return the beginning of all keys of an upload."""
        return f"{upload_id[:2]}/{upload_id}"

    def free(self) -> None:
        """Know of no bound."""

    def open(self, location: str, offset: int) -> ObjectWriter:
        """Return a writer at the end of a location. Asks nothing of the store."""
        where = Location.parse(location)
        if where.size != offset:
            raise Missing(location[:100])
        return ObjectWriter(self, where)

    def read(self, location: str, start: int, stop: int) -> Generator[bytes]:
        """Yield the bytes in pieces of about 1 MiB, through cuts and pauses of the store."""
        where = Location.parse(location)
        if stop > where.size:
            raise Missing(location[:100])
        begins = 0
        for piece in where.pieces:
            first, last = max(start - begins, 0), min(stop - begins, piece.size)
            begins += piece.size
            if first < last:
                yield from self._read_piece(piece, first, last)

    def _read_piece(self, piece: Piece, first: int, last: int) -> Generator[bytes]:
        position, cuts = first, 0
        while position < last:
            with self.answering(piece.key):
                answer = self._ask(piece, position, last)
            try:
                with self.answering(piece.key):
                    for chunk in answer.stream(min_chunk_size=_CHUNK):
                        cuts = 0
                        yield bytes(chunk)[: last - position]
                        position += len(chunk)
                    if position < last:
                        raise BaseError(f"the body ended {last - position} bytes early")
            except StoreUnavailable:
                # The connection broke while the body came.
                cuts += 1
                if cuts == _CUTS:
                    raise
                time.sleep(random.uniform(0, 0.1 * 2**cuts))  # noqa: S311 (spreads, hides nothing)

    def _ask(self, piece: Piece, first: int, last: int) -> GetResult:
        whole = (first, last) == (0, piece.size)
        return obstore.get(self._client, piece.key, options={} if whole else {"range": (first, last)})

    def locate(self, location: str) -> Elsewhere | Streamed:
        """Return a signed URL of bytes that are one object, where clients may be sent there."""
        pieces = Location.parse(location).pieces
        if len(pieces) == 1 and self._redirects and self._can_sign:
            return Elsewhere(partial(self._sign, pieces[0].key))
        return Streamed()

    @cached_property
    def _signer(self) -> SignCapableStore:
        return cast("SignCapableStore", self._cloud.signer())

    @cached_property
    def _can_sign(self) -> bool:
        try:
            self._sign("none")
        except StoreUnavailable:
            logs.warning("storage_cannot_sign", effect="layers are passed through this server")
            return False
        return True

    def _sign(self, key: str) -> str:
        with self.answering(key):
            return obstore.sign(self._signer, "GET", key, _URL_LIFETIME)

    def size(self, location: str) -> int | None:
        """Return the length of all pieces, None if one of them is not there."""
        where = Location.parse(location)
        sizes = [self._size(key) for key in ([piece.key for piece in where.pieces] or [where.stem])]
        return None if None in sizes else sum(size for size in sizes if size is not None)

    def _size(self, key: str) -> int | None:
        try:
            with self.answering(key):
                return obstore.head(self._client, key)["size"]
        except Missing:
            return None

    def check(self) -> None:
        """Ask once, and wait for seconds only."""
        with suppress(Missing), self.answering("check"):
            obstore.head(self._hasty, "moorage-is-anybody-there")

    @cached_property
    def _hasty(self) -> Client:
        return self._cloud.hasty_client()

    def delete(self, location: str) -> None:
        """Delete the pieces."""
        self.delete_many([location])

    def delete_many(self, locations: Sequence[str]) -> None:
        """Delete the pieces of all; S3 takes a thousand at once."""
        keys = [piece.key for location in locations for piece in Location.parse(location).pieces]
        try:
            if keys:
                self._delete(keys)
        except Missing:
            # A store that minds what is not there stops at it.
            for key in keys:
                with suppress(Missing):
                    self._delete([key])

    def _delete(self, keys: list[str]) -> None:
        # The client asks again if it is refused, and not if the answer breaks off.
        deadline = time.monotonic() + self._patience
        while True:
            try:
                with self.answering(keys[0]):
                    obstore.delete(self._client, keys)
            except StoreUnavailable:
                if time.monotonic() >= deadline:
                    raise
                time.sleep(_PAUSE)
            else:
                return

    def pieces(self, location: str) -> list[str]:
        """Return the locations of the objects."""
        return [piece.location for piece in Location.parse(location).pieces]

    def older_than(self, when: datetime) -> Iterator[str]:
        """Yield the objects that were made before ``when``. What is not of our making is left alone."""
        with self.answering("list"):
            for page in obstore.list(self._client, chunk_size=1000):
                for item in page:
                    if item["last_modified"] < when and is_key(item["path"]):
                        yield Piece(item["path"], item["size"]).location

    def abort_unfinished(self, when: datetime) -> int:
        """Abort multipart uploads of writers that died."""
        return self._cloud.abort_unfinished(when, is_key)

    # --- For its writers ---

    def stream(self, key: str, part: int) -> WritableFile:
        """Return a writer of one object that sends a part of that many bytes at a time, and waits for it."""
        return obstore.open_writer(
            self._joining_client, key, buffer_size=part, max_concurrency=1, attributes=dict(_ATTRIBUTES)
        )

    def put(self, key: str, data: bytes) -> None:
        """Make an object at once."""
        obstore.put(self._client, key, data, use_multipart=False, attributes=dict(_ATTRIBUTES))

    def confirm(self, piece: Piece, make: Callable[[], object], *, of_parts: bool = False) -> None:
        """
        Make an object, and look whether it is there if the store did not answer well in the end.

        Of one made of parts that is always looked at: with those, stores have been seen to say yes and have nothing.
        """
        problem: Exception | None = None
        try:
            with self.answering(piece.key):
                make()
        except (Missing, StoreUnavailable) as failed:
            problem = failed
        if (problem or of_parts) and self._size(piece.key) != piece.size:
            raise StoreUnavailable from problem

    @contextmanager
    def answering(self, key: str) -> Iterator[None]:
        """Turn what obstore raises into `Missing` or `StoreUnavailable`; the log has the details."""
        try:
            yield
        except FileNotFoundError:
            raise Missing(key) from None
        except (BaseError, OSError) as problem:
            logs.warning("storage_failed", key=key, problem=f"{type(problem).__name__}: {problem}".partition("\n")[0])
            raise StoreUnavailable from problem

"""
Layers on their way in: begun, appended to, finished or given up.

Bytes go straight to the place where they will stay and are hashed on the way.
The row says how many of them count and where they are: what a writer that was
cut off left beyond that is void. The row's offset is compared and swapped, so
that any worker can go on where another ended, and of two writers one counts
(docs/adr/0008). Where both would write to the same place the store lets
only one in.
"""

from __future__ import annotations

import dataclasses
import enum
import hashlib
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Final, Self

import sqlalchemy as sa

from moorage.domain.errors import (
    InvalidLayer,
    InvalidLayerPart,
    LayerNotFound,
    LimitExceeded,
    UploadBusy,
    UploadNotFound,
)
from moorage.domain.names import Digest, parse_upload_id
from moorage.registry import collection, damage, layers, repositories, reserve, usage
from moorage.registry.again import again
from moorage.registry.hashing import HashState
from moorage.registry.prepared import Prepared
from moorage.registry.storage import Busy, Missing, upload_of
from moorage.registry.tables import blobs, repository_blobs, uploads
from moorage.registry.upsert import insert_if_absent

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from moorage.registry.core import Context
    from moorage.registry.repositories import Repository
    from moorage.registry.storage import Writer

MIN_PART: Final = 5 * 1024 * 1024
MAX_LAYER: Final = 52_000 * 1024 * 1024
MAX_PARTS: Final = 4_200
PART_SIZE: Final = 10 * 1024 * 1024
"""The part size that InitiateLayerUpload advises, in bytes."""
_LONG: Final = 256 * 1024
"""Bytes for which it is worth a hop to hash them in another thread, while they are written."""


@dataclass(frozen=True, slots=True)
class Upload:
    """How far an upload has come."""

    id: str
    offset: int
    """Bytes received and kept."""
    parts: int
    small_parts: int
    """Parts under 5 MiB among all but the last."""
    last_part_small: bool
    location: str


@dataclass(frozen=True, slots=True)
class Finished:
    """A completed upload."""

    digest: Digest
    already_there: bool
    """The repository had the layer before."""


_BEGIN: Final = Prepared(sa.insert(uploads), [column.name for column in uploads.columns])


def begin(ctx: Context, repository: Repository) -> Upload:
    """Open an upload to the repository; raise `LimitExceeded` if it has no room for one."""
    usage.require_room(ctx, repository)
    upload_id = ctx.registry.new_id()
    upload = Upload(upload_id, 0, 0, 0, False, ctx.registry.blobs.new_location(upload_id))
    _BEGIN.run(ctx.tx, {"repository_id": repository.id, **dataclasses.asdict(upload), "touched_at": ctx.now})
    return upload


_FIND: Final = Prepared(
    sa.select(uploads).where(
        uploads.c.id == sa.bindparam("upload"),
        uploads.c.repository_id == sa.bindparam("repository"),
        uploads.c.touched_at > sa.bindparam("oldest", type_=uploads.c.touched_at.type),
    )
)
_WHERE_IT_WAS = sa.and_(uploads.c.id == sa.bindparam("upload"), uploads.c.offset == sa.bindparam("was_at"))
_COUNT: Final = Prepared(
    sa.update(uploads).where(_WHERE_IT_WAS),
    ["offset", "parts", "small_parts", "last_part_small", "location", "touched_at"],
)
_TAKE: Final = Prepared(sa.delete(uploads).where(_WHERE_IT_WAS))


def find(ctx: Context, repository: Repository, upload_id: str) -> Upload:
    """Return the upload; raise `UploadNotFound` if the repository has none of that id (any more)."""
    parse_upload_id(upload_id, name=repository.name, registry_id=repository.registry_id)
    oldest = ctx.now - timedelta(hours=ctx.settings.upload_expiry_hours)
    row = _FIND.first(ctx.tx, {"upload": upload_id, "repository": repository.id, "oldest": oldest})
    if row is None:
        raise UploadNotFound(upload_id=upload_id, name=repository.name, registry_id=repository.registry_id)
    return Upload(row.id, row.offset, row.parts, row.small_parts, row.last_part_small, row.location)


def cancel(ctx: Context, repository: Repository, upload_id: str) -> None:
    """Give an upload up and discard its bytes; raise `UploadNotFound`."""
    upload = find(ctx, repository, upload_id)
    if ctx.tx.execute(sa.delete(uploads).where(uploads.c.id == upload.id)).rowcount != 1:
        # It was finished since it was looked at: its bytes are a layer's.
        raise UploadNotFound(upload_id=upload_id, name=repository.name, registry_id=repository.registry_id)
    ctx.registry.hash_states.forget(upload.id)
    collection.condemn(ctx, upload.location, upload.offset)


class Appender:
    """
    The one writer of an upload, from `open` to `close`.

    Works in transactions of its own, never holding one while bytes move.
    Nothing counts until `commit` or `finish` has returned.
    """

    def __init__(self, ctx: Context, repository: Repository, upload: Upload, writer: Writer) -> None:
        self._ctx = ctx
        self._repository = repository
        self.upload = upload
        self._writer = writer
        self.offset = upload.offset
        self._state = ctx.registry.hash_states.get(upload.id, upload.offset)
        self._is_void = False
        self.is_closed = False

    @classmethod
    def open(cls, ctx: Context, repository: Repository, upload_id: str) -> Self:
        """Take the upload's lock and stand at its end; raise `UploadNotFound` or `UploadBusy`."""

        def look() -> Upload:
            with ctx.read() as inside:
                return find(inside, repository, upload_id)

        location = again(look)
        # The row is read again under the lock: another writer may have moved it.
        writer = _open_writer(ctx, repository, location)
        try:
            upload = again(look)
            if upload.offset != location.offset:
                raise UploadBusy(upload_id=upload_id)
            return cls(ctx, repository, upload, writer)
        except BaseException:
            writer.close()
            raise

    def require_offset(self, first_byte: int) -> None:
        """Raise `InvalidLayerPart` unless the next byte is ``first_byte``."""
        if first_byte != self.offset:
            raise InvalidLayerPart(
                given=first_byte,
                expected=self.offset,
                upload_id=self.upload.id,
                name=self._repository.name,
                registry_id=self._repository.registry_id,
            )

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Append bytes to the store and to the digest; raise `LimitExceeded` (the longest layer), `StorageFull`."""
        reserve.require(self._ctx.registry)
        if self.offset + len(data) > MAX_LAYER:
            raise LimitExceeded(reason=f"A layer may have at most {MAX_LAYER} bytes")
        with self._hashed(data), self._or_overtaken():
            self._writer.write(data)
        self.offset += len(data)

    @contextmanager
    def _hashed(self, data: bytes | bytearray | memoryview) -> Iterator[None]:
        """Hash bytes while they are written, if those before them are hashed."""
        offset, sha256 = self._state
        if offset != self.offset:
            yield
            return
        # Of bytes that could not be written nothing is known.
        self._state = HashState(0, hashlib.sha256())
        hashing = self._ctx.registry.hashers.submit(sha256.update, data) if len(data) >= _LONG else None
        try:
            yield
        finally:
            if hashing is not None:
                hashing.result()
        if hashing is None:
            sha256.update(data)
        self._state = HashState(offset + len(data), sha256)

    def commit(self) -> Upload:
        """Count the bytes written as one part, and return how far the upload has come."""
        with self._or_overtaken():
            after = _with_part(self.upload, self.offset, self._writer.flush())
        again(partial(self._count, after))
        self._writer.keep()
        if self._state.offset == self.offset:
            self._ctx.registry.hash_states.put(self.upload.id, self._state)
        self.upload = after
        return after

    def _count(self, after: Upload) -> None:
        self._is_void = False  # by an attempt that was undone
        # The bytes are not synced either.
        with self._ctx.write(lasting=False) as ctx, self._or_void():
            values = {"was_at": self.upload.offset, **dataclasses.asdict(after), "touched_at": ctx.now}
            if _COUNT.run(ctx.tx, {**values, "upload": values.pop("id")}) != 1:
                raise self._overtaken(ctx)

    def finish(self, wanted: Sequence[str]) -> Finished:
        """
        Make the layer: its digest must be one of ``wanted``, else `InvalidLayer` and nothing has changed.

        When this returns, bytes, name and rows are durable.
        """
        with self._or_overtaken():
            location = self._writer.sync()
        with self._or_void():
            digest = self._matching_digest(wanted, location)
            damage.look_before_relying(self._ctx, digest)
        linked = again(partial(self._become, digest, location))
        self._writer.keep()
        self._ctx.registry.hash_states.forget(self.upload.id)
        return Finished(digest, already_there=not linked)

    def _become(self, digest: Digest, location: str) -> bool:
        """Make the rows of the layer; tell whether it is new to the repository."""
        self._is_void = False  # by an attempt that was undone
        with self._ctx.write() as ctx, self._or_void():
            repositories.lock(ctx, self._repository)
            self._take_upload(ctx)
            stored = _store_blob(ctx, digest, self.offset, location)
            linked = _link(ctx, self._repository, digest, self.offset)
            if stored is _Stored.BEFORE:
                # Somebody stored the same bytes before: theirs stay, ours go.
                collection.condemn(ctx, location, self.offset)
        return linked or stored is _Stored.HEALED

    def close(self) -> None:
        """Let the next writer in; bytes that were not committed are void. May be called again."""
        if self.is_closed:
            return
        self.is_closed = True
        try:
            if self._is_void:
                self._writer.discard()
        finally:
            self._writer.close()

    @contextmanager
    def _or_void(self) -> Iterator[None]:
        """Note that flushed bytes will never count. Not around a commit: when that fails nobody knows what it did."""
        try:
            yield
        except BaseException:
            self._is_void = True
            raise

    @contextmanager
    def _or_overtaken(self) -> Iterator[None]:
        """Say so where bytes before this writer's have gone: another one, who was quicker, put them elsewhere."""
        try:
            yield
        except Missing:
            with self._ctx.read() as ctx:
                raise self._overtaken(ctx) from None

    def _overtaken(self, ctx: Context) -> UploadBusy | UploadNotFound:
        """Say why the row is not where this writer began: another one was quicker, or the upload has ended."""
        try:
            found = find(ctx, self._repository, self.upload.id)
        except UploadNotFound as gone:
            return gone
        # Where nobody was quicker its bytes are lost, and it cannot go on.
        return self._gone() if found.offset == self.upload.offset else UploadBusy(upload_id=self.upload.id)

    def _gone(self) -> UploadNotFound:
        return UploadNotFound(
            upload_id=self.upload.id, name=self._repository.name, registry_id=self._repository.registry_id
        )

    def _take_upload(self, ctx: Context) -> None:
        if _TAKE.run(ctx.tx, {"upload": self.upload.id, "was_at": self.upload.offset}) != 1:
            raise self._overtaken(ctx)

    def _matching_digest(self, wanted: Sequence[str], location: str) -> Digest:
        for algorithm in dict.fromkeys(text.partition(":")[0] for text in wanted):
            if algorithm not in {"sha256", "sha512"}:
                continue
            digest = self._digest(algorithm, location)
            if digest in wanted:
                return digest
        raise InvalidLayer

    def _digest(self, algorithm: str, location: str) -> Digest:
        if algorithm == "sha256":
            start, running = self._state.offset, self._state.sha256.copy()
        else:
            start, running = 0, hashlib.new(algorithm)
        if start < self.offset:
            try:
                for piece in self._ctx.registry.blobs.read(location, start, self.offset):
                    running.update(piece)
            except Missing:
                # Cancelled meanwhile: its row is gone too.
                raise self._gone() from None
        return Digest(f"{algorithm}:{running.hexdigest()}")


def _open_writer(ctx: Context, repository: Repository, upload: Upload) -> Writer:
    try:
        return ctx.registry.blobs.open(upload.location, upload.offset)
    except Busy:
        raise UploadBusy(upload_id=upload.id) from None
    except Missing:
        raise UploadNotFound(upload_id=upload.id, name=repository.name, registry_id=repository.registry_id) from None


def _with_part(upload: Upload, offset: int, location: str) -> Upload:
    """Return the upload with one more part, ending at ``offset``, all of it at ``location``."""
    return Upload(
        id=upload.id,
        offset=offset,
        parts=upload.parts + 1,
        small_parts=upload.small_parts + upload.last_part_small,
        last_part_small=offset - upload.offset < MIN_PART,
        location=location,
    )


class _Stored(enum.Enum):
    """What became of the bytes that came for a blob."""

    NEW = "new"
    HEALED = "healed"
    """They took the place of damaged ones."""
    BEFORE = "before"
    """They are not needed."""


def _store_blob(ctx: Context, digest: Digest, size: int, location: str) -> _Stored:
    """Record where a blob's bytes are, or hold on to the blob that is there, healed if it was damaged."""
    row = {"digest": digest, "size": size, "location": location, "upload_id": upload_of(location)}
    row["created_at"] = ctx.now
    while not insert_if_absent(ctx.tx, blobs, row):
        if held := collection.hold(ctx, digest):
            healed = held.is_damaged and damage.heal(ctx, digest, held, location, size)
            return _Stored.HEALED if healed else _Stored.BEFORE
        # It was removed between the two: then it is ours to bring back.
    return _Stored.NEW


def _link(ctx: Context, repository: Repository, digest: Digest, size: int) -> bool:
    """
    Let a repository see a layer; tell whether it could not count on it before.

    Without an image that needs it, the layer will not stay for ever.
    """
    row = {"repository_id": repository.id, "digest": digest, "linked_at": ctx.now}
    is_linked = insert_if_absent(ctx.tx, repository_blobs, row)
    if is_linked:
        usage.add(ctx, repository, size=size)
    is_new = is_linked or not layers.is_available(ctx, repository, digest)
    collection.loosen_link(ctx, repository.id, digest)
    return is_new


def adopt(ctx: Context, repository: Repository, digest: Digest, size: int, location: str, *, due_at: datetime) -> bool:
    """
    Make bytes that no row names a layer of the repository; tell whether they are needed for it.

    No image needs it yet, and the collector looks at it at ``due_at``.
    """
    repositories.lock(ctx, repository)
    stored = _store_blob(ctx, digest, size, location)
    _link(ctx, repository, digest, size)
    collection.loosen_link(ctx, repository.id, digest, due_at)
    return stored is not _Stored.BEFORE


def mount(ctx: Context, repository: Repository, layer: layers.Layer) -> None:
    """Let the repository see a layer that another one has: no bytes move. Raises `LayerNotFound` if it is gone."""
    repositories.lock(ctx, repository)
    held = collection.hold(ctx, layer.digest)
    if held is None or held.is_damaged:
        raise LayerNotFound(digest=layer.digest, name=repository.name, registry_id=repository.registry_id)
    _link(ctx, repository, layer.digest, layer.size)

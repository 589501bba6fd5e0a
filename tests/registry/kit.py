"""A real registry without a server, and short words for what tests do with it."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from moorage import app, installation
from moorage.config import Settings
from moorage.domain import manifests
from moorage.domain.names import Digest, RepositoryName, Tag
from moorage.jobs import Run
from moorage.jobs.collection import collect
from moorage.registry import images, layers, repositories, uploads
from moorage.registry.auth import Password
from tests import content

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from moorage.registry.core import Context, Registry
    from moorage.registry.repositories import Repository

ACCOUNT = "123456789012"
REGION = "eu-west-1"


@dataclass
class Bench:
    """One installation and its root, opened once or (``other_worker``) by a second worker."""

    settings: Settings
    registry: Registry

    @cached_property
    def root(self) -> Password:
        """The root's own authorization token, which is what every unit of work here begins with."""
        return Password("AWS", self.registry.keyring.sign("authorization", self.root_claims, lifetime=3600))

    @property
    def root_claims(self) -> dict[str, str]:
        """What a token of the root says."""
        key = installation.read_root_key(self.settings.data, ACCOUNT)
        assert key is not None
        return {"key": key.access_key_id, "registry": ACCOUNT, "region": REGION}

    @classmethod
    @contextlib.contextmanager
    def opened(cls, data: Path, **settings: Any) -> Iterator[Bench]:
        """Make an installation, open it, and close it after the block."""
        chosen = Settings(data=data, account_id=ACCOUNT, region=REGION, **settings)
        app.prepare(chosen)
        bench = cls(chosen, app.open_registry(chosen))
        try:
            bench.repository("first")
            yield bench
        finally:
            bench.registry.close()

    @contextlib.contextmanager
    def other_worker(self) -> Iterator[Bench]:
        """Open the same installation a second time: it shares nothing but disk and database."""
        other = Bench(self.settings, app.open_registry(self.settings))
        try:
            yield other
        finally:
            other.registry.close()

    def read(self) -> AbstractContextManager[Context]:
        """Open a reading unit of work of the root."""
        return self.registry.read(self.root)

    def write(self) -> AbstractContextManager[Context]:
        """Open a writing unit of work of the root."""
        return self.registry.write(self.root)

    def repository(self, name: str, **more: Any) -> Repository:
        """Create a repository."""
        with self.write() as ctx:
            return repositories.create(ctx, RepositoryName.parse(name), **more)

    @property
    def first(self) -> Repository:
        """The repository that is always there."""
        with self.read() as ctx:
            return repositories.get(ctx, RepositoryName("first"))

    # --- Uploads ---

    def begin(self, repository: Repository | None = None) -> str:
        """Begin an upload and return its id."""
        repository = repository or self.first
        with self.write() as ctx:
            return uploads.begin(ctx, repository).id

    @contextlib.contextmanager
    def appender(self, upload_id: str, repository: Repository | None = None) -> Iterator[uploads.Appender]:
        """Open the writer of an upload for the length of a block; what was not committed is abandoned."""
        with self.read() as ctx:
            pass
        appender = uploads.Appender.open(ctx, repository or self.first, upload_id)
        try:
            yield appender
        finally:
            appender.close()

    def append(self, upload_id: str, data: bytes) -> int:
        """Append a part and return how far the upload has come."""
        with self.appender(upload_id) as appender:
            appender.write(data)
            return appender.commit().offset

    def finish(self, upload_id: str, *digests: str, data: bytes = b"") -> uploads.Finished:
        """Complete an upload."""
        with self.appender(upload_id) as appender:
            appender.write(data)
            return appender.finish(digests)

    def offset(self, upload_id: str) -> int:
        """Return how far an upload has come."""
        repository = self.first
        with self.read() as ctx:
            return uploads.find(ctx, repository, upload_id).offset

    def blob(self, data: bytes, repository: Repository | None = None) -> Digest:
        """Push a blob."""
        repository = repository or self.first
        with self.appender(self.begin(repository), repository) as appender:
            appender.write(data)
            return appender.finish([content.digest_of(data)]).digest

    def stored(self, digest: str, repository: Repository | None = None) -> bytes | None:
        """Return the bytes of a blob, None if the repository does not have it."""
        repository = repository or self.first
        with self.read() as ctx:
            layer = layers.find(ctx, repository.id, digest)
        return None if layer is None else b"".join(self.registry.blobs.read(layer.location, 0, layer.size))

    def objects(self) -> list[str]:
        """Return what lies in the store, whether or not a row names it."""
        return list(self.registry.blobs.older_than(datetime.now(UTC) + timedelta(hours=1)))

    def collect(self) -> None:
        """Delete the bytes that nothing refers to any more, as the job ``gc`` does."""
        collect(self.registry, self.registry.clock(), Run())

    # --- Images ---

    def put(
        self, body: bytes, *tags: str, digest: str | None = None, repository: Repository | None = None
    ) -> images.Put:
        """Put a manifest."""
        repository = repository or self.first  # before the transaction: it has one of its own
        named = Digest.parse(digest) if digest else None
        parsed = manifests.parse(body)
        with self.write() as ctx:
            return images.put(ctx, repository, parsed, tags=[Tag.parse(tag) for tag in tags], digest=named)

    def image(self, *tags: str, pushed: content.Image | None = None) -> content.Image:
        """Push an image with its blobs."""
        pushed = pushed or content.image()
        for part in (pushed.config, *pushed.layers):
            self.blob(part)
        self.put(pushed.manifest, *tags)
        return pushed

    def rows(self, statement: Any) -> list[Any]:
        """Return what a statement selects."""
        with self.read() as ctx:
            return list(ctx.tx.execute(statement))

    def snapshot(self) -> dict[str, list[Any]]:
        """Return every row of every table, to compare before and after."""
        with self.registry.database.read() as tx:
            names = sa.inspect(tx).get_table_names()
            return {n: sorted(map(repr, tx.exec_driver_sql(f'SELECT * FROM "{n}"'))) for n in names}  # noqa: S608


@contextlib.contextmanager
def statements(tx: sa.Connection, told: Callable[[str], object]) -> Iterator[None]:
    """Tell of each statement that the database is given in a transaction during a block, by whichever way."""
    driver: Any = tx.connection.driver_connection
    if hasattr(driver, "set_trace_callback"):
        driver.set_trace_callback(told)
        yield
        driver.set_trace_callback(None)
    else:
        before = driver.cursor_factory
        driver.cursor_factory = _telling(before, told)
        yield
        driver.cursor_factory = before


def _telling(cursor: Any, told: Callable[[str], object]) -> Any:
    """Return a kind of psycopg's cursor that tells of what it executes."""

    class Telling(cursor):  # type: ignore[misc]
        def execute(self, query: Any, *given: Any, **named: Any) -> Any:
            told(str(query))
            return super().execute(query, *given, **named)

    return Telling

"""One short life of a registry, which comes by every durable step; it can be killed at each of them."""

from __future__ import annotations

import os
import uuid
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from moorage import app
from moorage.domain.names import Digest, RepositoryName, Tag
from moorage.jobs.runner import Runner
from moorage.jobs.table import JOBS
from moorage.registry import deleted, images, layers, repositories, uploads
from tests import content
from tests.crashing import ledger, points
from tests.registry.kit import Bench

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from moorage.config import Settings
    from moorage.registry.auth import Password
    from moorage.registry.repositories import Repository

BIG = 9 * 1024 * 1024
"""Bytes that an object store is sent in parts."""


class Restarted(Bench):
    """An installation, opened anew after whatever has happened to it; its clock is moved by hand."""

    since = timedelta()

    @cached_property
    def root(self) -> Password:
        """The system itself: it needs no token, whatever the clock says."""
        return cast("Password", self.registry.system())

    @classmethod
    @contextmanager
    def after(cls, settings: Settings, since: timedelta = timedelta()) -> Iterator[Restarted]:
        """Open an installation as it is, so long ``since`` its beginning."""
        bench = cls(settings, app.open_registry(settings))
        bench.since = since
        bench.registry.clock = lambda: datetime.now(UTC) + bench.since
        try:
            yield bench
        finally:
            bench.registry.close()

    def run_jobs(self) -> None:
        """Run all jobs that are due, as a worker does."""
        runner = Runner(self.registry, JOBS, poll=1)
        runner.ensure_rows()
        while runner.run_next():
            pass

    def collect_everything(self, step: timedelta) -> None:
        """Let so much time pass, several times over, that nothing waits any more, and run the jobs that are due."""
        for _ in range(4):
            self.since += step
            self.run_jobs()


class Life:
    """The steps, each noted in a ledger before and after."""

    def __init__(self, bench: Restarted, book: ledger.Ledger) -> None:
        self.bench, self.book = bench, book

    def run(self) -> None:
        """Live: push, move, mount, delete, restore, and collect."""
        salt = uuid.uuid4().hex[:12]
        home, other = self.bench.repository(f"home-{salt}"), self.bench.repository(f"other-{salt}")
        shared = content.layer()
        first, second = content.image(shared, content.layer()), content.image(shared)
        third = content.image(shared, b"x" * BIG + salt.encode())
        self.push(home, first, "v1")
        self.push(home, second, "v2")
        self.push(other, third, "v1", mounted={content.digest_of(shared): home})
        self.push(home, second, "v1")
        self.refer(other, third)
        index = self.index(home, first, second)
        self.give_up(home)
        self.delete(home, index)
        self.delete(home, first.digest)
        self.restore(home, first.digest)
        self.untag(home, second, "v1", "v2")
        self.delete_repository(other, third)
        self.push(home, third, "v3")
        self.bench.collect_everything(timedelta(days=3))

    def push(
        self, repository: Repository, image: content.Image, tag: str, mounted: dict[str, Repository] | None = None
    ) -> None:
        """Push an image, its bytes in two parts, whether or not they are there."""
        sources = mounted or {}
        for part in (image.config, *image.layers):
            digest = content.digest_of(part)
            if digest in sources:
                with self.bench.read() as ctx:
                    layer = layers.get(ctx, sources[digest], digest)
                with self.bench.write() as ctx:
                    uploads.mount(ctx, repository, layer)
            else:
                self.upload(repository, part)
        self.put(repository, image.manifest, tag)

    def upload(self, repository: Repository, data: bytes) -> None:
        """Upload bytes in two parts."""
        upload_id, half = self.bench.begin(repository), len(data) // 8
        with self.bench.appender(upload_id, repository) as appender:
            appender.write(data[:half])
            appender.commit()
        with self.bench.appender(upload_id, repository) as appender:
            appender.write(data[half:])
            appender.finish([content.digest_of(data)])

    def put(self, repository: Repository, body: bytes, *names: str) -> str:
        """Put a manifest under tags; the answer is that the transaction has ended."""
        digest = content.digest_of(body)
        change = ledger.images(repository.name, digest) | ledger.tags(repository.name, dict.fromkeys(names, digest))
        with self.book.change(change):
            self.bench.put(body, *names, repository=repository)
        return digest

    def refer(self, repository: Repository, subject: content.Image) -> None:
        """Push what refers to an image."""
        named = content.descriptor(subject.manifest, subject.media_type)
        signature = content.image(subject=named)
        for part in (signature.config, *signature.layers):
            self.upload(repository, part)
        self.put(repository, signature.manifest)

    def index(self, repository: Repository, *children: content.Image) -> str:
        """Push an index."""
        return self.put(repository, content.index(*children), "all")

    def give_up(self, repository: Repository) -> None:
        """Cancel one upload, and leave another as it is."""
        for size in (1000, BIG):
            upload_id = self.bench.begin(repository)
            with self.bench.appender(upload_id, repository) as appender:
                appender.write(b"y" * size)
                appender.commit()
            if size == BIG:
                with self.bench.write() as ctx:
                    uploads.cancel(ctx, repository, upload_id)

    def _gone(self, repository: Repository, digest: str) -> dict[Any, Any]:
        tags = {name: None for name, at in self.book.tags(repository.name).items() if at == digest}
        return ledger.images(repository.name, gone=[digest]) | ledger.tags(repository.name, tags)

    def delete(self, repository: Repository, digest: str) -> None:
        """Delete an image by its digest."""
        with self.book.change(self._gone(repository, digest)), self.bench.write() as ctx:
            images.delete(ctx, repository, Digest(digest))

    def restore(self, repository: Repository, digest: str) -> None:
        """Bring an image back that had no tags left."""
        with self.book.change(ledger.images(repository.name, digest)), self.bench.write() as ctx:
            deleted.restore(ctx, repository, Digest(digest))

    def untag(self, repository: Repository, image: content.Image, *names: str) -> None:
        """Take the tags of an image away, and with the last one the image."""
        for name in names:
            change = ledger.tags(repository.name, {name: None})
            if name == names[-1]:
                change |= self._gone(repository, image.digest)
            with self.book.change(change), self.bench.write() as ctx:
                images.untag(ctx, repository, Tag(name))

    def delete_repository(self, repository: Repository, image: content.Image) -> None:
        """Delete a repository with all that it holds."""
        change = ledger.images(repository.name, gone=self.book.images(repository.name))
        change |= self._gone(repository, image.digest)
        with self.book.change(change), self.bench.write() as ctx:
            repositories.delete(ctx, repositories.get(ctx, RepositoryName(repository.name)), force=True)


def live(
    settings: Settings,
    since: timedelta,
    book: Path,
    at: points.Hit | None,
    record: Path | None,
    variables: Mapping[str, str],
) -> None:
    """Live once, in this process, which may not see the end of it."""
    os.environ.update(variables)
    points.arm(at, record)
    with Restarted.after(settings, since) as bench:
        Life(bench, ledger.Ledger(book)).run()

"""
Composition: settings to registry to ASGI application.

The only module that imports drivers and doors together.
"""

from __future__ import annotations

import asyncio
import os
import uuid
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from sqlalchemy.exc import ArgumentError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from moorage import draining, installation, keyfile, proxies, tracing
from moorage.aws import door as aws
from moorage.aws.request import AwsRequest
from moorage.aws.sigv4 import SignedRequest
from moorage.aws.table import OPERATIONS
from moorage.config import Settings, SettingsError
from moorage.domain import rates
from moorage.drivers import auditfile
from moorage.drivers.auditfile import AuditFile
from moorage.drivers.disk import DiskStore
from moorage.drivers.sqlite import SqliteDatabase
from moorage.jobs.runner import Runner
from moorage.jobs.table import jobs_of
from moorage.metrics.store import counted
from moorage.oci.door import facts_of, not_found
from moorage.oci.remembering import Remembering
from moorage.oci.routes import ROWS, routes
from moorage.readiness import Readiness
from moorage.registry import uses
from moorage.registry.audit import Trail, loss
from moorage.registry.core import Registry
from moorage.registry.secrets import Keyring
from moorage.watch import Watch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request
    from starlette.types import ASGIApp

    from moorage.drivers.postgres import PostgresDatabase
    from moorage.metrics import Counts, Folder
    from moorage.registry.storage import BlobStore

_JOBS_END: Final = 20.0
"""Seconds that a job has to stop in when its process ends."""


def prepare(settings: Settings) -> None:
    """
    Make an installation ready to be opened: folders, master key, tables, root access key.

    Done once, before any worker opens it; does nothing where all is there.
    """
    _check_rates(settings)
    settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    if settings.audit is not None:
        auditfile.check(settings.audit)
    with installation.locked(settings.data):
        keyfile.ensure(settings)
        database = _open_database(settings)
        try:
            if settings.database_is_shared:
                installation.require_tables(database.engine, settings)
            else:
                installation.migrate(database.engine, settings)
            registry = _registry(settings, database)
            installation.ensure_root_key(registry)
        finally:
            database.close()


def migrate(settings: Settings) -> None:
    """
    Bring the tables of a shared database to this version's, and make the root access key if the account has none.

    Raises `SettingsError` for a database of another master key or a newer version.
    """
    settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    with installation.locked(settings.data):
        keyfile.ensure(settings)
        database = _open_database(settings)
        try:
            installation.migrate(database.engine, settings)
            installation.ensure_root_key(_registry(settings, database))
        finally:
            database.close()


def check_tables(settings: Settings) -> None:
    """Raise `SettingsError` unless this version can work on the tables as they are."""
    database = _open_database(settings)
    try:
        installation.require_tables(database.engine, settings)
    finally:
        database.close()


def _check_rates(settings: Settings) -> None:
    """Raise `SettingsError` for a limit of what no door does: it would have no effect."""
    actions = {operation.action for operation in OPERATIONS.values()} | {row.action for row in ROWS}
    known = {action.removeprefix("ecr:") for action in actions} | {rates.OTHERS}
    if unknown := sorted(set(settings.rates) - known - set(rates.ECR)):
        raise SettingsError(f"rate_limits: no operation is called {', '.join(unknown)}")


def open_registry(settings: Settings) -> Registry:
    """Open a prepared installation; raises `SettingsError` for a driver that is not known."""
    return _registry(settings, _open_database(settings))


def open_prepared(settings: Settings) -> Registry:
    """Open an installation for a command that manages it; raises `SettingsError` where there is none."""
    installation.require(settings)
    database = _open_database(settings)
    try:
        installation.require_tables(database.engine, settings)
        return _registry(settings, database)
    except BaseException:
        database.close()
        raise


def _registry(settings: Settings, database: SqliteDatabase | PostgresDatabase) -> Registry:
    watched = keyfile.Watched(settings)  # before the first look: a change in between is not missed
    keyring = Keyring(keyfile.read(settings), os.urandom, reread=watched)
    return Registry(settings, database, _open_store(settings), keyring, fetch=_fetch, trail=_trail(settings))


def _fetch(url: str) -> bytes:
    from moorage.drivers.fetch import fetch  # noqa: PLC0415 (slow to import, for those who have web identities)

    return fetch(url)


def _trail(settings: Settings) -> Trail | None:
    if settings.audit is None:
        return None
    return Trail(AuditFile(settings.audit, loss), settings, lambda: datetime.now(UTC))


def _open_database(settings: Settings) -> SqliteDatabase | PostgresDatabase:
    if settings.database is None:
        return SqliteDatabase(settings.data / "moorage.sqlite")
    scheme, _, rest = settings.database.partition("://")
    if scheme == "sqlite":
        return SqliteDatabase(Path(rest.removeprefix("/")))
    if scheme not in {"postgresql", "postgresql+psycopg"}:
        raise SettingsError(f"database: this version knows sqlite:///PATH and postgresql://…, not {scheme}")
    return _open_postgres(settings, settings.database)


def _open_postgres(settings: Settings, url: str) -> PostgresDatabase:
    try:
        from moorage.drivers.postgres import PostgresDatabase  # noqa: PLC0415 (for those who have its library)

        return PostgresDatabase(
            url,
            pool=settings.database_pool,
            wait=settings.database_wait_seconds,
            timeout=settings.database_timeout_seconds,
        )
    except ImportError as problem:
        raise SettingsError(f"database: PostgreSQL needs the extra moorage[postgres] ({problem.name})") from None
    except (ArgumentError, ValueError):
        raise SettingsError("database: this is not the URL of a database") from None


def _open_store(settings: Settings) -> BlobStore:
    if settings.storage is None or "://" not in settings.storage:
        return DiskStore(Path(settings.storage) if settings.storage else settings.data / "blobs")
    try:
        from moorage.drivers.objects import ObjectStore  # noqa: PLC0415 (of the extra ``objects``)

        return ObjectStore(settings.storage, redirects=settings.blob_delivery == "redirect")
    except ImportError:
        raise SettingsError("storage: a bucket needs the extra: pip install 'moorage[objects]'") from None
    except (OSError, ValueError) as problem:
        raise SettingsError(f"storage: {problem}") from None


def create_app(
    settings: Settings | None = None, registry: Registry | None = None, metrics: Folder | None = None
) -> ASGIApp:
    """
    Return the ASGI application of an installation, opening it if no open registry is given.

    ``metrics`` is where the workers of a server tell each other what they count.
    """
    opened = registry or open_registry(settings or Settings.load({}))
    watch, readiness, traces = Watch(opened, metrics), Readiness(opened), tracing.begin(opened)
    opened.blobs = counted(opened.blobs, partial(watch.counts.add, "store_errors"))
    opened.missed = partial(watch.counts.add, "layers_missing")
    if watch.presence is not None and not opened.settings.database_is_shared:
        # Of the servers that work on one database, none knows whom the others serve.
        opened.is_anybody = watch.presence.is_anybody
    if opened.buckets is not None:
        opened.buckets.refused = partial(watch.counts.add, "throttled")

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        # Not at the first request: by then other workers may have taken all connections that the database's server has.
        reaching = asyncio.create_task(readiness.check())
        runner, ticking = _start_jobs(opened, watch.counts), asyncio.create_task(watch.tick())
        async with uses.flushing(opened):
            yield
        runner.stop()
        draining.forget(runner.stop)
        await opened.perform(partial(runner.join, _JOBS_END))
        ticking.cancel()
        reaching.cancel()
        readiness.close()
        watch.end()
        if traces is not None:
            await run_in_threadpool(traces.close)
        opened.close()

    async def readyz(request: Request) -> Response:
        request.state.operation = ("health", "/readyz")
        parts = await readiness.check()
        ready = all(parts.values())
        return JSONResponse({"ready": ready} if ready else {"ready": False, **parts}, 200 if ready else 503)

    app = Starlette(
        routes=[
            Route("/", aws.Door(opened, facts_of), methods=["POST"]),
            Route("/healthz", _healthz),
            Route("/readyz", readyz),
            Route("/metrics", watch.metrics),
            *routes(opened),
        ],
        exception_handlers={404: not_found, 405: not_found},
        lifespan=lifespan,
    )
    # A slash too many is not worth a redirect: it would lose the request's body.
    app.router.redirect_slashes = False
    remembering = Remembering(opened, app)
    traced = remembering if traces is None else traces.around(remembering)
    return proxies.believing(watch.around(traced), opened.settings.proxies)


def _start_jobs(registry: Registry, counts: Counts) -> Runner:
    runner = Runner(registry, jobs_of(registry), poll=registry.settings.jobs_poll_seconds, observe=counts.job)
    # At the signal, and not once the last request has ended.
    draining.when_begun(runner.stop)
    if registry.settings.jobs:
        runner.start()
    return runner


def answer_in_process(
    registry: Registry, method: str, url: str, headers: list[tuple[str, str]], body: bytes
) -> Response:
    """Answer a request of an AWS client without a server (lower-case header names)."""
    parts = urlsplit(url)
    if "host" not in dict(headers):
        # Clients leave the port out where it is the scheme's own, and sign the header so.
        own_port = {"http": ":80", "https": ":443"}.get(parts.scheme, "")
        headers = [("host", parts.netloc.removesuffix(own_port)), *headers]
    signed = SignedRequest(method=method, path=parts.path or "/", query=parts.query, headers=headers, body=body)
    facts = {"aws:SecureTransport": "false", "aws:SourceIp": "127.0.0.1"}
    return aws.answer(registry, AwsRequest(signed, dict(headers), body, str(uuid.uuid4()), facts))


async def _healthz(request: Request) -> Response:
    request.state.operation = ("health", "/healthz")
    return PlainTextResponse("ok")

"""
The registry: settings, database, bytes and keys, and the context of a unit of work.

A unit of work (authenticate, authorise, query, decide) is one synchronous
function that gets a `Context` and runs in one transaction. Requests, jobs,
commands and tests all make theirs with `Registry.read` and `Registry.write`.
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from moorage import logs
from moorage.domain.errors import InvalidCredential, InvalidSignature
from moorage.domain.rates import Buckets
from moorage.registry.attempts import Attempts
from moorage.registry.auth import SYSTEM, Identity, Signed, authenticate
from moorage.registry.hashing import HashStates
from moorage.registry.pulls import Pulls
from moorage.registry.uses import Use, Uses
from moorage.registry.webidentity import KeyCache

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    import sqlalchemy as sa

    from moorage.config import Settings
    from moorage.domain.policies import Principal
    from moorage.registry.audit import Entry, Trail
    from moorage.registry.auth import Credential
    from moorage.registry.secrets import Keyring
    from moorage.registry.storage import BlobStore, Database

T = TypeVar("T")

_THREADS = 32
_MOVERS = 64


@dataclass(frozen=True, slots=True)
class Context:
    """What a unit of work knows: who asks, of which registry, in which transaction, and what time it is."""

    registry: Registry
    identity: Identity
    registry_id: str
    """The account whose registry is addressed."""
    region: str
    tx: sa.Connection
    now: datetime
    request_id: str
    facts: dict[str, str]
    """Condition keys of the request itself (``aws:SourceIp``, ``aws:UserAgent``, …)."""
    entry: Entry | None = None
    """What the audit trail will tell of the request; None where there is no trail."""
    after_commit: list[Callable[[], object]] = field(default_factory=list)
    """Work on bytes that must wait until the rows are durable."""
    notes: list[Callable[[datetime], object]] = field(default_factory=list)
    """What was noted in memory: to be noted again each time the answer is given again."""

    @property
    def principal(self) -> Principal:
        """Who asks, as policies see it."""
        return self.identity.principal

    @property
    def settings(self) -> Settings:
        """The installation's settings."""
        return self.registry.settings

    def throttle(self, action: str) -> None:
        """Count a request for an IAM action; raise `Throttled` if its caller has made too many."""
        if self.registry.buckets is not None:
            # Sessions of a role are one caller, whatever they are called.
            who = self.principal.role_arn or self.principal.arn
            self.registry.buckets.take(who, action.removeprefix("ecr:"))

    def note(self, what: Callable[[datetime], object]) -> None:
        """Note something in memory, of which rows tell later; it is given the time at which it happens."""
        what(self.now)
        self.notes.append(what)

    def at(self, registry_id: str | None) -> Context:
        """Return the same context, addressing another account's registry."""
        return self if registry_id in {None, self.registry_id} else dataclasses.replace(self, registry_id=registry_id)

    def read(self) -> AbstractContextManager[Context]:
        """Open another reading transaction for the same caller and registry."""
        return self.registry.continued(self, self.registry.database.read())

    def write(self, *, lasting: bool = True) -> AbstractContextManager[Context]:
        """Open another writing transaction for the same caller and registry (see `Database.write`)."""
        return self.registry.continued(self, self.registry.database.write(lasting=lasting))


def _no_fetch(url: str) -> bytes:
    raise OSError(f"{url}: this installation fetches nothing")


class Registry:
    """One installation: the same for requests, jobs, commands and tests."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        blobs: BlobStore,
        keyring: Keyring,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        fetch: Callable[[str], bytes] = _no_fetch,
        trail: Trail | None = None,
    ) -> None:
        self.settings = settings
        self.database = database
        self.blobs = blobs
        self.keyring = keyring
        self.clock = clock
        self.trail = trail
        self.new_id: Callable[[], str] = lambda: str(uuid.uuid4())
        self.hash_states = HashStates()
        self.buckets = Buckets(settings.rates) if settings.rates else None
        self.issuer_keys = KeyCache(fetch)
        self.uses = Uses()
        self.pulls = Pulls()
        self.attempts = Attempts(settings.failed_attempts)
        self.carrying: Callable[[Callable[[], Any]], Callable[[], Any]] | None = None
        """Gives a unit of work what it needs in another thread; None where that is nothing."""
        self.is_anybody: Callable[[], bool] = lambda: True
        """Tells whether others are there, whom long work is to leave room; until somebody knows better, they are."""
        self.missed: Callable[[], object] = lambda: None
        """Counts layers whose bytes were not there when they were to be sent."""
        self._load = {"units": 0, "transfers": 0}

    def read(
        self,
        who: Credential | Identity,
        *,
        request_id: str = "-",
        facts: dict[str, str] | None = None,
        entry: Entry | None = None,
    ) -> AbstractContextManager[Context]:
        """Open a reading unit of work; a credential is authenticated inside it."""
        return self._unit(who, request_id, facts or {}, entry, self.database.read())

    def write(
        self,
        who: Credential | Identity,
        *,
        request_id: str = "-",
        facts: dict[str, str] | None = None,
        entry: Entry | None = None,
        lasting: bool = True,
        bulky: bool = False,
    ) -> AbstractContextManager[Context]:
        """Open a writing unit of work: durable when the block ends (see `Database.write`), undone if it raises."""
        return self._unit(who, request_id, facts or {}, entry, self.database.write(lasting=lasting, bulky=bulky))

    @contextmanager
    def _unit(
        self,
        who: Credential | Identity,
        request_id: str,
        facts: dict[str, str],
        entry: Entry | None,
        opened: AbstractContextManager[sa.Connection],
    ) -> Iterator[Context]:
        now, source = self.clock(), facts.get("aws:SourceIp", "")
        if not isinstance(who, Identity):
            self.attempts.require_patience(who, source, now)
        with opened as tx:
            identity = who if isinstance(who, Identity) else self._authenticated(tx, who, source, now)
            if entry is not None:
                entry.by(identity)
            context = Context(
                registry=self,
                identity=identity,
                registry_id=identity.registry_id,
                region=identity.region,
                tx=tx,
                now=now,
                request_id=request_id,
                facts=facts,
                entry=entry,
            )
            self._note_use(context, who)
            yield context
        _run_all(context.after_commit)

    def _note_use(self, context: Context, who: Credential | Identity) -> None:
        identity = context.identity
        if isinstance(who, Identity) or self.settings.dev or not identity.access_key_id:
            return
        service = who.service if isinstance(who, Signed) else "ecr"
        context.note(lambda at: self.uses.note(identity.access_key_id, Use(at, service, identity.region)))

    def _authenticated(self, tx: sa.Connection, who: Credential, source: str, now: datetime) -> Identity:
        try:
            return authenticate(self, tx, who, now)
        except (InvalidCredential, InvalidSignature):
            self.attempts.failed(who, source, now)
            raise

    @contextmanager
    def continued(self, context: Context, opened: AbstractContextManager[sa.Connection]) -> Iterator[Context]:
        """Go on in another transaction, for the caller, registry and request of ``context``."""
        with opened as tx:
            inner = dataclasses.replace(context, tx=tx, now=self.clock(), after_commit=[])
            yield inner
        _run_all(inner.after_commit)

    async def perform(self, unit: Callable[[], T], *, point_read: bool = False, moves_bytes: bool = False) -> T:
        """
        Run a unit of work from the asynchronous rim: the one place that decides where.

        A point read on an embedded database costs less than a hop to a thread
        and runs here; everything else hops once. What moves bytes has threads of
        its own: a store that is slow must not keep anybody from the database.
        """
        if point_read and self.database.inline_reads:
            return unit()
        if self.carrying is not None:
            unit = self.carrying(unit)
        kind, threads = ("transfers", self._movers) if moves_bytes else ("units", self._threads)
        self._load[kind] += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(threads, unit)
        finally:
            self._load[kind] -= 1

    def miss(self, digest: str) -> None:
        """Note that the bytes of a layer are not there, or fewer. To mark it is for a verification, and no pull's."""
        logs.warning("bytes_missing", digest=digest)
        self.missed()

    def load(self) -> dict[str, int]:
        """Return how many units of work and transfers of bytes threads are at, and how many wait for a thread."""
        most = {"units": _THREADS, "transfers": _MOVERS}
        running = {f"{kind}_running": min(count, most[kind]) for kind, count in self._load.items()}
        return running | {f"{kind}_waiting": max(count - most[kind], 0) for kind, count in self._load.items()}

    @cached_property
    def _threads(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(max_workers=_THREADS, thread_name_prefix="moorage")

    def system(self, registry_id: str | None = None, region: str | None = None) -> Identity:
        """Return the identity that jobs work as, at a registry of any account (by default, of the installation's)."""
        return Identity(SYSTEM, "system", registry_id or self.settings.account_id, region or self.settings.region)

    @cached_property
    def _movers(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(max_workers=_MOVERS, thread_name_prefix="moorage-bytes")

    @cached_property
    def hashers(self) -> ThreadPoolExecutor:
        """Threads that hash, while others write. They wait for nobody: who moves bytes may wait for them."""
        return ThreadPoolExecutor(max_workers=os.cpu_count(), thread_name_prefix="moorage-hashing")

    def close(self) -> None:
        """Finish running units, write what they noted, and let go of files and connections."""
        for threads in ("_movers", "hashers", "_threads"):
            if threads in self.__dict__:
                getattr(self, threads).shutdown(wait=True)
        if self.trail is not None:
            self.trail.close()
        self.flush()
        self.database.close()

    def flush(self) -> None:
        """Write what requests have noted in memory: which keys were used, which images were pulled."""
        self.uses.flush(self.database)
        self.pulls.flush(self.database)

    def random(self, count: int) -> bytes:
        """Return that many random bytes."""
        return os.urandom(count)


def _run_all(actions: list[Callable[[], object]]) -> None:
    for action in actions:
        try:
            action()
        except Exception:  # noqa: BLE001 (whatever it is, it is too late to refuse)
            # The rows are durable and the answer stands; what is left behind is
            # unreferenced bytes, which a sweep finds again.
            logs.exception("after_commit_failed")

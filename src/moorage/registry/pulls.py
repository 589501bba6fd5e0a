"""
When images were last pulled, and how often: noted in memory, and written now and then for many at once.

A pull never writes. What a killed process had not written yet is lost: up to
``last_used_seconds`` of it.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from typing import TYPE_CHECKING, Final, NamedTuple

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from moorage import logs
from moorage.domain.errors import ExclusionAlreadyExists, ExclusionNotFound, LimitExceeded
from moorage.registry import paging
from moorage.registry.tables import manifests, pull_exclusions, pulls
from moorage.registry.upsert import insert_if_absent, insert_or_merge

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from moorage.registry.core import Context
    from moorage.registry.repositories import Repository
    from moorage.registry.storage import Database

MAX_EXCLUSIONS: Final = 100
_MOST: Final = 50_000
"""Images, each with who pulled it, that are noted between two writings; what comes on top is let go."""
_BATCH: Final = 500
"""Images in one transaction: short enough that a push does not wait for it."""


class Pulled(NamedTuple):
    """An image, and who pulled it."""

    account_id: str
    region: str
    repository_id: str
    digest: str
    principal_arn: str
    """A user, or the role that a session is of."""


class Noted(NamedTuple):
    """What is known of an image's pulls."""

    at: datetime
    times: int

    def plus(self, other: Noted) -> Noted:
        """Return what is known with that."""
        return Noted(max(self.at, other.at), self.times + other.times)


class Pulls:
    """The pulls of this process that are not written yet."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._unwritten: dict[Pulled, Noted] = {}

    def note(self, ctx: Context, repository: Repository, digest: str) -> None:
        """Note that the caller pulls an image."""
        who = ctx.principal.role_arn or ctx.principal.arn
        pulled = Pulled(repository.registry_id, repository.region, repository.id, digest, who)
        ctx.note(lambda at: self._add({pulled: Noted(at, 1)}))

    def _add(self, noted: Mapping[Pulled, Noted]) -> None:
        with self._lock:
            for pulled, one in noted.items():
                if known := self._unwritten.get(pulled):
                    self._unwritten[pulled] = known.plus(one)
                elif len(self._unwritten) < _MOST:
                    self._unwritten[pulled] = one

    def flush(self, database: Database) -> int:
        """Write what was noted; return for how many images. What cannot be written is kept for the next time."""
        with self._lock:
            noted, self._unwritten = self._unwritten, {}
        # In one order, so that two workers never wait for each other.
        waiting = sorted(noted)
        written = 0
        try:
            while waiting:
                with database.write() as tx:
                    written += _write(tx, {pulled: noted[pulled] for pulled in waiting[:_BATCH]})
                waiting = waiting[_BATCH:]
        except SQLAlchemyError:
            logs.exception("pulls_not_written", images=len(waiting))
            self._add({pulled: noted[pulled] for pulled in waiting})
        return written


def _write(tx: sa.Connection, noted: Mapping[Pulled, Noted]) -> int:
    excluded = _excluded(tx, noted)
    counted: dict[tuple[str, str], Noted] = {}
    for pulled, one in noted.items():
        since = excluded.get((pulled.account_id, pulled.region, pulled.principal_arn))
        if since is None or one.at < since:
            image = (pulled.repository_id, pulled.digest)
            counted[image] = one.plus(counted[image]) if image in counted else one
    rows = [
        {"repository_id": image[0], "digest": image[1], "pulled_at": counted[image].at, "count": counted[image].times}
        for image in sorted(_present(tx, counted))
    ]
    if rows:
        insert_or_merge(tx, pulls, rows, {"pulled_at": _later, "count": lambda new, old: old + new})
    return len(rows)


def _later(new: sa.ColumnElement[datetime], old: sa.ColumnElement[datetime]) -> sa.ColumnElement[datetime]:
    return sa.case((new > old, new), else_=old)


def _excluded(tx: sa.Connection, noted: Iterable[Pulled]) -> dict[tuple[str, str, str], datetime]:
    """Return since when those are excluded who are."""
    accounts = sorted({pulled.account_id for pulled in noted})
    rows = tx.execute(sa.select(pull_exclusions).where(pull_exclusions.c.account_id.in_(accounts)))
    return {(row.account_id, row.region, row.principal_arn): row.created_at for row in rows}


def _present(tx: sa.Connection, images: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return those of the images that are there still."""
    wanted: dict[str, list[str]] = defaultdict(list)
    for repository_id, digest in images:
        wanted[repository_id].append(digest)
    there: list[tuple[str, str]] = []
    for repository_id, digests in wanted.items():
        found = sa.select(manifests.c.digest).where(
            manifests.c.repository_id == repository_id, manifests.c.digest.in_(digests)
        )
        there += [(repository_id, digest) for digest in tx.execute(found).scalars()]
    return there


# --- Whose pulls leave no time --------------------------------------------------------


def exclude(ctx: Context, principal_arn: str) -> None:
    """Let a user's or role's pulls leave no time from now on; raise `ExclusionAlreadyExists` or `LimitExceeded`."""
    count = sa.select(sa.func.count()).select_from(pull_exclusions).where(*_ours(ctx))
    if ctx.tx.execute(count).scalar_one() >= MAX_EXCLUSIONS and not _is_excluded(ctx, principal_arn):
        raise LimitExceeded(reason=f"The maximum number of pull time update exclusions ({MAX_EXCLUSIONS}) is reached")
    row = {"account_id": ctx.registry_id, "region": ctx.region, "principal_arn": principal_arn, "created_at": ctx.now}
    if not insert_if_absent(ctx.tx, pull_exclusions, row):
        raise ExclusionAlreadyExists(principal=principal_arn, registry_id=ctx.registry_id)


def include(ctx: Context, principal_arn: str) -> None:
    """Let pulls leave times again; raise `ExclusionNotFound`."""
    gone = sa.delete(pull_exclusions).where(*_ours(ctx), pull_exclusions.c.principal_arn == principal_arn)
    if ctx.tx.execute(gone).rowcount != 1:
        raise ExclusionNotFound(principal=principal_arn, registry_id=ctx.registry_id)


def exclusions(ctx: Context, *, limit: int | None, next_token: str | None) -> paging.Page[str]:
    """Return the ARNs of those who are excluded, in order."""
    count = limit or paging.DEFAULT_PAGE
    after = paging.position(ctx, "pull-exclusions", next_token)
    arns = sa.select(pull_exclusions.c.principal_arn).where(
        *_ours(ctx), pull_exclusions.c.principal_arn > (after[0] if after else "")
    )
    found: Sequence[str] = (
        ctx.tx.execute(arns.order_by(pull_exclusions.c.principal_arn).limit(count + 1)).scalars().all()
    )
    token = paging.token(ctx, "pull-exclusions", [found[count - 1]]) if len(found) > count else None
    return paging.Page(list(found[:count]), token)


def _ours(ctx: Context) -> tuple[sa.ColumnElement[bool], ...]:
    return pull_exclusions.c.account_id == ctx.registry_id, pull_exclusions.c.region == ctx.region


def _is_excluded(ctx: Context, principal_arn: str) -> bool:
    known = sa.select(sa.literal(1)).where(*_ours(ctx), pull_exclusions.c.principal_arn == principal_arn)
    return ctx.tx.execute(known).first() is not None

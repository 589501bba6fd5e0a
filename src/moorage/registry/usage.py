"""
What repositories hold, counted exactly, and how much they may hold.

Each repository has a row of its own with its images (those archived do not count)
and bytes (of the manifests, and of the layers that it has, each once), changed in the transaction that
changes those, under the repository's lock. An account's use is the sum of these
rows, so that no row is everybody's. Only where an account has a limit do pushes to
its repositories queue for the account's row: then the sum cannot change under
who looks at it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import sqlalchemy as sa

from moorage.domain.errors import LimitExceeded
from moorage.registry.among import among
from moorage.registry.prepared import Prepared
from moorage.registry.tables import (
    account_quotas,
    accounts,
    archivals,
    blobs,
    manifests,
    repositories,
    repository_blobs,
    usage,
)
from moorage.registry.upsert import insert_if_absent, insert_or_update

if TYPE_CHECKING:
    from collections.abc import Collection

    from moorage.registry.core import Context
    from moorage.registry.repositories import Repository

UNLIMITED: Final = -1
"""A quota of a row that lifts the limit of the settings."""


class Use(NamedTuple):
    """What a repository or an account holds."""

    images: int
    bytes: int


class Limits(NamedTuple):
    """What it may hold; None for no limit."""

    images: int | None
    bytes: int | None


_NO_LIMITS: Final = Limits(None, None)

_CHANGE: Final = Prepared(
    sa.update(usage)
    .where(usage.c.repository_id == sa.bindparam("repository"))
    .values(images=usage.c.images + sa.bindparam("more_images"), bytes=usage.c.bytes + sa.bindparam("more_bytes"))
)
_STANDING: Final = Prepared(
    sa.select(
        usage.c.images,
        usage.c.bytes,
        usage.c.max_images,
        usage.c.max_bytes,
        account_quotas.c.max_images.label("account_images"),
        account_quotas.c.max_bytes.label("account_bytes"),
    )
    .join_from(usage, account_quotas, usage.c.account_id == account_quotas.c.account_id, isouter=True)
    .where(usage.c.repository_id == sa.bindparam("repository"))
)
_OF_ACCOUNT: Final = sa.select(
    sa.func.coalesce(sa.func.sum(usage.c.images), 0).label("images"),
    sa.func.coalesce(sa.func.sum(usage.c.bytes), 0).label("bytes"),
).where(usage.c.account_id == sa.bindparam("account"))
_LOCK_ACCOUNT: Final = sa.select(accounts.c.id).where(accounts.c.id == sa.bindparam("account")).with_for_update()
_SUM_OF_LAYERS: Final = sa.select(sa.func.sum(blobs.c.size)).join_from(
    repository_blobs, blobs, repository_blobs.c.digest == blobs.c.digest
)
_LAYERS: Final = _SUM_OF_LAYERS.where(repository_blobs.c.repository_id == sa.bindparam("repository"))
_IS_ARCHIVED: Final = (
    sa.exists()
    .where(
        archivals.c.repository_id == manifests.c.repository_id,
        archivals.c.digest == manifests.c.digest,
        archivals.c.status == "ARCHIVED",
    )
    .correlate(manifests)
)
_ACTIVE_IMAGES: Final = sa.select(
    sa.func.sum(sa.case((_IS_ARCHIVED, 0), else_=1)).label("images"), sa.func.sum(manifests.c.size).label("bytes")
)
_MANIFESTS: Final = _ACTIVE_IMAGES.where(manifests.c.repository_id == sa.bindparam("repository"))


# --- Counting ------------------------------------------------------------------------


def begin(tx: sa.Connection, account_id: str, repository_id: str) -> None:
    """Count a new repository from nothing."""
    row = {"repository_id": repository_id, "account_id": account_id, "images": 0, "bytes": 0}
    insert_if_absent(tx, usage, row)


def add(ctx: Context, repository: Repository, *, images: int = 0, size: int) -> None:
    """
    Count what was just added, under the repository's lock; raise `LimitExceeded` if it was too much.

    Called after the rows that are counted were inserted.
    """
    _change(ctx.tx, repository.id, images, size)
    row: Any = _STANDING.first(ctx.tx, {"repository": repository.id})
    _require(Use(row.images, row.bytes), _limits_here(ctx, row), f"per repository ({repository.name})")
    whole = limits_of_account(ctx, row.account_images, row.account_bytes)
    if whole != _NO_LIMITS:
        ctx.tx.execute(_LOCK_ACCOUNT, {"account": repository.registry_id}).first()
        _require(of_account(ctx.tx, repository.registry_id), whole, "per account")


def require_room(ctx: Context, repository: Repository) -> None:
    """Raise `LimitExceeded` where not one byte more would be taken, before many are sent; takes no lock."""
    row = _STANDING.first(ctx.tx, {"repository": repository.id})
    if row is None:
        return
    one_more = Use(row.images, row.bytes + 1)
    _require(one_more, _limits_here(ctx, row)._replace(images=None), f"per repository ({repository.name})")
    whole = limits_of_account(ctx, row.account_images, row.account_bytes)._replace(images=None)
    if whole != _NO_LIMITS:
        use = of_account(ctx.tx, repository.registry_id)
        _require(use._replace(bytes=use.bytes + 1), whole, "per account")


def _limits_here(ctx: Context, row: Any) -> Limits:
    return limits_of_repository(ctx, row.max_images, row.max_bytes)


def release_images(tx: sa.Connection, repository_id: str, digests: Collection[str]) -> None:
    """Count images that are about to be removed, under the repository's lock."""
    going = _ACTIVE_IMAGES.where(manifests.c.repository_id == repository_id, among(tx, manifests.c.digest, digests))
    row = tx.execute(going).one()
    _change(tx, repository_id, -int(row.images or 0), -int(row.bytes or 0))


def release_layers(tx: sa.Connection, repository_id: str, digests: Collection[str]) -> None:
    """Count layers that are about to be taken from a repository, under its lock."""
    going = _SUM_OF_LAYERS.where(
        repository_blobs.c.repository_id == repository_id, among(tx, repository_blobs.c.digest, digests)
    )
    _change(tx, repository_id, 0, -int(tx.execute(going).scalar() or 0))


def archived(ctx: Context, repository: Repository, images: int) -> None:
    """Count images that were archived: the archive has no limit of images."""
    _change(ctx.tx, repository.id, -images, 0)


def _change(tx: sa.Connection, repository_id: str, images: int, size: int) -> None:
    if _CHANGE.run(tx, {"repository": repository_id, "more_images": images, "more_bytes": size}) == 0:
        # Made by a node of a version that did not count.
        recount(tx, repository_id)


def _require(use: Use, limits: Limits, whose: str) -> None:
    for name in ("images", "bytes"):
        limit = getattr(limits, name)
        if limit is not None and getattr(use, name) > limit:
            raise LimitExceeded(reason=f"The maximum number of {name} {whose} has been exceeded: {limit}")


def of_account(tx: sa.Connection, account_id: str) -> Use:
    """Return what all repositories of an account hold together."""
    row = tx.execute(_OF_ACCOUNT, {"account": account_id}).one()
    return Use(int(row.images), int(row.bytes))


def require_room_for_repository(ctx: Context) -> None:
    """Raise `LimitExceeded` if the one that was just created is one too many; they are counted one after another."""
    limit = limit_of_repositories(ctx)
    if limit is None:
        return
    ctx.tx.execute(_LOCK_ACCOUNT, {"account": ctx.registry_id}).first()
    if count_repositories(ctx) > limit:
        raise LimitExceeded(reason=f"The maximum number of repositories per registry has been exceeded: {limit}")


def count_repositories(ctx: Context) -> int:
    """Return how many repositories the registry has."""
    there = sa.select(sa.func.count()).where(
        repositories.c.account_id == ctx.registry_id, repositories.c.region == ctx.region
    )
    return ctx.tx.execute(there).scalar_one()


# --- The truth, for what was miscounted -----------------------------------------------


def truth(tx: sa.Connection, repository_id: str) -> Use:
    """Return what a repository holds, counted anew."""
    given = {"repository": repository_id}
    layers = tx.execute(_LAYERS, given).scalar()
    row = tx.execute(_MANIFESTS, given).one()
    return Use(int(row.images or 0), int(layers or 0) + int(row.bytes or 0))


def counted(tx: sa.Connection, repository_id: str) -> Use | None:
    """Return what was counted for a repository, None if nothing was."""
    row = tx.execute(_STANDING.statement, {"repository": repository_id}).first()
    return None if row is None else Use(row.images, row.bytes)


def recount(tx: sa.Connection, repository_id: str) -> None:
    """Count a repository anew, under its lock; does nothing if it is gone."""
    locked = sa.select(repositories.c.account_id).where(repositories.c.id == repository_id).with_for_update()
    account_id = tx.execute(locked).scalar()
    if account_id is not None:
        begin(tx, account_id, repository_id)
        values = truth(tx, repository_id)._asdict()
        tx.execute(sa.update(usage).where(usage.c.repository_id == repository_id).values(values))


# --- Quotas --------------------------------------------------------------------------


def limits_of_repository(ctx: Context, images: int | None, size: int | None) -> Limits:
    """Return a repository's limits: its own, else those of the settings."""
    settings = ctx.settings
    return Limits(_limit(images, settings.images_per_repository), _limit(size, settings.bytes_per_repository))


def limits_of_account(ctx: Context, images: int | None, size: int | None) -> Limits:
    """Return an account's limits: its own, else those of the settings."""
    return Limits(_limit(images, 0), _limit(size, ctx.settings.bytes_per_account))


def limit_of_repositories(ctx: Context) -> int | None:
    """Return how many repositories each registry of the account may have."""
    return _limit(
        quotas_of_account(ctx.tx, ctx.registry_id)["max_repositories"], ctx.settings.repositories_per_registry
    )


def _limit(own: int | None, of_settings: int) -> int | None:
    if own is None:
        return of_settings or None
    return None if own == UNLIMITED else own


def quotas_of_account(tx: sa.Connection, account_id: str) -> dict[str, int | None]:
    """Return an account's own quotas; None where it has the setting's."""
    row = tx.execute(sa.select(account_quotas).where(account_quotas.c.account_id == account_id)).mappings().first()
    return {name: row[name] if row else None for name in ("max_repositories", "max_images", "max_bytes")}


def quotas_of_repository(tx: sa.Connection, repository_id: str) -> dict[str, int | None]:
    """Return a repository's own quotas; None where it has the setting's."""
    row = tx.execute(_STANDING.statement, {"repository": repository_id}).mappings().first()
    return {name: row[name] if row else None for name in ("max_images", "max_bytes")}


def set_account_quotas(ctx: Context, **quotas: int | None) -> None:
    """Give the account quotas of its own (``max_repositories``, ``max_images``, ``max_bytes``); None: the setting's."""
    if quotas:
        ctx.tx.execute(_LOCK_ACCOUNT, {"account": ctx.registry_id}).first()
        values: dict[str, Any] = {"account_id": ctx.registry_id, **quotas}
        insert_or_update(ctx.tx, account_quotas, values, key=["account_id"])


def set_repository_quotas(ctx: Context, repository: Repository, **quotas: int | None) -> None:
    """Give a repository quotas of its own (``max_images``, ``max_bytes``); None: the setting's."""
    if quotas:
        begin(ctx.tx, repository.registry_id, repository.id)
        ctx.tx.execute(sa.update(usage).where(usage.c.repository_id == repository.id).values(quotas))

"""Repositories: found, entered, created, listed, deleted."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from moorage.domain import policies
from moorage.domain.errors import (
    InvalidParameter,
    RepositoryAlreadyExists,
    RepositoryNotEmpty,
    RepositoryNotFound,
)
from moorage.domain.names import RepositoryName, repository_arn
from moorage.registry import collection, resource_tags, usage
from moorage.registry.auth import Need, authorize
from moorage.registry.prepared import Prepared
from moorage.registry.registries import RULES, rules_of
from moorage.registry.tables import manifests, registries, repositories

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from moorage.registry.core import Context
    from moorage.registry.registries import Rules

MUTABLE: Final = "MUTABLE"
IMMUTABLE: Final = "IMMUTABLE"


@dataclass(frozen=True, slots=True)
class Repository:
    """One row of repositories."""

    id: str
    registry_id: str
    region: str
    name: RepositoryName
    created_at: datetime
    tag_mutability: str
    mutability_filters: tuple[str, ...]
    tags: Mapping[str, str]
    policy_text: str | None
    scan_on_push: bool
    """Whether images are to be scanned when they are pushed, unless the registry has rules of its own."""
    rules: Rules | None = None
    """The rules of its registry, where they were read with it."""

    @property
    def arn(self) -> str:
        """The repository's ARN."""
        return repository_arn(self.region, self.registry_id, self.name)

    @property
    def policy(self) -> policies.Policy | None:
        """The repository policy, compiled."""
        return None if self.policy_text is None else compiled(self.policy_text)


@lru_cache(maxsize=1024)
def compiled(text: str) -> policies.Policy:
    """Return a repository policy, compiled."""
    return policies.parse(text, policies.Kind.REPOSITORY)


_COLUMNS = (
    repositories.c.id,
    repositories.c.name,
    repositories.c.created_at,
    repositories.c.tag_mutability,
    repositories.c.mutability_filters,
    repositories.c.resource_tags,
    repositories.c.policy,
    repositories.c.scan_on_push,
)
_OF_REGISTRY = sa.and_(
    repositories.c.account_id == sa.bindparam("account"), repositories.c.region == sa.bindparam("in_region")
)
# With the registry's rules: a pull must not ask the database once more for them.
_WITH_RULES = sa.join(
    repositories,
    registries,
    sa.and_(registries.c.account_id == repositories.c.account_id, registries.c.region == repositories.c.region),
    isouter=True,
)
_FIND: Final = Prepared(
    sa.select(*_COLUMNS, *RULES)
    .select_from(_WITH_RULES)
    .where(_OF_REGISTRY, repositories.c.name == sa.bindparam("named"))
)


def _scope(ctx: Context) -> dict[str, Any]:
    return {"account": ctx.registry_id, "in_region": ctx.region}


def _of_row(ctx: Context, row: Any, rules: Rules | None = None) -> Repository:
    return Repository(
        id=row.id,
        registry_id=ctx.registry_id,
        region=ctx.region,
        name=RepositoryName(row.name),
        created_at=row.created_at,
        tag_mutability=row.tag_mutability,
        mutability_filters=tuple(row.mutability_filters),
        tags=row.resource_tags,
        policy_text=row.policy,
        scan_on_push=row.scan_on_push,
        rules=rules,
    )


def find(ctx: Context, name: RepositoryName) -> Repository | None:
    """Return the repository, or None. Decides nothing about access."""
    row = _FIND.first(ctx.tx, {**_scope(ctx), "named": name})
    return None if row is None else _of_row(ctx, row, rules_of(ctx, row.registry_policy, row.policy_scope))


def get(ctx: Context, name: RepositoryName) -> Repository:
    """Return the repository; raise `RepositoryNotFound`. Decides nothing about access."""
    found = find(ctx, name)
    if found is None:
        raise RepositoryNotFound(name=name, registry_id=ctx.registry_id)
    return found


def need(
    ctx: Context, action: str, name: RepositoryName, request_tags: Mapping[str, str | None] | None = None
) -> tuple[Need, Repository | None]:
    """Return the permission to do ``action`` on a repository, with its policy and tags if it exists."""
    found = find(ctx, name)
    arn = repository_arn(ctx.region, ctx.registry_id, name)
    if found is None:
        return Need(action, arn, request_tags=request_tags), None
    return Need(action, arn, found.policy, found.tags, request_tags, found.rules), found


_ITSELF = sa.select(*_COLUMNS).where(repositories.c.id == sa.bindparam("repository"))
# FOR NO KEY UPDATE: rows that refer to the repository can be inserted meanwhile. They are not what is locked here.
_LOCK: Final = Prepared(_ITSELF.with_for_update(key_share=True))
_LOCK_KEY: Final = Prepared(_ITSELF.with_for_update())


def lock(ctx: Context, repository: Repository, *, deleting: bool = False) -> Repository:
    """
    Begin a write to a repository: alone until the transaction ends.

    Returns it as it is now: between `enter` and here somebody may have changed
    its settings. Raises `RepositoryNotFound` if it is gone.
    """
    row = (_LOCK_KEY if deleting else _LOCK).first(ctx.tx, {"repository": repository.id})
    if row is None:
        raise RepositoryNotFound(name=repository.name, registry_id=repository.registry_id)
    return _of_row(ctx, row)


def create(
    ctx: Context,
    name: RepositoryName,
    *,
    tag_mutability: str = MUTABLE,
    mutability_filters: Sequence[str] = (),
    tags: Sequence[Mapping[str, str]] = (),
    policy_text: str | None = None,
    scan_on_push: bool = False,
) -> Repository:
    """Create a repository; raise `RepositoryAlreadyExists` if the name is taken. The caller has authorised it."""
    checked = resource_tags.check(tags)
    check_mutability(tag_mutability, mutability_filters)
    if checked:
        arn = repository_arn(ctx.region, ctx.registry_id, name)
        authorize(ctx, Need("ecr:TagResource", arn, request_tags=checked))
    values = {
        "id": ctx.registry.new_id().replace("-", ""),
        "account_id": ctx.registry_id,
        "region": ctx.region,
        "name": name,
        "created_at": ctx.now,
        "tag_mutability": tag_mutability,
        "mutability_filters": list(mutability_filters),
        "resource_tags": checked,
        "policy": policy_text,
        "scan_on_push": scan_on_push,
    }
    try:
        with ctx.tx.begin_nested():
            ctx.tx.execute(sa.insert(repositories).values(values))
    except IntegrityError:
        raise RepositoryAlreadyExists(name=name, registry_id=ctx.registry_id) from None
    usage.require_room_for_repository(ctx)
    usage.begin(ctx.tx, ctx.registry_id, str(values["id"]))
    return get(ctx, name)


def check_mutability(tag_mutability: str, filters: Sequence[str]) -> None:
    """Raise `InvalidParameter` unless there are exclusion filters exactly where the mode has exclusions."""
    excluding = tag_mutability.endswith("_WITH_EXCLUSION")
    name = "ImageTagMutabilityExclusionFilters"
    if filters and not excluding:
        problem = f"{name} are not allowed when imageTagMutability is set as {tag_mutability}"
        raise InvalidParameter("imageTagMutabilityExclusionFilters", problem)
    if excluding and not filters:
        problem = f"{name} can't be null when imageTagMutability is set as {tag_mutability}"
        raise InvalidParameter("imageTagMutabilityExclusionFilters", problem)


def delete(ctx: Context, repository: Repository, *, force: bool) -> None:
    """Delete a repository, with ``force`` also its images; else raise `RepositoryNotEmpty` if it has any."""
    lock(ctx, repository, deleting=True)
    has_images = sa.select(manifests.c.digest).where(manifests.c.repository_id == repository.id).limit(1)
    if not force and ctx.tx.execute(has_images).first() is not None:
        raise RepositoryNotEmpty(name=repository.name, registry_id=repository.registry_id)
    collection.condemn_uploads(ctx, repository.id)
    collection.loosen_blobs(ctx, repository.id, None, ctx.now + collection.grace(ctx))
    ctx.tx.execute(sa.delete(repositories).where(repositories.c.id == repository.id))


def set_policy(ctx: Context, repository: Repository, text: str | None) -> None:
    """Store or remove the text of the repository policy (validated by the caller)."""
    lock(ctx, repository)
    ctx.tx.execute(sa.update(repositories).where(repositories.c.id == repository.id).values(policy=text))


def set_mutability(ctx: Context, repository: Repository, tag_mutability: str, filters: Sequence[str]) -> Repository:
    """Replace mode and exclusion filters of the tags; what is pushed from now on is held to them."""
    check_mutability(tag_mutability, filters)
    lock(ctx, repository)
    return _update(ctx, repository, tag_mutability=tag_mutability, mutability_filters=list(filters))


def set_scanning(ctx: Context, repository: Repository, *, on_push: bool) -> Repository:
    """Say whether images are to be scanned when they are pushed."""
    lock(ctx, repository)
    return _update(ctx, repository, scan_on_push=on_push)


def set_tags(ctx: Context, repository: Repository, tags: Sequence[Mapping[str, str]]) -> None:
    """Add resource tags, replacing those of the same keys; raise `InvalidTagParameter` or `TooManyTags`."""
    added = resource_tags.check(tags)
    merged = {**lock(ctx, repository).tags, **added}
    resource_tags.require_few(merged)
    _update(ctx, repository, resource_tags=merged)


def remove_tags(ctx: Context, repository: Repository, keys: Collection[str]) -> None:
    """Remove resource tags; keys that are not there are no failure."""
    kept = {key: value for key, value in lock(ctx, repository).tags.items() if key not in set(keys)}
    _update(ctx, repository, resource_tags=kept)


def _update(ctx: Context, repository: Repository, **values: Any) -> Repository:
    ctx.tx.execute(sa.update(repositories).where(repositories.c.id == repository.id).values(values))
    return get(ctx, repository.name)

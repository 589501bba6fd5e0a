"""Lists of images and tags, by keyset: each page costs the same, wherever in the list it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import sqlalchemy as sa

from moorage.domain.names import Digest
from moorage.registry import archive, paging
from moorage.registry.batches import batches
from moorage.registry.tables import Instant, archivals, manifests, pulls, tags

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from moorage.registry.core import Context
    from moorage.registry.repositories import Repository


class ImageId(NamedTuple):
    """One entry of ListImages: an image under one of its tags, or an untagged one."""

    digest: Digest
    tag: str | None


@dataclass(frozen=True, slots=True)
class Details:
    """What DescribeImages tells of an image."""

    digest: Digest
    tags: tuple[str, ...]
    image_size: int
    """Bytes of config and layers, as declared; of an index, those of its largest child."""
    pushed_at: datetime
    media_type: str
    artifact_type: str | None
    subject: str | None
    status: str
    archived_at: datetime | None
    activated_at: datetime | None
    pulled_at: datetime | None


def tag_names(ctx: Context, repository: Repository, *, limit: int, after: str) -> list[str]:
    """Return tags that follow ``after``, in order; not those of archived images."""
    names = sa.select(tags.c.name).where(
        tags.c.repository_id == repository.id, tags.c.name > after, archive.has_status(tags, archive.ACTIVE)
    )
    return list(ctx.tx.execute(names.order_by(tags.c.name).limit(limit)).scalars())


class Selection(NamedTuple):
    """Which images a list is about."""

    tagged: bool | None = None
    """None: with tags or without."""
    status: str | None = archive.ACTIVE
    """None: whatever their status."""

    def conditions(self, table: sa.Table, repository: Repository) -> list[sa.ColumnElement[bool]]:
        """Return the conditions on rows of ``table``, but for the tags."""
        ours = [table.c.repository_id == repository.id]
        return ours if self.status is None else [*ours, archive.has_status(table, self.status)]


def image_ids(
    ctx: Context, repository: Repository, selection: Selection, *, limit: int | None, next_token: str | None
) -> paging.Page[ImageId]:
    """Return identifiers: first the tagged ones by tag, then the untagged ones by digest."""
    count = limit or paging.DEFAULT_PAGE
    tagged = selection.tagged
    listing = f"images:{repository.id}:{tagged}:{selection.status}"
    phase, after = paging.position(ctx, listing, next_token) or ["untagged" if tagged is False else "tagged", ""]
    found: list[ImageId] = []
    if phase == "tagged":
        found = _tagged_ids(ctx, selection.conditions(tags, repository), after, count + 1)
        after = ""
    if len(found) <= count and tagged is not True:
        found += _untagged_ids(ctx, selection.conditions(manifests, repository), after, count + 1 - len(found))
    items = found[:count]
    if len(found) <= count:
        return paging.Page(items, None)
    last = items[-1]
    key = ["untagged", last.digest] if last.tag is None else ["tagged", last.tag]
    return paging.Page(items, paging.token(ctx, listing, key))


def _tagged_ids(ctx: Context, conditions: Sequence[sa.ColumnElement[bool]], after: str, limit: int) -> list[ImageId]:
    rows = sa.select(tags.c.digest, tags.c.name).where(*conditions, tags.c.name > after)
    return [ImageId(Digest(row.digest), row.name) for row in ctx.tx.execute(rows.order_by(tags.c.name).limit(limit))]


def _untagged_ids(ctx: Context, conditions: Sequence[sa.ColumnElement[bool]], after: str, limit: int) -> list[ImageId]:
    rows = sa.select(manifests.c.digest).where(*conditions, sa.not_(manifests.c.tagged), manifests.c.digest > after)
    return [ImageId(Digest(d), None) for d in ctx.tx.execute(rows.order_by(manifests.c.digest).limit(limit)).scalars()]


def _same_image(table: sa.Table) -> sa.ColumnElement[bool]:
    return sa.and_(table.c.repository_id == manifests.c.repository_id, table.c.digest == manifests.c.digest)


_DETAILS = sa.select(
    manifests.c.digest,
    manifests.c.image_size,
    manifests.c.pushed_at,
    manifests.c.media_type,
    manifests.c.artifact_type,
    manifests.c.subject,
    sa.func.coalesce(archivals.c.status, archive.ACTIVE).label("status"),
    archivals.c.archived_at,
    archivals.c.activated_at,
    pulls.c.pulled_at,
).select_from(manifests.outerjoin(archivals, _same_image(archivals)).outerjoin(pulls, _same_image(pulls)))


def details(
    ctx: Context, repository: Repository, selection: Selection, *, limit: int | None, next_token: str | None
) -> paging.Page[Details]:
    """Return images with what is known of them, oldest push first."""
    count = limit or paging.DEFAULT_PAGE
    tagged = selection.tagged
    listing = f"details:{repository.id}:{tagged}:{selection.status}"
    statement = _DETAILS.where(*selection.conditions(manifests, repository))
    if tagged is not None:
        statement = statement.where(manifests.c.tagged if tagged else sa.not_(manifests.c.tagged))
    if key := paging.position(ctx, listing, next_token):
        pushed_at = Instant().process_result_value(int(key[0]), ctx.tx.dialect)
        statement = statement.where(
            sa.tuple_(manifests.c.pushed_at, manifests.c.digest)
            > sa.tuple_(sa.literal(pushed_at, Instant), sa.literal(key[1]))
        )
    statement = statement.order_by(manifests.c.pushed_at, manifests.c.digest).limit(count + 1)
    rows = ctx.tx.execute(statement).all()
    items = _with_tags(ctx, repository, rows[:count])
    if len(rows) <= count:
        return paging.Page(items, None)
    micros = Instant().process_bind_param(items[-1].pushed_at, ctx.tx.dialect)
    return paging.Page(items, paging.token(ctx, listing, [str(micros), items[-1].digest]))


def details_of(ctx: Context, repository: Repository, digests: Sequence[Digest]) -> list[Details]:
    """Return what is known of the images with these digests, each once."""
    found: list[Details] = []
    for batch in batches(list(dict.fromkeys(digests))):
        statement = _DETAILS.where(manifests.c.repository_id == repository.id, manifests.c.digest.in_(batch))
        rows = ctx.tx.execute(statement.order_by(manifests.c.pushed_at, manifests.c.digest)).all()
        found += _with_tags(ctx, repository, rows)
    return found


def _with_tags(ctx: Context, repository: Repository, rows: Sequence[Any]) -> list[Details]:
    names: dict[str, list[str]] = {row.digest: [] for row in rows}
    for batch in batches([Digest(digest) for digest in names]):
        tagged = sa.select(tags.c.digest, tags.c.name).where(
            tags.c.repository_id == repository.id, tags.c.digest.in_(batch)
        )
        for row in ctx.tx.execute(tagged.order_by(tags.c.digest, tags.c.name)):
            names[row.digest].append(row.name)
    return [
        Details(
            digest=Digest(row.digest),
            tags=tuple(names[row.digest]),
            image_size=row.image_size,
            pushed_at=row.pushed_at,
            media_type=row.media_type,
            artifact_type=row.artifact_type,
            subject=row.subject,
            status=row.status,
            archived_at=row.archived_at,
            activated_at=row.activated_at,
            pulled_at=row.pulled_at,
        )
        for row in rows
    ]

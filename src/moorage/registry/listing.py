"""Lists of images and tags, by keyset: each page costs the same, wherever in the list it is."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import sqlalchemy as sa

from moorage.registry import archive, paging
from moorage.registry.batches import batches
from moorage.registry.prepared import Prepared
from moorage.registry.tables import archivals, at, manifests, pulls, tags

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from moorage.domain.names import Digest
    from moorage.registry.core import Context
    from moorage.registry.repositories import Repository

_AFTER: Final = sa.bindparam("after", type_=sa.String)
_COUNT: Final = sa.bindparam("count", type_=sa.Integer)
_REPOSITORY: Final = sa.bindparam("repository", type_=sa.String)


class ImageId(NamedTuple):
    """One entry of ListImages: an image under one of its tags, or an untagged one."""

    digest: str
    tag: str | None


class Details(NamedTuple):
    """What DescribeImages tells of an image."""

    digest: str
    tags: Sequence[str]
    """In order."""
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


class Selection(NamedTuple):
    """Which images a list is about."""

    tagged: bool | None = None
    """None: with tags or without."""
    status: str | None = archive.ACTIVE
    """None: whatever their status."""

    def conditions(self, table: sa.Table) -> list[sa.ColumnElement[bool]]:
        """Return the conditions on rows of ``table``, but for the tags."""
        ours = [table.c.repository_id == _REPOSITORY]
        return ours if self.status is None else [*ours, archive.has_status(table, self.status)]


_ACTIVE: Final = Selection()


def tag_names(ctx: Context, repository: Repository, *, limit: int, after: str) -> list[str]:
    """Return tags that follow ``after``, in order; not those of archived images."""
    given = {"repository": repository.id, "after": after, "count": limit}
    return [row.name for row in _TAG_NAMES.all(ctx.tx, given)]


_TAG_NAMES: Final = Prepared(
    sa.select(tags.c.name).where(*_ACTIVE.conditions(tags), tags.c.name > _AFTER).order_by(tags.c.name).limit(_COUNT)
)


# --- Identifiers ------------------------------------------------------------------


def image_ids(
    ctx: Context, repository: Repository, selection: Selection, *, limit: int | None, next_token: str | None
) -> paging.Page[ImageId]:
    """Return identifiers: first the tagged ones by tag, then the untagged ones by digest."""
    count = limit or paging.DEFAULT_PAGE
    tagged = selection.tagged
    listing = f"images:{repository.id}:{tagged}:{selection.status}"
    phase, after = paging.position(ctx, listing, next_token) or ["untagged" if tagged is False else "tagged", ""]
    found: list[ImageId] = []
    given: dict[str, Any] = {"repository": repository.id}
    if phase == "tagged":
        rows = _tagged_ids(selection.status).all(ctx.tx, {**given, "after": after, "count": count + 1})
        found = [ImageId(digest, name) for digest, name in rows]
        after = ""
    if len(found) <= count and tagged is not True:
        given |= {"after": after, "count": count + 1 - len(found)}
        found += [ImageId(row.digest, None) for row in _untagged_ids(selection.status).all(ctx.tx, given)]
    items = found[:count]
    if len(found) <= count:
        return paging.Page(items, None)
    last = items[-1]
    key = ["untagged", last.digest] if last.tag is None else ["tagged", last.tag]
    return paging.Page(items, paging.token(ctx, listing, key))


@cache
def _tagged_ids(status: str | None) -> Prepared:
    ids = sa.select(tags.c.digest, tags.c.name).where(*Selection(None, status).conditions(tags), tags.c.name > _AFTER)
    return Prepared(ids.order_by(tags.c.name).limit(_COUNT))


@cache
def _untagged_ids(status: str | None) -> Prepared:
    chosen = (*Selection(None, status).conditions(manifests), sa.not_(manifests.c.tagged))
    ids = sa.select(manifests.c.digest).where(*chosen, manifests.c.digest > _AFTER)
    return Prepared(ids.order_by(manifests.c.digest).limit(_COUNT))


# --- Details ----------------------------------------------------------------------


def details(
    ctx: Context, repository: Repository, selection: Selection, *, limit: int | None, next_token: str | None
) -> paging.Page[Details]:
    """Return images with what is known of them, oldest push first."""
    count = limit or paging.DEFAULT_PAGE
    listing = f"details:{repository.id}:{selection.tagged}:{selection.status}"
    given: dict[str, Any] = {"repository": repository.id, "count": count + 1}
    key = paging.position(ctx, listing, next_token)
    if key is not None:
        given |= {"pushed": int(key[0]), "after": key[1]}
    rows = _details(selection, following=key is not None).all(ctx.tx, given)
    items = [_of_row(row) for row in rows[:count]]
    if len(rows) <= count:
        return paging.Page(items, None)
    last = rows[count - 1]
    return paging.Page(items, paging.token(ctx, listing, [str(last.pushed_at), last.digest]))


def details_of(ctx: Context, repository: Repository, digests: Sequence[Digest]) -> list[Details]:
    """Return what is known of the images with these digests, each once."""
    found: list[Details] = []
    for batch in batches(list(dict.fromkeys(digests))):
        rows = ctx.tx.execute(_DETAILS_OF, {"repository": repository.id, "digests": batch})
        found += [_of_row(row) for row in rows.all()]
    return found


def _of_row(row: Any) -> Details:
    digest, named, size, pushed, media_type, artifact_type, subject, status, archived, activated, pulled = row
    return Details(
        digest,
        () if named is None else sorted(named.split(_BETWEEN)),
        size,
        at(pushed),
        media_type,
        artifact_type,
        subject,
        status or archive.ACTIVE,
        None if archived is None else at(archived),
        None if activated is None else at(activated),
        None if pulled is None else at(pulled),
    )


def _same_image(table: sa.Table) -> sa.ColumnElement[bool]:
    return sa.and_(table.c.repository_id == manifests.c.repository_id, table.c.digest == manifests.c.digest)


def _micros(column: sa.Column[Any]) -> sa.ColumnElement[int]:
    # As it is stored: a page has thousands of times, most of them NULL.
    return sa.type_coerce(column, sa.BigInteger).label(column.name)


_BETWEEN: Final = " "
"""What no tag has in it."""
# Within the statement: a second one would have to name a thousand digests, or find the page anew.
_TAGS: Final = (
    sa.select(sa.func.aggregate_strings(tags.c.name, _BETWEEN))
    .where(_same_image(tags))
    .correlate(manifests)
    .scalar_subquery()
)
_KNOWN: Final = sa.select(
    manifests.c.digest,
    _TAGS.label("tags"),
    manifests.c.image_size,
    _micros(manifests.c.pushed_at),
    manifests.c.media_type,
    manifests.c.artifact_type,
    manifests.c.subject,
    archivals.c.status,
    _micros(archivals.c.archived_at),
    _micros(archivals.c.activated_at),
    _micros(pulls.c.pulled_at),
).select_from(manifests.outerjoin(archivals, _same_image(archivals)).outerjoin(pulls, _same_image(pulls)))
_BY_PUSH: Final = (manifests.c.pushed_at, manifests.c.digest)
_FOLLOWING: Final = sa.tuple_(*_BY_PUSH) > sa.tuple_(sa.bindparam("pushed", type_=sa.BigInteger), _AFTER)


@cache
def _details(selection: Selection, *, following: bool) -> Prepared:
    statement = _KNOWN.where(*selection.conditions(manifests))
    if selection.tagged is not None:
        statement = statement.where(manifests.c.tagged if selection.tagged else sa.not_(manifests.c.tagged))
    if following:
        statement = statement.where(_FOLLOWING)
    return Prepared(statement.order_by(*_BY_PUSH).limit(_COUNT))


_DETAILS_OF: Final = _KNOWN.where(
    manifests.c.repository_id == _REPOSITORY, manifests.c.digest.in_(sa.bindparam("digests", expanding=True))
).order_by(*_BY_PUSH)

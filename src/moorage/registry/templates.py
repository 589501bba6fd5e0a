"""Creation templates: what a repository gets that a push makes, by the prefix of its name."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from moorage.domain.errors import LimitExceeded, TemplateAlreadyExists, TemplateNotFound
from moorage.registry import paging
from moorage.registry.tables import creation_templates
from moorage.registry.upsert import insert_if_absent

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from moorage.registry.core import Context

ROOT: Final = "ROOT"
"""The prefix that every name has; any other is tried before it."""
CREATE_ON_PUSH: Final = "CREATE_ON_PUSH"
MAX_TEMPLATES: Final = 1000
"""In one registry. ECR has a quota too, which it does not publish."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """One row of the templates."""

    prefix: str
    """As it was written: with a slash at its end, or without."""
    description: str | None = None
    tag_mutability: str = "MUTABLE"
    mutability_filters: Sequence[str] = ()
    resource_tags: Mapping[str, str] = dataclasses.field(default_factory=dict)
    repository_policy: str | None = None
    lifecycle_policy: str | None = None
    applied_for: Sequence[str] = ()
    custom_role_arn: str | None = None
    created_at: datetime
    updated_at: datetime


_COLUMNS = [creation_templates.c[field.name] for field in dataclasses.fields(Template) if field.name != "prefix"]
_SELECT = sa.select(creation_templates.c.prefix.label("key"), creation_templates.c.written.label("prefix"), *_COLUMNS)
_ALL = (
    _SELECT.where(
        creation_templates.c.account_id == sa.bindparam("account"),
        creation_templates.c.region == sa.bindparam("in_region"),
    )
).order_by(creation_templates.c.prefix)
_THESE = _ALL.where(creation_templates.c.prefix.in_(sa.bindparam("keys", expanding=True)))
_AFTER = _ALL.where(creation_templates.c.prefix > sa.bindparam("after")).limit(sa.bindparam("count"))


def for_push(ctx: Context, name: str) -> Template | None:
    """
    Return the template of a repository that a push would make; None if pushes make none.

    The longest prefix that the name has wins, ROOT comes last. With
    ``create_on_push`` a registry that has no other answer has ECR's defaults.
    """
    segments = name.split("/")
    prefixes = ["/".join(segments[:count]) for count in range(1, len(segments))]
    fitting = {key: item for key, item in _rows(ctx, [*prefixes, ROOT]) if CREATE_ON_PUSH in item.applied_for}
    chosen = max(fitting, key=lambda key: key != ROOT and len(key), default=None)
    if chosen is not None:
        return fitting[chosen]
    if ctx.settings.creates_on_push:
        return Template(prefix=ROOT, applied_for=(CREATE_ON_PUSH,), created_at=ctx.now, updated_at=ctx.now)
    return None


def get(ctx: Context, prefix: str) -> Template:
    """Return the template of a prefix; raise `TemplateNotFound`."""
    found = named(ctx, [prefix])
    if not found:
        raise TemplateNotFound(prefix=prefix, registry_id=ctx.registry_id)
    return found[0]


def named(ctx: Context, prefixes: Sequence[str]) -> list[Template]:
    """Return the templates of these prefixes, as far as there are any, by prefix."""
    return [item for _, item in _rows(ctx, [_key(prefix) for prefix in prefixes])]


def page(ctx: Context, *, limit: int | None, next_token: str | None) -> paging.Page[Template]:
    """Return the next templates of the registry, by prefix."""
    count = limit or paging.DEFAULT_PAGE
    after = paging.position(ctx, "templates", next_token)
    given = {**_scope(ctx), "after": after[0] if after else "", "count": count + 1}
    rows = ctx.tx.execute(_AFTER, given).all()
    token = paging.token(ctx, "templates", [rows[count - 1].key]) if len(rows) > count else None
    return paging.Page([_of_row(row) for row in rows[:count]], token)


def add(ctx: Context, template: Template) -> None:
    """Add a template; raise `TemplateAlreadyExists` or `LimitExceeded`."""
    count = sa.select(sa.func.count()).select_from(_ALL.order_by(None).subquery())
    if ctx.tx.execute(count, _scope(ctx)).scalar_one() >= MAX_TEMPLATES:
        raise LimitExceeded(reason=f"The maximum number of repository creation templates ({MAX_TEMPLATES}) is reached")
    key = {"account_id": ctx.registry_id, "region": ctx.region, "prefix": _key(template.prefix)}
    if not insert_if_absent(ctx.tx, creation_templates, {**_values(template), **key}):
        raise TemplateAlreadyExists(prefix=template.prefix, registry_id=ctx.registry_id)


def replace(ctx: Context, template: Template) -> None:
    """Give the template of the same prefix other contents; raise `TemplateNotFound`."""
    changed = sa.update(creation_templates).where(*_where(ctx, template.prefix)).values(_values(template))
    if not ctx.tx.execute(changed).rowcount:
        raise TemplateNotFound(prefix=template.prefix, registry_id=ctx.registry_id)


def remove(ctx: Context, prefix: str) -> Template:
    """Remove the template of a prefix and return it; raise `TemplateNotFound`."""
    template = get(ctx, prefix)
    ctx.tx.execute(sa.delete(creation_templates).where(*_where(ctx, prefix)))
    return template


def _key(prefix: str) -> str:
    """Return a prefix as it is compared: ``team`` and ``team/`` mean the same names."""
    return prefix.removesuffix("/")


def _scope(ctx: Context) -> dict[str, Any]:
    return {"account": ctx.registry_id, "in_region": ctx.region}


def _where(ctx: Context, prefix: str) -> list[sa.ColumnElement[bool]]:
    columns = creation_templates.c
    return [columns.account_id == ctx.registry_id, columns.region == ctx.region, columns.prefix == _key(prefix)]


def _rows(ctx: Context, keys: Sequence[str]) -> list[tuple[str, Template]]:
    rows = ctx.tx.execute(_THESE, {**_scope(ctx), "keys": keys})
    return [(row.key, _of_row(row)) for row in rows]


def _of_row(row: Any) -> Template:
    return Template(**{field.name: getattr(row, field.name) for field in dataclasses.fields(Template)})


def _values(template: Template) -> dict[str, Any]:
    values = {field.name: getattr(template, field.name) for field in dataclasses.fields(template)}
    return {**values, "written": values.pop("prefix")}

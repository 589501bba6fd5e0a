"""What is set for a registry as a whole (an account in a region): its policy, and the account settings."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import sqlalchemy as sa

from moorage.domain import policies, scanning
from moorage.registry.tables import registries
from moorage.registry.upsert import insert_or_update

if TYPE_CHECKING:
    from moorage.registry.core import Context

NARROW: Final = "V1"
"""Registry policies decide about `NARROW_ACTIONS` alone."""
WIDE: Final = "V2"
"""Registry policies decide about every action."""
NARROW_ACTIONS: Final = frozenset({"ecr:replicateimage", "ecr:batchimportupstreamimage", "ecr:createrepository"})
"""In lower case: actions have none."""


class Rules(NamedTuple):
    """A registry's policy, and how far it reaches."""

    text: str | None
    scope: str
    """`NARROW` or `WIDE`."""

    def policy_for(self, action: str) -> policies.Policy | None:
        """Return the policy, if there is one that decides about the action."""
        if self.text is None or (self.scope == NARROW and action.lower() not in NARROW_ACTIONS):
            return None
        return _compiled(self.text)


@lru_cache(maxsize=1024)
def _compiled(text: str) -> policies.Policy:
    return policies.parse(text, policies.Kind.REGISTRY)


RULES: Final = (registries.c.policy.label("registry_policy"), registries.c.policy_scope)
"""The columns of `Rules`, for statements that read them along with something else."""
_FIND = sa.select(registries).where(
    registries.c.account_id == sa.bindparam("account"), registries.c.region == sa.bindparam("in_region")
)


def _row(ctx: Context) -> Any:
    return ctx.tx.execute(_FIND, {"account": ctx.registry_id, "in_region": ctx.region}).first()


def rules_of(ctx: Context, text: str | None, scope: str | None) -> Rules:
    """Return rules as they were read."""
    return Rules(text, scope or ctx.settings.registry_policy_scope)


def rules(ctx: Context) -> Rules:
    """Return the rules of the addressed registry."""
    row = _row(ctx)
    return rules_of(ctx, None, None) if row is None else rules_of(ctx, row.policy, row.policy_scope)


def blob_mounting(ctx: Context) -> bool:
    """Tell whether blobs of the addressed registry may be mounted from one repository into another."""
    row = _row(ctx)
    return row is None or row.blob_mounting != "DISABLED"


def put(ctx: Context, **values: str | None) -> None:
    """Set columns of the addressed registry; the others stay as they are."""
    key = {"account_id": ctx.registry_id, "region": ctx.region}
    insert_or_update(ctx.tx, registries, key | values, key=list(key))


def scanning_of(ctx: Context) -> scanning.Configuration:
    """Return what of the addressed registry is to be scanned."""
    row = _row(ctx)
    return scanning.Configuration() if row is None else scanning.read(row.scan_type, row.scan_rules)


def set_scanning(ctx: Context, configuration: scanning.Configuration) -> None:
    """Say what of the addressed registry is to be scanned."""
    key = {"account_id": ctx.registry_id, "region": ctx.region}
    values = {"scan_type": configuration.kind, "scan_rules": scanning.written(configuration)}
    insert_or_update(ctx.tx, registries, key | values, key=list(key))

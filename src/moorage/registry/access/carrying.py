"""Changes carried out, by the functions that the commands have too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from moorage.domain.errors import Failure
from moorage.domain.names import EntityName
from moorage.registry import accounts, identities, roles
from moorage.registry.access.model import ACCOUNT, GROUP, OIDC, POLICY, ROLE, USER, Misdeclared

if TYPE_CHECKING:
    from collections.abc import Sequence

    from moorage.registry.access.model import Change, Thing
    from moorage.registry.core import Context


def carry_out(ctx: Context, changes: Sequence[Change]) -> None:
    """
    Carry changes out, in the context's transaction; raise `Misdeclared` where one cannot be.

    First all is made, then it is connected: things may name each other.
    """
    for step in (_make, _connect, _remove):
        for change in changes:
            try:
                step(ctx.at(change.account_id), change)
            except Failure as failure:
                place = change.thing.place if change.thing else f"without {change.kind} {change.name}"
                raise Misdeclared(place, failure.message) from None


def _make(ctx: Context, change: Change) -> None:
    if change.action == "delete":
        return
    if change.kind == ACCOUNT:
        name = change.after["name"]
        (accounts.create if change.action == "create" else accounts.rename)(ctx, change.account_id, name)
    elif change.thing is not None:
        _make_thing(ctx, change, change.thing)


def _make_thing(ctx: Context, change: Change, thing: Thing) -> None:
    creates = change.action == "create"
    match thing.kind:
        case "policy":
            identities.put_policy(ctx, EntityName.parse(thing.name), thing.texts["document"])
        case "group" if creates:
            identities.create_group(ctx, EntityName.parse(thing.name))
        case "user" if creates:
            identities.create_user(ctx, EntityName.parse(thing.name), thing.fields.get("tags"))
        case "user" if "tags" in change.after:
            identities.set_tags(ctx, EntityName.parse(thing.name), change.after["tags"])
        case "role":
            _make_role(ctx, change, thing)
        case "oidc":
            _make_issuer(ctx, change, thing)
        case _:
            pass


def _make_role(ctx: Context, change: Change, thing: Thing) -> None:
    name, own = EntityName.parse(thing.name), {f: v for f, v in change.after.items() if f in {"trust", "max_session"}}
    if change.action == "update":
        trust = thing.texts["trust"] if "trust" in own else None
        roles.update(ctx, name, trust=trust, max_session=own.get("max_session"))
        return
    if "trust" not in own:
        raise Misdeclared(thing.place, "trust is missing: who may take the role on")
    roles.create(ctx, name, thing.texts["trust"], own.get("max_session", roles.LONGEST_SESSION))


def _make_issuer(ctx: Context, change: Change, thing: Thing) -> None:
    fields: dict[str, Any] = {**change.before, **thing.fields}
    known = roles.find_provider(ctx.tx, ctx.registry_id, thing.name)
    if known is not None:
        fields = {"audiences": list(known.audiences), "keys_url": known.keys_url} | thing.fields
    keys = thing.texts.get("keys", known.keys if known else None) or None
    audiences = fields.get("audiences", [])
    roles.put_provider(ctx, thing.name, audiences, keys=keys, keys_url=fields.get("keys_url"))


def _connect(ctx: Context, change: Change) -> None:
    """Bring policies, groups and boundary of a user, group or role to what they shall be."""
    if change.action == "delete" or change.kind not in {USER, GROUP, ROLE}:
        return
    name, before, after = EntityName.parse(change.name), change.before, change.after
    if "policies" in after:
        for policy in _beyond(after["policies"], before.get("policies")):
            identities.attach(ctx, change.kind, name, policy)
        for policy in _beyond(before.get("policies"), after["policies"]):
            identities.detach(ctx, change.kind, name, policy)
    if "groups" in after:
        for group in _beyond(after["groups"], before.get("groups")):
            identities.add_to_group(ctx, EntityName.parse(group), name)
        for group in _beyond(before.get("groups"), after["groups"]):
            identities.remove_from_group(ctx, EntityName.parse(group), name)
    if "boundary" in after and after["boundary"] != before.get("boundary"):
        identities.set_boundary(ctx, change.kind, name, after["boundary"])


def _beyond(names: list[str] | None, others: list[str] | None) -> list[str]:
    return [name for name in names or [] if name not in (others or [])]


def _remove(ctx: Context, change: Change) -> None:
    if change.action != "delete":
        return
    if change.kind == OIDC:
        roles.delete_provider(ctx, change.name)
    else:
        identities.delete(ctx, {POLICY: "policy"}.get(change.kind, change.kind), EntityName.parse(change.name))

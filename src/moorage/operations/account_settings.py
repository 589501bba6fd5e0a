"""Account settings: each of them read, set, and in force."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from moorage.domain.errors import InvalidParameter
from moorage.operations.framework import Mode, on_registry, registry_wide
from moorage.registry import registries

if TYPE_CHECKING:
    from moorage.registry.core import Context

_SCANNING: Final = "BASIC_SCAN_TYPE_VERSION"
_SCOPE: Final = "REGISTRY_POLICY_SCOPE"
_MOUNTING: Final = "BLOB_MOUNTING"
_VALUES: Final = {
    _SCANNING: frozenset({"AWS_NATIVE"}),
    # There is no way back: a policy of the wide scope would lose its meaning.
    _SCOPE: frozenset({registries.WIDE}),
    _MOUNTING: frozenset({"ENABLED", "DISABLED"}),
}
"""Name -> the values that it can be given."""


@on_registry("ecr:GetAccountSetting", registry_wide("ecr:GetAccountSetting"))
def get_account_setting(ctx: Context, *, name: str) -> dict[str, Any]:
    """Return the value of an account setting (GetAccountSetting)."""
    _check_name(name)
    values = {
        _SCANNING: "AWS_NATIVE",
        _SCOPE: registries.rules(ctx).scope,
        _MOUNTING: "ENABLED" if registries.blob_mounting(ctx) else "DISABLED",
    }
    return {"name": name, "value": values[name]}


@on_registry("ecr:PutAccountSetting", registry_wide("ecr:PutAccountSetting"), Mode.WRITE)
def put_account_setting(ctx: Context, *, name: str, value: str) -> dict[str, Any]:
    """Give an account setting a value; it is in force at once (PutAccountSetting)."""
    _check_name(name)
    if value not in _VALUES[name]:
        allowed = ", ".join(sorted(_VALUES[name]))
        raise InvalidParameter("value", f"Member must satisfy enum value set: [{allowed}]")
    if name == _SCOPE:
        registries.put(ctx, policy_scope=value)
    if name == _MOUNTING:
        registries.put(ctx, blob_mounting=value)
    return {"name": name, "value": value}


def _check_name(name: str) -> None:
    if name not in _VALUES:
        raise InvalidParameter("name", f"Member must satisfy enum value set: [{', '.join(sorted(_VALUES))}]")

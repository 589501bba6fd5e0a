"""A request's condition keys: those given with it, and those that follow from its principal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from moorage.domain.policies.model import Principal, Request

_DERIVED: Final = frozenset(
    {
        "aws:principalarn",
        "aws:principalaccount",
        "aws:principaltype",
        "aws:principalisawsservice",
        "aws:principalservicename",
        "aws:userid",
        "aws:username",
    }
)
_DERIVED_PREFIX: Final = "aws:principaltag/"


class Question:
    """A request prepared for many statements to look at. One is made for each decision."""

    __slots__ = ("_facts", "_request", "action", "is_outsider", "is_root", "principal", "resource")

    def __init__(self, request: Request) -> None:
        self._request = request
        self._facts: dict[str, tuple[str, ...]] | None = None
        self.principal = principal = request.principal
        self.is_root = principal.is_root
        # Whom no account's identity policies govern.
        self.is_outsider = principal.is_service or principal.is_federated
        self.action = request.action.lower()
        self.resource = request.resource

    def values(self, key: str) -> tuple[str, ...]:
        """
        Return what the condition key holds, nothing if it is missing.

        Case is ignored, unless tags differ by case only: then the exact one is meant.
        """
        facts = self._facts
        if facts is None:
            # Most policies have no conditions, so this is not done before one asks.
            facts = self._facts = _facts(self._request)
        return facts.get(key) or facts.get(key.lower(), ())


def _facts(request: Request) -> dict[str, tuple[str, ...]]:
    exact = {
        key: (value,) if isinstance(value, str) else tuple(value)
        for key, value in request.context.items()
        if not _is_derived(key.lower())
    }
    exact.update((key, (value,)) for key, value in _about(request.principal))
    return {key.lower(): values for key, values in exact.items()} | exact


def _is_derived(key: str) -> bool:
    return key in _DERIVED or key.startswith(_DERIVED_PREFIX)


def _about(principal: Principal) -> Iterator[tuple[str, str]]:
    if principal.is_service:
        yield "aws:PrincipalIsAWSService", "true"
        yield "aws:PrincipalServiceName", principal.arn
        return
    yield "aws:PrincipalIsAWSService", "false"
    # For a session AWS reports the role here, not the session: policies are written with role ARNs.
    yield "aws:PrincipalArn", principal.role_arn or principal.arn
    yield "aws:PrincipalAccount", principal.account
    yield "aws:PrincipalType", _type(principal)
    yield "aws:userid", principal.user_id
    if principal.name is not None:
        yield "aws:username", principal.name
    for key, value in principal.tags.items():
        yield f"aws:PrincipalTag/{key}", value


def _type(principal: Principal) -> str:
    if principal.is_root:
        return "Account"
    if principal.is_federated:
        return "FederatedUser"
    return "User" if principal.role_arn is None else "AssumedRole"

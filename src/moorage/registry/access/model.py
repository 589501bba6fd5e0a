"""What can be declared, and how two declarations differ."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

ACCOUNT: Final = "account"
POLICY: Final = "policy"
GROUP: Final = "group"
USER: Final = "user"
ROLE: Final = "role"
OIDC: Final = "oidc"

KINDS: Final = {"policies": POLICY, "groups": GROUP, "users": USER, "roles": ROLE, "oidc": OIDC}
"""Section of the file -> kind, in the order in which things can be made: each names those before it only."""


class Misdeclared(ValueError):
    """A declaration that cannot be; the message begins with its place in the file."""

    def __init__(self, place: str, problem: str) -> None:
        super().__init__(f"{place}: {problem}" if place else problem)


@dataclass(frozen=True, slots=True)
class Thing:
    """A user, group, role, issuer or policy: declared (with the fields that the file gives), or there (with all)."""

    kind: str
    name: str
    fields: dict[str, Any]
    texts: dict[str, str] = field(default_factory=dict)
    """Documents as they were written, by their fields: compared by what they say, stored as they are."""
    place: str = ""


@dataclass(frozen=True, slots=True)
class Declared:
    """What a file says of one account."""

    account_id: str
    kinds: tuple[str, ...]
    """The kinds that it speaks of: what it does not name of these can be pruned."""
    things: dict[tuple[str, str], Thing]
    name: str | None = None
    """The account's name; None where the file does not tell, empty for none."""
    makes: bool = False
    """Whether the account is to be made if it is not there."""
    place: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """One difference between the rows and the file."""

    action: str
    """``create``, ``update`` or ``delete``."""
    account_id: str
    kind: str
    name: str
    before: dict[str, Any]
    after: dict[str, Any]
    """The fields that differ; both have the same ones in an ``update``."""
    thing: Thing | None = None
    """What the file says; None for what it does not name."""

    def as_json(self) -> dict[str, Any]:
        """Return what programs read."""
        return {
            "action": self.action,
            "accountId": self.account_id,
            "kind": self.kind,
            "name": self.name,
            "before": self.before,
            "after": self.after,
        }

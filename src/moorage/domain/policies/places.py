"""What a policy is in a decision: the caller's, the resource's, or a limit to what the caller's give."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from moorage.domain.policies.model import Kind

if TYPE_CHECKING:
    from moorage.domain.policies.statement import Policy


class Place(NamedTuple):
    """What a policy is in a decision, and what it is called there."""

    label: str
    """In logs."""
    family: str
    """In AWS's "because no … allows"."""
    the_family: str
    """In AWS's "with an explicit deny in …"."""
    kinds: frozenset[Kind]
    """The kinds of policy that can stand here."""


def _place(label: str, family: str, *kinds: Kind, article: str = "a") -> Place:
    return Place(label, family, f"{article} {family}", frozenset(kinds))


IDENTITY: Final = _place("identity policy", "identity-based policy", Kind.IDENTITY, article="an")
SESSION: Final = _place("session policy", "session policy", Kind.SESSION, Kind.IDENTITY)
BOUNDARY: Final = _place("permissions boundary", "permissions boundary", Kind.IDENTITY)
REPOSITORY: Final = _place("repository policy", "resource-based policy", Kind.REPOSITORY)
REGISTRY: Final = _place("registry policy", "resource-based policy", Kind.REGISTRY)
TRUST: Final = _place("role trust policy", "role trust policy", Kind.TRUST, article="the")


class Placed(NamedTuple):
    """A policy in its place."""

    place: Place
    policy: Policy

    @property
    def source(self) -> str:
        """What logs call it."""
        label = "managed policy" if self.policy.managed else self.place.label
        named = f"{label} {self.policy.name}" if self.policy.name else label
        return f"{named} of {self.policy.holder}" if self.policy.holder else named


def put(*placed: tuple[Place, Policy | None]) -> list[Placed]:
    """
    Put policies in their places; those that are None are left out.

    Raises `TypeError` for a policy of another kind: it would mean something else there.
    """
    found = [Placed(place, policy) for place, policy in placed if policy is not None]
    for place, policy in found:
        if policy.kind not in place.kinds:
            raise TypeError(f"a {policy.kind.value} cannot serve as {place.label}")
    return found

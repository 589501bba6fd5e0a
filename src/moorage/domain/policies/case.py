"""One question with all policies that bear on it: what they deny, what they grant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from moorage.domain.policies.model import Decision, Kind
from moorage.domain.policies.principals import Reach

if TYPE_CHECKING:
    from moorage.domain.policies.facts import Question
    from moorage.domain.policies.model import Request
    from moorage.domain.policies.statement import Policy

# The root user of the owner must always be able to undo a policy that locks everybody out.
_RECOVERY: Final = frozenset(
    {
        "ecr:setrepositorypolicy",
        "ecr:getrepositorypolicy",
        "ecr:deleterepositorypolicy",
        "ecr:putregistrypolicy",
        "ecr:getregistrypolicy",
        "ecr:deleteregistrypolicy",
    }
)


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
        return f"{self.place.label} {self.policy.name}" if self.policy.name else self.place.label


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


@dataclass(frozen=True, slots=True)
class Grant:
    """An allow that was found, and how closely it means the caller."""

    source: str
    family: str
    statement: str | None
    reach: Reach = Reach.DIRECT


@dataclass(frozen=True, slots=True)
class Case:
    """A question, with the policies that bear on it."""

    question: Question
    request: Request
    identity: list[Placed]
    limits: list[Placed]
    resource: list[Placed]

    def denied(self, *, own_root: bool) -> Decision | None:
        """Return the refusal of the first Deny that applies, if one does."""
        recovering = own_root and self.question.action in _RECOVERY
        for placed in (*(() if recovering else self.resource), *self.identity, *self.limits):
            for statement in placed.policy.denies:
                if statement.reach(self.question):
                    return Decision(
                        False, f"with an explicit deny in {placed.place.the_family}", placed.source, statement.label
                    )
        return None

    def outsider(self) -> Decision:
        """Decide for a service or a web identity: no account's policies speak for it but the resource's."""
        granted = self.by_resource()
        return self._missing(self._resource_family) if granted is None else self._allowed(granted)

    def same_account(self) -> Decision:
        """Decide where one allow, on either side, is enough."""
        granted = self.by_resource()
        if granted is not None and granted.reach is Reach.DIRECT:
            return self._allowed(granted)
        if granted is None or granted.reach is Reach.ACCOUNT:
            granted = self._by_identity()
        return self._missing("identity-based policy") if granted is None else self._within_limits(granted)

    def both_sides(self) -> Decision:
        """Decide where both the caller's side and the resource's must allow."""
        theirs = self.by_resource()
        if theirs is None:
            return self._missing(self._resource_family)
        ours = self._by_identity()
        if ours is None:
            return self._missing("identity-based policy")
        return self._within_limits(ours, theirs)

    def by_resource(self) -> Grant | None:
        """Return the allow of the resource's policies that means the caller most closely."""
        grants = (grant for placed in self.resource if (grant := _granted(placed, self.question)) is not None)
        return max(grants, key=lambda grant: grant.reach, default=None)

    def _by_identity(self) -> Grant | None:
        if self.question.is_root:
            return Grant("root", "account", None)
        for placed in self.identity:
            if (grant := _granted(placed, self.question)) is not None:
                return grant
        return None

    @property
    def _resource_family(self) -> str:
        return self.resource[0].place.family if self.resource else "resource-based policy"

    def _within_limits(self, *grants: Grant) -> Decision:
        for placed in self.limits:
            if _granted(placed, self.question) is None:
                return self._missing(placed.place.family)
        return self._allowed(*grants)

    def _allowed(self, *grants: Grant) -> Decision:
        families = " and ".join(f"the {grant.family}" for grant in grants)
        sources = ", ".join(grant.source for grant in grants)
        statements = ", ".join(grant.statement for grant in grants if grant.statement) or None
        return Decision(True, f"because {families} allows the {self.request.action} action", sources, statements)

    def _missing(self, family: str) -> Decision:
        return Decision(False, f"because no {family} allows the {self.request.action} action", "implicit deny")


def _granted(placed: Placed, question: Question) -> Grant | None:
    best: Grant | None = None
    for statement in placed.policy.allows:
        reach = statement.reach(question)
        if reach > (best.reach if best else Reach.NONE):
            best = Grant(placed.source, placed.place.family, statement.label, reach)
            if reach is Reach.DIRECT:
                break
    return best

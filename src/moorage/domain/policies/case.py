"""One question with all policies that bear on it: what they deny, what they grant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from moorage.domain.policies.outcome import ROOT, Cause, Decision
from moorage.domain.policies.places import IDENTITY, REGISTRY, REPOSITORY
from moorage.domain.policies.principals import Reach

if TYPE_CHECKING:
    from collections.abc import Iterator

    from moorage.domain.policies.facts import Question
    from moorage.domain.policies.model import Request
    from moorage.domain.policies.places import Place, Placed
    from moorage.domain.policies.statement import Statement

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


class Grant(NamedTuple):
    """An allow that was found, and how closely it means the caller."""

    cause: Cause
    reach: Reach = Reach.DIRECT


class Finding(NamedTuple):
    """What one policy says to a question, whatever came of it."""

    placed: Placed
    denies: Statement | None
    allows: Statement | None
    reach: Reach
    """How closely the Allow means the caller."""


_BY_ROOT: Final = Grant(ROOT)


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
        resource = () if own_root and self.question.action in _RECOVERY else self.resource
        for placed in (*resource, *self.identity, *self.limits):
            for statement in placed.policy.denies:
                if statement.reach(self.question):
                    return Decision(self, allowed=False, causes=(Cause(placed, statement),))
        return None

    def findings(self) -> Iterator[Finding]:
        """Yield what each policy says, in the order in which they are asked: to explain a decision, not to make one."""
        for placed in (*self.resource, *self.identity, *self.limits):
            denies = next((one for one in placed.policy.denies if one.reach(self.question)), None)
            granted = _granted(placed, self.question)
            allows, reach = (granted.cause.statement, granted.reach) if granted else (None, Reach.NONE)
            yield Finding(placed, denies, allows, reach)

    def outsider(self) -> Decision:
        """Decide for a service or a web identity: no account's policies speak for it but the resource's."""
        granted = self.by_resource()
        return self._missing(self._resource_side) if granted is None else self._allowed(granted)

    def same_account(self) -> Decision:
        """Decide where one allow, on either side, is enough."""
        granted = self.by_resource()
        if granted is not None and granted.reach is Reach.DIRECT:
            return self._allowed(granted)
        if granted is None or granted.reach is Reach.ACCOUNT:
            granted = self._by_identity()
        return self._missing(IDENTITY) if granted is None else self._within_limits(granted)

    def both_sides(self) -> Decision:
        """Decide where both the caller's side and the resource's must allow."""
        theirs = self.by_resource()
        if theirs is None:
            return self._missing(self._resource_side)
        ours = self._by_identity()
        if ours is None:
            return self._missing(IDENTITY)
        return self._within_limits(ours, theirs)

    def by_resource(self) -> Grant | None:
        """Return the allow of the resource's policies that means the caller most closely."""
        grants = (grant for placed in self.resource if (grant := _granted(placed, self.question)) is not None)
        return max(grants, key=lambda grant: grant.reach, default=None)

    def _by_identity(self) -> Grant | None:
        if self.question.is_root:
            return _BY_ROOT
        for placed in self.identity:
            if (grant := _granted(placed, self.question)) is not None:
                return grant
        return None

    @property
    def _resource_side(self) -> Place:
        if self.resource:
            return self.resource[0].place
        return REPOSITORY if ":repository/" in self.request.resource else REGISTRY

    def _within_limits(self, *grants: Grant) -> Decision:
        for placed in self.limits:
            if _granted(placed, self.question) is None:
                return self._missing(placed.place)
        return self._allowed(*grants)

    def _allowed(self, *grants: Grant) -> Decision:
        return Decision(self, allowed=True, causes=tuple(grant.cause for grant in grants))

    def _missing(self, place: Place) -> Decision:
        return Decision(self, allowed=False, missing=place)


def _granted(placed: Placed, question: Question) -> Grant | None:
    best: Grant | None = None
    for statement in placed.policy.allows:
        reach = statement.reach(question)
        if reach > (best.reach if best else Reach.NONE):
            best = Grant(Cause(placed, statement), reach)
            if reach is Reach.DIRECT:
                break
    return best

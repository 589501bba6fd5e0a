"""What was decided, and by what: the words for the caller, the cause for the log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from moorage.domain.policies.case import Case
    from moorage.domain.policies.places import Place, Placed
    from moorage.domain.policies.statement import Statement


class Cause(NamedTuple):
    """A statement that had its part in a decision, and the policy it stands in."""

    placed: Placed | None
    """None: the caller is root, which needs no policy."""
    statement: Statement | None

    @property
    def source(self) -> str:
        """What logs call the policy: ``repository policy``, ``identity policy NAME of group GROUP``, ``root``."""
        return "root" if self.placed is None else self.placed.source

    @property
    def family(self) -> str:
        """What AWS's messages call the policy."""
        return "account" if self.placed is None else self.placed.place.family


ROOT: Final = Cause(None, None)


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer to a request, with what decided it. Words are made when they are asked for: most answers need none."""

    case: Case
    allowed: bool
    causes: tuple[Cause, ...] = ()
    """The Deny, or the Allow of each side that had to allow; nothing if no statement decided."""
    missing: Place | None = None
    """Where an Allow would have been needed, and is not."""

    @property
    def reason(self) -> str:
        """How AWS ends the sentence "User: … is not authorized to perform: … on resource: … "."""
        action = self.case.request.action
        if self.allowed:
            families = " and ".join(f"the {cause.family}" for cause in self.causes)
            return f"because {families} allows the {action} action"
        if self.missing is not None:
            return f"because no {self.missing.family} allows the {action} action"
        denying = self.causes[0].placed
        return f"with an explicit deny in {denying.place.the_family}" if denying else "with an explicit deny"

    @property
    def source(self) -> str:
        """What decided: ``repository policy``, ``identity policy NAME of user USER``, ``root``, ``implicit deny``."""
        return ", ".join(cause.source for cause in self.causes) or "implicit deny"

    @property
    def statement(self) -> str | None:
        """The statements that decided: their Sids, or ``#2`` for the second of its policy."""
        return ", ".join(cause.statement.label for cause in self.causes if cause.statement) or None

"""Statements: compiled, and asked whether they are about a request."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from moorage.domain.policies.principals import Reach

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from moorage.domain.policies.conditions import Condition, Presence
    from moorage.domain.policies.facts import Question
    from moorage.domain.policies.model import Kind
    from moorage.domain.policies.principals import Principals
    from moorage.domain.policies.variables import Patterns


@dataclass(frozen=True, slots=True)
class Statement:
    """One compiled statement."""

    index: int
    """Its place in the policy, from 0."""
    label: str
    """Its Sid, or ``#2`` for the second of its policy."""
    allow: bool
    actions: Callable[[str], bool]
    """Over lower-case action names."""
    named_actions: frozenset[str]
    """The patterns of ``actions``, as they are written, in lower case."""
    not_actions: bool
    resources: Patterns | None
    """None: the resource that the policy is attached to."""
    not_resources: bool
    conditions: tuple[Condition | Presence, ...]
    principals: Principals | None
    """None: whomever the policy is attached to."""

    def reach(self, question: Question) -> Reach:
        """Say how closely the statement is about the question's principal; NONE if it does not apply."""
        if self.actions(question.action) == self.not_actions or not self._covers(question):
            return Reach.NONE
        reach = Reach.DIRECT
        if self.principals is not None:
            reach = self.principals.reach(question, deny=not self.allow)
        if reach:
            for condition in self.conditions:
                if not condition.holds(question):
                    return Reach.NONE
        return reach

    def _covers(self, question: Question) -> bool:
        if self.resources is None:
            return True
        matched = self.resources.match(question.resource, question)
        if not self.not_resources:
            return matched
        # "All but what cannot be told" must never allow: an unresolved variable would open everything.
        return not matched and (not self.allow or self.resources.resolved(question))


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy document, checked and compiled. Immutable; worth keeping by the text it came from."""

    kind: Kind
    name: str | None
    """What logs call it, beside its kind."""
    denies: tuple[Statement, ...]
    allows: tuple[Statement, ...]
    text: str = field(repr=False, compare=False)
    """The document, as it was written."""
    managed: bool = False
    """Whether it is one of the built-in policies."""
    holder: str | None = None
    """Whom it is attached to, where that is known: ``user ci``, ``group devs``, ``role deploy``."""

    def written(self, statement: Statement) -> Mapping[str, object]:
        """Return one of its statements as the document has it."""
        listed = json.loads(self.text)["Statement"]
        entry: Mapping[str, object] = listed[statement.index] if isinstance(listed, list) else listed
        return entry

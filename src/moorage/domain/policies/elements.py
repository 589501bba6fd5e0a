"""The elements of a statement, and what each kind of policy demands of them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from moorage.domain.filters import any_of, pieces
from moorage.domain.policies import conditions, principals
from moorage.domain.policies.model import Kind, PolicyError
from moorage.domain.policies.reading import show, text, texts
from moorage.domain.policies.statement import Statement
from moorage.domain.policies.variables import Patterns
from moorage.domain.policies.variables import read as read_variables

if TYPE_CHECKING:
    from moorage.domain.policies.conditions import Condition, Presence
    from moorage.domain.policies.principals import Principals

_ECR_ACTION: Final = re.compile(r"\*|[Ee][Cc][Rr]:[A-Za-z0-9*?]+")
_ACTION: Final = {
    Kind.REPOSITORY: _ECR_ACTION,
    Kind.REGISTRY: _ECR_ACTION,
    Kind.IDENTITY: re.compile(r"\*|\*:\*|[A-Za-z0-9-]+:[A-Za-z0-9*?]+"),
    Kind.SESSION: re.compile(r"\*|\*:\*|[A-Za-z0-9-]+:[A-Za-z0-9*?]+"),
    Kind.TRUST: re.compile(r"[Ss][Tt][Ss]:[A-Za-z0-9*?]+"),
}
_ELEMENTS: Final = {
    "Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition",
}  # fmt: skip


def only(given: dict[str, object], known: set[str], where: str) -> None:
    """Raise `PolicyError` if there is an element that is not known."""
    if unknown := given.keys() - known:
        raise PolicyError(f"{where}: unknown element {show(sorted(unknown))}")


def optional_text(given: dict[str, object], key: str, where: str) -> str | None:
    """Return an element that must be a string if it is there."""
    return text(given[key], f"{where}.{key}") if key in given else None


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads one statement of a document; every method raises `PolicyError` for what it refuses."""

    given: dict[str, object]
    index: int
    kind: Kind
    has_variables: bool

    @property
    def where(self) -> str:
        """The statement's place in the document, for errors."""
        return f"Statement[{self.index}]"

    def read(self) -> Statement:
        """Compile the statement."""
        only(self.given, _ELEMENTS, self.where)
        action, resource = self._one_of("Action"), self._resource_element()
        actions = self._actions(action)
        return Statement(
            index=self.index,
            label=optional_text(self.given, "Sid", self.where) or f"#{self.index + 1}",
            allow=self._effect(),
            actions=any_of(pieces(name) for name in actions),
            named_actions=actions,
            not_actions=action == "NotAction",
            resources=self._resources(resource) if resource else None,
            not_resources=resource == "NotResource",
            conditions=self._conditions(),
            principals=self._principals(),
        )

    def _one_of(self, element: str) -> str:
        """Return which of an element and its negation is there: exactly one must be."""
        found = [key for key in (element, f"Not{element}") if key in self.given]
        if len(found) != 1:
            raise PolicyError(f"{self.where}: needs exactly one of {element} and Not{element}")
        return found[0]

    def _effect(self) -> bool:
        effect = self.given.get("Effect")
        if effect not in ("Allow", "Deny"):
            raise PolicyError(f"{self.where}.Effect: must be Allow or Deny, not {show(effect)}")
        return effect == "Allow"

    def _actions(self, element: str) -> frozenset[str]:
        actions = texts(self.given[element], f"{self.where}.{element}")
        for action in actions:
            if _ACTION[self.kind].fullmatch(action) is None:
                raise PolicyError(f"{self.where}.{element}: not an action for this policy: {show(action)}")
        return frozenset(action.lower() for action in actions)

    def _resource_element(self) -> str | None:
        present = "Resource" in self.given or "NotResource" in self.given
        if self.kind is Kind.TRUST and present:
            raise PolicyError(f"{self.where}: a role trust policy has no Resource")
        if not present and self.kind in (Kind.REPOSITORY, Kind.TRUST):
            return None
        return self._one_of("Resource")

    def _resources(self, element: str) -> Patterns:
        resources = texts(self.given[element], f"{self.where}.{element}")
        for resource in resources:
            if not resource.startswith("arn:") and resource != "*":
                raise PolicyError(f"{self.where}.{element}: neither an ARN nor *: {show(resource)}")
        return Patterns(
            read_variables(resource, wildcards=True, variables=self.has_variables) for resource in resources
        )

    def _conditions(self) -> tuple[Condition | Presence, ...]:
        if "Condition" not in self.given:
            return ()
        return conditions.read(self.given["Condition"], f"{self.where}.Condition", variables=self.has_variables)

    def _principals(self) -> Principals | None:
        if self.kind.names_principals:
            element = self._one_of("Principal")
            return principals.read(
                self.given[element], self.kind, f"{self.where}.{element}", excluded=element == "NotPrincipal"
            )
        if "Principal" in self.given or "NotPrincipal" in self.given:
            raise PolicyError(f"{self.where}: this kind of policy names no principals")
        return None

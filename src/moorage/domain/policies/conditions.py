"""
Condition blocks: all of their operators, all keys of each, any value of a key.

What IAM does at the edges, as its user guide has it: a missing key fails an
operator, unless that is negated or ends in IfExists; with ForAllValues a
missing key (or an empty value) holds, with ForAnyValue it fails.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from moorage.domain.policies.model import PolicyError
from moorage.domain.policies.operators import OPERATORS
from moorage.domain.policies.reading import mapping, scalars, show
from moorage.domain.policies.values import boolean

if TYPE_CHECKING:
    from collections.abc import Iterator

    from moorage.domain.policies.facts import Question
    from moorage.domain.policies.operators import Test

_ALL: Final = "forallvalues"
_ANY: Final = "foranyvalue"
# Operator names are taken in any case, as IAM takes them.
_OPERATORS: Final = {name.lower(): operator for name, operator in OPERATORS.items()}


@dataclass(frozen=True, slots=True)
class Condition:
    """One key under one operator."""

    key: str
    test: Test
    negated: bool
    if_exists: bool
    quantifier: str
    """``forallvalues``, ``foranyvalue``, or empty."""

    def holds(self, question: Question) -> bool:
        """Say whether the request meets the condition."""
        values = question.values(self.key)
        if self.quantifier:
            return self._quantified(values, question)
        if not values:
            return self.negated or self.if_exists
        if len(values) == 1:  # nearly always, and quicker so
            return self.test(values[0], question) != self.negated
        return any(self.test(value, question) for value in values) != self.negated

    def _quantified(self, values: tuple[str, ...], question: Question) -> bool:
        if values in {(), ("",)}:
            return self.quantifier == _ALL or (self.if_exists and not values)
        every = all if self.quantifier == _ALL else any
        return every(self.test(value, question) != self.negated for value in values)


@dataclass(frozen=True, slots=True)
class Presence:
    """The Null operator: whether a key is missing."""

    key: str
    missing: frozenset[bool]

    def holds(self, question: Question) -> bool:
        """Say whether the key is missing, or there, as the policy asks."""
        return (not question.values(self.key)) in self.missing


def read(value: object, where: str, *, variables: bool) -> tuple[Condition | Presence, ...]:
    """Compile a Condition element; raise `PolicyError` for what is unknown or malformed."""
    return tuple(
        condition
        for operator, keys in mapping(value, where).items()
        for condition in _operator(operator, keys, f"{where}.{operator[:80]}", variables=variables)
    )


def _operator(name: str, keys: object, where: str, *, variables: bool) -> Iterator[Condition | Presence]:
    quantifier, base, if_exists = _split(name)
    for key, given in mapping(keys, where).items():
        if not key.strip():
            raise PolicyError(f"{where}: a condition key has no name")
        values = scalars(given, f"{where}.{show(key)}")
        if base == "null" and not quantifier and not if_exists:
            yield _presence(key, values, where)
        elif operator := _OPERATORS.get(base):
            yield Condition(key, operator.compile(values, variables), operator.negated, if_exists, quantifier)
        else:
            raise PolicyError(f"{where}: unknown condition operator")


def _split(name: str) -> tuple[str, str, bool]:
    lowered = name.lower()
    quantifier, colon, rest = lowered.partition(":")
    if not colon or quantifier not in (_ALL, _ANY):
        quantifier, rest = "", lowered
    base = rest.removesuffix("ifexists")
    return quantifier, base, base != rest


def _presence(key: str, values: tuple[str, ...], where: str) -> Presence:
    try:
        return Presence(key, frozenset(map(boolean, values)))
    except ValueError:
        raise PolicyError(f"{where}: Null takes true or false") from None

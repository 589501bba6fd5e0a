"""
The condition operators: how one value of a request is compared with those of a policy.

Each operator compiles the policy's values once into a `Test`, which says
whether a request's value matches *any* of them. Negation, missing keys and
several values on the request's side are the business of `conditions`.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias, TypeVar

from moorage.domain.policies import arns, values
from moorage.domain.policies.model import PolicyError
from moorage.domain.policies.reading import show
from moorage.domain.policies.variables import Patterns, read

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from decimal import Decimal

    from moorage.domain.filters import Piece
    from moorage.domain.policies.facts import Question

Test: TypeAlias = "Callable[[str, Question], bool]"
Compiler: TypeAlias = "Callable[[Sequence[str], bool], Test]"
"""From a policy's values, and whether its version has variables, to a test. Raises `PolicyError`."""


class Operator(NamedTuple):
    """One condition operator, without its IfExists and ForAnyValue."""

    compile: Compiler
    negated: bool
    """Whether it holds where the test does not."""


# --- Text -------------------------------------------------------------------------


def _strings(*, wildcards: bool) -> Compiler:
    def compiler(wanted: Sequence[str], variables: bool) -> Test:
        return Patterns(read(value, wildcards=wildcards, variables=variables) for value in wanted).match

    return compiler


def _ignoring_case(wanted: Sequence[str], variables: bool) -> Test:
    return Patterns((read(value, wildcards=False, variables=variables) for value in wanted), _folded).match


def _folded(patterns: Iterable[Sequence[Piece]]) -> Callable[[str], bool]:
    texts = ["".join(piece for piece in pattern if isinstance(piece, str)) for pattern in patterns]
    folded = frozenset((len(text), text.lower()) for text in texts)
    return lambda given: (len(given), given.lower()) in folded


def _arns(wanted: Sequence[str], variables: bool) -> Test:
    for pattern in wanted:
        arns.check(pattern)
    return Patterns((read(pattern, wildcards=True, variables=variables) for pattern in wanted), arns.any_of).match


# --- Values -------------------------------------------------------------------------


def _compared(parse: Callable[[str], Decimal], compare: Callable[[Decimal, Decimal], bool]) -> Compiler:
    def compiler(wanted: Sequence[str], _variables: bool) -> Test:
        limits = [_parsed(parse, value) for value in wanted]

        def test(given: str, _question: Question) -> bool:
            try:
                found = parse(given)
            except ValueError:
                return False
            return any(compare(found, limit) for limit in limits)

        return test

    return compiler


def _one_of(parse: Callable[[str], object]) -> Compiler:
    """Compare by the equality of what the texts stand for."""

    def compiler(wanted: Sequence[str], _variables: bool) -> Test:
        known = {_parsed(parse, value) for value in wanted}

        def test(given: str, _question: Question) -> bool:
            try:
                return parse(given) in known
            except ValueError:
                return False

        return test

    return compiler


def _addresses(wanted: Sequence[str], _variables: bool) -> Test:
    networks = [_parsed(values.network, value) for value in wanted]

    def test(given: str, _question: Question) -> bool:
        try:
            address = values.address(given)
        except ValueError:
            return False
        return any(address in network for network in networks)

    return test


_T = TypeVar("_T")


def _parsed(parse: Callable[[str], _T], value: str) -> _T:
    try:
        return parse(value)
    except ValueError:
        raise PolicyError(f"not a value for this operator: {show(value)}") from None


# --- All of them --------------------------------------------------------------------


def _ordered(prefix: str, parse: Callable[[str], Decimal]) -> dict[str, Operator]:
    return {
        f"{prefix}Equals": Operator(_compared(parse, operator.eq), negated=False),
        f"{prefix}NotEquals": Operator(_compared(parse, operator.eq), negated=True),
        f"{prefix}LessThan": Operator(_compared(parse, operator.lt), negated=False),
        f"{prefix}LessThanEquals": Operator(_compared(parse, operator.le), negated=False),
        f"{prefix}GreaterThan": Operator(_compared(parse, operator.gt), negated=False),
        f"{prefix}GreaterThanEquals": Operator(_compared(parse, operator.ge), negated=False),
    }


OPERATORS: Final[dict[str, Operator]] = {
    "StringEquals": Operator(_strings(wildcards=False), negated=False),
    "StringNotEquals": Operator(_strings(wildcards=False), negated=True),
    "StringEqualsIgnoreCase": Operator(_ignoring_case, negated=False),
    "StringNotEqualsIgnoreCase": Operator(_ignoring_case, negated=True),
    "StringLike": Operator(_strings(wildcards=True), negated=False),
    "StringNotLike": Operator(_strings(wildcards=True), negated=True),
    **_ordered("Numeric", values.number),
    **_ordered("Date", values.date),
    "Bool": Operator(_one_of(values.boolean), negated=False),
    "BinaryEquals": Operator(_one_of(values.binary), negated=False),
    "IpAddress": Operator(_addresses, negated=False),
    "NotIpAddress": Operator(_addresses, negated=True),
    # AWS: ArnEquals and ArnLike behave identically.
    "ArnEquals": Operator(_arns, negated=False),
    "ArnNotEquals": Operator(_arns, negated=True),
    "ArnLike": Operator(_arns, negated=False),
    "ArnNotLike": Operator(_arns, negated=True),
}
"""Every operator but Null, which asks about a key and not about its value."""

"""
Policy variables: ``${aws:username}``, ``${aws:PrincipalTag/team, 'none'}``, ``${*}``.

What is put in place of a variable is literal: an asterisk in a user's name is
an asterisk. A variable without a value (missing, many-valued) and without a
default makes the text that holds it match nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from moorage.domain.filters import Piece, Wild, any_of, pieces, shortest
from moorage.domain.policies.model import PolicyError
from moorage.domain.policies.reading import show

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from moorage.domain.policies.facts import Question

_VARIABLE: Final = re.compile(r"\$\{([^{}',]*)(?:,\s*'([^{}']*)'\s*)?\}")
_ESCAPES: Final = frozenset("*?$")


@dataclass(frozen=True, slots=True)
class Variable:
    """A place in a text that the request fills."""

    key: str
    default: str | None

    def value(self, question: Question) -> str | None:
        """Return what the request has for it, or the default. Keys with several values cannot be used."""
        found = question.values(self.key)
        return found[0] if len(found) == 1 else self.default


Part: TypeAlias = Piece | Variable
Compiler: TypeAlias = "Callable[[Iterable[Sequence[Piece]]], Callable[[str], bool]]"
"""Makes one function of patterns: whether at least one matches. None may match a text shorter than itself."""


def read(text: str, *, wildcards: bool, variables: bool) -> tuple[Part, ...]:
    """
    Read a text of a policy into its parts.

    Without ``wildcards`` a ``*`` is itself; without ``variables`` (documents of
    version 2008-10-17) ``${`` is. Raises `PolicyError` for a malformed variable.
    """
    return tuple(_parts(text, wildcards=wildcards, variables=variables))


def _parts(text: str, *, wildcards: bool, variables: bool) -> Iterator[Part]:
    at = 0
    while variables and (begin := text.find("${", at)) >= 0:
        yield from _plain(text[at:begin], wildcards=wildcards)
        found = _VARIABLE.match(text, begin)
        if found is None:
            raise PolicyError(f"malformed policy variable in {show(text)}")
        yield _variable(*found.groups())
        at = found.end()
    yield from _plain(text[at:], wildcards=wildcards)


def _plain(text: str, *, wildcards: bool) -> Iterable[Piece]:
    return pieces(text) if wildcards else (text,)


def _variable(key: str, default: str | None) -> str | Variable:
    key = key.strip()
    if not key:
        raise PolicyError("a policy variable has no name")
    return key if key in _ESCAPES and default is None else Variable(key, default)


class Patterns:
    """Texts of one element, any of which may match. Those without variables are compiled once."""

    __slots__ = ("_compile", "_fixed", "_open")

    def __init__(self, texts: Iterable[Sequence[Part]], compiler: Compiler = any_of) -> None:
        fixed: list[tuple[Piece, ...]] = []
        self._open: list[Sequence[Part]] = []
        for parts in texts:
            closed = tuple(part for part in parts if isinstance(part, str | Wild))
            if len(closed) == len(parts):
                fixed.append(closed)
            else:
                self._open.append(parts)
        self._compile = compiler
        self._fixed = compiler(fixed)

    def match(self, text: str, question: Question) -> bool:
        """Say whether one of the texts, filled in for this question, matches."""
        return self._fixed(text) or (bool(self._open) and self._open_match(text, question))

    @property
    def alone(self) -> Callable[[str], bool] | None:
        """What says whether one of the texts matches, whatever the question; None if some have variables."""
        return None if self._open else self._fixed

    def resolved(self, question: Question) -> bool:
        """Say whether every variable has a value."""
        return all(_fill(parts, question) is not None for parts in self._open)

    def _open_match(self, text: str, question: Question) -> bool:
        filled = (_fill(parts, question) for parts in self._open)
        # A short text may ask for a long value many times over: what is too long is not even compiled.
        return self._compile([pattern for pattern in filled if pattern is not None and shortest(pattern) <= len(text)])(
            text
        )


def _fill(parts: Sequence[Part], question: Question) -> list[Piece] | None:
    filled: list[Piece] = []
    for part in parts:
        piece = part.value(question) if isinstance(part, Variable) else part
        if piece is None:
            return None
        filled.append(piece)
    return filled

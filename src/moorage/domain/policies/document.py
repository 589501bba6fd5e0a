"""Policy documents: version, id, statements."""

from __future__ import annotations

from typing import Final

from moorage.domain.policies.elements import Reader, only, optional_text
from moorage.domain.policies.model import Kind, PolicyError
from moorage.domain.policies.reading import load, mapping, show
from moorage.domain.policies.statement import Policy

_CURRENT: Final = "2012-10-17"
"""The version of the language that has policy variables."""
_VERSIONS: Final = frozenset({_CURRENT, "2008-10-17"})


def principals(policy: Policy) -> frozenset[str]:
    """Return the AWS principals that a policy names, as written (12-digit ids and ARNs), without ``*``."""
    return frozenset[str]().union(
        *(statement.principals.named for statement in policy.denies + policy.allows if statement.principals)
    )


def only_about(policy: Policy, actions: frozenset[str]) -> bool:
    """Tell whether all statements name these actions (in lower case) and no others: no wildcard, no NotAction."""
    return all(
        not statement.not_actions and statement.named_actions <= actions for statement in policy.denies + policy.allows
    )


def parse(text: str, kind: Kind, *, name: str | None = None) -> Policy:
    """
    Check and compile a policy document.

    Raises `PolicyError` for anything that is not a document of that kind, or
    that holds what would not be enforced. No text makes it raise anything else.
    """
    document = mapping(load(text), "document")
    only(document, {"Version", "Id", "Statement"}, "document")
    version = optional_text(document, "Version", "document")
    if version is not None and version not in _VERSIONS:
        raise PolicyError(f"Version: must be 2012-10-17 or 2008-10-17, not {show(version)}")
    optional_text(document, "Id", "document")
    listed = document.get("Statement")
    entries = listed if isinstance(listed, list) else [listed]
    if not entries:
        raise PolicyError("Statement: must not be empty")
    statements = [
        Reader(mapping(entry, f"Statement[{index}]"), index, kind, version == _CURRENT).read()
        for index, entry in enumerate(entries)
    ]
    return Policy(
        kind,
        name,
        denies=tuple(statement for statement in statements if not statement.allow),
        allows=tuple(statement for statement in statements if statement.allow),
        text=text,
    )

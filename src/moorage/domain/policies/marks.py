"""By what policies tell resources apart: many can be decided about at once where they cannot."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from moorage.domain.policies.statement import Policy


def marks(policies: Iterable[Policy], action: str) -> tuple[Callable[[str], bool], ...] | None:
    """
    Return tests of an ARN: resources that pass the same ones, and have the same tags, are decided alike.

    That is, where the same caller asks for ``action`` on them, and these are all policies that bear on it.
    None if an ARN is compared with what only the question fills in.
    """
    action, found = action.lower(), []
    for policy in policies:
        for statement in (*policy.denies, *policy.allows):
            if statement.resources is not None and statement.actions(action) != statement.not_actions:
                test = statement.resources.alone
                if test is None:
                    return None
                found.append(test)
    return tuple(found)

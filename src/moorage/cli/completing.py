"""What a shell offers when a name is half typed (``moorage --install-completion``)."""

from __future__ import annotations

import io
from contextlib import redirect_stderr
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Final

import typer

from moorage.cli.managing import Given, given
from moorage.cli.opened import reading
from moorage.domain.managed import MANAGED
from moorage.registry import access, accounts, catalog, keys
from moorage.registry.access.model import KINDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from moorage.registry.core import Context

_MOST: Final = 10_000
"""Repositories that are looked through for a name."""


def named(kind: str, help_: str) -> Any:
    """Return an argument that names a thing of a kind: a user, an account, a repository, a key by its id."""
    return typer.Argument(help=help_, autocompletion=_names_of(kind))


def _names_of(kind: str) -> Callable[[typer.Context, str], list[str]]:
    return completer(lambda unit, _incomplete: _names(unit, kind))


def completer(offered: Callable[[Context, str], list[str]]) -> Callable[[typer.Context, str], list[str]]:
    """Return what Typer asks for names: those of the offered ones that begin as the person did."""

    def complete(ctx: typer.Context, incomplete: str) -> list[str]:
        told: dict[str, Any] = {field.name: ctx.params.get(field.name) for field in fields(Given)}
        given.set(Given(**told))
        try:
            # Nothing may be said: the shell would show it in the middle of a line.
            with redirect_stderr(io.StringIO()), reading(any_account=True) as unit:
                return [name for name in offered(unit, incomplete) if name.startswith(incomplete)]
        except typer.Exit:
            return []

    # Typer looks at the types of the parameters when it runs.
    complete.__annotations__ = {"ctx": typer.Context, "incomplete": str}
    return complete


def _names(ctx: Context, kind: str) -> list[str]:
    if kind == "account":
        return [row["accountId"] for row in accounts.list_accounts(ctx.tx)]
    if kind == "key":
        return [row["accessKeyId"] for row in keys.show(ctx)]
    if kind == "repository":
        return catalog.names(ctx, limit=_MOST, after="")
    found = [name for of, name in access.state(ctx) if of == kind]
    return [*found, *MANAGED] if kind == KINDS["policies"] else found

"""
Commands that manage an installation: what they have in common.

Each can be told which installation and account are meant, each can print
JSON, and each ends with one line where something cannot be done.
"""

from __future__ import annotations

import errno
import functools
import inspect
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import typer

from moorage.cli.options import Account, Config, Data, Database, MasterKeyFile, fail
from moorage.cli.output import Json, wants_json
from moorage.config import SettingsError
from moorage.domain.errors import Failure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@dataclass(frozen=True, slots=True)
class Given:
    """Which installation and account a command is for, as far as it was told."""

    data: Path | None = None
    database: str | None = None
    config: Path | None = None
    master_key_file: Path | None = None
    account_id: str | None = None


@dataclass(frozen=True, slots=True)
class Running:
    """The command that is running, for the audit trail."""

    noun: str
    verb: str
    values: dict[str, Any]
    """Its own options, and not those that all commands have."""


_OPTIONS: Final[dict[str, Any]] = {
    "data": Data,
    "database": Database,
    "config": Config,
    "master_key_file": MasterKeyFile,
    "account_id": Account,
}
running: Final[ContextVar[Running | None]] = ContextVar("running", default=None)
given: Final[ContextVar[Given]] = ContextVar("given", default=Given())  # noqa: B039 (frozen)


class Commands(typer.Typer):
    """The commands of one noun. Each has the common options, besides its own."""

    def command(self, name: str | None = None, **options: Any) -> Callable[[Any], Any]:
        """Register a command, as Typer does."""
        register = super().command(name, **options)

        def decorate(function: Callable[..., object]) -> Callable[..., object]:
            register(managed(function))
            return function

        return decorate


def managed(function: Callable[..., object]) -> Callable[..., object]:
    """Return a command with the common options."""
    own = inspect.signature(function, eval_str=True)
    noun = function.__module__.rpartition(".")[2].rstrip("_")
    options = {**_OPTIONS, "as_json": Json}
    added = {name: option for name, option in options.items() if name not in own.parameters}

    @functools.wraps(function)
    def run(**values: Any) -> object:
        common = {name: values.pop(name) for name in added}
        wants_json.set(common.get("as_json") or values.get("as_json") or False)
        told = {field.name: common.get(field.name, values.get(field.name)) for field in fields(Given)}
        given.set(Given(**told))
        special = {name: value for name, value in values.items() if name not in options}
        running.set(Running(noun, function.__name__.rstrip("_"), special))
        with in_one_line():
            return function(**values)

    parameters = [parameter.replace(kind=parameter.KEYWORD_ONLY) for parameter in own.parameters.values()]
    parameters += [
        inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, default=False if name == "as_json" else None, annotation=option
        )
        for name, option in added.items()
    ]
    annotations = {parameter.name: parameter.annotation for parameter in parameters}
    vars(run).update(__signature__=own.replace(parameters=parameters), __annotations__=annotations)
    run.__annotations__ = annotations
    return run


@contextmanager
def in_one_line() -> Iterator[None]:
    """End the command with one line and status 2 for what is refused, cannot be read, or does not answer."""
    try:
        yield
    except Failure as failure:
        fail(failure.message)
    except SettingsError as problem:
        fail(str(problem))
    except OSError as problem:
        if problem.errno == errno.EPIPE:
            raise
        fail(_one_line(problem))
    except Exception as problem:
        from sqlalchemy.exc import DBAPIError  # noqa: PLC0415 (so that help need not load it)

        if not isinstance(problem, DBAPIError):
            raise
        fail(f"the database cannot be used: {_one_line(problem.orig or problem)}")


def _one_line(problem: BaseException) -> str:
    return " ".join(str(problem).split()) or type(problem).__name__

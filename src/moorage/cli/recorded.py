"""Commands in the audit trail: those that change an installation are events, like requests."""

from __future__ import annotations

import getpass
import uuid
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from moorage import __version__
from moorage.cli.managing import running
from moorage.registry import audit

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from moorage.registry.audit import Entry
    from moorage.registry.core import Registry


def recorded(registry: Registry, operation: str | None = None) -> AbstractContextManager[Entry | None]:
    """
    Return a block that is the event of the running command: ``CreateUser`` for ``user create``.

    Where the command is an operation of ECR's, the event has that one's name.
    """
    command = running.get()
    if registry.trail is None or command is None:
        return nullcontext()
    facts = {"aws:SourceIp": "local", "aws:UserAgent": f"moorage/{__version__}"}
    words = list(dict.fromkeys([command.noun, command.verb]))
    name = operation or "".join(part.capitalize() for word in reversed(words) for part in word.split("_"))
    entry = registry.trail.begin(audit.MOORAGE, name, str(uuid.uuid4()), facts)
    entry.parameters = {key: _plain(value) for key, value in command.values.items() if value}
    entry.extra = {"command": " ".join(["moorage", *words]), "osUser": _os_user()}
    return entry


def _plain(value: Any) -> Any:
    """Return an option as JSON has it; of a file, its name."""
    return getattr(value, "name", value)


def _os_user() -> str | None:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # A container may run as a number that has no name.
        return None

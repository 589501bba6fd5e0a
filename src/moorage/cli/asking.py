"""Commands that are operations of ECR's: the same functions that the AWS door calls, asked as the account's root."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from moorage.cli.opened import opened, root_of
from moorage.cli.recorded import recorded
from moorage.registry import accounts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from moorage.operations import Operation

    Ask = Callable[..., dict[str, Any]]


@contextmanager
def asking() -> Iterator[Ask]:
    """
    Open the installation, and give a function that runs operations there: ``ask(operation, name=…)``.

    Those that change something are events of the audit trail, each under its own name.
    """
    from moorage.operations import Mode, invoke  # noqa: PLC0415 (as in `opened`)

    with opened() as registry:
        who = root_of(registry.settings)
        with registry.read(who) as ctx:
            accounts.require(ctx.tx, ctx.registry_id)

        def ask(operation: Operation, **given: Any) -> dict[str, Any]:
            changes = operation.mode is not Mode.READ
            with recorded(registry, operation.name) if changes else nullcontext() as entry:
                request_id = "-" if entry is None else entry.request_id
                return invoke(registry, operation, who, lambda: dict(given), request_id=request_id, entry=entry)

        yield ask


def all_of(ask: Ask, operation: Operation, member: str, **given: Any) -> list[dict[str, Any]]:
    """Return everything that a listing operation lists, to its last page."""
    found: list[dict[str, Any]] = []
    token = None
    while True:
        answer = ask(operation, **given, next_token=token, max_results=1000)
        found += answer[member]
        token = answer.get("nextToken")
        if token is None:
            return found

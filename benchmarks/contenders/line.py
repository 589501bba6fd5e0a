"""The line-up: who takes part in a run, and who is missing."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

from benchmarks.contenders import hardware, ours, peers, production

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.contenders.servers import Contender

STACKS: Final = ("default", "production")
ONLY_DEFAULT: Final = ("Jobs", "Start")
"""Groups whose workloads open a folder of their own."""
_BUILT: Final = "not built here, by `scripts/go-tools requirements/peers.list`"
_FILES: Final = "measured on files only"
WANTED: Final = {
    "default": {"distribution": _BUILT, "zot": _BUILT, "zot-commit": _BUILT, "nginx": "not installed"},
    "production": {"distribution": _BUILT, "zot": _FILES, "zot-commit": _FILES, "nginx": _FILES},
}
"""Stack -> whom a run should have beside Moorage -> what it means that it has not."""


@contextlib.contextmanager
def standing(stack: str) -> Iterator[list[Contender]]:
    """Give all that are installed; what they stand on is there for the length of a block."""
    if stack == "default":
        yield [ours.ours(), *peers.peers(), *peers.nginx(), *hardware.tools()]
    else:
        with production.contenders() as found:
            yield found


def chosen(stack: str, found: Sequence[Contender], only: Sequence[str]) -> tuple[list[Contender], dict[str, str]]:
    """Return who takes part (of those that are named, if any are), and who is missing with the reason."""
    wanted = [one for one in found if not only or one.name in only]
    here = {one.name for one in found}
    return wanted, {name: why for name, why in WANTED[stack].items() if name not in here and (not only or name in only)}


def facts(contender: Contender) -> dict[str, str]:
    """Return what a report says of a contender."""
    return {
        "role": contender.role.value,
        "version": contender.version,
        "durable": "yes" if contender.durable else "no",
        "words": contender.words,
    }

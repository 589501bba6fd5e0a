"""The line-up: who takes part in a run, and who is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from benchmarks.contenders import hardware, ours, peers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.contenders.servers import Contender

WANTED: Final = {
    "distribution": "no `registry` (`scripts/go-tools requirements/peers.list` builds it), no `docker-registry`",
    "zot": "no `zot` (`scripts/go-tools requirements/peers.list` builds it)",
    "zot-commit": "no `zot` (`scripts/go-tools requirements/peers.list` builds it)",
    "nginx": "not installed",
}
"""Whom a run should have beside Moorage -> what it means that it has not."""


def up(only: Sequence[str]) -> tuple[list[Contender], dict[str, str]]:
    """Return who takes part (of those that are named, if any are), and who is missing with the reason."""
    found = [ours.ours(), *peers.peers(), *peers.nginx(), *hardware.tools()]
    wanted = [one for one in found if not only or one.name in only]
    here = {one.name for one in found}
    return wanted, {name: why for name, why in WANTED.items() if name not in here and (not only or name in only)}


def facts(contender: Contender) -> dict[str, str]:
    """Return what a report says of a contender."""
    return {
        "role": contender.role.value,
        "version": contender.version,
        "durable": "yes" if contender.durable else "no",
        "words": contender.words,
    }

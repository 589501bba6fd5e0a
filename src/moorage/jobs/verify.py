"""``verify``: stored bytes are read again, and what is damaged counts as missing from then on."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from moorage.registry import damage, scrub

if TYPE_CHECKING:
    from datetime import datetime

    from moorage.jobs.work import Run
    from moorage.registry.core import Registry
    from moorage.registry.scrub import Stored

VERIFY: Final = "verify"
_BLOBS: Final = 500
_MANIFESTS: Final = 50
_SUSPICIOUS: Final = 20
"""Damaged blobs in a row, and no whole one before them: then it is not the blobs that are wrong."""
_MIB: Final = 1024 * 1024


class WrongStoreError(Exception):
    """So much is wrong that it is not the layers."""


def verify(registry: Registry, _now: datetime, run: Run) -> None:
    """Read the bytes of all blobs and manifests, or of a repository's (``run.argument``, its id)."""
    checking = _Checking(registry, run)
    checking.blobs()
    checking.manifests()


class _Checking:
    """One run, or the rest of one that was cut short."""

    def __init__(self, registry: Registry, run: Run) -> None:
        self._registry, self._run = registry, run
        self._within = run.argument or None
        self._state: dict[str, Any] = dict(run.cursor or {})
        self._state.setdefault("total", scrub.total(registry, self._within))
        self._pending: list[tuple[Stored, str]] = []
        self._pace = _Pace(run, registry.settings.verify_mib_per_second * _MIB)

    def blobs(self) -> None:
        """Read all blobs from where the last run was cut."""
        if self._state.get("phase") == "manifests":
            return
        last = self._state.get("last", "")
        while batch := scrub.page(self._registry, self._within, last, _BLOBS):
            for stored in batch:
                self._check(stored)
                last = stored.digest
        self._settle()
        self._state |= {"phase": "manifests", "last": ["", ""]}
        self._tell()

    def _check(self, stored: Stored) -> None:
        before = self._state.get("bytes", 0)

        def paced(count: int) -> None:
            self._pace(count)
            self._run.check()
            self._state["bytes"] = self._state.get("bytes", 0) + count
            self._tell(cursor=False)

        try:
            problem = scrub.problem_with(self._registry, stored, paced)
        except BaseException:
            self._state["bytes"] = before
            raise
        # What was not read has been dealt with all the same.
        self._state["bytes"] = before + stored.size
        self._count(blobs=1)
        if problem is None:
            self._settle()
            if stored.is_marked and damage.unmark(self._registry, stored.digest, stored.location):
                self._count(whole=1)
        elif scrub.is_current(self._registry, stored):
            self._pending.append((stored, problem))
            self._require_plausible()
        if not self._pending:
            self._state["last"] = stored.digest
            self._state["sound"] = self._state.get("sound", 0) + (problem is None)
            self._tell()

    def _require_plausible(self) -> None:
        if not self._state.get("sound") and len(self._pending) >= _SUSPICIOUS:
            first = self._pending[0]
            raise WrongStoreError(
                f"of {_SUSPICIOUS} layers none is whole ({first[0].digest}: {first[1]})."
                " Nothing was marked: is this the right store of layers, and is it mounted?"
            )
        if self._state.get("sound"):
            self._settle()

    def _settle(self) -> None:
        """Mark what was found damaged."""
        for stored, problem in self._pending:
            self._count(damaged=damage.mark(self._registry, stored.digest, stored.location, problem))
        self._pending.clear()

    def manifests(self) -> None:
        """Compare all manifests with their digests."""
        while batch := scrub.manifest_page(self._registry, self._within, tuple(self._state["last"]), _MANIFESTS):
            for found in batch:
                if not scrub.is_whole(found):
                    self._count(damaged=scrub.mark_manifest(self._registry, found))
                self._pace(len(found.body))
                self._count(manifests=1, bytes=len(found.body))
                self._state["last"] = [found.repository_id, found.digest]
                self._tell()

    def _count(self, **more: int) -> None:
        for name, count in more.items():
            self._state[name] = self._state.get(name, 0) + count

    def _tell(self, *, cursor: bool = True) -> None:
        facts = {name: self._state.get(name, 0) for name in ("blobs", "manifests", "damaged", "whole")}
        # A copy: another thread writes what was told last.
        kept = dict(self._state) if cursor else None
        self._run.progress(self._state.get("bytes", 0), self._state["total"], cursor=kept, **facts)
        if cursor:
            self._run.make_room()


class _Pace:
    """Waits as long as it takes to read no more than so many bytes a second."""

    def __init__(self, run: Run, rate: float) -> None:
        self._run, self._rate = run, rate
        self._due = time.monotonic()

    def __call__(self, count: int) -> None:
        if self._rate <= 0:
            return
        now = time.monotonic()
        # Time in which nothing was read is not made up for.
        self._due = max(self._due, now) + count / self._rate
        if self._due > now:
            self._run.wait(self._due - now)

"""A life for each fail point: killed there, and what is left is checked by a process that knows only what was answered."""

from __future__ import annotations

import multiprocessing
import signal
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from moorage import app
from moorage.config import Settings
from tests.crashing import points
from tests.crashing.checker import Checker, require_nothing_left, settle
from tests.crashing.ledger import Ledger
from tests.crashing.scenario import Restarted, live
from tests.registry.kit import ACCOUNT, REGION
from tests.servers import S3_CREDENTIALS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tests.stacks import Stack

_PROCESSES: Final = multiprocessing.get_context("forkserver")
_STEP: Final = timedelta(days=30)
"""Between two lives."""
_PATIENCE: Final = 120


class Stepper:
    """One installation that lives, dies and is opened again."""

    def __init__(self, folder: Path, stack: Stack) -> None:
        self.folder = folder
        data = folder / "data"
        given: Any = {
            "data": data,
            "account_id": ACCOUNT,
            "region": REGION,
            "gc_grace_minutes": 60,
            **stack.settings(data),
        }
        self.settings = Settings(**given)
        app.prepare(self.settings)
        _PROCESSES.set_forkserver_preload(["tests.crashing.scenario"])
        self.checker = Checker()
        self.lives = 0
        self.books: list[Ledger] = []

    def live(self, at: points.Hit | None, record: Path | None = None) -> int | None:
        """Live once in a process of its own; return how that ended."""
        self.lives += 1
        book = self.folder / f"book-{self.lives}"
        given = (self.settings, self.lives * _STEP, book, at, record, S3_CREDENTIALS)
        process = _PROCESSES.Process(target=live, args=given)
        process.start()
        process.join(_PATIENCE)
        self.books.append(Ledger.read(book))
        return process.exitcode

    def record(self) -> list[points.Hit]:
        """Live to the end, and return all that one comes by."""
        path = self.folder / "record"
        assert self.live(None, path) == 0
        return points.hits(path)

    def die(self, at: points.Hit) -> None:
        """Live, be killed at a point, and check what is left."""
        ended = self.live(at)
        assert ended == -signal.SIGKILL, f"{at}: not reached, the process ended with {ended}"
        with self.reopened() as bench:
            settle(bench, self.books[-1])
            self.checker.check(bench)

    def reopened(self) -> AbstractContextManager[Restarted]:
        """Open the installation anew."""
        return Restarted.after(self.settings, self.lives * _STEP)

    def finish(self) -> int:
        """Collect all that can be, look at every book and byte again, and return how many images there are."""
        with self.reopened() as bench:
            bench.collect_everything(timedelta(days=3))
            for book in self.books:
                settle(bench, book)
            checked = self.checker.check(bench, again=True)
            require_nothing_left(bench)
        return checked.images


def chosen(found: Sequence[points.Hit], *, every: bool) -> list[points.Hit]:
    """Return where to die: at each point the first time and, if asked, at every later time too."""
    return [hit for hit in found if every or hit.number == 1]

"""``/readyz``: which part is away, and that asking does not make it worse."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest

from moorage import draining, readiness
from moorage.readiness import Readiness

if TYPE_CHECKING:
    from pathlib import Path

from tests.registry.kit import Bench


def away(*_: Any) -> Any:
    """Fail as what cannot be reached does."""
    raise ConnectionRefusedError("nobody there")


async def asked(ready: Readiness, times: int = 1) -> dict[str, bool]:
    """Ask at once, as often as told; all get the same answer."""
    answers = await asyncio.gather(*(ready.check() for _ in range(times)))
    assert all(answer == answers[0] for answer in answers)
    return answers[0]


def test_all_is_well(tmp_path: Path) -> None:
    """A registry whose parts answer is ready."""
    with Bench.opened(tmp_path) as bench:
        assert asyncio.run(asked(Readiness(bench.registry))) == {"database": True, "store": True}


@pytest.mark.parametrize("part", ["database", "store"])
def test_what_is_away_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str) -> None:
    """A part that fails is named, and the other one is not."""
    with Bench.opened(tmp_path) as bench:
        monkeypatch.setattr(readiness, f"_reach_{part}", away)
        assert asyncio.run(asked(Readiness(bench.registry))) == {"database": True, "store": True} | {part: False}


def test_what_is_silent_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that does not answer is away after a while; it is asked once, however often we are."""
    calls: list[Any] = []
    answers = threading.Event()

    def wait(registry: Any) -> None:
        calls.append(registry)
        answers.wait(60)

    monkeypatch.setattr(readiness, "_PATIENCE", 0.05)
    monkeypatch.setattr(readiness, "_FRESH", 0.0)
    monkeypatch.setattr(readiness, "_reach_database", wait)

    async def silent_then_there(ready: Readiness) -> None:
        for _ in range(3):
            assert await asked(ready, 20) == {"database": False, "store": True}
        assert len(calls) == 1
        answers.set()
        while not (await asked(ready))["database"]:
            pass

    with Bench.opened(tmp_path) as bench:
        asyncio.run(silent_then_there(Readiness(bench.registry)))


def test_an_answer_holds_for_a_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many ask, the parts are asked once a second."""
    calls: list[Any] = []
    monkeypatch.setattr(readiness, "_reach_store", calls.append)
    monkeypatch.setattr(readiness, "_FRESH", 60.0)

    async def often(ready: Readiness) -> None:
        for _ in range(5):
            await asked(ready, 10)

    with Bench.opened(tmp_path) as bench:
        asyncio.run(often(Readiness(bench.registry)))
    assert len(calls) == 1


def test_who_is_going_is_not_ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the signal on a worker is not ready, and tells those who asked to be told, once."""
    told: list[int] = []
    monkeypatch.setattr(draining, "_begun", threading.Event())
    monkeypatch.setattr(draining, "_actions", [])
    draining.when_begun(lambda: told.append(1))
    draining.begin()
    draining.begin()

    with Bench.opened(tmp_path) as bench:
        assert asyncio.run(asked(Readiness(bench.registry))) == {"draining": False}
    assert told == [1]

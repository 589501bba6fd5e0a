"""The clock is wrong: it leaps an hour ahead and an hour back, while pushes, jobs and tokens go on."""

from __future__ import annotations

import itertools
import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from moorage.domain.errors import ExpiredCredential
from moorage.jobs import Job, Run, leases
from moorage.jobs.collection import collect
from moorage.jobs.runner import Runner
from moorage.jobs.uploads import expire_uploads
from moorage.registry import images
from moorage.registry.auth import TOKEN_LIFETIME, Password, issue_token
from moorage.registry.tables import uploads
from tests import content
from tests.races.test_writers import require_whole, rows
from tests.registry.kit import ACCOUNT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from moorage.registry.core import Registry
    from moorage.registry.repositories import Repository
    from tests.registry.kit import Bench

HOUR = timedelta(hours=1)
PUSHERS, IMAGES, PARTS = 4, 40, 12


class Leaping:
    """A clock that is right, an hour ahead and an hour behind in turn: whoever looks twice sees it leap."""

    def __init__(self) -> None:
        self._wrong = itertools.cycle([timedelta(), HOUR, -HOUR])

    def __call__(self) -> datetime:
        """Return the time, or not quite."""
        return datetime.now(UTC) + next(self._wrong)


def token_of(bench: Bench) -> Password:
    """Return a new authorization token of the root."""
    with bench.read() as ctx:
        return Password("AWS", issue_token(ctx, ACCOUNT).password)


def set_clock(patch: pytest.MonkeyPatch, bench: Bench, clock: Callable[[], datetime]) -> None:
    """Let a worker go by a clock, its keyring too."""
    patch.setattr(bench.registry, "clock", clock)
    patch.setattr(bench.registry.keyring, "_clock", lambda: clock().timestamp())


@pytest.fixture
def workers(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Bench, Bench]]:
    """Two workers whose clocks leap; both work with one token that was issued before."""
    with bench.other_worker() as other:
        token = token_of(bench)
        for worker in (bench, other):
            monkeypatch.setitem(worker.__dict__, "root", token)
            set_clock(monkeypatch, worker, Leaping())
        yield bench, other


def push(workers: tuple[Bench, Bench], repository: Repository, tag: str) -> content.Image:
    """Push an image, each layer half by one worker and half by another."""
    here, there = workers
    image = content.image()
    for part in (image.config, *image.layers):
        upload, middle = here.begin(repository), len(part) // 2
        for worker, data in ((here, part[:middle]), (there, part[middle:])):
            with worker.appender(upload, repository) as appender:
                appender.write(data)
                appender.commit()
        with here.appender(upload, repository) as appender:
            appender.finish([content.digest_of(part)])
    there.put(image.manifest, tag, repository=repository)
    return image


def test_nothing_that_is_pushed_is_lost(workers: tuple[Bench, Bench], repository: Repository) -> None:
    """Pushes by four at once, while uploads are expired and bytes collected, are all there and whole; no upload is left."""
    here, _ = workers
    tags = [f"v{number}" for number in range(IMAGES)]

    with ThreadPoolExecutor(PUSHERS) as threads:
        pushing = {tag: threads.submit(push, workers, repository, tag) for tag in tags}
        while not all(one.done() for one in pushing.values()):
            for worker in workers:
                expire_uploads(worker.registry, worker.registry.clock(), Run())
                collect(worker.registry, worker.registry.clock(), Run())

    require_whole(here, repository)
    assert rows(here, uploads, repository) == []
    for tag, pushed in pushing.items():
        image = pushed.result()
        with here.read() as ctx:
            assert images.digest_of_tag(ctx, repository, tag) == image.digest
        for part in (image.config, *image.layers):
            assert here.stored(content.digest_of(part), repository) == part


def test_work_is_finished_once(workers: tuple[Bench, Bench]) -> None:
    """Of those who run a part, because to their clock the lease of another has run out, one says what came of it."""
    began: Counter[str] = Counter()
    outcomes: Counter[str] = Counter()

    def work(_registry: Registry, _now: datetime, run: Run) -> None:
        began[run.argument] += 1

    def observe(_name: str, outcome: str, _seconds: float) -> None:
        outcomes[outcome] += 1

    def waiting(bench: Bench) -> bool:
        with bench.registry.database.read() as tx:
            return bool(leases.rows(tx, "part"))

    with workers[0].registry.database.write() as tx:
        for number in range(PARTS):
            leases.ask(tx, "part", str(number), datetime.now(UTC))

    def run_all(bench: Bench) -> None:
        runner = Runner(bench.registry, [Job("part", work, None, "A test's.")], poll=1, observe=observe)
        while waiting(bench):
            runner.run_next()

    with ThreadPoolExecutor(2 * len(workers)) as threads:
        list(threads.map(run_all, workers * 2))

    assert outcomes["ok"] == len(began) == PARTS
    assert set(outcomes) <= {"ok", "lost"}
    assert outcomes.total() == began.total()


def runner_of(bench: Bench, work: Callable[[Registry, datetime, Run], None], outcomes: list[str]) -> Runner:
    """Return a worker's runner of one job; what comes of it is added to ``outcomes``."""
    job = Job("one", work, None, "A test's.")
    return Runner(bench.registry, [job], poll=1, observe=lambda _name, outcome, _seconds: outcomes.append(outcome))


def test_a_lease_has_one_holder(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """When a worker whose clock leaps ahead takes a lease over, the first holder has lost it."""
    of_first: list[str] = []
    of_second: list[str] = []
    with bench.other_worker() as other:
        second = runner_of(other, lambda *_: None, of_second)

        def work(_registry: Registry, _now: datetime, _run: Run) -> None:
            assert not second.run_next()
            set_clock(monkeypatch, other, lambda: datetime.now(UTC) + HOUR)
            assert second.run_next()

        with bench.registry.database.write() as tx:
            leases.ask(tx, "one", "", datetime.now(UTC))
        assert runner_of(bench, work, of_first).run_next()

    assert (of_first, of_second) == (["lost"], ["ok"])


def test_a_clock_that_was_put_right_gives_no_lease_away(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lease that was taken an hour ahead is kept when the clock is right again, and its job runs on as before."""
    seen: list[bool] = []
    set_clock(monkeypatch, bench, lambda: datetime.now(UTC) + HOUR)
    with bench.other_worker() as other:
        late = Runner(other.registry, [Job("kept", lambda *_: None, HOUR, "A test's.")], poll=1)

        def work(_registry: Registry, _now: datetime, _run: Run) -> None:
            set_clock(monkeypatch, bench, lambda: datetime.now(UTC))
            seen.append(late.run_next())

        runner = Runner(bench.registry, [Job("kept", work, HOUR, "A test's.")], poll=1)
        runner.ensure_rows()
        assert runner.run_next()

    with bench.registry.database.read() as tx:
        (row,) = leases.rows(tx, "kept")
    assert (seen, row["outcome"], row["leased_by"]) == ([False], leases.OK, None)
    assert row["next_run_at"] <= datetime.now(UTC) + 2 * HOUR


@pytest.mark.parametrize("leap", [HOUR, -HOUR])
def test_a_token_lives_its_time_by_the_right_clock(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, leap: timedelta
) -> None:
    """A token that was issued by a wrong clock is good at once, and for an hour more or less than its time."""
    now = datetime.now(UTC)
    with bench.other_worker() as other:
        set_clock(monkeypatch, bench, lambda: now)
        set_clock(monkeypatch, other, lambda: now + leap)
        token = token_of(other)
        end = now + leap + TOKEN_LIFETIME

        def is_good(at: datetime) -> bool:
            set_clock(monkeypatch, bench, lambda: at)
            try:
                with bench.registry.read(token):
                    return True
            except ExpiredCredential:
                return False

        assert [is_good(at) for at in (now, end - timedelta(seconds=2), end)] == [True, True, False]


def test_new_bytes_do_not_look_old(workers: tuple[Bench, Bench]) -> None:
    """What waits for its image is not collected by a clock that leaps."""
    here, there = workers
    data = os.urandom(100)
    digest = here.blob(data)
    for _ in range(6):
        collect(there.registry, there.registry.clock(), Run())
    assert here.stored(digest) == data

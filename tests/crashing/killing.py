"""Random kills under load, and what is checked after each of them."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from unittest import mock

import sqlalchemy as sa

from moorage.config import Settings
from moorage.domain.errors import Failure
from moorage.registry.tables import condemned, deleted_images, jobs, loose_blobs, loose_layers
from tests import servers, stacks
from tests.crashing.checker import Checker, require_nothing_left, settle
from tests.crashing.ledger import Wrong
from tests.crashing.load import Client
from tests.crashing.scenario import Restarted
from tests.crashing.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tests.stacks import Stack

_PAST: Final = timedelta(days=2)
_SERVING: Final = (sys.executable, "-m", "tests.crashing.serving")
_VARIABLES: Final = {"MOORAGE_GC_GRACE_MINUTES": "1", "MOORAGE_JOBS_POLL_SECONDS": "1", "MOORAGE_LOG_LEVEL": "error"}
_ANSWERS: Final = 40
"""Between two kills, all clients together get fewer answers than this."""
_POLL: Final = 0.02
_WHOLE: Final = 0.04
"""Of all kills, those of a whole server: its parent and all its workers in one moment."""


@dataclass
class Told:
    """What a run has come to."""

    kills: int = 0
    servers: int = 0
    """Kills of whole servers."""
    checks: int = 0
    images: int = 0
    """That were there in the end."""
    pulled: int = 0
    """Of them, by a real client."""
    done: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0


class Target:
    """A server that is killed and comes back on its port."""

    def __init__(self, data: Path, flags: list[str], workers: int) -> None:
        self._given = {"data": data, "flags": flags, "workers": workers, "port": servers.free_port()}
        self.server = self._start()

    def _start(self) -> servers.Server:
        given: Any = self._given
        chosen = {"port": given["port"], "workers": given["workers"]}
        return servers.start(given["data"], *given["flags"], **chosen, program=_SERVING, variables=_VARIABLES)

    def workers(self) -> list[int]:
        """Return the ids of the workers."""
        pid = self.server.process.pid
        try:
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        except FileNotFoundError:
            return []
        return [int(child) for child in children]

    def kill_worker(self, chosen: Callable[[list[int]], int]) -> bool:
        """Kill one worker; tell whether there was one."""
        workers = self.workers()
        if not workers:
            return False
        with contextlib.suppress(ProcessLookupError):
            os.kill(chosen(workers), signal.SIGKILL)
        return True

    def kill_all(self) -> None:
        """Kill the server and all its workers, as a power cut would."""
        mine = self.workers()
        self.server.process.kill()
        for pid in mine:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._reap()

    def _reap(self) -> None:
        self.server.process.wait()
        self.server.reader.join(timeout=30)
        if self.server.process.stdout is not None:
            self.server.process.stdout.close()

    def restart(self) -> None:
        """Start the server again, whose port is free when the last of its workers has gone."""
        deadline = time.monotonic() + 60
        while True:
            try:
                self.server = self._start()
            except RuntimeError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
            else:
                return

    @property
    def is_down(self) -> bool:
        """Whether the parent has ended."""
        return self.server.process.poll() is not None


@contextlib.contextmanager
def opened(name: str) -> Iterator[Stack]:
    """Start a stack, whose bucket this process may look into too."""
    with mock.patch.dict(os.environ, servers.S3_CREDENTIALS), stacks.opened(name) as stack:
        yield stack


def hurry(bench: Restarted, *, windows: bool) -> None:
    """Let the time of all that waits have come: what the collector may take it takes now, and jobs are free."""
    past = bench.registry.clock() - _PAST
    changes = [sa.update(table).values(due_at=past) for table in (loose_layers, loose_blobs, condemned)]
    # Who died with a claim or a lease is not waited for.
    changes.append(sa.update(condemned).values(claimed_until=None))
    ours = sa.update(jobs).where(jobs.c.name.in_(["gc", "gc-help"]))
    changes.append(ours.values(next_run_at=past, leased_until=past))
    if windows:
        changes.append(sa.update(deleted_images).values(expires_at=past))
    for change in changes:
        # Rows in any order: now and then that is a deadlock with somebody who has them in order.
        with contextlib.suppress(Failure), bench.registry.database.write() as tx:
            tx.execute(change)


class Killing:
    """A run: clients, a killer, and somebody who lets time fly."""

    def __init__(self, folder: Path, stack: Stack, *, seed: int, clients: int = 4, workers: int = 4) -> None:
        data = folder / "data"
        flags = stack.flags(data)
        words = {
            name.removeprefix("--").replace("-", "_"): value for name, value in zip(*[iter(flags)] * 2, strict=True)
        }
        given: Any = {"data": data, "account_id": servers.ACCOUNT, "region": servers.REGION, "gc_grace_minutes": 1}
        self.settings = Settings(**given, **words)
        self.random = random.Random(seed)  # noqa: S311 (reproducible, hides nothing)
        self.target = Target(data, flags, workers)
        self.checker, self.told = Checker(), Told()
        self.ended = threading.Event()
        self.problems: list[BaseException] = []
        self._seed, self._count = seed, clients

    def run(self, kills: int, say: Callable[[str], object] = lambda _: None) -> Told:
        """Kill so many times; raises `Wrong` for whatever is."""
        began = time.monotonic()
        with Restarted.after(self.settings) as bench:
            clients = list(self._clients(bench))
            threads = [threading.Thread(target=self._guarded, args=(client.run, self.ended)) for client in clients]
            threads.append(threading.Thread(target=self._guarded, args=(self._hurry, bench)))
            for thread in threads:
                thread.start()
            try:
                self._kill(kills, clients, bench, say)
            finally:
                self.ended.set()
                self._revive()
                for thread in threads:
                    thread.join()
        if self.problems:
            raise self.problems[0]
        self._finish(clients)
        self.told.seconds = time.monotonic() - began
        self.told.done = {name: sum(c.done[name] for c in clients) for c in clients for name in c.done}
        return self.told

    def _clients(self, bench: Restarted) -> Iterator[Client]:
        for number in range(self._count + 1):
            bench.repository(f"load-{number}")
        for number in range(self._count):
            yield Client(number, Wire(self.target.server), bench, self._seed)

    def _guarded(self, work: Callable[[Any], object], given: Any) -> None:
        try:
            work(given)
        except BaseException as problem:  # noqa: BLE001 (raised by the run)
            self.problems.append(problem)
            self.ended.set()

    def _hurry(self, bench: Restarted) -> None:
        turn = 0
        while not self.ended.wait(0.7):
            turn += 1
            hurry(bench, windows=turn % 20 == 0)

    def _let_work(self, clients: Sequence[Client]) -> None:
        """Wait until the clients have had some answers, so that on any machine there is something to interrupt."""
        wanted = sum(client.wire.answers for client in clients) + self.random.randrange(_ANSWERS)
        while sum(client.wire.answers for client in clients) < wanted and not self.ended.wait(_POLL):
            pass
        # Somewhere in the middle of a request.
        self.ended.wait(self.random.uniform(0, _POLL))

    def _kill(self, kills: int, clients: Sequence[Client], bench: Restarted, say: Callable[[str], object]) -> None:
        while self.told.kills < kills and not self.ended.is_set():
            self._let_work(clients)
            self.told.kills += 1
            if self.random.random() < _WHOLE:
                self.told.servers += 1
                self.target.kill_all()
            elif not self.target.kill_worker(self.random.choice):
                self.told.kills -= 1
            self._revive()
            if self.told.kills % 10 == 0:
                self._check(bench)
            if self.told.kills % 100 == 0:
                say(f"{self.told.kills} kills, {self.told.checks} checks")

    def _revive(self) -> None:
        if self.target.is_down:
            self.target.kill_all()
            self.target.restart()

    def _check(self, bench: Restarted) -> None:
        self.checker.check(bench)
        self.told.checks += 1

    def _finish(self, clients: list[Client]) -> None:
        """Look at everything once more: over the wire, then, with the server gone, in rows and bytes."""
        for client in clients:
            client.look()
            self.told.images += client.pull_all()
        self._pull_for_real(clients)
        self.target.kill_all()
        with Restarted.after(self.settings) as bench:
            for client in clients:
                settle(bench, client.book)
            self.checker.check(bench, again=True)
            bench.collect_everything(timedelta(days=3))
            for client in clients:
                settle(bench, client.book)
            self.checker.check(bench, again=True)
            require_nothing_left(bench)

    def _pull_for_real(self, clients: Sequence[Client]) -> None:
        """Pull an image of each client with skopeo, where that is installed."""
        tool = shutil.which("skopeo")
        for client in clients if tool else ():
            for name in list(client.book.tags(client.name))[:1]:
                folder = self.settings.data.parent / f"pulled-{client.name}"
                words = ["copy", "--src-tls-verify=false", "--src-creds", f"AWS:{self.target.server.password()}"]
                words += [f"docker://{self.target.server.host}/{client.name}:{name}", f"dir:{folder}"]
                done = subprocess.run([str(tool), *words], capture_output=True, text=True, check=False, timeout=120)
                if done.returncode:
                    raise Wrong(f"skopeo cannot pull {client.name}:{name}: {done.stderr[-500:]}")
                self.told.pulled += 1

    def close(self) -> None:
        """End whatever runs."""
        self.target.kill_all()

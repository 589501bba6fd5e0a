"""Clients that push and pull through the proxy until they are told to stop, and what they met."""

from __future__ import annotations

import os
import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Self

from urllib3.exceptions import HTTPError

from tests import content

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.servers import Server

ATTEMPTS: Final = 5
PAUSE: Final = 0.2
LAYER: Final = 512 * 1024
AGAIN: Final = frozenset({429, 500, 502, 503, 504})
"""What docker, skopeo and the SDKs send a request again for."""


class GivenUp(AssertionError):
    """An operation that did not succeed, however often it was tried."""


@dataclass
class Met:
    """What clients met, all together."""

    operations: int = 0
    answers: Counter[tuple[str, str]] = field(default_factory=Counter)
    """How often an operation had to be tried again, by its method and what had come instead of the answer."""
    most: int = 0
    """Of one operation, the most attempts that failed."""


class Client:
    """A client which tries again, as all do, and counts how often it had to."""

    def __init__(self, front: Server, token: str, met: Met) -> None:
        self.front = front
        self.token = token
        self.met = met

    def send(self, method: str, path: str, body: Any = None, wanted: int = 200, **headers: str) -> Any:
        """Send a request until it is answered; raises `GivenUp`."""
        self.met.operations += 1
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        for failed in range(ATTEMPTS):
            self.met.most = max(self.met.most, failed)
            try:
                answer = self.front.request(method, path, token=self.token, headers=named, body=body)
            except HTTPError as problem:
                self.met.answers[method, type(problem).__name__] += 1
            else:
                if answer.status == wanted:
                    return answer
                self.met.answers[method, str(answer.status)] += 1
                if answer.status not in AGAIN and not (failed and answer.status == 404):
                    raise GivenUp(f"{method} {path}: {answer.status} {answer.data!r}")
                if answer.status == 404:
                    return answer
            threading.Event().wait(PAUSE)
        raise GivenUp(f"{method} {path}")

    def push_blob(self, repository: str, data: bytes) -> None:
        """Push a blob: its bytes in one request, its end in another."""
        digest = content.digest_of(data)
        begun = self.send("POST", f"/v2/{repository}/blobs/uploads/", wanted=202)
        sent = self.send("PATCH", begun.headers["Location"], data, wanted=202, Content_Type="application/octet-stream")
        done = self.send("PUT", f"{sent.headers['Location']}?digest={digest}", wanted=201)
        if done.status != 201:
            # The answer to the attempt before was lost.
            self.send("HEAD", f"/v2/{repository}/blobs/{digest}")

    def push(self, repository: str, image: content.Image) -> None:
        """Push an image."""
        for part in (image.config, *image.layers):
            self.push_blob(repository, part)
        path = f"/v2/{repository}/manifests/{image.digest}"
        self.send("PUT", path, image.manifest, wanted=201, Content_Type=image.media_type)

    def pull(self, repository: str, image: content.Image) -> None:
        """Pull an image, byte for byte."""
        assert self.send("GET", f"/v2/{repository}/manifests/{image.digest}").data == image.manifest
        for part in (image.config, *image.layers):
            assert self.send("GET", f"/v2/{repository}/blobs/{content.digest_of(part)}").data == part


def image() -> content.Image:
    """Return a new image whose layer is long enough to be under way for a moment."""
    return content.image(content.layer(os.urandom(LAYER)), content.layer())


class Load:
    """Threads of clients: some push, some pull what has been pushed."""

    def __init__(self, front: Server, repository: str, pushers: int = 2, pullers: int = 2) -> None:
        self.client = Client(front, front.token(), Met())
        self.repository = repository
        self.acknowledged: list[content.Image] = []
        self.pulled = 0
        self.errors: list[BaseException] = []
        self._stop = threading.Event()
        self._more = threading.Condition()
        work = [*[self._push] * pushers, *[self._pull] * pullers]
        self._threads = [threading.Thread(target=self._run, args=[one]) for one in work]

    @property
    def met(self) -> Met:
        """What the clients met."""
        return self.client.met

    def __enter__(self) -> Self:
        """Let them begin."""
        for thread in self._threads:
            thread.start()
        self.wait_for(2)
        return self

    def __exit__(self, *_: object) -> None:
        """Let each finish its image."""
        self._stop.set()
        with self._more:
            self._more.notify_all()
        for thread in self._threads:
            thread.join()
        if self.errors:
            raise self.errors[0]

    def wait_for(self, more: int) -> None:
        """Wait until some more images have been pushed, and as many pulled."""
        with self._more:
            pushed, pulled = len(self.acknowledged) + more, self.pulled + more
            assert self._more.wait_for(
                lambda: self.errors or (len(self.acknowledged) >= pushed and self.pulled >= pulled), timeout=120
            )

    def _run(self, work: Callable[[int], None]) -> None:
        try:
            number = 0
            while not self._stop.is_set():
                work(number)
                number += 1
        except BaseException as error:  # noqa: BLE001 (raised when the block ends)
            self.errors.append(error)
            with self._more:
                self._more.notify_all()

    def _push(self, _: int) -> None:
        pushed = image()
        self.client.push(self.repository, pushed)
        with self._more:
            self.acknowledged.append(pushed)
            self._more.notify_all()

    def _pull(self, number: int) -> None:
        with self._more:
            self._more.wait_for(lambda: self.acknowledged or self._stop.is_set())
            if not self.acknowledged:
                return
            # The newest, which another node may have taken, and older ones in turn.
            wanted = self.acknowledged[-1 if number % 2 else number // 2 % len(self.acknowledged)]
        self.client.pull(self.repository, wanted)
        with self._more:
            self.pulled += 1
            self._more.notify_all()

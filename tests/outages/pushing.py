"""Clients that push and do not give up at the first refusal, and what they met."""

from __future__ import annotations

import json
import threading
from collections import Counter
from typing import TYPE_CHECKING, Any, Final, Self

from tests import content

if TYPE_CHECKING:
    import urllib3

    from tests.servers import Server

ATTEMPTS: Final = 60
"""Of one request; each is answered after a while, or after a pause, so that they last for an outage."""
PAUSE: Final = 0.25


class GivenUp(AssertionError):
    """A request that did not succeed, however often it was sent."""


class Pushers:
    """Threads that push images until they are told to stop, each to a repository of its own."""

    def __init__(self, server: Server, count: int, repository: str) -> None:
        self.server = server
        self.repository = repository
        self.token = server.token()
        self.answers: Counter[tuple[int, str]] = Counter()
        """How often there was which status with which code of an error."""
        self.odd: list[Any] = []
        """Answers of an outage that do not say when to come again."""
        self.acknowledged: list[content.Image] = []
        self.errors: list[BaseException] = []
        self._stop = threading.Event()
        self._more = threading.Condition()
        self._threads = [threading.Thread(target=self._run, args=[number]) for number in range(count)]

    def __enter__(self) -> Self:
        """Let them begin."""
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Let each finish its image."""
        self._stop.set()
        for thread in self._threads:
            thread.join()
        if self.errors:
            raise self.errors[0]

    def wait_for(self, more: int) -> None:
        """Wait until some more images have been acknowledged."""
        with self._more:
            wanted = len(self.acknowledged) + more
            assert self._more.wait_for(lambda: self.errors or len(self.acknowledged) >= wanted, timeout=90)

    def _run(self, number: int) -> None:
        try:
            while not self._stop.is_set():
                self._push(f"p{number}")
        except BaseException as error:  # noqa: BLE001 (raised when the block ends)
            with self._more:
                self.errors.append(error)
                self._more.notify_all()

    def _push(self, tag: str) -> None:
        image = content.image()
        for part in (image.config, *image.layers):
            self._push_blob(part)
        done = self.send("PUT", f"manifests/{tag}", image.manifest, {"Content-Type": image.media_type}, wanted={201})
        assert done.headers["Docker-Content-Digest"] == image.digest
        with self._more:
            self.acknowledged.append(image)
            self._more.notify_all()

    def _push_blob(self, data: bytes) -> None:
        digest = content.digest_of(data)
        for _ in range(ATTEMPTS):
            begun = self.send("POST", "blobs/uploads/", None, {}, wanted={202})
            path = begun.headers["Location"].partition("/blobs/")[2]
            done = self.send("PUT", f"blobs/{path}?digest={digest}", data, {}, wanted={201, 404})
            if done.status == 201:
                return
            # The answer to an attempt before this one was lost, and it had succeeded, or its upload had not.
            if self.send("HEAD", f"blobs/{digest}", None, {}, wanted={200, 404}).status == 200:
                return
        raise GivenUp(digest)

    def send(self, method: str, path: str, body: Any, headers: dict[str, str], wanted: set[int]) -> Any:
        """Send a request until it is answered as wanted; anything else than an outage ends the test."""
        pause = threading.Event()
        for _ in range(ATTEMPTS):
            answer = self.server.request(
                method, f"/v2/{self.repository}/{path}", token=self.token, headers=headers, body=body
            )
            self.answers[answer.status, _code(answer)] += 1
            if answer.status in wanted:
                return answer
            if answer.status != 503 or "Retry-After" not in answer.headers:
                self.odd.append((method, path, answer.status, answer.data))
                break
            pause.wait(PAUSE)
        raise GivenUp(f"{method} {path}: {answer.status} {answer.data!r}")


def _code(answer: urllib3.BaseHTTPResponse) -> str:
    if answer.status < 400 or not answer.data:
        return ""
    code: str = json.loads(answer.data)["errors"][0]["code"]
    return code


def require_pullable(server: Server, repository: str, images: list[content.Image]) -> None:
    """Assert that every image is there, byte for byte."""
    token = server.token()
    for image in images:
        pulled = server.request("GET", f"/v2/{repository}/manifests/{image.digest}", token=token)
        assert pulled.data == image.manifest
        for part in (image.config, *image.layers):
            path = f"/v2/{repository}/blobs/{content.digest_of(part)}"
            assert server.request("GET", path, token=token).data == part

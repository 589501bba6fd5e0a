"""The wire of a client whose server may die at any moment."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

import urllib3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from urllib3.exceptions import HTTPError

from tests.content import digest_of
from tests.crashing.ledger import Wrong

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.servers import Server

_PATIENCE: Final = 120.0
"""Seconds after which a server that does not come back is a bug."""
_POLL: Final = 0.05
_SERVER_FAILED: Final = 500


class Lost(Exception):
    """No answer, or that the server has failed: what was asked for may have been done."""


class Refused(Exception):
    """The server says that it has not been done."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(f"{status} {code}")
        self.status = status
        self.code = code


class Wire:
    """Requests with a good token, and no second try that nobody knows of."""

    def __init__(self, server: Server) -> None:
        self.answers = 0
        """That came, whatever they said."""
        self._url, self._token = server.url, server.token()
        self._pool = urllib3.PoolManager(maxsize=2, retries=False, timeout=urllib3.Timeout(connect=5, read=60))
        self._ecr = server.client(config=Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=60))

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> urllib3.BaseHTTPResponse:
        """Send a request; raises `Lost` and `Refused`."""
        given = {"Authorization": f"Basic {self._token}", "Accept": "*/*", **headers}
        url = path if path.startswith("http") else self._url + path
        try:
            answer = self._pool.request(method, url, headers=given, body=body, redirect=False)
        except (HTTPError, OSError) as problem:
            raise Lost(str(problem)) from None
        self.answers += 1
        if answer.status >= _SERVER_FAILED:
            raise Lost(f"{answer.status}")
        if answer.status >= 400:
            raise Refused(answer.status, answer.data.decode(errors="replace")[:300])
        return answer

    def ecr(self, operation: str, **given: Any) -> Any:
        """Call an operation of ECR's API; raises `Lost` and `Refused`."""
        call: Callable[..., Any] = getattr(self._ecr, operation)
        try:
            return call(**given)
        except ClientError as error:
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
            if status >= _SERVER_FAILED:
                raise Lost(str(error)) from None
            raise Refused(status, error.response["Error"]["Code"]) from None
        except (BotoCoreError, HTTPError, OSError) as problem:
            raise Lost(str(problem)) from None

    def blob(self, repository: str, digest: str) -> bytes:
        """Pull a blob, from wherever the server sends us."""
        answer = self.ask("GET", f"/v2/{repository}/blobs/{digest}")
        if answer.status in {302, 307}:
            try:
                answer = self._pool.request("GET", answer.headers["Location"])
            except (HTTPError, OSError) as problem:
                raise Lost(str(problem)) from None
        if digest_of(answer.data) != digest:
            raise Wrong(f"{repository}@{digest}: other bytes were served ({answer.status}, {len(answer.data)} bytes)")
        return answer.data

    def wait(self) -> None:
        """Wait until the server answers again."""
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                self.ask("GET", "/readyz")
            except (Lost, Refused) as problem:
                if time.monotonic() > deadline:
                    raise Wrong(f"the server has not come back: {problem}") from None
                time.sleep(_POLL)
            else:
                return

"""
Requests to the application in this process: the whole way of one but its socket, by the processor's own clock.

Where other programs share the machine, the time that passes says what they did; the processor's time
says what the request cost.
"""

from __future__ import annotations

import asyncio
import gc
import json
import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self
from urllib.parse import urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from moorage import app
from moorage.installation import read_root_key

if TYPE_CHECKING:
    from collections.abc import Mapping

    from moorage.registry.core import Registry
    from moorage.registry.keys import AccessKey

HOST: Final = "localhost:5100"
_TARGET: Final = "AmazonEC2ContainerRegistry_V20150921."


class Request(NamedTuple):
    """A request as a server gives it to an application."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes = b""


class Answer(NamedTuple):
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes


class Cost(NamedTuple):
    """What one request took, in milliseconds: the least of several groups of them, where others disturbed the least."""

    processor: float
    elapsed: float


class Calls:
    """One client of a registry in this process, by default root."""

    def __init__(self, registry: Registry, key: AccessKey | None = None) -> None:
        self.registry = registry
        self._app = app.create_app(registry=registry)
        self._loop = asyncio.new_event_loop()
        key = key or read_root_key(registry.settings.data, registry.settings.account_id)
        if key is None:
            raise RuntimeError("the installation was not prepared")
        self._key = Credentials(key.access_key_id, key.secret_access_key)
        data = json.loads(self.send(self.signed("GetAuthorizationToken")).body)["authorizationData"]
        self.token: str = data[0]["authorizationToken"]
        # As in a server's workers: what is there for good is not looked at again.
        gc.collect()
        gc.freeze()

    def __enter__(self) -> Self:
        """Do nothing yet."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the loop; the registry is its owner's to close."""
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()

    def signed(self, operation: str, members: Mapping[str, Any] | None = None, host: str = HOST) -> Request:
        """Return a request at the AWS door, signed now: good for five minutes."""
        body = json.dumps(members or {}).encode()
        headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": _TARGET + operation}
        request = AWSRequest("POST", f"http://{host}/", headers=headers, data=body)
        SigV4Auth(self._key, "ecr", self.registry.settings.region).add_auth(request)
        # What boto3 sends beside it.
        more = {"Host": host, "User-Agent": "Boto3/1.40 md/Botocore#1.40", "Content-Length": str(len(body))}
        return Request("POST", "/", {**more, **dict(request.headers.items())}, body)

    def at_v2(self, path: str, method: str = "GET", body: bytes = b"", **headers: str) -> Request:
        """Return a request at the distribution door."""
        given = {"Host": HOST, "Authorization": f"Basic {self.token}", "User-Agent": "docker/28"}
        more = {name.replace("_", "-"): value for name, value in headers.items()}
        return Request(method, path, {**given, **more, "Content-Length": str(len(body))}, body)

    def send(self, request: Request) -> Answer:
        """Send it; raise RuntimeError for an answer that is a failure."""
        answer = self._loop.run_until_complete(self._send(request))
        if answer.status >= 400:  # noqa: PLR2004 (HTTP)
            raise RuntimeError(f"{request.method} {request.path}: {answer}")
        return answer

    async def _send(self, request: Request) -> Answer:
        url = urlsplit(request.path)
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": request.method,
            "scheme": "http",
            "path": url.path,
            "raw_path": url.path.encode(),
            "query_string": url.query.encode(),
            "root_path": "",
            "headers": [(name.lower().encode(), value.encode()) for name, value in request.headers.items()],
            "client": ("127.0.0.1", 50_000),
            "server": ("127.0.0.1", 5100),
            "state": {},
        }
        status, headers, body = 0, dict[str, str](), bytearray()

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": request.body, "more_body": False}

        async def send(message: Mapping[str, Any]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers.update((name.decode(), value.decode()) for name, value in message["headers"])
            body.extend(message.get("body", b""))

        await self._app(scope, receive, send)
        return Answer(status, headers, bytes(body))

    def cost(self, request: Request, *, times: int = 20, groups: int = 9) -> Cost:
        """Return what a request takes, once it has been asked for some times."""
        for _ in range(max(3, times // 4)):
            self.send(request)
        costs = [self._group(request, times) for _ in range(groups)]
        return Cost(*(min(column) for column in zip(*costs, strict=True)))

    def _group(self, request: Request, times: int) -> Cost:
        async def several() -> None:
            for _ in range(times):
                await self._send(request)

        elapsed, processor = time.perf_counter(), time.process_time()
        self._loop.run_until_complete(several())
        each = 1000 / times
        return Cost((time.process_time() - processor) * each, (time.perf_counter() - elapsed) * each)

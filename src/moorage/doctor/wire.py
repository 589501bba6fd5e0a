"""Requests to the public address, and the troubles that keep them from arriving."""

from __future__ import annotations

import json
import ssl
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urljoin, urlsplit

import urllib3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from urllib3.exceptions import HTTPError, MaxRetryError, NewConnectionError, SSLError

if TYPE_CHECKING:
    from collections.abc import Mapping

_TIMEOUT: Final = urllib3.Timeout(connect=10, read=60)
_LONGEST: Final = 32 * 1024 * 1024
"""Bytes of an answer that are read."""


class Trouble(Exception):
    """Something is wrong on the way: what was seen, and what to do about it."""

    def __init__(self, seen: str, advice: str) -> None:
        super().__init__(seen)
        self.seen = seen
        self.advice = advice


class Answer:
    """An answer with its body read."""

    def __init__(self, response: urllib3.BaseHTTPResponse) -> None:
        self.status = response.status
        self.headers = response.headers
        self.body = response.read(_LONGEST, decode_content=False) or b""
        response.release_conn()

    @property
    def code(self) -> str:
        """The error code of either door, or nothing."""
        try:
            told = json.loads(self.body)
            errors = told.get("errors") or [{"code": str(told.get("__type", "")).rpartition("#")[2]}]
            return str(errors[0].get("code", ""))
        except (ValueError, AttributeError, LookupError, TypeError):
            return ""

    def __str__(self) -> str:
        return f"{self.status} {self.code}".strip()


class Wire:
    """The way to one address, for the holder of one access key."""

    def __init__(self, url: str, region: str, access_key_id: str, secret: str, ca: str | None = None) -> None:
        self.url = url.rstrip("/")
        self.region = region
        self._credentials = Credentials(access_key_id, secret)
        self._http = urllib3.PoolManager(timeout=_TIMEOUT, retries=False, ca_certs=ca)

    def close(self) -> None:
        """Let go of all connections."""
        self._http.clear()

    def send(self, method: str, path: str, headers: Mapping[str, str] | None = None, body: Any = None) -> Answer:
        """Send a request; ``path`` may be an address. Raises `Trouble` if there is no answer."""
        url = urljoin(f"{self.url}/", path)
        try:
            # An iterable goes out in chunks, as docker's uploads do.
            sent = self._http.request(
                method, url, headers=headers, body=body, preload_content=False, redirect=False, chunked=_is_stream(body)
            )
            return Answer(sent)
        except (HTTPError, OSError) as problem:
            raise _unreachable(url, problem) from None

    def call(self, service: str, target: str, members: Mapping[str, Any] | None = None) -> Answer:
        """Send a signed request of ECR (by its operation) or of STS (by its action)."""
        headers, body = {"Content-Type": "application/x-amz-json-1.1"}, json.dumps(members or {}).encode()
        if service == "sts":
            headers, body = {"Content-Type": "application/x-www-form-urlencoded"}, b"Version=2011-06-15&Action="
            body += target.encode()
        else:
            headers["X-Amz-Target"] = f"AmazonEC2ContainerRegistry_V20150921.{target}"
        request = AWSRequest("POST", f"{self.url}/", data=body, headers=headers)
        SigV4Auth(self._credentials, service, self.region).add_auth(request)
        return self.send("POST", "/", dict(request.headers.items()), body)


def _is_stream(body: Any) -> bool:
    return body is not None and not isinstance(body, bytes)


def _unreachable(url: str, problem: Exception) -> Trouble:
    cause = problem.reason if isinstance(problem, MaxRetryError) and problem.reason else problem
    host = urlsplit(url).netloc
    if isinstance(cause, SSLError | ssl.SSLError):
        return Trouble(
            f"{host}: {_reason(cause)}",
            "Clients must trust the CA of the certificate (--ca FILE tries one), and it must name this host.",
        )
    if isinstance(cause, NewConnectionError):
        return Trouble(
            f"{host} cannot be reached: {_reason(cause)}",
            "Is the server (or its proxy) up, does the name lead to it, and is the port open? "
            "If clients use another address, set `public_url` to it.",
        )
    return Trouble(
        f"{host} broke off: {_reason(cause)}",
        "A proxy's time limit is too short, or it takes no body of this kind: let it pass requests on as they come.",
    )


def _reason(cause: Exception) -> str:
    return str(cause).rpartition(": ")[2] or type(cause).__name__

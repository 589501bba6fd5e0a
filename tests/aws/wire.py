"""Requests at the AWS door, signed as AWS describes it, with whatever in them a test wants."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.servers import REGION

if TYPE_CHECKING:
    from collections.abc import Mapping

    import urllib3

    from tests.servers import Server

TARGET = "AmazonEC2ContainerRegistry_V20150921."
CONTENT_TYPE = "application/x-amz-json-1.1"


class Signer(SigV4Auth):
    """botocore's signer, at a time that the test chooses."""

    late = timedelta()

    def add_auth(self, request: AWSRequest) -> None:
        """Sign as of now, and ``late`` before."""
        request.context["timestamp"] = (datetime.now(UTC) - self.late).strftime("%Y%m%dT%H%M%SZ")
        steps: Any = self  # the stubs do not have all of them
        steps._modify_request_before_signing(request)
        text = self.string_to_sign(request, self.canonical_request(request))
        steps._inject_signature_to_request(request, self.signature(text, request))


class QuerySigner(Signer, SigV4QueryAuth):
    """The same for presigned URLs."""


@dataclass(frozen=True)
class Request:
    """A request as it goes out."""

    url: str
    headers: Mapping[str, str]
    body: bytes
    method: str = "POST"

    def with_headers(self, **changes: str | None) -> Request:
        """Return the request with headers changed (``_`` for ``-``), or left out where None."""
        named = {name.replace("_", "-").lower(): value for name, value in changes.items()}
        kept = {name: value for name, value in self.headers.items() if name.lower() not in named}
        return replace(self, headers=kept | {name: value for name, value in named.items() if value is not None})

    def send(self, server: Server) -> Answer:
        """Send it to a server."""
        return Answer(
            server.http.request(
                self.method, self.url, headers=dict(self.headers), body=self.body, redirect=False, timeout=60
            )
        )


@dataclass(frozen=True)
class Sender:
    """Who sends, and to where."""

    server: Server
    region: str = REGION
    service: str = "ecr"
    token: str | None = None
    late: timedelta = timedelta()
    key: str | None = None
    secret: str | None = None
    signer: type[Signer] = Signer
    headers: Mapping[str, str] = field(default_factory=dict)

    def request(self, operation: str | None, body: bytes | Mapping[str, Any] = b"{}", query: str = "") -> Request:
        """Return a signed request for an operation, given its body as bytes or as members."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Host": self.server.host, "Content-Type": CONTENT_TYPE, **self.headers}
        if operation is not None:
            headers["X-Amz-Target"] = operation if "." in operation else TARGET + operation
        root = self.server.key
        key, secret = self.key or root.access_key_id, self.secret or root.secret_access_key
        credentials = Credentials(key, secret, self.token)
        made = AWSRequest("POST", f"{self.server.url}/{query}", headers, data)
        signer = self.signer(credentials, self.service, self.region)
        signer.late = self.late
        signer.add_auth(made)
        return Request(str(made.url), dict(made.headers.items()), data)

    def send(self, operation: str | None, body: bytes | Mapping[str, Any] = b"{}") -> Answer:
        """Send a signed request for an operation."""
        return self.request(operation, body).send(self.server)


@dataclass(frozen=True)
class Answer:
    """What came back."""

    http: urllib3.BaseHTTPResponse

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.http.status

    @property
    def document(self) -> Any:
        """The body, which is JSON."""
        return json.loads(self.http.data)

    @property
    def message(self) -> str:
        """The text of the error."""
        text: str = self.document["message"]
        return text

    def refused(self, code: str, status: int = 400) -> str:
        """Assert that this is an error of that code, in ECR's form; return its message."""
        assert (self.status, self.document.get("__type")) == (status, code), self.http.data
        assert self.http.headers["x-amzn-ErrorType"] == code
        assert self.http.headers["Content-Type"] == CONTENT_TYPE
        assert len(self.http.headers["x-amzn-RequestId"]) == 36
        return self.message

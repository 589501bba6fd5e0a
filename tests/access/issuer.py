"""An issuer of web identities, made here: its keys published over HTTP, and tokens of every kind."""

from __future__ import annotations

import contextlib
import http.server
import json
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

from tests.servers import ACCOUNT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Answer = Callable[[http.server.BaseHTTPRequestHandler], None]

AUDIENCE = "registry"
SUBJECT = "repo:acme/app:ref:main"


@dataclass
class Issuer:
    """A running issuer; what it answers at a path can be changed."""

    url: str
    key: RSAKey
    answers: dict[str, Answer] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    """The paths that were asked for."""

    @property
    def host(self) -> str:
        """The issuer as ARNs and conditions name it."""
        return self.url.partition("://")[2]

    def token(self, key: Any = None, header: dict[str, Any] | None = None, **claims: Any) -> str:
        """Return a token; claims that are None are left out."""
        now = int(time.time())
        given = {"iss": self.url, "aud": AUDIENCE, "sub": SUBJECT, "iat": now, "exp": now + 600} | claims
        head = {"alg": "RS256", "kid": self.key.kid} | (header or {})
        kept = {name: value for name, value in given.items() if value is not None}
        return jwt.encode({k: v for k, v in head.items() if v is not None}, kept, key or self.key)

    def trust(self, **conditions: Any) -> dict[str, Any]:
        """Return the statement of a trust policy that lets its identities in."""
        return {
            "Effect": "Allow",
            "Principal": {"Federated": f"arn:aws:iam::{ACCOUNT}:oidc-provider/{self.host}"},
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": conditions or {"StringEquals": {f"{self.host}:aud": AUDIENCE}},
        }


def new_key(kid: str) -> RSAKey:
    """Return a new key pair."""
    return RSAKey.generate_key(2048, parameters={"kid": kid, "use": "sig"}, private=True)


def document(body: Any, status: int = 200, **headers: str) -> Answer:
    """Return an answer that is a JSON document."""
    data = json.dumps(body).encode()

    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)

    return answer


@contextlib.contextmanager
def running() -> Iterator[Issuer]:
    """Run an issuer for the length of a block."""
    issuer = Issuer("", new_key("one"))

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            issuer.asked.append(self.path)
            with contextlib.suppress(OSError):  # who asked has gone away
                issuer.answers.get(self.path, document({}, 404))(self)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the base's name)
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        issuer.url = f"http://127.0.0.1:{server.server_port}"
        issuer.answers["/.well-known/openid-configuration"] = document({"jwks_uri": f"{issuer.url}/keys"})
        issuer.answers["/keys"] = document(KeySet([issuer.key]).as_dict(private=False))
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield issuer
        finally:
            server.shutdown()
            thread.join()

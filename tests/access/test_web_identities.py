"""Web identities that are not what they say, and issuers that do not answer as they should."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc.jwk import KeySet

from moorage.domain.errors import IdentityProviderUnreachable
from moorage.drivers.fetch import fetch
from moorage.registry import webidentity
from moorage.registry.roles import Provider
from tests.access import issuer as issuers
from tests.access.issuer import AUDIENCE, SUBJECT, Issuer, new_key
from tests.access.kit import POWER_USER, document, moorage
from tests.servers import ACCOUNT, Server

if TYPE_CHECKING:
    import http.server
    from collections.abc import Callable, Iterator


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    """An issuer that publishes its keys."""
    with issuers.running() as started:
        yield started


@pytest.fixture(scope="module")
def role(server: Server, issuer: Issuer) -> str:
    """A role for one subject of the issuer, whom the account trusts for one audience."""
    name = f"web-{uuid.uuid4().hex[:8]}"
    moorage(server, "oidc", "add", issuer.url, "--audience", AUDIENCE)
    trust = issuer.trust(StringEquals={f"{issuer.host}:aud": AUDIENCE, f"{issuer.host}:sub": SUBJECT})
    moorage(server, "role", "create", name, "--trust", "-", text=document(trust))
    moorage(server, "role", "attach", name, POWER_USER)
    return f"arn:aws:iam::{ACCOUNT}:role/{name}"


def assumed(server: Server, role: str, token: str) -> str:
    """Take the role on with a token; return the session's ARN, or the code of the refusal."""
    sts = server.client("sts")
    try:
        answer = sts.assume_role_with_web_identity(RoleArn=role, RoleSessionName="ci", WebIdentityToken=token)
    except ClientError as refusal:
        code: str = refusal.response["Error"]["Code"]
        return code
    arn: str = answer["AssumedRoleUser"]["Arn"]
    return arn


def part(value: Any) -> str:
    """Return one part of a JWT."""
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def unsigned(token: str, algorithm: str) -> str:
    """Return a token's claims under a header without a signature."""
    return f"{part({'alg': algorithm})}.{token.split('.')[1]}."


def hs256(issuer: Issuer, **header: Any) -> str:
    """Return a token signed with the text of the issuer's public key as a shared secret (algorithm confusion)."""
    secret = issuer.key.public_key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    signed = f"{part({'alg': 'HS256', 'kid': 'one'} | header)}.{issuer.token().split('.')[1]}".encode()
    signature = base64.urlsafe_b64encode(hmac.digest(secret, signed, hashlib.sha256)).decode().rstrip("=")
    return f"{signed.decode()}.{signature}"


def altered(token: str, **claims: Any) -> str:
    """Return a token with other claims under the same signature."""
    head, body, signature = token.split(".")
    held = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return f"{head}.{part(held | claims)}.{signature}"


STRANGER = new_key("one")
NOW = int(time.time())
FORGED: dict[str, Callable[[Issuer], str]] = {
    "another issuer's name": lambda i: i.token(iss="https://elsewhere.example"),
    "no issuer": lambda i: i.token(iss=None),
    "an issuer that is no text": lambda i: i.token(iss=[i.url]),
    "another audience": lambda i: i.token(aud="sts.amazonaws.com"),
    "no audience": lambda i: i.token(aud=None),
    "an audience that is no text": lambda i: i.token(aud={"registry": True}),
    "audiences without ours": lambda i: i.token(aud=["a", "b"]),
    "no subject": lambda i: i.token(sub=None),
    "a subject that is no text": lambda i: i.token(sub=["repo:acme/app:ref:main"]),
    "expired": lambda i: i.token(exp=NOW - 3600),
    "no expiry": lambda i: i.token(exp=None),
    "an expiry that is no number": lambda i: i.token(exp="tomorrow"),
    "an expiry that is not a number": lambda i: i.token(exp=float("nan")),
    "an expiry beyond numbers": lambda i: i.token(exp=10**400),
    "not before some day": lambda i: i.token(nbf=NOW + 3600),
    "not before no time": lambda i: i.token(nbf="yesterday"),
    "a key of the same name": lambda i: i.token(STRANGER),
    "a key of another name": lambda i: i.token(STRANGER, {"kid": "two"}),
    "a key of no name": lambda i: i.token(STRANGER, {"kid": None}),
    "a key that it brings along": lambda i: i.token(STRANGER, {"jwk": STRANGER.as_dict(private=False)}),
    "a key that it brings along under no name": lambda i: i.token(
        STRANGER, {"kid": None, "jwk": STRANGER.as_dict(private=False)}
    ),
    "keys at an address of its own": lambda i: i.token(STRANGER, {"jku": f"{i.url}/stranger", "kid": "two"}),
    "a kid that is a path": lambda i: i.token(STRANGER, {"kid": "../../../../dev/null"}),
    "no algorithm": lambda i: unsigned(i.token(), "none"),
    "no algorithm, in capitals": lambda i: unsigned(i.token(), "NONE"),
    "no signature": lambda i: i.token().rpartition(".")[0] + ".",
    "the public key as a shared secret": hs256,
    "the public key as a shared secret, of no name": lambda i: hs256(i, kid=None),
    "another subject under the signature": lambda i: altered(i.token(), sub="repo:acme/app:ref:other"),
    "a crowd of unknown critical headers": lambda i: (
        f"{part({'alg': 'RS256', 'kid': 'one', 'crit': ['x'], 'x': 1})}." + i.token().partition(".")[2]
    ),
    "cut short": lambda i: i.token()[:-10],
    "one part": lambda _: "token",
    "empty parts": lambda _: "....",
    "many parts": lambda i: f"{i.token()}.more.parts",
    "deep": lambda _: (
        f"{part({'alg': 'RS256'})}."
        + base64.urlsafe_b64encode(b'{"iss":' + b"[" * 9000 + b"]" * 9000 + b"}").decode()
        + ".x"
    ),
    "no JSON": lambda _: "e30.e30x.e30",
    "a list": lambda _: f"{part({'alg': 'RS256'})}.{part(['iss'])}.e30",
}


def test_the_real_one_is_let_in(server: Server, role: str, issuer: Issuer) -> None:
    """A token as the issuer makes it takes the role on: what is refused below is not refused for another reason."""
    for token in (issuer.token(), issuer.token(aud=["other", AUDIENCE]), issuer.token(nbf=NOW - 10)):
        assert assumed(server, role, token).endswith("/ci")


@pytest.mark.parametrize("kind", FORGED)
def test_forged_identities(server: Server, role: str, issuer: Issuer, kind: str) -> None:
    """No token that the issuer did not make, for us and for now, takes the role on."""
    issuer.answers["/stranger"] = issuers.document(KeySet([STRANGER]).as_dict(private=False))

    assert assumed(server, role, FORGED[kind](issuer)) == "InvalidIdentityToken"
    assert "/stranger" not in issuer.asked


def test_another_subject_is_not_let_in(server: Server, role: str, issuer: Issuer) -> None:
    """A good token of somebody whom the role does not trust is AccessDenied, as is a role that is not there."""
    assert assumed(server, role, issuer.token(sub="repo:acme/other:ref:main")) == "AccessDenied"
    assert assumed(server, f"{role}-missing", issuer.token()) == "AccessDenied"


def test_a_huge_token_is_refused(server: Server, role: str, issuer: Issuer) -> None:
    """A token of more than 20,000 characters is refused, however good its signature is."""
    assert assumed(server, role, issuer.token(padding="x" * 20_000)) in {"InvalidIdentityToken", "ValidationError"}


# --- Issuers that do not answer as they should ----------------------------------------


def endless(_handler: http.server.BaseHTTPRequestHandler, piece: bytes, pause: threading.Event) -> None:
    """Send a piece after the other, until nobody takes them."""
    while not pause.wait(0.02):
        _handler.wfile.write(piece)


def slow_body(handler: http.server.BaseHTTPRequestHandler) -> None:
    """Answer one byte at a time, for ever."""
    handler.send_response(200)
    handler.end_headers()
    endless(handler, b" ", threading.Event())


def slow_headers(handler: http.server.BaseHTTPRequestHandler) -> None:
    """Never come to the end of a header."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    endless(handler, b"x", threading.Event())


def huge(handler: http.server.BaseHTTPRequestHandler) -> None:
    """Answer with more bytes than anybody takes."""
    handler.send_response(200)
    handler.end_headers()
    while True:
        handler.wfile.write(b"x" * 65536)


@pytest.mark.parametrize("answer", [slow_body, slow_headers, huge])
def test_a_fetch_ends(issuer: Issuer, answer: issuers.Answer) -> None:
    """A document that never ends is given up: slow headers, a slow body, or too many bytes."""
    issuer.answers["/endless"] = answer

    with pytest.raises(OSError, match="/endless"):
        fetch(f"{issuer.url}/endless", patience=0.5)


def test_redirects_are_not_followed(issuer: Issuer) -> None:
    """An issuer's keys are at the address that it names, and nowhere else."""
    issuer.answers["/moved"] = issuers.document({}, 302, Location=f"{issuer.url}/keys-moved")

    with pytest.raises(OSError, match="302"):
        fetch(f"{issuer.url}/moved")
    assert "/keys-moved" not in issuer.asked


@pytest.mark.parametrize("url", ["file:///etc/hostname", "ftp://127.0.0.1/x", "http:///x", "gopher://127.0.0.1"])
def test_only_http_is_fetched(url: str) -> None:
    """Keys are fetched by http and https alone."""
    with pytest.raises(OSError, match="not an http"):
        fetch(url)


def provider(url: str, keys_url: str | None = None) -> Provider:
    """Return an issuer as an account has set it up."""
    return Provider(ACCOUNT, url, (AUDIENCE,), None, keys_url)


def test_an_issuer_that_fails_is_left_alone(issuer: Issuer) -> None:
    """Keys that could not be had are not asked for again at once: anybody could make us ask, and wait."""
    asked: list[str] = []
    now = [0.0]

    def failing(url: str) -> bytes:
        asked.append(url)
        raise OSError(url)

    cache = webidentity.KeyCache(failing, lambda: now[0])
    for _ in range(5):
        with pytest.raises(IdentityProviderUnreachable):
            cache.keys(provider(issuer.url))
    assert len(asked) == 1
    now[0] += 11
    with pytest.raises(IdentityProviderUnreachable):
        cache.keys(provider(issuer.url))
    assert len(asked) == 2


def test_a_slow_issuer_holds_few_threads(issuer: Issuer) -> None:
    """While one issuer does not answer, those who ask for it beyond a few are sent away, and others are served."""
    let_go, began = threading.Event(), threading.Event()

    def slow(url: str) -> bytes:
        if "slow" in url:
            began.set()
            let_go.wait(60)
        return fetch(url)

    cache = webidentity.KeyCache(slow)
    here, there = provider(issuer.url, f"{issuer.url}/slow"), provider(issuer.url, f"{issuer.url}/keys")
    threads = [threading.Thread(target=lambda: cache._asked(("x", None), here)) for _ in range(webidentity._WAITING)]
    for thread in threads:
        thread.start()
    try:
        assert began.wait(60)
        while cache._waiting._value:  # the others are on their way to wait
            began.wait(0.01)
        with pytest.raises(IdentityProviderUnreachable):
            cache.keys(here)
    finally:
        let_go.set()
        for thread in threads:
            thread.join()
    assert cache.keys(there).keys


def test_keys_are_those_of_the_address_that_an_account_gave(issuer: Issuer) -> None:
    """Two accounts that have an issuer's keys from different addresses do not get each other's."""
    issuer.answers["/others"] = issuers.document(KeySet([STRANGER]).as_dict(private=False))
    cache = webidentity.KeyCache(fetch)

    ours = cache.keys(provider(issuer.url))
    theirs = cache.keys(provider(issuer.url, f"{issuer.url}/others"))

    assert [key.as_dict()["n"] for key in ours.keys] == [issuer.key.as_dict()["n"]]
    assert [key.as_dict()["n"] for key in theirs.keys] == [STRANGER.as_dict()["n"]]


@pytest.mark.parametrize("keys", [[], {}, {"keys": 1}, {"keys": [1]}, {"keys": [{"kty": "RSA"}]}, None, "x"])
def test_keys_that_are_none(server: Server, keys: Any) -> None:
    """An issuer that publishes something else than keys lets nobody in."""
    with issuers.running() as broken:
        moorage(server, "oidc", "add", broken.url, "--audience", AUDIENCE)
        role = f"web-{uuid.uuid4().hex[:8]}"
        moorage(server, "role", "create", role, "--trust", "-", text=document(broken.trust()))
        broken.answers["/keys"] = issuers.document(keys)

        code = assumed(server, f"arn:aws:iam::{ACCOUNT}:role/{role}", broken.token())

        assert code in {"IDPCommunicationError", "InvalidIdentityToken"}
        assert broken.asked

"""
Signature Version 4, verified: that who holds the secret made this request, just now, for this service.

The arithmetic is that of botocore, which signs requests that it is about to send (docs/adr/0012); what is
decided here is what it is applied to: exactly the headers that the request says are signed, the query and
path as they were received, and the hash of the bytes that really came.

`parse` and `verify` are two steps because the secret is looked up in between.
"""

from __future__ import annotations

import hmac
import re
from datetime import timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from moorage.aws.claims import ALGORITHM, Claim, SignedRequest, parse, stamp
from moorage.domain.errors import IncompleteSignature, InvalidSignature

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["Claim", "SignedRequest", "parse", "verify"]

SKEW: Final = timedelta(minutes=5)
"""How far the clocks of client and server may be apart."""

_MISMATCH: Final = (
    "The request signature we calculated does not match the signature you provided."
    " Check your AWS Secret Access Key and signing method. Consult the service documentation for details."
)
_REGION_RE: Final = re.compile(r"[a-z0-9-]{1,32}")
_PATH_RE: Final = re.compile(r"/[!-\"$->@-~]*")
_DOTS: Final = frozenset({".", ".."})
_TERMINATOR: Final = "aws4_request"
_REMEMBERED: Final = 1024
_SIGNING_KEYS: Final[dict[bytes, bytes]] = {}
_ONCE: Final = frozenset({"host", "date", "content-type"})
"""Headers that must not be repeated, apart from ``x-amz-*``: their readers take one value."""


def verify(
    request: SignedRequest,
    claim: Claim,
    secret: str,
    now: datetime,
    services: frozenset[str] = frozenset({"ecr"}),
) -> None:
    """
    Return if the request carries the signature that ``secret`` gives it, and is meant for now and for us.

    Raises `InvalidSignature` if it does not match, is too old or not yet good,
    is scoped to another day or service, or leaves open something that must be
    signed; `IncompleteSignature` if a signed header is ambiguous.
    """
    _check_scope(claim, services)
    _check_time(claim, now)
    _check_coverage(request, claim)
    body_hash = sha256(request.body).hexdigest()
    _check_body(request, claim, body_hash)
    _check_form(request)
    try:
        expected = signature(request, claim, secret, body_hash)
    except UnicodeError:
        raise InvalidSignature(reason=_MISMATCH) from None
    if not hmac.compare_digest(expected.encode(), claim.signature.encode("utf-8", "replace")):
        raise InvalidSignature(reason=_MISMATCH)


def _check_scope(claim: Claim, services: frozenset[str]) -> None:
    if claim.terminator != _TERMINATOR:
        raise InvalidSignature(
            reason=f"Credential should be scoped with a valid terminator: '{_TERMINATOR}', not {claim.terminator!r}."
        )
    if claim.service not in services:
        names = ", ".join(f"'{name}'" for name in sorted(services))
        raise InvalidSignature(reason=f"Credential should be scoped to correct service: {names}.")
    if _REGION_RE.fullmatch(claim.region) is None:
        raise InvalidSignature(reason="Credential should be scoped to a valid region.")
    day = claim.timestamp[:8]
    if claim.date != day:
        raise InvalidSignature(
            reason="Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP:"
            f" {claim.date!r} != '{day}', from '{claim.timestamp}'."
        )


def _check_time(claim: Claim, now: datetime) -> None:
    lifetime = SKEW if claim.expires is None else timedelta(seconds=claim.expires)
    if claim.signed_at < now - lifetime:
        span = "5 min." if claim.expires is None else f"{claim.expires} sec."
        raise InvalidSignature(
            reason=f"Signature expired: {claim.timestamp} is now earlier than {stamp(now - lifetime)}"
            f" ({stamp(now)} - {span})"
        )
    if claim.signed_at > now + SKEW:
        raise InvalidSignature(
            reason=f"Signature not yet current: {claim.timestamp} is still later than {stamp(now + SKEW)}"
            f" ({stamp(now)} + 5 min.)"
        )


def _check_coverage(request: SignedRequest, claim: Claim) -> None:
    """Refuse a request of which something that decides its meaning is not signed, or is there twice."""
    signed = claim.signed_headers
    if "host" not in signed:
        raise InvalidSignature(reason="'Host' must be a 'SignedHeader' in the AWS Authorization.")
    given = [name for name, _ in request.headers]
    for name in given:
        if name.startswith("x-amz-") and name not in signed:
            raise InvalidSignature(reason=f"{name[:64]!r} must be a 'SignedHeader' in the AWS Authorization.")
    for name in signed:
        count = given.count(name)
        if not count:
            raise InvalidSignature(reason=_MISMATCH)
        if count > 1 and (name in _ONCE or name.startswith("x-amz-")):
            raise IncompleteSignature(reason=f"The request has more than one {name[:64]!r} header.")


def _check_form(request: SignedRequest) -> None:
    """
    Refuse a method or path that signing would change.

    The canonical form has the method in capitals and the path without dot
    segments and double slashes, so that several requests have one signature.
    We take the one that is written as it is signed.
    """
    method, path = request.method, request.path
    if method != method.upper() or _PATH_RE.fullmatch(path) is None or not is_normal(path):
        raise InvalidSignature(reason=_MISMATCH)


def is_normal(path: str) -> bool:
    """Whether a path has no dot segments and no double slashes."""
    return "//" not in path and _DOTS.isdisjoint(path.split("/"))


def _check_body(request: SignedRequest, claim: Claim, body_hash: str) -> None:
    if claim.presigned and request.body:
        raise InvalidSignature(reason="A presigned request has no body: its signature would not cover it.")
    if any(name == "x-amz-content-sha256" and value.strip() != body_hash for name, value in request.headers):
        raise InvalidSignature(reason="The 'x-amz-content-sha256' header does not match what was received.")


# --- The arithmetic: a test holds each step to botocore's own ---------------------------


def signature(request: SignedRequest, claim: Claim, secret: str, body_hash: str) -> str:
    """Return the signature that the secret gives what the claim names of a request; raises UnicodeError."""
    canonical = sha256(canonical_request(request, claim, body_hash).encode()).hexdigest()
    scope = f"{claim.timestamp[:8]}/{claim.region}/{claim.service}/{_TERMINATOR}"
    text = f"{ALGORITHM}\n{claim.timestamp}\n{scope}\n{canonical}"
    key = _signing_key(secret, claim.timestamp[:8], claim.region, claim.service)
    return hmac.digest(key, text.encode(), "sha256").hex()


def canonical_request(request: SignedRequest, claim: Claim, body_hash: str) -> str:
    """Return the text of which the hash is signed; raises UnicodeError for headers that are not bytes."""
    lines = [request.method, quote(request.path, safe="/~"), _canonical_query(request, claim)]
    values: dict[str, list[str]] = {name: [] for name in claim.signed_headers}
    for name, value in request.headers:
        if name in values:
            # One character for each byte that came: text of any other kind would be signed as something else.
            values[name].append(" ".join(value.encode("latin-1").decode("latin-1").split()))
    lines += [f"{name}:{','.join(given)}" for name, given in values.items()]
    return "\n".join([*lines, "", ";".join(claim.signed_headers), body_hash])


def _canonical_query(request: SignedRequest, claim: Claim) -> str:
    """Return the query as received, sorted, without the signature itself."""
    if not request.query:
        return ""
    # Not decoded and encoded again: two queries that read differently must not be signed alike.
    split = [pair.partition("=") for pair in request.query.split("&")]
    dropped = "X-Amz-Signature" if claim.presigned else None
    return "&".join(f"{key}={value}" for key, value in sorted((k, v) for k, _, v in split if k != dropped))


def _signing_key(secret: str, date: str, region: str, service: str) -> bytes:
    """Return the key of a secret for a day, a region and a service: four steps, and the same all day."""
    # Nothing is decided by what is remembered: the secret was read from its row, in this very request.
    named = sha256(f"{secret}\n{date}\n{region}\n{service}".encode()).digest()
    key = _SIGNING_KEYS.get(named)
    if key is None:
        key = f"AWS4{secret}".encode()
        for part in (date, region, service, _TERMINATOR):
            key = hmac.digest(key, part.encode(), "sha256")
        if len(_SIGNING_KEYS) >= _REMEMBERED:
            _SIGNING_KEYS.clear()
        _SIGNING_KEYS[named] = key
    return key

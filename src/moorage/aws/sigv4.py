"""
Signature Version 4, verified: that who holds the secret made this request, just now, for this service.

The arithmetic is botocore's own; what is decided here is what it is applied
to: exactly the headers that the request says are signed, the query and path as
they were received, and the hash of the bytes that really came.

`parse` and `verify` are two steps because the secret is looked up in between.
"""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Final, cast

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.compat import HTTPHeaders
from botocore.utils import normalize_url_path

from moorage.aws.claims import Claim, SignedRequest, parse, stamp
from moorage.domain.errors import IncompleteSignature, InvalidSignature

if TYPE_CHECKING:
    from datetime import datetime

    from botocore.credentials import ReadOnlyCredentials

__all__ = ["Claim", "SignedRequest", "parse", "verify"]

SKEW: Final = timedelta(minutes=5)
"""How far the clocks of client and server may be apart."""

_MISMATCH: Final = (
    "The request signature we calculated does not match the signature you provided."
    " Check your AWS Secret Access Key and signing method. Consult the service documentation for details."
)
_REGION_RE: Final = re.compile(r"[a-z0-9-]{1,32}")
_PATH_RE: Final = re.compile(r"/[!-\"$->@-~]*")
_TERMINATOR: Final = "aws4_request"
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
        expected = _Recomputed(request, claim, secret, body_hash).expected()
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
    signed = frozenset(claim.signed_headers)
    if "host" not in signed:
        raise InvalidSignature(reason="'Host' must be a 'SignedHeader' in the AWS Authorization.")
    given = [name for name, _ in request.headers]
    for name in given:
        if name.startswith("x-amz-") and name not in signed:
            raise InvalidSignature(reason=f"{name[:64]!r} must be a 'SignedHeader' in the AWS Authorization.")
    if not signed <= frozenset(given):
        raise InvalidSignature(reason=_MISMATCH)
    for name in signed:
        if (name in _ONCE or name.startswith("x-amz-")) and given.count(name) > 1:
            raise IncompleteSignature(reason=f"The request has more than one {name[:64]!r} header.")


def _check_form(request: SignedRequest) -> None:
    """
    Refuse a method or path that signing would change.

    The canonical form has the method in capitals and the path without dot
    segments and double slashes, so that several requests have one signature.
    We take the one that is written as it is signed.
    """
    method, path = request.method, request.path
    if method != method.upper() or _PATH_RE.fullmatch(path) is None or normalize_url_path(path) != path:
        raise InvalidSignature(reason=_MISMATCH)


def _check_body(request: SignedRequest, claim: Claim, body_hash: str) -> None:
    if claim.presigned and request.body:
        raise InvalidSignature(reason="A presigned request has no body: its signature would not cover it.")
    if any(value.strip() != body_hash for value in request.values("x-amz-content-sha256")):
        raise InvalidSignature(reason="The 'x-amz-content-sha256' header does not match what was received.")


@dataclass(frozen=True, slots=True)
class _Key:
    """What botocore's signer reads of its credentials."""

    access_key: str
    secret_key: str
    token: None = None

    def __repr__(self) -> str:
        return f"_Key({self.access_key!r})"


class _Recomputed(SigV4Auth):
    """botocore's signer, applied to a received request instead of one about to be sent."""

    def __init__(self, request: SignedRequest, claim: Claim, secret: str, body_hash: str) -> None:
        key = cast("ReadOnlyCredentials", _Key(claim.access_key_id, secret))
        super().__init__(key, claim.service, claim.region)
        self._received = request
        self._claim = claim
        self._body_hash = body_hash

    def expected(self) -> str:
        """Return the signature that the request should have."""
        request = AWSRequest(method=self._received.method, url=f"http://received{self._received.path}")
        request.context["timestamp"] = self._claim.timestamp
        return self.signature(self.string_to_sign(request, self.canonical_request(request)), request)

    def headers_to_sign(self, request: AWSRequest) -> HTTPHeaders:  # noqa: ARG002 (botocore's signature)
        """Return the headers that the claim names, all of them and no others."""
        headers = HTTPHeaders()
        for name, value in self._received.headers:
            if name in self._claim.signed_headers:
                # One character for each byte that came: text of any other kind would be signed as something else.
                headers[name] = value.encode("latin-1").decode("latin-1")
        return headers

    def canonical_query_string(self, request: AWSRequest) -> str:  # noqa: ARG002
        """Return the query as received, sorted, without the signature itself."""
        # Not decoded and encoded again: two queries that read differently must not be signed alike.
        split = [pair.partition("=") for pair in self._received.query.split("&")] if self._received.query else []
        dropped = "X-Amz-Signature" if self._claim.presigned else None
        return "&".join(f"{key}={value}" for key, value in sorted((k, v) for k, _, v in split if k != dropped))

    def payload(self, request: AWSRequest) -> str:  # noqa: ARG002
        """Return the hash of the bytes that came."""
        return self._body_hash

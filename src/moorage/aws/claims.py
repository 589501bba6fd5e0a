"""
What a signed request claims: who signed, when, and what is covered. Read here, believed nowhere: see `sigv4`.

Both forms of Signature Version 4 are read: the ``Authorization`` header, and
the query of a presigned URL.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from moorage.domain.errors import IncompleteSignature

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ALGORITHM: Final = "AWS4-HMAC-SHA256"
TIMESTAMP: Final = "%Y%m%dT%H%M%SZ"
MAX_EXPIRES: Final = 7 * 24 * 3600
"""Seconds that a presigned URL may be good for."""

_MAX_AUTHORIZATION: Final = 8 * 1024
_MAX_QUERY: Final = 1024 * 1024
_MAX_PAIRS: Final = 10_000
_MAX_HEADERS: Final = 256

_TIMESTAMP_RE: Final = re.compile(r"[0-9]{8}T[0-9]{6}Z")
_SIGNED_HEADERS_RE: Final = re.compile(r"[!-:<-~]+(?:;[!-:<-~]+)*")
_ACCESS_KEY_RE: Final = re.compile(r"[!-.0-~]{1,128}")
_EXPIRES_RE: Final = re.compile(r"[0-9]{1,6}")
_HEADER_PARTS: Final = ("Credential", "Signature", "SignedHeaders")
_QUERY_PARTS: Final = ("X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Signature", "X-Amz-SignedHeaders", "X-Amz-Date")
_QUERY_MARKS: Final = frozenset({"X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Signature"})


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """A request as it was received: nothing decoded, joined or put right."""

    method: str
    path: str
    """Percent-encoded, without the query."""

    query: str
    """What follows the ``?``, percent-encoded."""

    headers: Sequence[tuple[str, str]]
    """Names in lower case, in the order of arrival, repeated ones kept."""

    body: bytes

    def values(self, name: str) -> list[str]:
        """Return the values of all headers of that name."""
        return [value for given, value in self.headers if given == name]


@dataclass(frozen=True, slots=True)
class Claim:
    """What a request says of its signature."""

    access_key_id: str
    date: str
    """The day of the credential scope, as ``YYYYMMDD``."""

    region: str
    service: str
    terminator: str
    """The end of the credential scope: ``aws4_request``, if it is right."""

    session_token: str | None
    signed_headers: tuple[str, ...]
    signature: str
    signed_at: datetime
    expires: int | None
    """Seconds after ``signed_at``, for a presigned request."""

    @property
    def presigned(self) -> bool:
        """Whether the signature is in the query."""
        return self.expires is not None

    @property
    def timestamp(self) -> str:
        """The moment of signing in the form that is signed, such as ``20260101T120000Z``."""
        return stamp(self.signed_at)


def parse(request: SignedRequest) -> Claim | None:
    """
    Return what the request claims, or None if it is not signed by SigV4 at all.

    Raises `IncompleteSignature` if it is and a part is missing, malformed or
    given twice, or if it is signed in both ways.
    """
    _bound(request)
    authorization = request.values("authorization")
    query = _amz_query(request.query)
    in_header = any(value.strip().lower().startswith("aws4-") for value in authorization)
    if not in_header and not query.keys() & _QUERY_MARKS:
        return None
    if len(authorization) > 1 or (authorization and query.keys() & _QUERY_MARKS):
        raise IncompleteSignature(reason="Only one auth mechanism allowed; the request has more than one")
    return _from_header(request, authorization[0].strip()) if in_header else _from_query(query)


def stamp(moment: datetime) -> str:
    """Return a moment in the form that SigV4 writes."""
    return moment.astimezone(UTC).strftime(TIMESTAMP)


def _bound(request: SignedRequest) -> None:
    if len(request.headers) > _MAX_HEADERS:
        raise IncompleteSignature(reason=f"The request has more than {_MAX_HEADERS} headers")
    if any(len(value) > _MAX_AUTHORIZATION for value in request.values("authorization")):
        raise IncompleteSignature(reason=f"Authorization header is longer than {_MAX_AUTHORIZATION} bytes")
    if len(request.query) > _MAX_QUERY or request.query.count("&") > _MAX_PAIRS:
        raise IncompleteSignature(reason="The query is too long")


# --- The Authorization header ----------------------------------------------------


def _from_header(request: SignedRequest, authorization: str) -> Claim:
    algorithm, _, rest = authorization.partition(" ")
    _check_algorithm(algorithm)
    parts = _header_parts(rest)
    dates = {name: _single(request, name) for name in ("x-amz-date", "date")}
    missing = [f"Authorization header requires '{name}' parameter." for name in _HEADER_PARTS if not parts.get(name)]
    if not any(dates.values()):
        missing.append("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.")
    if missing:
        raise IncompleteSignature(reason=" ".join(missing))
    return _claim(
        credential=parts["Credential"],
        signed_headers=parts["SignedHeaders"],
        signature=parts["Signature"],
        signed_at=_basic_date(dates["x-amz-date"]) if dates["x-amz-date"] else _http_date(dates["date"] or ""),
        session_token=_single(request, "x-amz-security-token"),
        expires=None,
    )


def _header_parts(text: str) -> dict[str, str]:
    parts: dict[str, str] = {}
    for part in text.split(","):
        name, equals, value = part.strip().partition("=")
        if not equals:
            raise IncompleteSignature(
                reason=f"{name!r} not a valid key=value pair (missing equal-sign) in Authorization header."
            )
        if name not in _HEADER_PARTS or name in parts:
            raise IncompleteSignature(reason=f"Authorization header has an unknown or repeated parameter: {name!r}.")
        parts[name] = value
    return parts


def _single(request: SignedRequest, name: str) -> str | None:
    values = request.values(name)
    if len(values) > 1:
        raise IncompleteSignature(reason=f"The request has more than one {name!r} header.")
    return values[0].strip() if values else None


# --- The query of a presigned URL ------------------------------------------------


def _amz_query(query: str) -> dict[str, str]:
    """Return the ``X-Amz-*`` parameters of a query, decoded; their names in the spelling given."""
    found: dict[str, str] = {}
    seen: set[str] = set()
    for pair in query.split("&"):
        key, _, value = pair.partition("=")
        name = unquote(key)
        if not name.lower().startswith("x-amz-"):
            continue
        if name.lower() in seen:
            raise IncompleteSignature(reason=f"The query has more than one {name[:64]!r} parameter.")
        seen.add(name.lower())
        # By the raw key: SigV4 does not escape these, and the signature is taken out of the query by this spelling.
        found[key] = unquote(value)
    return found


def _from_query(query: Mapping[str, str]) -> Claim:
    missing = [f"AWS query-string parameters must include '{name}'." for name in _QUERY_PARTS if not query.get(name)]
    if missing:
        raise IncompleteSignature(reason=f"{' '.join(missing)} Re-examine the query-string parameters.")
    _check_algorithm(query["X-Amz-Algorithm"])
    return _claim(
        credential=query["X-Amz-Credential"],
        signed_headers=query["X-Amz-SignedHeaders"],
        signature=query["X-Amz-Signature"],
        signed_at=_basic_date(query["X-Amz-Date"]),
        session_token=query.get("X-Amz-Security-Token"),
        expires=_expires(query.get("X-Amz-Expires", "")),
    )


def _expires(text: str) -> int:
    if _EXPIRES_RE.fullmatch(text) is None or not 1 <= int(text) <= MAX_EXPIRES:
        raise IncompleteSignature(reason=f"X-Amz-Expires must be a number of seconds from 1 to {MAX_EXPIRES}")
    return int(text)


# --- Both ------------------------------------------------------------------------


def _claim(
    *,
    credential: str,
    signed_headers: str,
    signature: str,
    signed_at: datetime,
    session_token: str | None,
    expires: int | None,
) -> Claim:
    access_key_id, date, region, service, terminator = _scope(credential)
    return Claim(
        access_key_id=access_key_id,
        date=date,
        region=region,
        service=service,
        terminator=terminator,
        session_token=session_token,
        signed_headers=_header_names(signed_headers),
        signature=signature,
        signed_at=signed_at,
        expires=expires,
    )


def _check_algorithm(algorithm: str) -> None:
    if algorithm != ALGORITHM:
        raise IncompleteSignature(reason=f"Unsupported AWS 'algorithm': {algorithm[:64]!r}.")


def _scope(credential: str) -> list[str]:
    elements = credential.split("/")
    if len(elements) != 5:  # noqa: PLR2004 (the message counts them)
        raise IncompleteSignature(
            reason="Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term,"
            f" got {credential[:256]!r}"
        )
    if _ACCESS_KEY_RE.fullmatch(elements[0]) is None:
        raise IncompleteSignature(reason="Credential does not begin with a valid access key id.")
    return elements


def _header_names(text: str) -> tuple[str, ...]:
    names = tuple(text.split(";"))
    # Sorted and without repeats is how they are signed: any other list was not made by who signed.
    if _SIGNED_HEADERS_RE.fullmatch(text) is None or text != text.lower() or list(names) != sorted(set(names)):
        raise IncompleteSignature(reason="SignedHeaders must be a sorted list of lower-case header names.")
    return names


def _basic_date(text: str) -> datetime:
    try:
        if _TIMESTAMP_RE.fullmatch(text):
            return datetime.fromisoformat(text)
    except ValueError:
        pass  # digits that are no date
    raise IncompleteSignature(
        reason=f"Date must be in ISO-8601 'basic format'. Got {text[:64]!r}. See http://en.wikipedia.org/wiki/ISO_8601"
    )


def _http_date(text: str) -> datetime:
    """Read the ``Date`` header, which has HTTP's form or the one of X-Amz-Date."""
    try:
        moment = parsedate_to_datetime(text)
        # "-0000" gives no zone, and means that the time is UTC.
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return _basic_date(text)

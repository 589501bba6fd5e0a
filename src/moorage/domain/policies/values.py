"""What condition values stand for: numbers, moments, truth, bytes, addresses. `ValueError` if they do not."""

from __future__ import annotations

import base64
import ipaddress
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Final

_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,40}(?:\.[0-9]{1,40})?(?:[eE][+-]?[0-9]{1,2})?")
_DATE: Final = re.compile(
    r"[0-9]{4}(?:-[0-9]{2}(?:-[0-9]{2}"
    r"(?:T[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,9})?)?(?:Z|[+-][0-9]{2}:?[0-9]{2})?)?)?)?"
)
_PREFIX: Final = re.compile(r"[0-9A-Fa-f.:]+(?:/[0-9]{1,3})?")
_YEAR, _MONTH = len("2020"), len("2020-01")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def number(text: str) -> Decimal:
    """Return a decimal number of a sensible length."""
    if _NUMBER.fullmatch(text) is None:
        raise ValueError(text)
    return Decimal(text)


def date(text: str) -> Decimal:
    """Return microseconds since 1970, from ISO 8601 (four digits are a year) or seconds since 1970."""
    if _DATE.fullmatch(text) is None:
        return number(text) * 1_000_000
    whole = text + {_YEAR: "-01-01", _MONTH: "-01"}.get(len(text), "")
    moment = datetime.fromisoformat(whole)
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return Decimal((moment - _EPOCH) // timedelta(microseconds=1))


def boolean(text: str) -> bool:
    """Return what ``true`` or ``false``, in any case, stands for; raise `ValueError` for anything else."""
    if text.lower() not in {"true", "false"}:
        raise ValueError(text)
    return text.lower() == "true"


def binary(text: str) -> bytes:
    """Return what base64 stands for."""
    return base64.b64decode(text, validate=True)


def network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """Return an address block: an address, or one with a prefix length."""
    if _PREFIX.fullmatch(text) is None:  # the library also takes netmasks
        raise ValueError(text)
    return ipaddress.ip_network(text, strict=False)


@lru_cache(maxsize=1024)
def address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Return an IPv4 or IPv6 address."""
    found = ipaddress.ip_address(text)
    # A dual-stack socket reports IPv4 clients this way; a policy means their IPv4 address.
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return mapped or found

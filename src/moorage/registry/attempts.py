"""
Failed authentications: counted per address and key, so that who guesses is slowed, and nobody else is.

After some failures the pair is refused for a second, then two, then four, up
to a minute. While it is refused nothing is verified, so that the answer to a
good credential and to a bad one is the same. Another address, or another key
from the same address, is not touched: nobody can lock out somebody elsewhere.

The table is the memory of one worker, and bounded. Where it is full the least
of it is forgotten, which slows a guesser less and never refuses anybody.
"""

from __future__ import annotations

import base64
import json
import math
import threading
from collections import OrderedDict
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING, Final

from moorage.domain.errors import TooManyAttempts
from moorage.registry.auth import Password, Signed

if TYPE_CHECKING:
    from datetime import datetime

    from moorage.registry.auth import Credential

LONGEST: Final = timedelta(minutes=1)
"""How long a pair is refused at most, after one more failure."""
REMEMBERED: Final = timedelta(minutes=15)
"""How long after the last one failures count."""
MAX_SOURCES: Final = 2048
MAX_KEYS: Final = 16
"""Keys that are remembered of one address: those that failed most."""
_MAX_NAME: Final = 128
_SITE: Final = 64
"""Bits of an IPv6 address that tell one site from another: within them, addresses are free."""


@dataclass(slots=True)
class _Record:
    failures: int
    last: datetime
    until: datetime
    """Until when the pair is refused."""


class Attempts:
    """The failures that one worker has seen."""

    def __init__(self, allowed: int) -> None:
        self._allowed = allowed
        self._sources: OrderedDict[str, dict[str, _Record]] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """Return the number of addresses that failures are remembered of."""
        return len(self._sources)

    def knows(self, address: str) -> bool:
        """Tell whether anybody has failed from there lately, so that `require_patience` may refuse."""
        return bool(self._sources) and _source(address) in self._sources

    def require_patience(self, credential: Credential, address: str, now: datetime) -> None:
        """Raise `TooManyAttempts` while this key from this address is refused."""
        # Nobody has failed lately: what every request pays.
        if not self._sources:
            return
        keys = self._sources.get(_source(address))
        key = _key(credential) if keys else None
        record = keys.get(key) if keys and key else None
        # What lies further ahead was written by a clock that has been put back since.
        if record is not None and now < record.until <= now + LONGEST:
            raise TooManyAttempts(retry_after=math.ceil((record.until - now).total_seconds()))

    def failed(self, credential: Credential, address: str, now: datetime) -> None:
        """Count a failure."""
        source, key = _source(address), _key(credential)
        if key is None or not self._allowed:
            return
        with self._lock:
            keys = self._sources.setdefault(source, {})
            self._sources.move_to_end(source)
            record = keys.get(key)
            if record is None or record.last + REMEMBERED < now:
                record = keys[key] = _Record(0, now, now)
            record.failures, record.last = record.failures + 1, now
            excess = record.failures - self._allowed
            if excess >= 0:
                record.until = now + min(LONGEST, timedelta(seconds=2 ** min(excess, 10)))
            self._forget(keys, now)

    def _forget(self, keys: dict[str, _Record], now: datetime) -> None:
        if len(keys) > MAX_KEYS:
            # Not the oldest: a guesser would push its own record out with failures of made-up keys.
            del keys[min(keys, key=lambda name: (keys[name].failures, keys[name].last))]
        while len(self._sources) > MAX_SOURCES or self._is_past(next(iter(self._sources)), now):
            self._sources.popitem(last=False)

    def _is_past(self, source: str, now: datetime) -> bool:
        return all(record.last + REMEMBERED < now for record in self._sources[source].values())


@lru_cache(maxsize=MAX_SOURCES)
def _source(address: str) -> str:
    """Return what is counted as one source: an IPv4 address, an IPv6 site."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address[:_MAX_NAME]
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is None:
        return str(ip_network((parsed, _SITE), strict=False))
    return str(parsed.ipv4_mapped or parsed) if isinstance(parsed, IPv6Address) else str(parsed)


def _key(credential: Credential) -> str | None:
    """
    Return the key that a credential claims to be of, unverified; ``token`` for a password that claims none.

    None for what guesses nothing: no credential, or a URL whose signature is known to be ours.
    """
    match credential:
        case Signed(access_key_id=name):
            return name[:_MAX_NAME]
        case Password(password=token):
            return _claimed(token)
        case _:
            return None


def _claimed(token: str) -> str:
    try:
        payload = token.split(".", 2)[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        session = claims.get("session") or {}
        name = claims.get("key") or session.get("key") or session["role_id"]
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, RecursionError):
        return "token"
    return name[:_MAX_NAME] if isinstance(name, str) else "token"

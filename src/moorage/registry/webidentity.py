"""
Web identities: tokens of an issuer that an account trusts (OIDC).

The issuer's keys are given when it is set up, or fetched from where it
publishes them and kept for some minutes.
"""

from __future__ import annotations

import base64
import json
import math
import threading
import time
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from moorage.domain.errors import IdentityProviderUnreachable, InvalidIdentityToken
from moorage.domain.policies import Principal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from moorage.registry.roles import Provider

ALGORITHMS: Final = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"]
"""Asymmetric ones alone: a token must not be checkable with a key that the issuer publishes as data."""
MAX_TOKEN: Final = 20_000
LEEWAY: Final = 60
"""Seconds by which clocks of issuer and registry may differ."""
_KEPT: Final = 300
_LEFT_ALONE: Final = 10
"""Seconds after a failure in which an issuer is not asked again."""
_WAITING: Final = 8
"""Threads that may wait for issuers at a time: most of a worker's must stay free for others."""
_DISCOVERY: Final = "/.well-known/openid-configuration"


def issuer_of(token: str) -> str:
    """Return the issuer that a token claims, unverified; raise `InvalidIdentityToken`."""
    try:
        payload = token[:MAX_TOKEN].split(".")[1]
        issuer = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["iss"]
    except (ValueError, IndexError, KeyError, TypeError, RecursionError):
        raise InvalidIdentityToken(reason="The web identity token could not be read") from None
    return issuer if isinstance(issuer, str) else ""


class Kept(NamedTuple):
    """What was last learnt of a source of keys."""

    keys: KeySet | None
    """None: they could not be had."""
    until: float
    """On the cache's clock; after that they are asked for again."""


class KeyCache:
    """
    Issuers' keys, fetched where they are published.

    Anybody can have them fetched, with a token that only claims to be the
    issuer's. So an issuer that does not answer is left alone for some seconds,
    and few threads at a time wait for any.
    """

    def __init__(self, fetch: Callable[[str], bytes], clock: Callable[[], float] = time.monotonic) -> None:
        self._fetch = fetch
        self._clock = clock
        self._kept: dict[tuple[str, str | None], Kept] = {}
        self._locks: defaultdict[tuple[str, str | None], threading.Lock] = defaultdict(threading.Lock)
        self._waiting = threading.BoundedSemaphore(_WAITING)

    def keys(self, provider: Provider) -> KeySet:
        """Return the provider's keys; raise `InvalidIdentityToken`, or `IdentityProviderUnreachable`."""
        if provider.keys is not None:
            return _key_set(provider.keys)
        # Not by issuer alone: two accounts may have been given different addresses of one issuer's keys.
        source = (provider.issuer, provider.keys_url)
        kept = self._fresh(source) or self._asked(source, provider)
        if kept.keys is None:
            raise IdentityProviderUnreachable
        return kept.keys

    def _fresh(self, source: tuple[str, str | None]) -> Kept | None:
        kept = self._kept.get(source)
        return kept if kept is not None and kept.until > self._clock() else None

    def _asked(self, source: tuple[str, str | None], provider: Provider) -> Kept:
        if not self._waiting.acquire(blocking=False):
            raise IdentityProviderUnreachable
        try:
            with self._locks[source]:
                # Who waited here finds what the one before them has learnt.
                kept = self._fresh(source)
                if kept is None:
                    kept = self._kept[source] = self._published(provider)
                return kept
        finally:
            self._waiting.release()

    def _published(self, provider: Provider) -> Kept:
        try:
            keys = _key_set(self._fetch(self._url(provider)))
        except (OSError, ValueError, KeyError, TypeError, RecursionError, InvalidIdentityToken):
            return Kept(None, self._clock() + _LEFT_ALONE)
        return Kept(keys, self._clock() + _KEPT)

    def _url(self, provider: Provider) -> str:
        if provider.keys_url is not None:
            return provider.keys_url
        return str(json.loads(self._fetch(provider.issuer + _DISCOVERY))["jwks_uri"])


def _key_set(document: str | bytes) -> KeySet:
    try:
        return KeySet.import_key_set(json.loads(document))
    except (ValueError, KeyError, TypeError, AttributeError, JoseError, RecursionError):
        reason = "Couldn't retrieve verification key from your identity provider"
        raise InvalidIdentityToken(reason=reason) from None


def verify(cache: KeyCache, provider: Provider, token: str, now: datetime) -> Mapping[str, Any]:
    """Return the claims of a token that the provider signed, for one of its audiences, and that counts now."""
    keys = cache.keys(provider)
    try:
        claims = jwt.decode(token[:MAX_TOKEN], keys, algorithms=ALGORITHMS).claims
    except (JoseError, ValueError, TypeError, RecursionError):
        raise InvalidIdentityToken(reason="The signature of the web identity token is not its issuer's") from None
    moment = now.timestamp()
    audiences = claims.get("aud")
    given = audiences if isinstance(audiences, list) else [audiences]
    problems = {
        "The web identity token has expired": not _moment(claims.get("exp")) + LEEWAY > moment,
        "The web identity token is not valid yet": not _moment(claims.get("nbf", 0)) - LEEWAY <= moment,
        "Incorrect token issuer": str(claims.get("iss", "")).rstrip("/") != provider.issuer,
        "Incorrect token audience": not any(item in provider.audiences for item in given),
        "The web identity token has no subject": not isinstance(claims.get("sub"), str),
    }
    for reason, holds in problems.items():
        if holds:
            raise InvalidIdentityToken(reason=reason)
    return claims


def _moment(value: object) -> float:
    """Return seconds since 1970; NaN, which is neither before nor after anything, for what is no time."""
    try:
        return float(value) if isinstance(value, (int, float)) else math.nan
    except OverflowError:
        return math.nan


def principal(provider: Provider, claims: Mapping[str, Any]) -> Principal:
    """Return who presents the token, before a role is taken on."""
    return Principal(arn=provider.arn, account=provider.account_id, user_id=claims["sub"])


def conditions(provider: Provider, claims: Mapping[str, Any]) -> dict[str, Any]:
    """Return the condition keys that the token supplies: ``<issuer>:<claim>`` for every text or list of texts."""
    return {
        f"{provider.host}:{name}": value
        for name, value in claims.items()
        if isinstance(value, str) or (isinstance(value, list) and all(isinstance(item, str) for item in value))
    }

"""
Web identities: tokens of an issuer that an account trusts (OIDC).

The issuer's keys are given when it is set up, or fetched from where it
publishes them and kept for some minutes.
"""

from __future__ import annotations

import base64
import json
import threading
import time
from typing import TYPE_CHECKING, Any, Final

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from moorage.domain.errors import InvalidIdentityToken
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
_DISCOVERY: Final = "/.well-known/openid-configuration"


def issuer_of(token: str) -> str:
    """Return the issuer that a token claims, unverified; raise `InvalidIdentityToken`."""
    try:
        payload = token[:MAX_TOKEN].split(".")[1]
        issuer = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["iss"]
    except (ValueError, IndexError, KeyError, TypeError, RecursionError):
        raise InvalidIdentityToken(reason="The web identity token could not be read") from None
    return issuer if isinstance(issuer, str) else ""


class KeyCache:
    """Issuers' keys, fetched where they are published."""

    def __init__(self, fetch: Callable[[str], bytes], clock: Callable[[], float] = time.monotonic) -> None:
        self._fetch = fetch
        self._clock = clock
        self._kept: dict[str, tuple[float, KeySet]] = {}
        self._lock = threading.Lock()

    def keys(self, provider: Provider) -> KeySet:
        """Return the provider's keys; raise `InvalidIdentityToken` if they cannot be had."""
        try:
            if provider.keys is not None:
                return KeySet.import_key_set(json.loads(provider.keys))
            return self._published(provider)
        except (OSError, ValueError, KeyError, TypeError, JoseError, RecursionError):
            reason = "Couldn't retrieve verification key from your identity provider"
            raise InvalidIdentityToken(reason=reason) from None

    def _published(self, provider: Provider) -> KeySet:
        with self._lock:
            until, known = self._kept.get(provider.issuer, (0.0, None))
            if known is None or until < self._clock():
                known = KeySet.import_key_set(json.loads(self._fetch(self._url(provider))))
                self._kept[provider.issuer] = (self._clock() + _KEPT, known)
            return known

    def _url(self, provider: Provider) -> str:
        if provider.keys_url is not None:
            return provider.keys_url
        return str(json.loads(self._fetch(provider.issuer + _DISCOVERY))["jwks_uri"])


def verify(cache: KeyCache, provider: Provider, token: str, now: datetime) -> Mapping[str, Any]:
    """Return the claims of a token that the provider signed, for one of its audiences, and that counts now."""
    try:
        claims = jwt.decode(token[:MAX_TOKEN], cache.keys(provider), algorithms=ALGORITHMS).claims
    except (JoseError, ValueError, TypeError, RecursionError):
        raise InvalidIdentityToken(reason="The signature of the web identity token is not its issuer's") from None
    moment = now.timestamp()
    audiences = claims.get("aud")
    given = audiences if isinstance(audiences, list) else [audiences]
    problems = {
        "The web identity token has expired": _number(claims.get("exp")) + LEEWAY <= moment,
        "The web identity token is not valid yet": _number(claims.get("nbf")) - LEEWAY > moment,
        "Incorrect token issuer": str(claims.get("iss", "")).rstrip("/") != provider.issuer,
        "Incorrect token audience": not any(item in provider.audiences for item in given),
        "The web identity token has no subject": not isinstance(claims.get("sub"), str),
    }
    for reason, holds in problems.items():
        if holds:
            raise InvalidIdentityToken(reason=reason)
    return claims


def _number(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) else 0.0


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

"""
The master key, and what is made from it.

One key, kept outside the database, seals the secrets that the database holds
and signs what we hand out: authorization tokens, page tokens, download URLs.
Each purpose has its own derived key, so that nothing signed for one purpose
can be used for another.
"""

from __future__ import annotations

import base64
import time
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

if TYPE_CHECKING:
    from collections.abc import Callable

KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_MAX_TOKEN: Final = 4096
_ALGORITHMS: Final = ["HS256"]
_KEPT: Final = 4096


class Expired(ValueError):
    """A token that we signed and whose time is over."""


class Forged(ValueError):
    """A token that we did not sign, or not for this purpose."""


class Keyring:
    """Seals and signs with keys derived from one master key (32 bytes)."""

    def __init__(self, master: bytes, random: Callable[[int], bytes], clock: Callable[[], float] = time.time) -> None:
        if len(master) != KEY_BYTES:
            raise ValueError(f"the master key must have {KEY_BYTES} bytes")
        self._master = master
        self._random = random
        self._clock = clock
        self._signing = cache(lambda purpose: OctKey.import_key(self._derive(f"sign:{purpose}")))
        # That a signature is good never changes; whether the token still counts
        # (its time, its key) is asked anew each time.
        self._verified = lru_cache(maxsize=_KEPT)(self._verify)
        self._sealer = AESGCM(self._derive("seal"))

    def __repr__(self) -> str:
        return "Keyring(…)"

    def _derive(self, purpose: str) -> bytes:
        info = f"moorage:{purpose}".encode()
        return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=info).derive(self._master)

    def seal(self, secret: str, context: str) -> bytes:
        """Encrypt a secret for the database; ``context`` (its row's key) is bound to it."""
        nonce = self._random(_NONCE_BYTES)
        return nonce + self._sealer.encrypt(nonce, secret.encode(), context.encode())

    def unseal(self, sealed: bytes, context: str) -> str:
        """Decrypt what `seal` made; raises ``cryptography.exceptions.InvalidTag`` with another key or row."""
        return self._sealer.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], context.encode()).decode()

    def seal_text(self, secret: str, context: str) -> str:
        """Encrypt as `seal` does, into text that fits a header."""
        return base64.urlsafe_b64encode(self.seal(secret, context)).decode()

    def unseal_text(self, sealed: str, context: str) -> str:
        """Decrypt what `seal_text` made; raise `Forged` for anything else."""
        try:
            return self.unseal(base64.b64decode(sealed.encode(), altchars=b"-_", validate=True), context)
        except (InvalidTag, ValueError):
            raise Forged from None

    def sign(self, purpose: str, claims: dict[str, Any], lifetime: float | None = None) -> str:
        """Return a compact signed token; ``lifetime`` in seconds."""
        if lifetime is not None:
            claims = {**claims, "exp": int(self._clock() + lifetime)}
        return jwt.encode({"alg": "HS256"}, claims, self._signing(purpose), algorithms=_ALGORITHMS)

    def verify(self, purpose: str, token: str) -> dict[str, Any]:
        """Return the claims of a token signed for this purpose; raise `Forged` or `Expired`."""
        if len(token) > _MAX_TOKEN or not token.isascii():
            raise Forged
        claims = self._verified(purpose, token)
        expires = claims.get("exp")
        if expires is not None and (not isinstance(expires, int) or expires <= self._clock()):
            raise Expired
        return claims

    def _verify(self, purpose: str, token: str) -> dict[str, Any]:
        try:
            return jwt.decode(token, self._signing(purpose), algorithms=_ALGORITHMS).claims
        except (JoseError, ValueError, TypeError, RecursionError):
            raise Forged from None


def encode_key(key: bytes) -> str:
    """Return the text form of a master key (``MOORAGE_MASTER_KEY``, the key file)."""
    return base64.b64encode(key).decode()


def decode_key(text: str) -> bytes:
    """Return the master key that its text form holds; raises `ValueError`."""
    key = base64.b64decode(text.strip(), validate=True)
    if len(key) != KEY_BYTES:
        raise ValueError(f"the master key must have {KEY_BYTES} bytes")
    return key

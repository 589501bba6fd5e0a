"""
The master key, and what is made from it.

One key, kept outside the database, seals the secrets that the database holds
and signs what we hand out: authorization tokens, page tokens, download URLs.
Each purpose has its own derived key, so that nothing signed for one purpose
can be used for another.
"""

from __future__ import annotations

import base64
import dataclasses
import threading
import time
from dataclasses import dataclass
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
    from collections.abc import Callable, Iterator, Sequence

KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_MAX_TOKEN: Final = 4096
_ALGORITHMS: Final = ["HS256"]
_KEPT: Final = 4096
_LOOK: Final = 1.0
"""Seconds between two looks at whether the keys have changed."""


class Expired(ValueError):
    """A token that we signed and whose time is over."""


class Forged(ValueError):
    """A token that we did not sign, or not for this purpose."""


@dataclass(frozen=True, slots=True)
class MasterKey:
    """A master key (32 bytes), and until when it is good for opening; the one in use has no end."""

    key: bytes = dataclasses.field(repr=False)
    until: float | None = None
    """Seconds since the epoch."""


class _Derived:
    """What is derived from one master key."""

    def __init__(self, master: bytes) -> None:
        if len(master) != KEY_BYTES:
            raise ValueError(f"the master key must have {KEY_BYTES} bytes")
        self._master = master
        self.signing = cache(lambda purpose: OctKey.import_key(self._derive(f"sign:{purpose}")))
        # That a signature is good never changes; whether the token still counts
        # (its time, its key) is asked anew each time.
        self.verify = lru_cache(maxsize=_KEPT)(self._verify)
        self.sealer = AESGCM(self._derive("seal"))

    def _derive(self, purpose: str) -> bytes:
        info = f"moorage:{purpose}".encode()
        return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=info).derive(self._master)

    def _verify(self, purpose: str, token: str) -> dict[str, Any]:
        try:
            return jwt.decode(token, self.signing(purpose), algorithms=_ALGORITHMS).claims
        except (JoseError, ValueError, TypeError, RecursionError):
            raise Forged from None


class Keyring:
    """
    Seals and signs with keys derived from one master key (32 bytes); opens and verifies with older ones too.

    ``reread`` returns the keys if they have changed since it was last asked,
    else None. It is asked before anything is made, when something does not
    open, and once a second: a running process learns of a new key, and forgets
    one that is taken away.
    """

    def __init__(
        self,
        master: bytes | Sequence[MasterKey],
        random: Callable[[int], bytes],
        clock: Callable[[], float] = time.time,
        reread: Callable[[], Sequence[MasterKey] | None] = lambda: None,
    ) -> None:
        self._random = random
        self._clock = clock
        self._reread = reread
        self._lock = threading.Lock()
        self._looked = time.monotonic()
        self._keys: list[tuple[MasterKey, _Derived]] = []
        self._take([MasterKey(master)] if isinstance(master, bytes) else master)

    def __repr__(self) -> str:
        return "Keyring(…)"

    def _take(self, masters: Sequence[MasterKey]) -> None:
        known = {master.key: derived for master, derived in self._keys}
        self._keys = [(master, known.get(master.key) or _Derived(master.key)) for master in masters]

    def _look(self) -> None:
        """Learn of other keys, if there are."""
        with self._lock:
            self._looked = time.monotonic()
            if found := self._reread():
                self._take(found)

    def _in_use(self) -> _Derived:
        self._look()
        return self._keys[0][1]

    def _accepted(self) -> Iterator[_Derived]:
        """Yield the keys that may open something, and then those that are learned of."""
        if time.monotonic() - self._looked > _LOOK:
            self._look()
        tried = self._keys
        yield from (derived for master, derived in tried if self._is_good(master))
        self._look()
        if self._keys is not tried:
            yield from (derived for master, derived in self._keys if self._is_good(master))

    def _is_good(self, master: MasterKey) -> bool:
        return master.until is None or master.until > self._clock()

    def seal(self, secret: str, context: str) -> bytes:
        """Encrypt a secret for the database; ``context`` (its row's key) is bound to it."""
        nonce = self._random(_NONCE_BYTES)
        return nonce + self._in_use().sealer.encrypt(nonce, secret.encode(), context.encode())

    def unseal(self, sealed: bytes, context: str) -> str:
        """Decrypt what `seal` made; raises ``cryptography.exceptions.InvalidTag`` with another key or row."""
        for derived in self._accepted():
            try:
                return derived.sealer.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], context.encode()).decode()
            except InvalidTag:
                continue
        raise InvalidTag

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
        return jwt.encode({"alg": "HS256"}, claims, self._in_use().signing(purpose), algorithms=_ALGORITHMS)

    def verify(self, purpose: str, token: str) -> dict[str, Any]:
        """Return the claims of a token signed for this purpose; raise `Forged` or `Expired`."""
        if len(token) > _MAX_TOKEN or not token.isascii():
            raise Forged
        claims = self._verified(purpose, token)
        expires = claims.get("exp")
        if expires is not None and (not isinstance(expires, int) or expires <= self._clock()):
            raise Expired
        return claims

    def _verified(self, purpose: str, token: str) -> dict[str, Any]:
        for derived in self._accepted():
            try:
                return derived.verify(purpose, token)
            except Forged:
                continue
        raise Forged


def encode_key(key: bytes) -> str:
    """Return the text form of a master key (``MOORAGE_MASTER_KEY``, the key file)."""
    return base64.b64encode(key).decode()


def decode_key(text: str) -> bytes:
    """Return the master key that its text form holds; raises `ValueError`."""
    key = base64.b64decode(text.strip(), validate=True)
    if len(key) != KEY_BYTES:
        raise ValueError(f"the master key must have {KEY_BYTES} bytes")
    return key

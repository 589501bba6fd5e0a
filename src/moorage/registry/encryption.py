"""Encryption of layers: which configuration is honoured, and which is refused with its reason."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from moorage.domain.errors import InvalidParameter

if TYPE_CHECKING:
    from collections.abc import Mapping

    from moorage.domain.errors import Failure

OURS: Final = "AES256"
"""Encryption by the storage itself, with keys that it keeps: a bucket's own, or an encrypted disk."""


def check(configuration: Mapping[str, str], refused: type[Failure]) -> None:
    """Raise `InvalidParameter` for a key that AES256 does not take, and ``refused`` for every other encryption."""
    kind = configuration.get("encryptionType", OURS)
    if kind != OURS:
        raise refused(
            reason=f"Encryption with {kind} is not available in this registry: it has no key management service."
            " Use AES256, with the encryption of the disk or bucket that holds the layers."
        )
    if configuration.get("kmsKey"):
        problem = "Invalid encryption configuration: Encryption key should not be set for AES256 encryption."
        raise InvalidParameter("encryptionConfiguration", problem)

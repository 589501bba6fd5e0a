"""
Bytes to push: of any length, unlike any others, made and hashed at no cost that a clock would notice.

All blobs of one length begin alike and differ in their last bytes, so that the
hash of the beginning is computed once.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_MIB: Final = 1024 * 1024
_STAMP: Final = 32
MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
_CONFIG: Final = "application/vnd.oci.image.config.v1+json"
_LAYER: Final = "application/vnd.oci.image.layer.v1.tar"


@functools.cache
def _block() -> bytes:
    """Random, so that nothing on the way can make it smaller; the same in each run."""
    return random.Random(1).randbytes(_MIB)  # noqa: S311 (content, not a secret)


@functools.lru_cache(maxsize=8)
def _beginning(size: int) -> Any:
    sha256 = hashlib.sha256()
    for piece in _pieces(size - _STAMP):
        sha256.update(piece)
    return sha256


def _pieces(length: int) -> Iterator[memoryview]:
    block = memoryview(_block())
    for begin in range(0, length, _MIB):
        yield block[: min(_MIB, length - begin)]


@dataclass(frozen=True, slots=True)
class Blob:
    """A blob of so many bytes, at least 32."""

    size: int
    stamp: bytes = field(default_factory=lambda: os.urandom(_STAMP))

    def __len__(self) -> int:
        return self.size

    @property
    def digest(self) -> str:
        """The digest."""
        sha256 = _beginning(self.size).copy()
        sha256.update(self.stamp)
        return f"sha256:{sha256.hexdigest()}"

    def pieces(self) -> Iterator[memoryview]:
        """Yield the bytes."""
        yield from _pieces(self.size - _STAMP)
        yield memoryview(self.stamp)


@dataclass(frozen=True, slots=True)
class Image:
    """An image to push: its layers, a config and a manifest that names them."""

    layers: tuple[Blob, ...]
    config: bytes
    manifest: bytes

    @property
    def config_digest(self) -> str:
        """The config's digest."""
        return digest_of(self.config)

    @property
    def digest(self) -> str:
        """The image's digest."""
        return digest_of(self.manifest)


def digest_of(data: bytes) -> str:
    """Return the digest of bytes."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def image(*sizes: int) -> Image:
    """Return an image of layers of these sizes, unlike any other."""
    layers = tuple(Blob(size) for size in sizes)
    config = json.dumps({"architecture": "amd64", "os": "linux", "salt": os.urandom(16).hex()}).encode()
    document = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": _CONFIG, "digest": digest_of(config), "size": len(config)},
        "layers": [{"mediaType": _LAYER, "digest": layer.digest, "size": layer.size} for layer in layers],
    }
    return Image(layers, config, json.dumps(document).encode())

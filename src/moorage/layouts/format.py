"""The names and limits of an OCI image layout (image-spec: image-layout.md)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from moorage.domain.names import Digest

MARKER: Final = "oci-layout"
VERSION: Final = "1.0.0"
MARKER_TEXT: Final = json.dumps({"imageLayoutVersion": VERSION}).encode()
INDEX: Final = "index.json"
TAG: Final = "org.opencontainers.image.ref.name"
REPOSITORY: Final = "moorage.repository"
"""Our annotation: the repository that an image was exported from."""
LARGEST_INDEX: Final = 64 << 20
"""Bytes of ``index.json``."""
MOST_IMAGES: Final = 250_000
"""Entries of ``index.json``, and manifests that are read because of them."""
PIECE: Final = 1 << 20
"""Bytes that are moved at a time."""


class LayoutError(Exception):
    """The layout cannot be read or written; the message says what is wrong with it."""


def path_of(digest: Digest) -> str:
    """Return the path of a blob in a layout."""
    algorithm, _, encoded = digest.partition(":")
    return f"blobs/{algorithm}/{encoded}"

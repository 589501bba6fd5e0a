"""
Manifests: bytes in, what they say out.

Docker image manifests v2 schema 2, Docker manifest lists, OCI image manifests
and OCI indexes (image-spec 1.1, with ``subject`` and ``artifactType``). The
bytes are never rewritten: a manifest is stored and served as it came.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from moorage.domain.errors import InvalidParameter, ManifestTooLarge
from moorage.domain.names import Digest

if TYPE_CHECKING:
    from collections.abc import Mapping

DOCKER_IMAGE: Final = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST: Final = "application/vnd.docker.distribution.manifest.list.v2+json"
OCI_IMAGE: Final = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX: Final = "application/vnd.oci.image.index.v1+json"

IMAGE_TYPES: Final = frozenset({DOCKER_IMAGE, OCI_IMAGE})
INDEX_TYPES: Final = frozenset({DOCKER_LIST, OCI_INDEX})
MANIFEST_TYPES: Final = IMAGE_TYPES | INDEX_TYPES

MAX_BYTES: Final = 4 * 1024 * 1024
"""The longest manifest, in bytes (PutImage's ``imageManifest``)."""

_MAX_SIZE: Final = 2**63 - 1
_MAX_TEXT: Final = 1024
# What is pushed today is repeated in lists tomorrow, and half of a surrogate
# pair (which an escape can say) cannot be encoded there.
_HALF_CHARACTER: Final = re.compile(rb"\\u[dD][89a-fA-F]")


@dataclass(frozen=True, slots=True)
class Descriptor:
    """What one manifest says of another piece of content (image-spec: descriptor)."""

    media_type: str
    digest: Digest
    size: int
    """Length in bytes, as declared by the manifest."""
    elsewhere: bool = False
    """The bytes are fetched from ``urls`` (foreign, non-distributable): they need not be here."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """A parsed manifest."""

    body: bytes
    media_type: str
    config: Descriptor | None = None
    layers: tuple[Descriptor, ...] = ()
    children: tuple[Descriptor, ...] = ()
    subject: Descriptor | None = None
    artifact_type: str | None = None
    """``artifactType`` if the document has it, else the type of its config."""
    annotations: Mapping[str, str] = field(default_factory=dict)

    @property
    def required_layers(self) -> tuple[Digest, ...]:
        """Digests of the blobs that must be in the repository, each once, in the document's order."""
        config = (self.config,) if self.config else ()
        blobs = [d.digest for d in (*config, *self.layers) if not d.elsewhere]
        blobs += [d.digest for d in self.children if d.media_type not in MANIFEST_TYPES]
        return tuple(dict.fromkeys(blobs))

    @property
    def required_images(self) -> tuple[Digest, ...]:
        """Digests of the manifests that must be in the repository, each once, in the document's order."""
        return tuple(dict.fromkeys(d.digest for d in self.children if d.media_type in MANIFEST_TYPES))

    @property
    def size(self) -> int:
        """Bytes of config and layers together, as declared (DescribeImages ``imageSizeInBytes``)."""
        return (self.config.size if self.config else 0) + sum(layer.size for layer in self.layers)


def parse(body: bytes, media_type: str | None = None) -> Manifest:
    """
    Return what the bytes of a manifest say.

    ``media_type`` is what the sender declared (Content-Type,
    ``imageManifestMediaType``); without it the document's own ``mediaType``
    counts. Raises `InvalidParameter` at ``ImageManifest`` in ECR's words.
    """
    if len(body) > MAX_BYTES:
        raise ManifestTooLarge(
            reason="Invalid parameter at 'ImageManifest' failed to satisfy constraint:"
            f" 'Member must have length less than or equal to {MAX_BYTES}'"
        )
    document = _load(body)
    kind = _media_type(document, media_type)
    # A document that can be read as both an image and an index means different
    # things to different clients (CVE-2021-41190).
    if kind in IMAGE_TYPES:
        _refuse("manifests" in document)
        return _image(body, document, kind)
    _refuse("layers" in document or "config" in document)
    return _index(body, document, kind)


def _refuse(condition: bool) -> None:
    if condition:
        raise InvalidParameter("ImageManifest", "Invalid JSON syntax")


def _load(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body.decode("utf-8"), parse_float=_finite, parse_constant=_finite)
        if _HALF_CHARACTER.search(body):
            json.dumps(document, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise InvalidParameter("ImageManifest", "Invalid JSON syntax") from None
    _refuse(not isinstance(document, dict) or type(document.get("schemaVersion")) is not int)
    _refuse(document["schemaVersion"] != 2)  # noqa: PLR2004 (image-spec: "MUST be 2")
    return document  # type: ignore[no-any-return]


def _finite(text: str) -> float:
    """Return a number that JSON can write again: neither ``NaN`` nor one too large for a float."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


def _media_type(document: dict[str, Any], declared: str | None) -> str:
    own = document.get("mediaType")
    _refuse(own is not None and not isinstance(own, str))
    given = declared.partition(";")[0].strip().lower() if declared else None
    kind = given or own
    if kind is None:
        raise InvalidParameter("ImageManifest", "image manifest mediatype not provided in manifest or parameter")
    _refuse(kind not in MANIFEST_TYPES or (own is not None and own != kind))
    return str(kind)


def _image(body: bytes, document: dict[str, Any], kind: str) -> Manifest:
    config = _descriptor(document.get("config"))
    layers = tuple(_descriptor(item) for item in _list(document, "layers"))
    manifest = Manifest(
        body=body,
        media_type=kind,
        config=config,
        layers=layers,
        subject=_subject(document),
        artifact_type=_artifact_type(document) or config.media_type,
        annotations=_annotations(document),
    )
    _refuse(manifest.size > _MAX_SIZE)
    return manifest


def _index(body: bytes, document: dict[str, Any], kind: str) -> Manifest:
    return Manifest(
        body=body,
        media_type=kind,
        children=tuple(_descriptor(item) for item in _list(document, "manifests")),
        subject=_subject(document),
        artifact_type=_artifact_type(document),
        annotations=_annotations(document),
    )


def _list(document: dict[str, Any], member: str) -> list[Any]:
    items = document.get(member)
    if member == "layers" and items is None:
        return []
    _refuse(not isinstance(items, list))
    return items or []


def _subject(document: dict[str, Any]) -> Descriptor | None:
    subject = document.get("subject")
    return None if subject is None else _descriptor(subject)


def _artifact_type(document: dict[str, Any]) -> str | None:
    value = document.get("artifactType")
    _refuse(value is not None and not _is_text(value))
    return value or None


def _is_text(value: object) -> bool:
    # Kept to what a database column and a header can carry.
    return isinstance(value, str) and len(value) <= _MAX_TEXT and value.isprintable()


def _descriptor(value: object) -> Descriptor:
    if not isinstance(value, dict):
        raise InvalidParameter("ImageManifest", "Invalid JSON syntax")
    media_type, digest, size, urls = (value.get(k) for k in ("mediaType", "digest", "size", "urls"))
    _refuse(not _is_text(media_type) or not isinstance(digest, str))
    _refuse(type(size) is not int or not 0 <= size <= _MAX_SIZE)
    _refuse(urls is not None and not (isinstance(urls, list) and all(isinstance(url, str) for url in urls)))
    _annotations(value)
    return Descriptor(
        media_type=str(media_type),
        digest=Digest.parse(str(digest), field="ImageManifest"),
        size=size if isinstance(size, int) else 0,
        elsewhere=bool(urls) or ".foreign." in str(media_type) or "nondistributable" in str(media_type),
    )


def _annotations(value: dict[str, Any]) -> Mapping[str, str]:
    annotations = value.get("annotations")
    if annotations is None:
        return {}
    _refuse(not isinstance(annotations, dict) or not all(isinstance(item, str) for item in annotations.values()))
    return annotations  # type: ignore[no-any-return]

"""What a registry's clients do, for any registry: push a blob or an image, and pull it again."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from benchmarks.blobs import MANIFEST, Blob, digest_of
from benchmarks.client import Refused, completing, following, nowhere, require

if TYPE_CHECKING:
    from benchmarks.blobs import Image
    from benchmarks.client import Connection


def push_blob(connection: Connection, repository: str, body: bytes | Blob, *, streamed: bool = False) -> None:
    """Push a blob in two requests, or ``streamed`` in three: the bytes in chunks, of a length that nobody announces."""
    digest = body.digest if isinstance(body, Blob) else digest_of(body)
    begun = require(connection.request("POST", f"/v2/{repository}/blobs/uploads/"), 202)
    location = begun.headers["location"]
    kind = {"Content-Type": "application/octet-stream"}
    if streamed:
        target = following(location)
        sent = require(connection.request("PATCH", target, headers=kind, body=body, chunked=True), 202)
        location, body = sent.headers["location"], b""
    require(connection.request("PUT", completing(location, digest), headers=kind, body=body), 201)


def push_manifest(connection: Connection, repository: str, reference: str, manifest: bytes) -> None:
    """Push a manifest."""
    target = f"/v2/{repository}/manifests/{reference}"
    require(connection.request("PUT", target, headers={"Content-Type": MANIFEST}, body=manifest), 201)


def push_image(connection: Connection, repository: str, tag: str, image: Image) -> None:
    """Push an image whole: layers, config, manifest."""
    for layer in image.layers:
        push_blob(connection, repository, layer)
    push_blob(connection, repository, image.config)
    push_manifest(connection, repository, tag, image.manifest)


def pull_image(connection: Connection, repository: str, tag: str) -> int:
    """Pull an image as a client does that has nothing of it; return the bytes of its blobs."""
    manifest = require(
        connection.request("GET", f"/v2/{repository}/manifests/{tag}", headers={"Accept": MANIFEST}), 200
    )
    document = manifest.json()
    return sum(pull_blob(connection, repository, part["digest"]) for part in (document["config"], *document["layers"]))


def pull_blob(connection: Connection, repository: str, digest: str) -> int:
    """Pull a blob; return how many bytes came."""
    return require(connection.request("GET", f"/v2/{repository}/blobs/{digest}", into=nowhere), 200).received


def verify_blob(connection: Connection, repository: str, digest: str) -> None:
    """
    Pull a blob and hash it, before a clock runs.

    :raises Refused: the bytes are not those of the digest
    """
    sha256 = hashlib.sha256()
    require(connection.request("GET", f"/v2/{repository}/blobs/{digest}", into=sha256.update), 200)
    if f"sha256:{sha256.hexdigest()}" != digest:
        raise Refused(f"other bytes than those of {digest}")

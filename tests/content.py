"""Images made for tests: real tar layers, real configs, real manifests."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from moorage.domain import manifests

if TYPE_CHECKING:
    from tests.servers import Server

LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
CONFIG = "application/vnd.oci.image.config.v1+json"


def digest_of(data: bytes) -> str:
    """Return the SHA-256 digest of bytes, computed apart from the code under test."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def layer(text: bytes | None = None) -> bytes:
    """Return a gzipped tar of one file, unlike any other unless ``text`` is given."""
    content = os.urandom(64) if text is None else text
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        info = tarfile.TarInfo("file")
        info.size = len(content)
        tar.addfile(info, io.BytesIO(content))
    return gzip.compress(buffer.getvalue(), mtime=0)


def descriptor(data: bytes, media_type: str, **more: Any) -> dict[str, Any]:
    """Return a descriptor of bytes."""
    return {"mediaType": media_type, "digest": digest_of(data), "size": len(data), **more}


@dataclass
class Image:
    """An image's pieces."""

    manifest: bytes
    config: bytes
    layers: list[bytes]
    media_type: str = manifests.OCI_IMAGE

    @property
    def digest(self) -> str:
        """The image's digest."""
        return digest_of(self.manifest)

    @property
    def size(self) -> int:
        """What DescribeImages should give as its size."""
        return len(self.config) + sum(map(len, self.layers))


def image(*layers: bytes, count: int = 1, docker: bool = False, **more: Any) -> Image:
    """Return an image of the given layers, or of new ones."""
    parts = list(layers) or [layer() for _ in range(count)]
    config = json.dumps({"architecture": "amd64", "os": "linux", "salt": os.urandom(8).hex()}).encode()
    config_type = "application/vnd.docker.container.image.v1+json" if docker else CONFIG
    layer_type = "application/vnd.docker.image.rootfs.diff.tar.gzip" if docker else LAYER
    media_type = manifests.DOCKER_IMAGE if docker else manifests.OCI_IMAGE
    document = {
        "schemaVersion": 2,
        "mediaType": media_type,
        "config": descriptor(config, config_type),
        "layers": [descriptor(part, layer_type) for part in parts],
        **more,
    }
    return Image(json.dumps(document).encode(), config, parts, media_type)


def index(*images: Image, docker: bool = False, **more: Any) -> bytes:
    """Return an index of images."""
    document = {
        "schemaVersion": 2,
        "mediaType": manifests.DOCKER_LIST if docker else manifests.OCI_INDEX,
        "manifests": [descriptor(item.manifest, item.media_type) for item in images],
        **more,
    }
    return json.dumps(document).encode()


def push_blob(server: Server, repository: str, data: bytes, token: str | None = None) -> str:
    """Push a blob through the distribution door; return its digest."""
    begun = server.request("POST", f"/v2/{repository}/blobs/uploads/", token=token)
    assert begun.status == 202, begun.data
    done = server.request("PUT", f"{begun.headers['Location']}?digest={digest_of(data)}", token=token, body=data)
    assert done.status == 201, done.data
    return digest_of(data)


def push_blobs(server: Server, repository: str, pushed: Image, token: str | None = None) -> None:
    """Push config and layers of an image."""
    for part in (pushed.config, *pushed.layers):
        push_blob(server, repository, part, token)


def push(server: Server, repository: str, tag: str | None = None, pushed: Image | None = None) -> Image:
    """Push an image through the distribution door, by tag or by digest."""
    pushed = pushed or image()
    token = server.token()
    push_blobs(server, repository, pushed, token)
    put_manifest(server, repository, tag or pushed.digest, pushed.manifest, pushed.media_type, token)
    return pushed


def put_manifest(
    server: Server, repository: str, reference: str, body: bytes, media_type: str, token: str | None = None
) -> Any:
    """Push a manifest; return the answer."""
    path = f"/v2/{repository}/manifests/{reference}"
    answer = server.request("PUT", path, token=token, headers={"Content-Type": media_type}, body=body)
    assert answer.status == 201, answer.data
    return answer


def upload_layer(client: Any, repository: str, data: bytes, part: int = 10 * 1024 * 1024) -> str:
    """Push a layer through ECR's own operations; return its digest."""
    upload = client.initiate_layer_upload(repositoryName=repository)
    for first in range(0, len(data), part):
        piece = data[first : first + part]
        client.upload_layer_part(
            repositoryName=repository,
            uploadId=upload["uploadId"],
            partFirstByte=first,
            partLastByte=first + len(piece) - 1,
            layerPartBlob=piece,
        )
    done = client.complete_layer_upload(
        repositoryName=repository, uploadId=upload["uploadId"], layerDigests=[digest_of(data)]
    )
    digest: str = done["layerDigest"]
    return digest

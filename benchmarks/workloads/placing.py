"""Content that is there before the clock runs: pushed to a registry, put as files where there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks import registry
from benchmarks.client import require
from benchmarks.contenders.servers import Role

if TYPE_CHECKING:
    from benchmarks.blobs import Blob, Image
    from benchmarks.client import Connection
    from benchmarks.contenders.servers import Server


def place_blob(server: Server, connection: Connection, repository: str, body: bytes | Blob, digest: str) -> None:
    """Make a blob that clients can pull."""
    if server.contender.role is Role.LIMIT:
        put(connection, f"/v2/{repository}/blobs/{digest}", body)
    else:
        registry.push_blob(connection, repository, body)


def place_image(server: Server, connection: Connection, repository: str, tag: str, image: Image) -> None:
    """Make an image that clients can pull by its tag and its digest."""
    server.create(repository)
    if server.contender.role is not Role.LIMIT:
        registry.push_image(connection, repository, tag, image)
        return
    for layer in image.layers:
        put(connection, f"/v2/{repository}/blobs/{layer.digest}", layer)
    put(connection, f"/v2/{repository}/blobs/{image.config_digest}", image.config)
    for reference in (tag, image.digest):
        put(connection, f"/v2/{repository}/manifests/{reference}", image.manifest)


def put(connection: Connection, target: str, body: bytes | Blob) -> None:
    """Make a file, as a server of files takes it."""
    require(connection.request("PUT", target, body=body), 201, 204)

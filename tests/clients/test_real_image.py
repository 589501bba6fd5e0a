"""A real image, all the way round: in with skopeo, out and in again with boto3, out with skopeo."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from moorage.domain import manifests
from tests.clients import layouts
from tests.clients.layouts import Layout

if TYPE_CHECKING:
    from pathlib import Path

    from tests.clients.tools import Tool
    from tests.servers import Server

MIB = 1024 * 1024


@pytest.fixture(scope="module")
def pushed(skopeo: Tool, server: Server, ecr: Any, real: Layout) -> str:
    """The name of a repository into which skopeo pushed the image."""
    name = "real/pushed"
    ecr.create_repository(repositoryName=name)
    skopeo("copy", "--dest-tls-verify=false", real.at("v1"), f"docker://{server.host}/{name}:v1")
    return name


def downloaded(server: Server, ecr: Any, repository: str, digest: str) -> tuple[str, int]:
    """Get a layer from its download URL; return the digest and the length of what came."""
    url = ecr.get_download_url_for_layer(repositoryName=repository, layerDigest=digest)["downloadUrl"]
    answer = server.http.request("GET", url, preload_content=False)
    assert answer.status == 200
    came, length = hashlib.sha256(), 0
    for piece in answer.stream(MIB):
        came.update(piece)
        length += len(piece)
    return f"sha256:{came.hexdigest()}", length


def test_the_image_is_a_real_one(real: Layout) -> None:
    """The image has several layers, one of which takes several parts to upload."""
    sizes = [layer["size"] for layer in real.manifest("v1")["layers"]]

    assert len(sizes) == 4
    assert max(sizes) > 30 * MIB


def test_boto3_describes_it(ecr: Any, pushed: str, real: Layout) -> None:
    """DescribeImages tells its size, its digest, its tags, and when it was pushed."""
    (details,) = ecr.describe_images(repositoryName=pushed)["imageDetails"]

    assert details["imageDigest"] == real.digest("v1")
    assert details["imageTags"] == ["v1"]
    assert details["imageSizeInBytes"] == sum(part["size"] for part in real.parts("v1"))
    assert datetime.now(UTC) - timedelta(hours=1) < details["imagePushedAt"] <= datetime.now(UTC)


def test_boto3_gets_the_manifest_as_it_was_written(ecr: Any, pushed: str, real: Layout) -> None:
    """BatchGetImage gives the manifest byte for byte, with its media type."""
    (image,) = ecr.batch_get_image(repositoryName=pushed, imageIds=[{"imageTag": "v1"}])["images"]

    assert image["imageManifest"].encode() == real.path(real.digest("v1")).read_bytes()
    assert image["imageManifestMediaType"] == manifests.OCI_IMAGE


def test_every_layer_is_downloaded_as_it_was_pushed(server: Server, ecr: Any, pushed: str, real: Layout) -> None:
    """What GetDownloadUrlForLayer points to is the layer, byte for byte."""
    for layer in real.manifest("v1")["layers"]:
        assert downloaded(server, ecr, pushed, layer["digest"]) == (layer["digest"], layer["size"])


def test_the_layer_operations_take_it_to_another_repository(
    *, skopeo: Tool, server: Server, ecr: Any, repository: str, pushed: str, real: Layout, tmp_path: Path
) -> None:
    """An image uploaded layer by layer with boto3 is pulled by skopeo with every digest as it was."""
    assert repository != pushed
    image = layouts.put(ecr, repository, real, "v1")
    assert image["imageId"] == {"imageDigest": real.digest("v1"), "imageTag": "v1"}

    pulled = Layout(tmp_path / "pulled")
    skopeo("copy", "--src-tls-verify=false", f"docker://{server.host}/{repository}:v1", pulled.at("v1"))

    assert pulled.digest("v1") == real.digest("v1")
    assert pulled.blobs() == real.closure("v1")

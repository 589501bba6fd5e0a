"""A disk that is full, or nearly: a real one, small, in memory. Pushes are refused in clear words, all else goes on."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from moorage.domain import manifests
from tests import content, servers
from tests.clients.tools import missing, require_root

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers import Server

MIB = 1024 * 1024
RESERVE = 8
NAME = "some/app"


@dataclass
class Disk:
    """A small disk with a server's data on it."""

    path: Path
    server: Server

    @property
    def _ballast(self) -> Path:
        return self.path / "ballast"

    @property
    def free(self) -> int:
        """Bytes that can still be written."""
        found = os.statvfs(self.path)
        return found.f_bavail * found.f_frsize

    def fill(self, leave: int) -> None:
        """Let only so many bytes be free."""
        with self._ballast.open("ab") as file:
            while (left := self.free - leave) > 0:
                try:
                    file.write(bytes(min(left, MIB)))
                    file.flush()
                except OSError:
                    return

    def clear(self) -> None:
        """Free all that `fill` has taken."""
        self._ballast.unlink(missing_ok=True)

    def begin(self) -> str:
        """Begin an upload and return its path."""
        answer = self.server.request("POST", f"/v2/{NAME}/blobs/uploads/")
        assert answer.status == 202, answer.data
        location: str = answer.headers["Location"]
        return location


def _disk(folder: Path, reserve: int) -> Iterator[Disk]:
    require_root("a disk of its own is mounted")
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64m", "moorage-test", str(folder)], check=False, capture_output=True
    )
    if mounted.returncode != 0:
        missing(f"no disk can be mounted: {mounted.stderr.decode().strip()}")
    try:
        config = folder / "moorage.toml"
        config.write_text(f"min_free_mib = {reserve}\n")
        with servers.running(folder / "data", "--config", str(config)) as server:
            server.client().create_repository(repositoryName=NAME)
            yield Disk(folder, server)
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture
def nearly_full(tmp_path: Path) -> Iterator[Disk]:
    """A disk of which a reserve is kept."""
    yield from _disk(tmp_path / "disk", RESERVE)


@pytest.fixture
def full(tmp_path: Path) -> Iterator[Disk]:
    """A disk that is written to its last byte."""
    yield from _disk(tmp_path / "disk", 0)


def is_refused(answer: Any) -> bool:
    """Whether an answer of the distribution door says that the disk is full."""
    if answer.status != 507:
        return False
    (error,) = answer.json()["errors"]
    return bool(error["code"] == "UNAVAILABLE" and "no space left" in error["message"])


def refused(call: Any, **given: Any) -> None:
    """Call an operation, which must be refused because the disk is full."""
    with pytest.raises(ClientError) as caught:
        call(**given)
    assert caught.value.response["Error"]["Code"] == "ServerException"
    assert "no space left" in caught.value.response["Error"]["Message"]
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 507


def manifest_of(pushed: content.Image, **annotations: str) -> bytes:
    """Return another manifest over the same layers."""
    return json.dumps({**json.loads(pushed.manifest), "annotations": annotations}).encode()


def test_below_the_reserve_nothing_more_is_taken_in(nearly_full: Disk) -> None:
    """Every kind of write is refused at both doors; reads, deletions, jobs, metrics and readiness go on; then all does."""
    disk, server, ecr = nearly_full, nearly_full.server, nearly_full.server.client()
    pushed, going = content.push(server, NAME, "v1"), content.push(server, NAME, "going")
    before, data = disk.begin(), os.urandom(MIB)
    assert server.request("PATCH", before, body=data[:1000]).status == 202
    upload = ecr.initiate_layer_upload(repositoryName=NAME)["uploadId"]
    part = {
        "repositoryName": NAME,
        "uploadId": upload,
        "partFirstByte": 0,
        "partLastByte": 9,
        "layerPartBlob": b"x" * 10,
    }
    other = manifest_of(pushed, some="thing")
    put = {"repositoryName": NAME, "imageManifest": other.decode(), "imageManifestMediaType": manifests.OCI_IMAGE}
    disk.fill(RESERVE * MIB - 4096)

    assert is_refused(server.request("POST", f"/v2/{NAME}/blobs/uploads/"))
    assert is_refused(server.request("PATCH", before, body=data[1000:]))
    assert is_refused(server.request("PUT", f"{before}?digest={content.digest_of(data[:1000])}"))
    assert is_refused(server.request("POST", f"/v2/{NAME}/blobs/uploads/?digest={content.digest_of(b'x')}", body=b"x"))
    assert is_refused(server.request("PUT", f"/v2/{NAME}/manifests/v2", body=other))
    refused(ecr.initiate_layer_upload, repositoryName=NAME)
    refused(ecr.upload_layer_part, **part)
    refused(
        ecr.complete_layer_upload, repositoryName=NAME, uploadId=upload, layerDigests=[content.digest_of(b"x" * 10)]
    )
    refused(ecr.put_image, **put)
    refused(ecr.create_repository, repositoryName="another")

    assert server.request("GET", f"/v2/{NAME}/manifests/v1").data == pushed.manifest
    layer = content.digest_of(pushed.layers[0])
    assert server.request("GET", f"/v2/{NAME}/blobs/{layer}").data == pushed.layers[0]
    assert server.request("GET", before).headers["Range"] == "0-999"
    assert server.anonymous("GET", "/readyz").status == 200
    metrics = server.anonymous("GET", "/metrics").data.decode()
    assert "moorage_refuses_writes 1.0" in metrics
    deleted = ecr.batch_delete_image(repositoryName=NAME, imageIds=[{"imageDigest": going.digest}])
    assert not deleted["failures"]
    collected = subprocess.run(
        [*servers.MOORAGE, "gc", "run", "--data", str(server.data)],
        check=False,
        capture_output=True,
        text=True,
        env=servers.clean_environment(),
        timeout=120,
    )
    assert collected.returncode == 0, collected.stderr

    disk.clear()
    assert server.request("PATCH", before, body=data[1000:]).status == 202
    digest = content.digest_of(data)
    assert server.request("PUT", f"{before}?digest={digest}").status == 201
    assert server.request("GET", f"/v2/{NAME}/blobs/{digest}").data == data
    assert server.request("PUT", f"/v2/{NAME}/manifests/v2", body=other).status == 201
    assert ecr.upload_layer_part(**part)["lastByteReceived"] == 9
    assert "moorage_refuses_writes 0.0" in server.anonymous("GET", "/metrics").data.decode()


def test_an_upload_that_reaches_the_reserve_gives_its_space_back(nearly_full: Disk) -> None:
    """A layer that does not fit is refused on its way, what had come of it is not kept, and other pushes go on."""
    disk, server = nearly_full, nearly_full.server
    upload = disk.begin()
    disk.fill((RESERVE + 4) * MIB)
    left = disk.free
    assert is_refused(server.request("PATCH", upload, body=bytes(16 * MIB)))
    assert disk.free > left - MIB
    assert server.request("GET", upload).headers["Range"] == "0-0"
    data = os.urandom(MIB)
    assert server.request("PUT", f"{upload}?digest={content.digest_of(data)}", body=data).status == 201


def test_a_disk_without_reserve_fills_up_and_nothing_is_half_done(full: Disk) -> None:
    """Where the last byte is taken, writes are refused in the same words, what is there stays, and all goes on after."""
    disk, server, ecr = full, full.server, full.server.client()
    pushed = content.push(server, NAME, "v1")
    data = os.urandom(2 * MIB)
    uploads = {how: disk.begin() for how in ("PATCH", "PUT", "AWS")}
    large = manifest_of(pushed, filling="x" * 2 * MIB)
    put = {"repositoryName": NAME, "imageManifest": large.decode(), "imageManifestMediaType": manifests.OCI_IMAGE}
    part = {"repositoryName": NAME, "uploadId": uploads["AWS"].rpartition("/")[2], "partFirstByte": 0}
    disk.fill(0)
    digest = content.digest_of(data)

    assert is_refused(server.request("PATCH", uploads["PATCH"], body=data))
    assert is_refused(server.request("PUT", f"{uploads['PUT']}?digest={digest}", body=data))
    refused(ecr.upload_layer_part, **part, partLastByte=len(data) - 1, layerPartBlob=data)
    assert is_refused(server.request("PUT", f"/v2/{NAME}/manifests/v2", body=large))
    refused(ecr.put_image, **put, imageTag="v2")
    begun = [server.request("POST", f"/v2/{NAME}/blobs/uploads/") for _ in range(200)]
    assert all(answer.status == 202 or is_refused(answer) for answer in begun)

    assert server.anonymous("GET", "/readyz").status == 200
    assert server.request("GET", f"/v2/{NAME}/manifests/v1").data == pushed.manifest
    assert server.request("GET", f"/v2/{NAME}/tags/list").json()["tags"] == ["v1"]
    assert server.request("HEAD", f"/v2/{NAME}/blobs/{digest}").status == 404
    for upload in uploads.values():
        assert server.request("GET", upload).headers["Range"] == "0-0"

    disk.clear()
    assert server.request("PATCH", uploads["PATCH"], body=data).status == 202
    assert server.request("PUT", f"{uploads['PATCH']}?digest={digest}").status == 201
    assert server.request("PUT", f"{uploads['PUT']}?digest={digest}", body=data).status == 201
    assert ecr.upload_layer_part(**part, partLastByte=len(data) - 1, layerPartBlob=data)["lastByteReceived"]
    assert server.request("GET", f"/v2/{NAME}/blobs/{digest}").data == data
    assert server.request("PUT", f"/v2/{NAME}/manifests/v2", body=large).status == 201
    assert server.request("GET", f"/v2/{NAME}/manifests/v2").data == large

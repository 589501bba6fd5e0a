"""Bytes that rot under a server, on a disk and in a bucket: found, never served as good, healed by the next push."""

from __future__ import annotations

import base64
import contextlib
import json
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from moorage.domain import manifests
from moorage.drivers.pieces import Location
from moorage.registry.tables import blobs
from tests import objects, servers
from tests.clients.layouts import Layout
from tests.clients.test_skopeo import PULL, PUSH, remote
from tests.clients.tools import Tool, missing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers import Server

FLIPPED, TRUNCATED, MISSING, UNREADABLE = "flipped", "truncated", "missing", "unreadable"


@dataclass(frozen=True)
class Site:
    """A server, and a way to get at the bytes that it has stored."""

    server: Server
    skopeo: Tool
    bucket: objects.Bucket | None

    def damage(self, digest: str, how: str) -> None:
        """Damage the bytes of a layer, past the server."""
        engine = sa.create_engine(f"sqlite:///{self.server.data / 'moorage.sqlite'}")
        with engine.connect() as tx:
            location = tx.execute(sa.select(blobs.c.location).where(blobs.c.digest == digest)).scalar_one()
        engine.dispose()
        if self.bucket is None:
            _damage_file(self.server.data / "blobs" / location, how)
        else:
            (piece,) = Location.parse(location).pieces
            _damage_object(self.bucket, f"layers/{piece.key}", how)

    def verify(self) -> tuple[int, dict[str, Any]]:
        """Run ``moorage verify`` beside the server, which knows from it where the layers are."""
        command = [*servers.MOORAGE, "verify", "--rate", "0", "--json", "--data", str(self.server.data)]
        environment = servers.clean_environment(**servers.S3_CREDENTIALS)
        done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment, timeout=120)
        assert done.stdout, done.stderr
        return done.returncode, json.loads(done.stdout)


def _spoilt(data: bytes, how: str) -> bytes:
    middle = len(data) // 2
    return data[:middle] if how == TRUNCATED else data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


def _damage_file(file: Path, how: str) -> None:
    if how in {MISSING, UNREADABLE}:
        file.unlink()
    if how == UNREADABLE:
        file.mkdir()  # root can read any file, whatever its mode
    if how in {FLIPPED, TRUNCATED}:
        file.write_bytes(_spoilt(file.read_bytes(), how))


def _damage_object(bucket: objects.Bucket, key: str, how: str) -> None:
    client = bucket.client()
    if how == MISSING:
        client.delete_object(Bucket=bucket.name, Key=key)
    else:
        data = client.get_object(Bucket=bucket.name, Key=key)["Body"].read()
        client.put_object(Bucket=bucket.name, Key=key, Body=_spoilt(data, how))


@pytest.fixture(scope="module", params=["disk", "bucket"])
def site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, skopeo_of_nobody: Tool
) -> Iterator[Site]:
    """A server whose layers are in a folder or in a bucket, and skopeo, logged in there."""
    with contextlib.ExitStack() as held:
        bucket, flags = None, ["--blob-delivery", "proxy"]
        if request.param == "bucket":
            if objects.program(objects.preferred()) is None:
                missing(f"not installed: {objects.preferred()}")
            s3 = objects.running(objects.preferred(), tmp_path_factory.mktemp("s3"))
            bucket = held.enter_context(s3).bucket()
            flags += ["--storage", bucket.url("layers", retry_seconds="2")]
        server = held.enter_context(servers.running(tmp_path_factory.mktemp("rot"), *flags))
        logins = tmp_path_factory.mktemp("rot-skopeo") / "auth.json"
        skopeo = skopeo_of_nobody.with_environment(REGISTRY_AUTH_FILE=str(logins))
        words = ("login", "--tls-verify=false", "--username", "AWS", "--password-stdin", server.host)
        token = server.client().get_authorization_token()["authorizationData"][0]["authorizationToken"]
        skopeo(*words, stdin=base64.b64decode(token).decode().removeprefix("AWS:"))
        yield Site(server, skopeo, bucket)


@pytest.mark.parametrize("how", [FLIPPED, TRUNCATED, MISSING, UNREADABLE])
def test_what_rots_is_found_and_healed(site: Site, small: Layout, name: str, how: str, tmp_path: Path) -> None:
    """The verification names the image, nobody is given the bytes, and a push and a pull by skopeo are whole again."""
    if how == UNREADABLE and site.bucket is not None:
        how = MISSING  # an object is there or is not
    server, ecr = site.server, site.server.client()
    ecr.create_repository(repositoryName=name)
    site.skopeo(*PUSH, small.at("v1"), remote(server, name, "v1"))
    layer = small.parts("v1")[1]["digest"]
    body = small.path(small.digest("v1")).read_bytes()
    url = f"/v2/{name}/blobs/{layer}"
    site.damage(layer, how)

    status, told = site.verify()

    assert (status, told["damaged"], [one["digest"] for one in told["layers"]]) == (1, 1, [layer])
    (hit,) = [one for one in told["images"] if one["repository"] == name]
    assert (hit["digest"], hit["tags"], hit["damaged"]) == (small.digest("v1"), ["v1"], [layer])
    assert server.request("HEAD", url).status == 404
    refused = server.request("GET", url)
    assert (refused.status, refused.json()["errors"][0]["code"]) == (404, "BLOB_UNKNOWN")
    assert "push the layer again" in refused.json()["errors"][0]["message"]
    asked = ecr.batch_check_layer_availability(repositoryName=name, layerDigests=[layer])
    assert asked["layers"] == [{"layerDigest": layer, "layerAvailability": "UNAVAILABLE"}]
    with pytest.raises(ecr.exceptions.LayersNotFoundException, match="damaged or missing"):
        ecr.get_download_url_for_layer(repositoryName=name, layerDigest=layer)
    with pytest.raises(ecr.exceptions.LayersNotFoundException):
        ecr.put_image(
            repositoryName=name, imageManifest=body.decode(), imageManifestMediaType=manifests.OCI_IMAGE, imageTag="v2"
        )
    assert layer in site.skopeo.refused(*PULL, remote(server, name, "v1"), f"oci:{tmp_path / 'not'}:v1")

    site.skopeo(*PUSH, small.at("v1"), remote(server, name, "v1"))

    status, told = site.verify()
    assert (status, told["damaged"], told["layers"], told["images"]) == (0, 0, [], [])
    site.skopeo(*PULL, remote(server, name, "v1"), f"oci:{tmp_path / 'pulled'}:v1")
    assert Layout(tmp_path / "pulled").blobs() == small.closure("v1")


@pytest.mark.parametrize("how", [TRUNCATED, MISSING])
def test_a_pull_that_meets_missing_bytes_says_so(site: Site, small: Layout, name: str, how: str) -> None:
    """Before anybody verified: an error, a line in the log with the digest, and a count; never a short layer."""
    server = site.server
    server.client().create_repository(repositoryName=name)
    site.skopeo(*PUSH, small.at("arm"), remote(server, name, "arm"))
    layer = small.parts("arm")[1]["digest"]
    if site.bucket is not None and how == TRUNCATED:
        how = MISSING  # a bucket's object that is too short breaks the connection: tests/oci/test_buckets.py
    site.damage(layer, how)

    answer = server.request("GET", f"/v2/{name}/blobs/{layer}")

    assert (answer.status, answer.json()["errors"][0]["code"]) == (404, "BLOB_UNKNOWN")
    server.log.line_with("bytes_missing", layer)
    counted = server.anonymous("GET", "/metrics").data.decode()
    (value,) = [line for line in counted.splitlines() if line.startswith("moorage_layers_missing_total ")]
    assert float(value.split()[1]) > 0
    site.verify()
    site.skopeo(*PUSH, small.at("arm"), remote(server, name, "arm"))

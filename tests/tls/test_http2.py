"""HTTP/2, which clients choose while the connection is made: everything is as over HTTP/1.1."""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from typing import TYPE_CHECKING

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests import content
from tests.clients import copies, go
from tests.clients.layouts import Layout, file_digest
from tests.clients.tools import Tool, private_home, require
from tests.servers import REGION

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers import Server

TARGET = "AmazonEC2ContainerRegistry_V20150921.DescribeRepositories"
MIB = 1024 * 1024


@pytest.fixture
def curl(secure: Server, tmp_path: Path) -> Tool:
    """Curl over HTTP/2, which says the version that was spoken after what it got."""
    require("curl")
    words = ("curl", "--silent", "--show-error", "--http2", "--cacert", str(secure.ca))
    return Tool((*words, "--write-out", " HTTP/%{http_version} %{http_code}"), private_home(tmp_path))


@pytest.fixture
def login(secure: Server) -> tuple[str, str]:
    """The words that make curl send the docker password."""
    return "--user", f"AWS:{secure.password()}"


def test_http2_is_chosen(secure: Server, curl: Tool) -> None:
    """A client that offers HTTP/2 gets it."""
    assert curl(f"{secure.url}/healthz") == "ok HTTP/2 200"


def test_http1_is_chosen(secure: Server, curl: Tool) -> None:
    """A client that offers only HTTP/1.1 gets that."""
    assert curl("--http1.1", f"{secure.url}/healthz") == "ok HTTP/1.1 200"


def signed(server: Server, body: str, secret: str | None = None) -> list[str]:
    """Return curl's words for a request that botocore has signed, its host header left to HTTP/2's ``:authority``."""
    headers = {"content-type": "application/x-amz-json-1.1", "x-amz-target": TARGET}
    request = AWSRequest("POST", f"{server.url}/", headers=headers, data=body)
    credentials = Credentials(server.key.access_key_id, secret or server.key.secret_access_key)
    SigV4Auth(credentials, "ecr", REGION).add_auth(request)
    assert "SignedHeaders=content-type;host;" in request.headers["authorization"]
    words = [word for name, value in request.headers.items() for word in ("--header", f"{name}: {value}")]
    return [*words, "--data-binary", body, f"{server.url}/"]


def test_a_signature_covers_the_authority(secure: Server, repository: str, curl: Tool) -> None:
    """A signature over the host verifies where HTTP/2 sends the host as ``:authority``."""
    answer, _, spoken = curl(*signed(secure, json.dumps({"repositoryNames": [repository]}))).rpartition(" HTTP/")
    assert spoken == "2 200"
    assert json.loads(answer)["repositories"][0]["repositoryName"] == repository


def test_a_wrong_signature_is_refused(secure: Server, curl: Tool) -> None:
    """A signature with another secret does not verify."""
    said = curl(*signed(secure, "{}", secret="another"))
    assert "InvalidSignatureException" in said
    assert said.endswith(" HTTP/2 400")


def test_another_authority_is_refused(secure: Server, curl: Tool) -> None:
    """A signature over one host does not verify for a request to another."""
    said = curl("--header", "host: elsewhere.example", *signed(secure, "{}"))
    assert "InvalidSignatureException" in said


def test_a_layer_goes_in_and_comes_out(
    secure: Server, repository: str, curl: Tool, login: tuple[str, str], tmp_path: Path
) -> None:
    """A layer that is streamed over HTTP/2 comes back the same, whole and in ranges."""
    data = os.urandom(8 * MIB)
    source, back = tmp_path / "source", tmp_path / "back"
    source.write_bytes(data)
    blobs = f"{secure.url}/v2/{repository}/blobs"
    said = curl(*login, "--request", "POST", "--dump-header", "-", f"{blobs}/uploads/")
    found = re.search(r"^location: (\S+)", said, re.MULTILINE)
    assert found, said
    whole = f"{secure.url}{found[1]}?digest={content.digest_of(data)}"
    assert curl(*login, "--upload-file", source, whole).endswith("HTTP/2 201")

    blob = f"{blobs}/{content.digest_of(data)}"
    assert curl(*login, "--output", back, blob) == "HTTP/2 200"
    assert file_digest(back) == content.digest_of(data)
    assert curl(*login, "--range", "1000-4999999", "--output", back, blob) == "HTTP/2 206"
    assert back.read_bytes() == data[1000:5000000]


def test_a_cut_download_goes_on(
    secure: Server, repository: str, curl: Tool, login: tuple[str, str], tmp_path: Path
) -> None:
    """``curl --continue-at`` fetches what is missing of a layer, over HTTP/2."""
    data, back = os.urandom(2 * MIB), tmp_path / "back"
    content.upload_layer(secure.client(), repository, data)
    back.write_bytes(data[:MIB])
    blob = f"{secure.url}/v2/{repository}/blobs/{content.digest_of(data)}"
    assert curl(*login, "--continue-at", "-", "--output", back, blob) == "HTTP/2 206"
    assert hashlib.sha256(back.read_bytes()).digest() == hashlib.sha256(data).digest()


@pytest.mark.skipif(sys.platform == "darwin", reason="Go asks the keychain there, not SSL_CERT_FILE")
def test_a_go_client_pushes_and_pulls(secure: Server, repository: str, small: Layout, tmp_path: Path) -> None:
    """Crane, which speaks HTTP/2 wherever it can, pushes an image and pulls it byte for byte."""
    crane = go.tool("crane", tmp_path / "home", SSL_CERT_FILE=str(secure.ca))
    crane("auth", "login", secure.host, "--username", "AWS", "--password-stdin", stdin=secure.password())
    image, remote = copies.only(small, "v1", tmp_path / "image"), f"{secure.host}/{repository}:v1"
    crane("push", image.folder, remote)
    crane("pull", "--format", "oci", remote, tmp_path / "back")
    assert small.closure("v1") <= Layout(tmp_path / "back").blobs()

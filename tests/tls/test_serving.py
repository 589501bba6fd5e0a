"""A server that speaks TLS: who gets in, by which version, and what clients are told of it."""

from __future__ import annotations

import socket
import ssl
import subprocess
import sys
import warnings
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import SSLError

from tests import content
from tests.clients.layouts import Layout
from tests.clients.tools import Tool, private_home, require
from tests.servers import MOORAGE, clean_environment
from tests.tls import pki

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers import Server


@pytest.fixture
def skopeo(tmp_path: Path) -> Tool:
    """Skopeo, with no settings of this machine."""
    require("skopeo")
    return Tool(("skopeo", "--insecure-policy"), private_home(tmp_path))


def test_boto3_trusts_the_ca(secure: Server, repository: str) -> None:
    """An unmodified boto3 client that is given the CA's file gets its answers."""
    found = secure.client().describe_repositories(repositoryNames=[repository])["repositories"]
    assert found[0]["repositoryName"] == repository


def test_a_client_without_the_ca_goes_away(secure: Server) -> None:
    """A client that trusts the usual authorities only does not send its request."""
    with pytest.raises(SSLError, match="CERTIFICATE_VERIFY_FAILED"):
        secure.client(verify=True).describe_repositories()


def test_a_client_with_another_ca_goes_away(secure: Server, tmp_path: Path) -> None:
    """A client that trusts another authority does not send its request."""
    other, _ = pki.issue(tmp_path, "other")
    with pytest.raises(SSLError, match="CERTIFICATE_VERIFY_FAILED"):
        secure.client(verify=str(other)).describe_repositories()


def test_plain_http_is_not_answered(secure: Server) -> None:
    """A request in the clear gets no HTTP answer from a port that speaks TLS."""
    with socket.create_connection(("127.0.0.1", secure.port), timeout=60) as plain:
        plain.sendall(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n")
        try:
            answer = plain.recv(1024)
        except ConnectionResetError:
            answer = b""
    assert not answer.startswith(b"HTTP/")


@pytest.mark.parametrize(("version", "served"), [("TLSv1_1", False), ("TLSv1_2", True), ("TLSv1_3", True)])
def test_tls_begins_at_1_2(secure: Server, version: str, served: bool) -> None:
    """TLS 1.2 and 1.3 are spoken; 1.1 is refused by the server."""
    context = ssl.create_default_context(cafile=secure.ca)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
    with socket.create_connection(("127.0.0.1", secure.port), timeout=60) as plain:
        if served:
            with context.wrap_socket(plain, server_hostname="localhost") as secured:
                assert secured.version() == version.replace("_", ".")
        else:
            with pytest.raises(ssl.SSLError, match="ALERT"):
                context.wrap_socket(plain, server_hostname="localhost")


def test_everything_told_is_https(secure: Server, repository: str) -> None:
    """The registry's endpoint, the challenge's realm and a layer's URL all begin with https."""
    client = secure.client()
    blob = content.push(secure, repository, "v1").layers[0]
    told = [
        client.get_authorization_token()["authorizationData"][0]["proxyEndpoint"],
        secure.anonymous("GET", "/v2/").headers["www-authenticate"].removeprefix('Basic realm="'),
        client.get_download_url_for_layer(repositoryName=repository, layerDigest=content.digest_of(blob))[
            "downloadUrl"
        ],
    ]
    assert [one.startswith(f"https://{secure.host}") for one in told] == [True, True, True]
    assert secure.http.request("GET", told[2]).data == blob


def test_an_upload_goes_on_where_the_location_says(secure: Server, repository: str) -> None:
    """The location of an upload is relative, whatever host the request names."""
    begun = secure.request("POST", f"/v2/{repository}/blobs/uploads/", headers={"Host": "evil.example"})
    assert begun.headers["location"].startswith(f"/v2/{repository}/blobs/uploads/")


def test_env_and_the_cli_need_nothing_else(secure: Server, repository: str) -> None:
    """The AWS CLI works with what ``moorage env`` exports, the CA among it."""
    script = 'eval "$("$@")" && exec "$PYTHON" -m awscli ecr describe-repositories --output text'
    command = ["sh", "-c", script, "sh", *MOORAGE, "env", "--data", str(secure.data)]
    environment = clean_environment(PYTHON=sys.executable)
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    assert repository in done.stdout


def test_skopeo_takes_the_folder_as_its_cert_dir(
    secure: Server, repository: str, skopeo: Tool, small: Layout, tmp_path: Path
) -> None:
    """An image goes out and comes back byte for byte with ``--cert-dir`` naming the folder of the CA."""
    folder, credentials = str(secure.data / "tls"), f"AWS:{secure.password()}"
    remote, back = f"docker://{secure.host}/{repository}:v1", Layout(tmp_path / "back")
    skopeo("copy", "--dest-cert-dir", folder, "--dest-creds", credentials, small.at("v1"), remote)
    skopeo("copy", "--src-cert-dir", folder, "--src-creds", credentials, remote, back.at("v1"))
    assert back.closure("v1") <= back.blobs()
    assert back.closure("v1") == small.closure("v1")


def test_skopeo_without_it_is_refused(secure: Server, repository: str, skopeo: Tool) -> None:
    """Skopeo does not speak to a server whose CA it does not know."""
    assert "certificate" in skopeo.refused("inspect", f"docker://{secure.host}/{repository}:v1")


def test_podman_logs_in(secure: Server, tmp_path: Path) -> None:
    """``podman login`` with the folder of the CA as ``--cert-dir`` succeeds."""
    require("podman")
    podman = Tool(("podman",), private_home(tmp_path))
    words: list[Any] = ["--cert-dir", secure.data / "tls", "--authfile", tmp_path / "auth.json"]
    said = podman("login", *words, "--username", "AWS", "--password-stdin", secure.host, stdin=secure.password())
    assert "Login Succeeded" in said

"""Exports that skopeo reads, and layouts of skopeo's, umoci's and oras's that are imported."""

from __future__ import annotations

import hashlib
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.servers import ACCOUNT, MOORAGE, REGION, S3_CREDENTIALS, clean_environment

if TYPE_CHECKING:
    from pathlib import Path

    from tests.clients.layouts import Layout
    from tests.clients.tools import Tool
    from tests.servers import Server

PUSH = ("copy", "--all", "--dest-tls-verify=false")
PULL = ("copy", "--all", "--src-tls-verify=false")


def moorage(server: Server, *arguments: str) -> str:
    """Run a command on the installation of a server that is running."""
    environ = clean_environment(**server.variables, **S3_CREDENTIALS, MOORAGE_ACCOUNT_ID=ACCOUNT, MOORAGE_REGION=REGION)
    command = [*MOORAGE, *arguments, "--data", str(server.data)]
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environ, timeout=120).stdout


def digest_of(skopeo: Tool, image: str) -> str:
    """The digest of what skopeo finds under a name."""
    raw = skopeo("inspect", "--raw", image)
    return f"sha256:{hashlib.sha256(raw.encode()).hexdigest()}"


@pytest.mark.parametrize(("form", "transport"), [("layout", "oci"), ("layout.tar", "oci-archive")])
def test_skopeo_reads_an_export(
    skopeo: Tool, server: Server, repository: str, small: Layout, tmp_path: Path, form: str, transport: str
) -> None:
    """By its tags, whole, with the digests that the registry has."""
    skopeo(*PUSH, small.at("all"), f"docker://{server.host}/{repository}:all")
    moorage(server, "export", repository, "--to", str(tmp_path / form))
    exported = f"{transport}:{tmp_path / form}:all"
    skopeo("copy", "--all", exported, f"oci:{tmp_path / 'again'}:all")
    assert digest_of(skopeo, f"oci:{tmp_path / 'again'}:all") == small.digest("all")


@pytest.mark.parametrize(("form", "transport"), [("layout", "oci"), ("layout.tar", "oci-archive")])
def test_an_import_reads_skopeo(
    skopeo: Tool, server: Server, ecr: Any, repository: str, small: Layout, tmp_path: Path, form: str, transport: str
) -> None:
    """What skopeo has written comes in under its tag and digest, and can be pulled."""
    skopeo("copy", "--all", small.at("all"), f"{transport}:{tmp_path / form}:v9")
    moorage(server, "import", str(tmp_path / form), "--repository", repository)
    (described,) = ecr.describe_images(repositoryName=repository, imageIds=[{"imageTag": "v9"}])["imageDetails"]
    assert described["imageDigest"] == small.digest("all")
    skopeo(*PULL, f"docker://{server.host}/{repository}:v9", f"oci:{tmp_path / 'pulled'}:v9")
    assert digest_of(skopeo, f"oci:{tmp_path / 'pulled'}:v9") == small.digest("all")


def test_an_import_reads_umoci(server: Server, ecr: Any, repository: str, small: Layout) -> None:
    """Its layouts of several tags, each image under its own."""
    moorage(server, "import", str(small.folder), "--repository", repository)
    details = ecr.describe_images(repositoryName=repository)["imageDetails"]
    tags = {tag: one["imageDigest"] for one in details for tag in one.get("imageTags", [])}
    assert tags == {tag: small.digest(tag) for tag in ("v1", "arm", "all")}

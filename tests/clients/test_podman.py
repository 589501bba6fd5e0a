"""Podman and buildah: build, push, pull."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from moorage.domain import manifests
from tests.clients.tools import Tool, private_home, require

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers import Server


@pytest.fixture(scope="module", params=["podman", "buildah"])
def nobody(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tool]:
    """Podman or buildah with a store of its own, not logged in anywhere."""
    require(request.param)
    folder: Path = tmp_path_factory.mktemp(request.param)
    store = (f"--root={folder}/root", f"--runroot={folder}/runroot", "--storage-driver=vfs")
    tool = Tool((request.param, *store), private_home(folder, BUILDAH_ISOLATION="chroot"))
    yield tool
    # A store has mounts of its own.
    tool("rmi", "--all", "--force")


@pytest.fixture
def tool(nobody: Tool, server: Server, password: str, tmp_path: Path) -> Tool:
    """Podman or buildah, logged in with the password that the AWS CLI gave."""
    logins = tmp_path / "auth.json"
    words = ("login", "--authfile", logins, "--tls-verify=false", "--username", "AWS", "--password-stdin")
    assert "Login Succeeded!" in nobody(*words, server.host, stdin=password)
    return nobody.with_environment(REGISTRY_AUTH_FILE=str(logins))


def built(tool: Tool, context: Path, image: str) -> str:
    """Build an image; return its id."""
    tool("build", "--tag", image, context)
    return identity(tool, image)


def identity(tool: Tool, image: str) -> str:
    """Return an image's id, the digest of its config."""
    return tool("images", "--quiet", "--no-trunc", image)


def test_a_wrong_password_is_refused(nobody: Tool, server: Server, tmp_path: Path) -> None:
    """A login with a password that is no token of ours fails."""
    words = ("login", "--authfile", tmp_path / "auth.json", "--tls-verify=false", "--username", "AWS")
    said = nobody.refused(*words, "--password-stdin", server.host, stdin="wrong")

    assert "invalid username/password" in said


def test_without_a_login_nothing_goes_in(
    nobody: Tool, server: Server, ecr: Any, repository: str, context: Path
) -> None:
    """A push without a login is refused."""
    image = f"{server.host}/{repository}:v1"
    built(nobody, context, image)

    said = nobody.refused("push", "--tls-verify=false", image)

    assert "unauthorized" in said or "authentication required" in said
    assert not ecr.list_images(repositoryName=repository)["imageIds"]


def test_an_image_comes_back_as_itself(tool: Tool, server: Server, repository: str, context: Path) -> None:
    """An image that was built, pushed and removed is pulled with the id that it had."""
    image = f"{server.host}/{repository}:v1"
    before = built(tool, context, image)
    tool("push", "--tls-verify=false", image)
    tool("rmi", image)
    assert before not in tool("images", "--quiet", "--no-trunc")

    tool("pull", "--tls-verify=false", image)

    assert before.startswith("sha256:")
    assert identity(tool, image) == before


def test_what_is_pushed_boto3_describes(
    *, tool: Tool, server: Server, ecr: Any, repository: str, context: Path, tmp_path: Path
) -> None:
    """DescribeImages gives the digest that the push named, under the tag that it pushed."""
    image, digest = f"{server.host}/{repository}:v1", tmp_path / "digest"
    built(tool, context, image)
    tool("push", "--tls-verify=false", "--digestfile", digest, image)

    (details,) = ecr.describe_images(repositoryName=repository)["imageDetails"]

    assert (details["imageDigest"], details["imageTags"]) == (digest.read_text(), ["v1"])


def test_an_image_in_dockers_format(tool: Tool, server: Server, ecr: Any, repository: str, context: Path) -> None:
    """An image pushed in Docker's schema 2 is stored in it, and pulled with the config that it has in it."""
    image = f"{server.host}/{repository}:v1"
    built(tool, context, image)
    tool("push", "--tls-verify=false", "--format", "v2s2", image)
    tool("rmi", image)

    tool("pull", "--tls-verify=false", image)

    (stored,) = ecr.batch_get_image(repositoryName=repository, imageIds=[{"imageTag": "v1"}])["images"]
    assert stored["imageManifestMediaType"] == manifests.DOCKER_IMAGE
    assert identity(tool, image) == json.loads(stored["imageManifest"])["config"]["digest"]


def test_the_same_image_again(
    *, tool: Tool, server: Server, ecr: Any, repository: str, context: Path, tmp_path: Path
) -> None:
    """Pushing an image again succeeds, names the same digest, and stores nothing more."""
    image, first, second = f"{server.host}/{repository}:v1", tmp_path / "first", tmp_path / "second"
    built(tool, context, image)
    tool("push", "--tls-verify=false", "--digestfile", first, image)

    tool("push", "--tls-verify=false", "--digestfile", second, image)

    assert first.read_text() == second.read_text()
    assert len(ecr.describe_images(repositoryName=repository)["imageDetails"]) == 1


def test_an_index_of_images(tool: Tool, server: Server, ecr: Any, repository: str, context: Path) -> None:
    """An index made of an image is pushed with what it names, and pulling it gives that image."""
    image, multi = f"{server.host}/{repository}:one", f"{server.host}/{repository}:multi"
    before = built(tool, context, image)
    tool("manifest", "create", multi)
    tool("manifest", "add", multi, f"containers-storage:{image}")

    tool("manifest", "push", "--all", "--format", "oci", "--tls-verify=false", multi, f"docker://{multi}")

    (stored,) = ecr.batch_get_image(repositoryName=repository, imageIds=[{"imageTag": "multi"}])["images"]
    tool("manifest", "rm", multi)
    tool("rmi", image)
    tool("pull", "--tls-verify=false", multi)
    assert stored["imageManifestMediaType"] == manifests.OCI_INDEX
    assert len(json.loads(stored["imageManifest"])["manifests"]) == 1
    assert identity(tool, multi) == before

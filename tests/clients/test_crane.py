"""crane, of go-containerregistry: what most builders for Kubernetes speak through."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests import content
from tests.clients import copies, go

if TYPE_CHECKING:
    from pathlib import Path

    from tests.clients.layouts import Layout
    from tests.clients.tools import Tool
    from tests.servers import Server


@pytest.fixture(scope="module")
def crane(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Tool:
    """Crane, logged in with a password from standard input."""
    command = go.tool("crane", tmp_path_factory.mktemp("crane"))
    command("auth", "login", server.host, "--username", "AWS", "--password-stdin", stdin=server.password())
    return command


@pytest.fixture
def image(small: Layout, tmp_path: Path) -> Layout:
    """A layout of one image."""
    return copies.only(small, "v1", tmp_path / "image")


@pytest.fixture
def index(small: Layout, tmp_path: Path) -> Layout:
    """A layout of one index of two images."""
    return copies.only(small, "all", tmp_path / "index")


def raw(tool: Tool, *arguments: str) -> bytes:
    """Return what a tool prints, as it is."""
    command = [*tool.command, *arguments]
    return subprocess.run(command, check=True, capture_output=True, env=tool.environment, timeout=120).stdout


def test_a_stranger_is_refused(server: Server, repository: str, tmp_path: Path) -> None:
    """Without a login crane is told to authenticate."""
    assert "UNAUTHORIZED" in go.tool("crane", tmp_path / "home").refused("ls", f"{server.host}/{repository}")


def test_a_pull_gives_what_was_pushed(
    crane: Tool, server: Server, repository: str, image: Layout, tmp_path: Path
) -> None:
    """An image comes back byte for byte."""
    name = f"{server.host}/{repository}:v1"

    assert crane("push", image.folder, name) == f"{server.host}/{repository}@{image.digest('v1')}"
    crane("pull", "--format", "oci", name, tmp_path / "pulled")

    assert copies.is_held(server, repository, image, "v1")
    assert copies.bytes_of(tmp_path / "pulled") == copies.bytes_of(image.folder)


def test_an_index_comes_back_whole(crane: Tool, server: Server, repository: str, index: Layout, tmp_path: Path) -> None:
    """An index of two machines' images comes back byte for byte, each image by its platform."""
    name = f"{server.host}/{repository}:all"

    assert crane("push", index.folder, name).endswith(index.digest("all"))
    crane("pull", "--format", "oci", name, tmp_path / "pulled")

    assert copies.is_held(server, repository, index, "all")
    assert copies.bytes_of(tmp_path / "pulled") == copies.bytes_of(index.folder)
    for member in index.manifest("all")["manifests"]:
        platform = f"linux/{member['platform']['architecture']}"
        assert crane("digest", "--platform", platform, name) == member["digest"]


def test_pushing_again_changes_nothing(crane: Tool, server: Server, ecr: Any, name: str, image: Layout) -> None:
    """The same image can be pushed again to its tag, though tags are immutable."""
    ecr.create_repository(repositoryName=name, imageTagMutability="IMMUTABLE")
    target = f"{server.host}/{name}:v1"

    assert crane("push", image.folder, target) == crane("push", image.folder, target)
    assert crane("digest", target) == image.digest("v1")


def test_an_immutable_tag_stays(
    *, crane: Tool, server: Server, ecr: Any, name: str, small: Layout, tmp_path: Path
) -> None:
    """Another image under an immutable tag is refused with ECR's words."""
    ecr.create_repository(repositoryName=name, imageTagMutability="IMMUTABLE")
    target = f"{server.host}/{name}:v1"
    crane("push", copies.only(small, "v1", tmp_path / "one").folder, target)

    refusal = crane.refused("push", copies.only(small, "arm", tmp_path / "two").folder, target)

    assert "cannot be overwritten because the tag is immutable" in refusal
    assert crane("digest", target) == small.digest("v1")


def test_validation_finds_nothing(crane: Tool, server: Server, repository: str, index: Layout) -> None:
    """Crane's own examination of a pushed index, down to its layers' contents, finds nothing amiss."""
    name = f"{server.host}/{repository}:all"
    crane("push", index.folder, name)

    assert "PASS" in crane("validate", "--remote", name)


def test_a_copy_is_the_same(crane: Tool, server: Server, ecr: Any, repository: str, index: Layout) -> None:
    """An index copied to another repository has the same digest there, and all its parts."""
    ecr.create_repository(repositoryName=f"{repository}/copy")
    crane("push", index.folder, f"{server.host}/{repository}:all")

    crane("copy", f"{server.host}/{repository}:all", f"{server.host}/{repository}/copy:all")

    assert copies.is_held(server, f"{repository}/copy", index, "all")


def test_listings(crane: Tool, server: Server, repository: str, image: Layout) -> None:
    """Tags and repositories are listed."""
    crane("push", image.folder, f"{server.host}/{repository}:v1")
    crane("tag", f"{server.host}/{repository}:v1", "v2")

    assert crane("ls", f"{server.host}/{repository}").split() == ["v1", "v2"]
    assert repository in crane("catalog", server.host).split()
    assert crane("digest", f"{server.host}/{repository}:v2") == image.digest("v1")


def test_an_image_is_read_piece_by_piece(crane: Tool, server: Server, repository: str, image: Layout) -> None:
    """Manifest, config and layers can be read on their own."""
    name = f"{server.host}/{repository}"
    crane("push", image.folder, f"{name}:v1")
    config, *layers = image.parts("v1")

    assert json.loads(crane("manifest", f"{name}:v1")) == image.manifest("v1")
    assert json.loads(crane("config", f"{name}:v1")) == json.loads(image.path(config["digest"]).read_bytes())
    for layer in layers:
        printed = raw(crane, "blob", f"{name}@{layer['digest']}")
        assert content.digest_of(printed) == layer["digest"]


def test_an_image_is_changed_at_the_registry(crane: Tool, server: Server, repository: str, image: Layout) -> None:
    """A label is added without a pull: only the config and the manifest are pushed."""
    name = f"{server.host}/{repository}"
    crane("push", image.folder, f"{name}:v1")

    crane("mutate", f"{name}:v1", "--label", "moved=yes", "--tag", f"{name}:v2")

    assert json.loads(crane("config", f"{name}:v2"))["config"]["Labels"] == {"moved": "yes"}
    assert json.loads(crane("manifest", f"{name}:v2"))["layers"] == image.manifest("v1")["layers"]
    assert "PASS" in crane("validate", "--remote", f"{name}:v2")


def test_an_index_is_made_of_images_there(crane: Tool, server: Server, repository: str, index: Layout) -> None:
    """An index is put together from images that the registry has."""
    name = f"{server.host}/{repository}"
    crane("push", index.folder, f"{name}:all")
    members = [member["digest"] for member in index.manifest("all")["manifests"]]

    crane("index", "append", *[word for one in members for word in ("-m", f"{name}@{one}")], "-t", f"{name}:new")

    made = json.loads(crane("manifest", f"{name}:new"))
    assert [(one["digest"], one["platform"]["architecture"]) for one in made["manifests"]] == [
        (members[0], "amd64"),
        (members[1], "arm64"),
    ]


def test_a_deleted_image_is_gone(crane: Tool, server: Server, ecr: Any, repository: str, image: Layout) -> None:
    """A tag goes alone while the image has another, and an image goes with the last."""
    name = f"{server.host}/{repository}"
    crane("push", image.folder, f"{name}:v1")
    crane("tag", f"{name}:v1", "v2")

    crane("delete", f"{name}:v2")
    assert crane("ls", name) == "v1"

    crane("delete", f"{name}@{image.digest('v1')}")
    assert "MANIFEST_UNKNOWN" in crane.refused("manifest", f"{name}:v1")
    assert ecr.list_images(repositoryName=repository)["imageIds"] == []


def test_a_missing_tag_is_named(crane: Tool, server: Server, repository: str) -> None:
    """What is not there is answered with the protocol's code and ECR's message."""
    refusal = crane.refused("manifest", f"{server.host}/{repository}:absent")

    assert "MANIFEST_UNKNOWN: The image with imageId {imageDigest:'null', imageTag:'absent'} does not exist" in refusal


def test_what_crane_writes_ecr_reads(crane: Tool, server: Server, ecr: Any, repository: str, image: Layout) -> None:
    """An image that crane pushed is at the AWS door with its digest, its size and its tags."""
    crane("push", image.folder, f"{server.host}/{repository}:v1")

    (detail,) = ecr.describe_images(repositoryName=repository)["imageDetails"]

    assert detail["imageDigest"] == image.digest("v1") == content.digest_of(image.path(image.digest("v1")).read_bytes())
    assert detail["imageSizeInBytes"] == sum(part["size"] for part in image.parts("v1"))
    assert detail["imageTags"] == ["v1"]

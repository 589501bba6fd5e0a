"""Skopeo: images go out and come back byte for byte."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from moorage.domain import manifests
from tests.clients.layouts import Layout, file_digest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.clients.tools import Tool
    from tests.servers import Server

PUSH = ("copy", "--dest-tls-verify=false")
PULL = ("copy", "--src-tls-verify=false")
INSPECT = ("inspect", "--tls-verify=false")


def remote(server: Server, repository: str, tag: str) -> str:
    """An image of the server, as skopeo names it."""
    return f"docker://{server.host}/{repository}:{tag}"


def test_a_wrong_password_is_refused(skopeo_of_nobody: Tool, server: Server) -> None:
    """``skopeo login`` with a password that is no token of ours fails."""
    words = ("login", "--tls-verify=false", "--username", "AWS", "--password-stdin", server.host)
    assert "invalid username/password" in skopeo_of_nobody.refused(*words, stdin="wrong")


def test_without_a_login_nothing_goes_in(
    skopeo_of_nobody: Tool, server: Server, ecr: Any, repository: str, small: Layout
) -> None:
    """A push without a login is refused."""
    said = skopeo_of_nobody.refused(*PUSH, small.at("v1"), remote(server, repository, "v1"))

    assert "unauthorized" in said or "authentication required" in said
    assert not ecr.describe_images(repositoryName=repository)["imageDetails"]


def test_without_a_login_nothing_comes_out(
    skopeo: Tool, skopeo_of_nobody: Tool, server: Server, repository: str, small: Layout
) -> None:
    """An image cannot be read without a login."""
    skopeo(*PUSH, small.at("v1"), remote(server, repository, "v1"))

    said = skopeo_of_nobody.refused(*INSPECT, remote(server, repository, "v1"))

    assert "unauthorized" in said or "authentication required" in said


def test_an_image_comes_back_byte_for_byte(
    skopeo: Tool, server: Server, repository: str, small: Layout, tmp_path: Path
) -> None:
    """The manifest, the config and every layer of an image are pulled as they were pushed."""
    skopeo(*PUSH, small.at("v1"), remote(server, repository, "v1"))

    pulled = Layout(tmp_path / "pulled")
    skopeo(*PULL, remote(server, repository, "v1"), pulled.at("v1"))

    assert len(small.parts("v1")) == 4
    assert pulled.digest("v1") == small.digest("v1")
    assert pulled.blobs() == small.closure("v1")


def test_inspect_shows_what_was_pushed(skopeo: Tool, server: Server, repository: str, small: Layout) -> None:
    """``skopeo inspect`` shows the digest, the tags, the layers and the platform."""
    skopeo(*PUSH, small.at("v1"), remote(server, repository, "v1"))

    shown = json.loads(skopeo(*INSPECT, remote(server, repository, "v1")))

    assert shown["Digest"] == small.digest("v1")
    assert shown["RepoTags"] == ["v1"]
    assert shown["Layers"] == [layer["digest"] for layer in small.manifest("v1")["layers"]]
    assert (shown["Os"], shown["Architecture"]) == ("linux", "amd64")


def test_list_tags_lists_every_tag(skopeo: Tool, server: Server, repository: str, small: Layout) -> None:
    """``skopeo list-tags`` lists the tags of a repository in order."""
    for tag in ("beta", "v1", "alpha"):
        skopeo(*PUSH, small.at("v1"), remote(server, repository, tag))

    listed = json.loads(skopeo("list-tags", "--tls-verify=false", f"docker://{server.host}/{repository}"))

    assert listed["Tags"] == ["alpha", "beta", "v1"]


def test_delete_takes_the_image_away(skopeo: Tool, server: Server, ecr: Any, repository: str, small: Layout) -> None:
    """``skopeo delete`` deletes the image behind a tag, at both doors."""
    skopeo(*PUSH, small.at("v1"), remote(server, repository, "v1"))

    skopeo("delete", "--tls-verify=false", remote(server, repository, "v1"))

    assert not ecr.list_images(repositoryName=repository)["imageIds"]
    assert "manifest unknown" in skopeo.refused(*INSPECT, remote(server, repository, "v1"))


def test_an_index_goes_both_ways_with_all_its_images(
    skopeo: Tool, server: Server, repository: str, small: Layout, tmp_path: Path
) -> None:
    """An index of two platforms is pulled as it was pushed, with both images."""
    skopeo(*PUSH, "--all", small.at("all"), remote(server, repository, "all"))

    pulled = Layout(tmp_path / "pulled")
    skopeo(*PULL, "--multi-arch", "all", remote(server, repository, "all"), pulled.at("all"))

    assert pulled.digest("all") == small.digest("all")
    assert pulled.blobs() == {small.digest("all")} | small.closure("v1") | small.closure("arm")


def test_of_an_index_one_platform_can_be_pulled(
    skopeo: Tool, server: Server, repository: str, small: Layout, tmp_path: Path
) -> None:
    """Whoever pulls an index for one platform gets that platform's image."""
    skopeo(*PUSH, "--all", small.at("all"), remote(server, repository, "all"))

    pulled = Layout(tmp_path / "pulled")
    skopeo("--override-arch", "arm64", *PULL, remote(server, repository, "all"), pulled.at("arm"))

    assert pulled.blobs() == small.closure("arm")


def test_an_index_shows_at_the_aws_door_with_its_images(
    skopeo: Tool, server: Server, ecr: Any, repository: str, small: Layout
) -> None:
    """DescribeImages lists an index that skopeo pushed under its tag, and its images without one."""
    skopeo(*PUSH, "--all", small.at("all"), remote(server, repository, "all"))

    details = ecr.describe_images(repositoryName=repository)["imageDetails"]

    assert {one["imageDigest"]: one.get("imageTags") for one in details} == {
        small.digest("all"): ["all"],
        small.digest("v1"): None,
        small.digest("arm"): None,
    }


def test_an_image_in_dockers_format(
    *, skopeo: Tool, server: Server, ecr: Any, repository: str, small: Layout, tmp_path: Path
) -> None:
    """An image that skopeo turns into Docker's schema 2 is stored, and pulled, as exactly that."""
    digest_file = tmp_path / "digest"
    skopeo(
        *PUSH, "--format", "v2s2", "--digestfile", str(digest_file), small.at("v1"), remote(server, repository, "v1")
    )

    skopeo(*PULL, remote(server, repository, "v1"), f"dir:{tmp_path / 'pulled'}")

    (details,) = ecr.describe_images(repositoryName=repository)["imageDetails"]
    assert details["imageManifestMediaType"] == manifests.DOCKER_IMAGE
    assert details["imageDigest"] == digest_file.read_text()
    assert details["imageDigest"] == file_digest(tmp_path / "pulled" / "manifest.json")


def test_a_copy_within_the_registry_is_the_same_image(
    *, skopeo: Tool, server: Server, ecr: Any, repository: str, name: str, small: Layout
) -> None:
    """An image that is copied from one repository to another keeps its digest."""
    other = f"{name}/copy"
    ecr.create_repository(repositoryName=other)
    skopeo(*PUSH, small.at("v1"), remote(server, repository, "v1"))

    skopeo(*PULL, "--dest-tls-verify=false", remote(server, repository, "v1"), remote(server, other, "v2"))

    (details,) = ecr.describe_images(repositoryName=other)["imageDetails"]
    assert (details["imageDigest"], details["imageTags"]) == (small.digest("v1"), ["v2"])

"""regctl, of regclient: chunked uploads, referrers, and single tags deleted."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.clients import copies, go
from tests.content import digest_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.clients.layouts import Layout
    from tests.clients.tools import Tool
    from tests.servers import Server

CHUNK = 256 * 1024
BIG = os.urandom(5 * CHUNK + 7)
SBOM = "application/spdx+json"


@pytest.fixture(scope="module")
def regctl(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Tool:
    """Regctl, logged in with a password from standard input."""
    command = go.tool("regctl", tmp_path_factory.mktemp("regctl"))
    command("registry", "set", server.host, "--tls", "disabled", "--skip-check")
    command("registry", "login", server.host, "--user", "AWS", "--pass-stdin", stdin=server.password())
    return command


@pytest.fixture(scope="module")
def chunked(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Tool:
    """Regctl, told to push whatever is longer than a chunk in chunks."""
    command = go.tool("regctl", tmp_path_factory.mktemp("chunked"))
    sizes = ["--blob-chunk", str(CHUNK), "--blob-max", str(CHUNK)]
    command("registry", "set", server.host, "--tls", "disabled", "--skip-check", *sizes)
    command("registry", "login", server.host, "--user", "AWS", "--pass-stdin", stdin=server.password())
    return command


@pytest.fixture
def place(server: Server, repository: str) -> str:
    """A new repository, as clients name it."""
    return f"{server.host}/{repository}"


def raw(tool: Tool, *arguments: str, stdin: bytes = b"") -> bytes:
    """Run a tool on bytes; return the bytes that it prints."""
    command = [*tool.command, *arguments]
    done = subprocess.run(command, check=False, input=stdin, capture_output=True, env=tool.environment, timeout=120)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def put(regctl: Tool, *arguments: str, stdin: bytes = b"{}") -> str:
    """Put an artifact; return its digest."""
    return raw(
        regctl, "artifact", "put", *arguments, "--format", "{{.Manifest.GetDescriptor.Digest}}", stdin=stdin
    ).decode()


def artifacts(regctl: Tool, *arguments: str) -> list[str]:
    """Return the digests of what is attached."""
    answer = json.loads(regctl("artifact", "list", *arguments, "--format", "{{json .}}"))
    return [one["digest"] for one in answer["descriptors"] or ()]


def test_a_wrong_password_is_refused(server: Server, repository: str, tmp_path: Path) -> None:
    """With a password that nobody was given nothing is shown."""
    stranger = go.tool("regctl", tmp_path / "home")
    host = f"reg={server.host},tls=disabled,user=AWS,pass=wrong"

    assert "unauthorized" in stranger.refused("tag", "ls", f"{server.host}/{repository}", "--host", host)


@pytest.mark.parametrize("tag", ["v1", "all"])
def test_a_pull_gives_what_was_pushed(
    *, regctl: Tool, server: Server, repository: str, small: Layout, tag: str, tmp_path: Path
) -> None:
    """An image, or an index of two, goes from a layout to the registry and back byte for byte."""
    pushed = copies.only(small, tag, tmp_path / "pushed")
    name = f"{server.host}/{repository}:{tag}"

    regctl("image", "copy", f"ocidir://{pushed.folder}:{tag}", name)
    regctl("image", "copy", name, f"ocidir://{tmp_path / 'pulled'}:{tag}")

    assert copies.is_held(server, repository, pushed, tag)
    assert copies.bytes_of(tmp_path / "pulled") == copies.bytes_of(pushed.folder)


def test_pushing_again_changes_nothing(regctl: Tool, server: Server, ecr: Any, name: str, small: Layout) -> None:
    """The same image can be pushed again to its tag, though tags are immutable."""
    ecr.create_repository(repositoryName=name, imageTagMutability="IMMUTABLE")
    for _ in range(2):
        regctl("image", "copy", "--force-recursive", f"ocidir://{small.folder}:all", f"{server.host}/{name}:all")

    assert regctl("image", "digest", f"{server.host}/{name}:all") == small.digest("all")


def test_an_image_in_chunks(chunked: Tool, server: Server, repository: str, small: Layout, tmp_path: Path) -> None:
    """An image whose layers are pushed in chunks is the same image."""
    pushed = copies.only(small, "v1", tmp_path / "pushed")

    chunked("image", "copy", f"ocidir://{pushed.folder}:v1", f"{server.host}/{repository}:v1")

    assert copies.is_held(server, repository, pushed, "v1")


@pytest.mark.parametrize("way", ["regctl", "chunked"])
def test_blobs_alone(request: pytest.FixtureRequest, place: str, way: str) -> None:
    """A blob is pushed whole or in chunks, described, read and deleted by its digest."""
    tool: Tool = request.getfixturevalue(way)
    digest = digest_of(BIG)

    assert raw(tool, "blob", "put", place, stdin=BIG).decode().strip() == digest
    assert f"Content-Length: {len(BIG)}" in tool("blob", "head", place, digest)
    assert raw(tool, "blob", "get", place, digest) == BIG
    tool("blob", "delete", place, digest)

    assert "not found" in tool.refused("blob", "head", place, digest)


def test_a_chunked_push_of_the_wrong_digest_fails(chunked: Tool, place: str) -> None:
    """Chunks whose sum is not what was promised make no blob."""
    promised = digest_of(b"something else")
    command = [*chunked.command, "blob", "put", place, "--digest", promised]
    done = subprocess.run(command, check=False, input=BIG, capture_output=True, env=chunked.environment, timeout=120)

    assert done.returncode != 0
    assert "not found" in chunked.refused("blob", "head", place, promised)


def test_artifacts_refer_to_images(regctl: Tool, place: str, small: Layout) -> None:
    """An artifact put on an image is listed with it, all of them or by type, and read through it."""
    regctl("image", "copy", f"ocidir://{small.folder}:v1", f"{place}:v1")
    document = b'{"spdxVersion": "SPDX-2.3"}'

    sbom = put(regctl, "--subject", f"{place}:v1", "--artifact-type", SBOM, stdin=document)
    other = put(regctl, "--subject", f"{place}:v1", "--artifact-type", "application/x.other")

    assert set(artifacts(regctl, f"{place}:v1")) == {sbom, other}
    assert artifacts(regctl, f"{place}:v1", "--filter-artifact-type", SBOM) == [sbom]
    assert raw(regctl, "artifact", "get", "--subject", f"{place}:v1", "--filter-artifact-type", SBOM) == document
    assert sbom in regctl("artifact", "tree", f"{place}:v1")
    assert regctl("tag", "ls", place) == "v1"


def test_a_copy_takes_referrers_along(regctl: Tool, server: Server, ecr: Any, repository: str, small: Layout) -> None:
    """An image copied with its referrers has them in the other repository."""
    source, target = (f"{server.host}/{repository}{suffix}" for suffix in ("", "/copy"))
    ecr.create_repository(repositoryName=f"{repository}/copy")
    regctl("image", "copy", f"ocidir://{small.folder}:all", f"{source}:all")
    sbom = put(regctl, "--subject", f"{source}:all", "--artifact-type", SBOM)

    regctl("image", "copy", "--referrers", f"{source}:all", f"{target}:all")

    assert regctl("image", "digest", f"{target}:all") == small.digest("all")
    assert artifacts(regctl, f"{target}:all") == [sbom]


def test_an_index_is_made_there(regctl: Tool, place: str, small: Layout) -> None:
    """An index is put together from images that the registry has, and grows."""
    for tag in ("v1", "arm"):
        regctl("image", "copy", f"ocidir://{small.folder}:{tag}", f"{place}:{tag}")

    regctl("index", "create", f"{place}:all", "--ref", f"{place}:v1")
    regctl("index", "add", f"{place}:all", "--ref", f"{place}:arm")

    made = json.loads(regctl("manifest", "get", f"{place}:all", "--format", "raw-body"))
    assert [(one["digest"], one["platform"]["architecture"]) for one in made["manifests"]] == [
        (small.digest("v1"), "amd64"),
        (small.digest("arm"), "arm64"),
    ]
    assert regctl("image", "digest", f"{place}:all", "--platform", "linux/arm64") == small.digest("arm")


def test_a_tag_is_deleted_alone(regctl: Tool, place: str, small: Layout) -> None:
    """Deleting one tag of an image leaves the other, and no trace of the dummy that regctl would push otherwise."""
    for tag in ("one", "two"):
        regctl("image", "copy", f"ocidir://{small.folder}:v1", f"{place}:{tag}")

    regctl("tag", "delete", f"{place}:one")

    assert regctl("tag", "ls", place) == "two"
    assert regctl("image", "digest", f"{place}:two") == small.digest("v1")


def test_a_manifest_is_deleted(regctl: Tool, ecr: Any, repository: str, place: str, small: Layout) -> None:
    """A manifest deleted by its digest goes with its tags."""
    regctl("image", "copy", f"ocidir://{small.folder}:v1", f"{place}:v1")

    regctl("manifest", "delete", f"{place}@{small.digest('v1')}")

    assert ecr.list_images(repositoryName=repository)["imageIds"] == []


def test_repositories_are_listed_page_by_page(regctl: Tool, server: Server, ecr: Any, name: str) -> None:
    """The catalog goes on after the last name of a page."""
    names = [f"{name}/{letter}" for letter in "abc"]
    for one in names:
        ecr.create_repository(repositoryName=one)

    page = regctl("repo", "ls", server.host, "--last", names[0], "--limit", "2")

    assert page.split() == names[1:]

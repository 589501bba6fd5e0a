"""oras: artifacts of any kind, what refers to what, and copies with everything attached."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from tests.clients import copies, go
from tests.content import digest_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.clients.layouts import Layout
    from tests.clients.tools import Tool
    from tests.servers import Server

FILES = {"big.bin": os.urandom(3 * 1024 * 1024), "hello.txt": b"hello\n", "empty.txt": b""}
NOTATION = "application/vnd.cncf.notary.signature"
SBOM = "application/spdx+json"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that oras works in, with files to push."""
    folder = tmp_path_factory.mktemp("oras")
    for name, data in FILES.items():
        (folder / name).write_bytes(data)
    return folder


@pytest.fixture(scope="module")
def oras(server: Server, home: Path) -> Tool:
    """Oras, logged in with a password from standard input."""
    command = go.tool("oras", home)
    command("login", server.host, "--username", "AWS", "--password-stdin", stdin=server.password())
    return command


@pytest.fixture
def place(server: Server, repository: str) -> str:
    """A new repository, as clients name it."""
    return f"{server.host}/{repository}"


def digest(oras: Tool, *arguments: object) -> str:
    """Run a command of oras that makes a manifest; return the manifest's digest."""
    return str(json.loads(oras(*map(str, arguments), "--format", "json"))["digest"])


def referrers(oras: Tool, subject: str, *arguments: str) -> list[dict[str, Any]]:
    """Return what oras finds attached to a subject."""
    found: list[dict[str, Any]] = json.loads(oras("discover", subject, "--format", "json", *arguments))["referrers"]
    return found


def test_a_wrong_password_is_refused(server: Server, tmp_path: Path) -> None:
    """A login with a password that nobody was given fails."""
    stranger = go.tool("oras", tmp_path / "home")

    assert "unauthorized" in stranger.refused("login", server.host, "-u", "AWS", "--password-stdin", stdin="wrong")


def test_a_pull_gives_what_was_pushed(oras: Tool, place: str, tmp_path: Path) -> None:
    """Files, an empty one among them, come back byte for byte."""
    oras("push", f"{place}:v1", "--artifact-type", "application/x.test", *FILES)

    oras("pull", f"{place}:v1", "--output", tmp_path / "pulled")

    assert {path.name: path.read_bytes() for path in (tmp_path / "pulled").iterdir()} == FILES


def test_pushing_again_changes_nothing(oras: Tool, server: Server, ecr: Any, name: str) -> None:
    """The same manifest can be pushed again to its tag, though tags are immutable."""
    ecr.create_repository(repositoryName=name, imageTagMutability="IMMUTABLE")
    created = ["--annotation", "org.opencontainers.image.created=2020-01-01T00:00:00Z"]
    words = ["push", f"{server.host}/{name}:v1", "--artifact-type", "application/x.test", *created, "hello.txt"]

    assert digest(oras, *words) == digest(oras, *words) == oras("resolve", f"{server.host}/{name}:v1")


def test_several_tags_in_one_push(oras: Tool, place: str) -> None:
    """One push sets several tags, and all of them are listed."""
    oras("push", f"{place}:v1,v2,latest", "--artifact-type", "application/x.test", "hello.txt")
    oras("tag", f"{place}:v1", "v3")

    assert oras("repo", "tags", place).split() == ["latest", "v1", "v2", "v3"]


def test_repositories_are_listed(oras: Tool, server: Server, repository: str) -> None:
    """The catalog names the repository."""
    assert repository in oras("repo", "ls", server.host).split()


def test_what_is_attached_is_discovered(oras: Tool, place: str) -> None:
    """What was attached to an artifact is found by its digest, all of it or by type."""
    oras("push", f"{place}:v1", "--artifact-type", "application/x.test", "hello.txt")
    sbom = digest(oras, "attach", f"{place}:v1", "--artifact-type", SBOM, "hello.txt:application/json")
    signature = digest(oras, "attach", f"{place}:v1", "--artifact-type", NOTATION, "hello.txt", "-a", "who=me")

    assert {one["digest"] for one in referrers(oras, f"{place}:v1")} == {sbom, signature}
    (found,) = referrers(oras, f"{place}:v1", "--artifact-type", NOTATION)
    assert (found["digest"], found["artifactType"], found["annotations"]["who"]) == (signature, NOTATION, "me")


def test_the_referrers_api_is_used(oras: Tool, place: str) -> None:
    """Attaching leaves no fallback tag behind: oras finds that the registry knows referrers by itself."""
    oras("push", f"{place}:v1", "--artifact-type", "application/x.test", "hello.txt")

    oras("attach", f"{place}:v1", "--artifact-type", SBOM, "hello.txt")

    assert oras("repo", "tags", place) == "v1"


def test_a_fallback_tag_is_taken_in(oras: Tool, place: str) -> None:
    """What was attached in the older way, by a tag, is found in the newer one."""
    oras("push", f"{place}:v1", "--artifact-type", "application/x.test", "hello.txt")
    older, newer = (["--distribution-spec", f"v1.1-referrers-{way}"] for way in ("tag", "api"))

    attached = digest(oras, "attach", f"{place}:v1", "--artifact-type", SBOM, "hello.txt", *older)

    assert [one["digest"] for one in referrers(oras, f"{place}:v1", *newer)] == [attached]
    assert [one["digest"] for one in referrers(oras, f"{place}:v1", *older)] == [attached]


def test_a_recursive_copy_takes_all_along(oras: Tool, server: Server, ecr: Any, repository: str, home: Path) -> None:
    """A copy has the artifact, what is attached to it, and what is attached to that."""
    source, target = (f"{server.host}/{repository}{suffix}" for suffix in ("", "/copy"))
    ecr.create_repository(repositoryName=f"{repository}/copy")
    first = digest(oras, "push", f"{source}:v1", "--artifact-type", "application/x.test", *FILES)
    second = digest(oras, "attach", f"{source}:v1", "--artifact-type", SBOM, "hello.txt")
    third = digest(oras, "attach", f"{source}@{second}", "--artifact-type", NOTATION, "hello.txt")

    oras("copy", "--recursive", f"{source}:v1", f"{target}:v1")

    assert oras("resolve", f"{target}:v1") == first
    (found,) = referrers(oras, f"{target}:v1")
    assert (found["digest"], [one["digest"] for one in found["referrers"]]) == (second, [third])
    oras("pull", f"{target}:v1", "--output", home / "copied")
    assert {path.name: path.read_bytes() for path in (home / "copied").iterdir()} == FILES


def test_an_index_comes_back_whole(oras: Tool, server: Server, repository: str, small: Layout, tmp_path: Path) -> None:
    """An index of two machines' images goes from a layout to the registry and back byte for byte."""
    index = copies.only(small, "all", tmp_path / "index")
    name = f"{server.host}/{repository}:all"

    oras("copy", "--from-oci-layout", f"{index.folder}:all", name)
    oras("copy", name, "--to-oci-layout", f"{tmp_path / 'pulled'}:all")

    assert copies.is_held(server, repository, index, "all")
    assert copies.bytes_of(tmp_path / "pulled") == copies.bytes_of(index.folder)
    for member in index.manifest("all")["manifests"]:
        platform = f"linux/{member['platform']['architecture']}"
        assert oras("resolve", name, "--platform", platform) == member["digest"]


def test_an_index_is_made_there(oras: Tool, server: Server, repository: str, small: Layout) -> None:
    """An index is put together from images that the registry has."""
    place = f"{server.host}/{repository}"
    for tag in ("v1", "arm"):
        oras("copy", "--from-oci-layout", f"{small.folder}:{tag}", f"{place}:{tag}")

    oras("manifest", "index", "create", f"{place}:all", "v1", "arm")

    made = json.loads(oras("manifest", "fetch", f"{place}:all"))
    assert [one["digest"] for one in made["manifests"]] == [small.digest("v1"), small.digest("arm")]


def test_blobs_alone(oras: Tool, place: str, home: Path) -> None:
    """A blob is pushed, described, fetched and deleted by its digest."""
    name = f"{place}@{digest_of(FILES['big.bin'])}"

    oras("blob", "push", name, "big.bin")
    assert json.loads(oras("blob", "fetch", name, "--descriptor"))["size"] == len(FILES["big.bin"])
    oras("blob", "fetch", name, "--output", home / "fetched.bin")
    oras("blob", "delete", "--force", name)

    assert (home / "fetched.bin").read_bytes() == FILES["big.bin"]
    assert "not found" in oras.refused("blob", "fetch", name, "--descriptor")


def test_a_deleted_manifest_is_gone(oras: Tool, place: str) -> None:
    """A deleted manifest is found neither by its tag nor among the referrers of its subject."""
    oras("push", f"{place}:v1", "--artifact-type", "application/x.test", "hello.txt")
    attached = digest(oras, "attach", f"{place}:v1", "--artifact-type", SBOM, "hello.txt")

    oras("manifest", "delete", "--force", f"{place}@{attached}")
    assert referrers(oras, f"{place}:v1") == []

    oras("manifest", "delete", "--force", f"{place}@{oras('resolve', f'{place}:v1')}")
    assert "not found" in oras.refused("resolve", f"{place}:v1")

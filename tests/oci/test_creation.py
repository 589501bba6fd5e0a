"""Pushing to a repository that is not there: refused, or with create-on-push made."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from moorage.domain import manifests
from tests import content, servers
from tests.oci.wire import Door

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers import Server


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that takes any credential and makes repositories on push."""
    with servers.running(tmp_path_factory.mktemp("dev"), "--dev") as started:
        yield started


@pytest.fixture
def open_door(dev: Server) -> Door:
    """Its door, with no credential at all."""
    return Door(dev.port)


def test_without_it_a_push_makes_nothing(door: Door, name: str) -> None:
    """By default a push to a missing repository is NAME_UNKNOWN at every step, and makes none."""
    image = content.image()
    steps = [
        door("POST", f"/v2/{name}/blobs/uploads/", body=b""),
        door("POST", f"/v2/{name}/blobs/uploads/?digest={content.digest_of(b'x')}", body=b"x"),
        door.manifest(name, "v1", image.manifest, image.media_type),
    ]

    assert [(step.status, step.code) for step in steps] == [(404, "NAME_UNKNOWN")] * 3
    assert name not in door("GET", "/v2/_catalog").json()["repositories"]


@pytest.mark.parametrize("authorization", [None, "Basic QVdTOndyb25n", "Basic !!!", "Bearer x", "Negotiate x"])
def test_dev_takes_any_credential(open_door: Door, authorization: str | None) -> None:
    """With --dev nobody is turned away."""
    answer = open_door.but(authorization)("GET", "/v2/")

    assert answer.status == (401 if authorization in {"Basic !!!", "Negotiate x"} else 200)


def test_the_first_blob_makes_the_repository(open_door: Door, name: str) -> None:
    """With create-on-push an upload to a missing repository makes it."""
    assert open_door("GET", f"/v2/{name}/tags/list").status == 404

    image = open_door.image(name, "v1")

    assert open_door("GET", f"/v2/{name}/manifests/v1").data == image.manifest
    assert name in open_door("GET", "/v2/_catalog").json()["repositories"]


def test_a_manifest_makes_the_repository(open_door: Door, name: str) -> None:
    """With create-on-push a manifest that needs no blob makes the repository too."""
    body = content.index()

    assert open_door.manifest(name, "v1", body, manifests.OCI_INDEX).status == 201

    assert open_door("GET", f"/v2/{name}/manifests/v1").data == body


def test_a_refused_manifest_makes_nothing(open_door: Door, name: str) -> None:
    """A manifest that is refused does not leave an empty repository behind."""
    image = content.image()

    assert open_door.manifest(name, "v1", image.manifest, image.media_type).status == 404

    assert open_door("GET", f"/v2/{name}/tags/list").code == "NAME_UNKNOWN"


def test_reading_makes_nothing(open_door: Door, name: str) -> None:
    """No request that only reads or deletes makes a repository."""
    for method, rest in (
        ("GET", "tags/list"),
        ("GET", "manifests/v1"),
        ("HEAD", "manifests/v1"),
        ("DELETE", "manifests/v1"),
        ("GET", f"blobs/{content.digest_of(b'')}"),
        ("DELETE", f"blobs/{content.digest_of(b'')}"),
        ("GET", "blobs/uploads/00000000-0000-4000-8000-000000000000"),
        ("DELETE", "blobs/uploads/00000000-0000-4000-8000-000000000000"),
        ("GET", f"referrers/{content.digest_of(b'')}"),
    ):
        assert open_door(method, f"/v2/{name}/{rest}").status == 404

    assert name not in open_door("GET", "/v2/_catalog").json()["repositories"]


@pytest.mark.parametrize("bad", ["Upper/case", "a", "..", "a//b", "a" * 257, "-a", "a_-b"])
def test_only_names_are_made(open_door: Door, bad: str) -> None:
    """What is no name makes no repository."""
    answer = open_door("POST", f"/v2/{bad}/blobs/uploads/", body=b"")

    assert (answer.status, answer.code) == (400, "NAME_INVALID")


def test_a_template_goes_before_the_default(dev: Server, open_door: Door, name: str) -> None:
    """With --dev a registry behaves as if it had a ROOT template; one that it makes itself takes its place."""
    client = dev.client(aws_access_key_id="any", aws_secret_access_key="thing")
    assert client.describe_repository_creation_templates()["repositoryCreationTemplates"] == []
    modes = []
    for number, mutability in enumerate([None, "IMMUTABLE", None]):
        if mutability:
            client.create_repository_creation_template(
                prefix="ROOT", appliedFor=["CREATE_ON_PUSH"], imageTagMutability=mutability
            )
        open_door.image(f"{name}/{number}")
        (made,) = client.describe_repositories(repositoryNames=[f"{name}/{number}"])["repositories"]
        modes.append(made["imageTagMutability"])
        if mutability:
            client.delete_repository_creation_template(prefix="ROOT")
    assert modes == ["MUTABLE", "IMMUTABLE", "MUTABLE"]

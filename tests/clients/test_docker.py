"""The docker engine: log in, push, pull."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from moorage.domain import manifests
from tests.clients import layouts

if TYPE_CHECKING:
    from pathlib import Path

    from tests.clients.layouts import Layout
    from tests.clients.tools import Tool
    from tests.servers import Server


def built(docker: Tool, context: Path, image: str) -> str:
    """Build an image; return its id."""
    docker("build", "--tag", image, context)
    return identity(docker, image)


def identity(docker: Tool, image: str) -> str:
    """Return an image's id, the digest of its config."""
    return docker("image", "inspect", "--format", "{{.Id}}", image)


def pushed(docker: Tool, image: str) -> str:
    """Push an image; return the digest that docker names."""
    said = docker("push", image)
    found = re.search(r"digest: (sha256:[0-9a-f]{64})", said)
    assert found, said
    return found[1]


def test_a_wrong_password_is_refused(docker_of_nobody: Tool, server: Server) -> None:
    """``docker login`` with a password that is no token of ours fails."""
    said = docker_of_nobody.refused("login", "--username", "AWS", "--password-stdin", server.host, stdin="wrong")

    assert "unauthorized" in said or "401" in said


def test_without_a_login_nothing_goes_in(
    docker_of_nobody: Tool, server: Server, ecr: Any, repository: str, context: Path
) -> None:
    """A push without a login is refused."""
    image = f"{server.host}/{repository}:v1"
    built(docker_of_nobody, context, image)

    said = docker_of_nobody.refused("push", image)

    assert "no basic auth credentials" in said
    assert not ecr.list_images(repositoryName=repository)["imageIds"]


def test_an_image_comes_back_as_itself(docker: Tool, server: Server, repository: str, context: Path) -> None:
    """An image that was pushed and removed is pulled with the id that it had."""
    image = f"{server.host}/{repository}:v1"
    before = built(docker, context, image)
    pushed(docker, image)
    docker("rmi", image)
    assert "No such image" in docker.refused("image", "inspect", image)

    docker("pull", image)

    assert identity(docker, image) == before


def test_an_image_is_pulled_by_its_digest(docker: Tool, server: Server, repository: str, context: Path) -> None:
    """An image is pulled by the digest that ``docker push`` named."""
    image = f"{server.host}/{repository}:v1"
    before = built(docker, context, image)
    exact = f"{server.host}/{repository}@{pushed(docker, image)}"
    docker("rmi", image)

    docker("pull", exact)

    assert identity(docker, exact) == before


def test_what_docker_pushes_boto3_describes(
    docker: Tool, server: Server, ecr: Any, repository: str, context: Path
) -> None:
    """DescribeImages gives the digest that ``docker push`` named, under the tag that it pushed."""
    image = f"{server.host}/{repository}:v1"
    built(docker, context, image)
    digest = pushed(docker, image)

    (details,) = ecr.describe_images(repositoryName=repository)["imageDetails"]

    assert (details["imageDigest"], details["imageTags"]) == (digest, ["v1"])


def test_what_boto3_puts_docker_pulls(docker: Tool, server: Server, ecr: Any, repository: str, small: Layout) -> None:
    """An image that went in through ECR's operations is pulled by docker, its id the digest of its config."""
    layouts.put(ecr, repository, small, "v1")

    docker("pull", f"{server.host}/{repository}:v1")

    assert identity(docker, f"{server.host}/{repository}:v1") == small.manifest("v1")["config"]["digest"]


def test_layers_that_are_there_are_not_sent_again(docker: Tool, server: Server, repository: str, context: Path) -> None:
    """The second push of an image finds all of its layers."""
    image = f"{server.host}/{repository}:v1"
    built(docker, context, image)
    pushed(docker, image)

    said = docker("push", image)

    assert said.count("Layer already exists") == 2


def test_layers_are_mounted_from_another_repository(
    *, docker: Tool, server: Server, ecr: Any, repository: str, name: str, context: Path
) -> None:
    """What docker pushed to one repository it mounts into the next, without sending it."""
    ecr.create_repository(repositoryName=f"{name}/next")
    image, other = f"{server.host}/{repository}:v1", f"{server.host}/{name}/next:v1"
    built(docker, context, image)
    digest = pushed(docker, image)
    docker("tag", image, other)

    said = docker("push", other)

    assert said.count(f"Mounted from {repository}") == 2
    assert digest in said


def test_the_same_image_again(docker: Tool, server: Server, ecr: Any, repository: str, context: Path) -> None:
    """Pushing an image again succeeds, names the same digest, and stores nothing more."""
    image = f"{server.host}/{repository}:v1"
    built(docker, context, image)

    assert pushed(docker, image) == pushed(docker, image)
    assert len(ecr.describe_images(repositoryName=repository)["imageDetails"]) == 1


def test_an_index_of_images(docker: Tool, server: Server, ecr: Any, repository: str, context: Path) -> None:
    """A manifest list that docker makes of pushed images is stored, and pulling it gives the image of this machine."""
    image, multi = f"{server.host}/{repository}:one", f"{server.host}/{repository}:multi"
    before = built(docker, context, image)
    pushed(docker, image)
    docker("manifest", "create", "--insecure", multi, image)
    docker("manifest", "push", "--insecure", multi)

    (stored,) = ecr.batch_get_image(repositoryName=repository, imageIds=[{"imageTag": "multi"}])["images"]
    docker("rmi", image)
    docker("pull", multi)

    assert stored["imageManifestMediaType"] in manifests.INDEX_TYPES
    assert identity(docker, multi) == before

"""Which tags may move: the four modes of a repository, changed while it is in use, at both doors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests import content
from tests.aws.kit import CONSTRAINT, bare, refusal
from tests.servers import ACCOUNT

if TYPE_CHECKING:
    from tests.servers import Server


def wildcards(*filters: str) -> list[dict[str, str]]:
    """Return exclusion filters as ECR writes them."""
    return [{"filterType": "WILDCARD", "filter": pattern} for pattern in filters]


def set_mode(client: Any, repository: str, mode: str, *filters: str) -> dict[str, Any]:
    """Change the mode."""
    given = {"imageTagMutabilityExclusionFilters": wildcards(*filters)} if filters else {}
    return bare(client.put_image_tag_mutability(repositoryName=repository, imageTagMutability=mode, **given))


def move(server: Server, client: Any, repository: str, tag: str, image: content.Image) -> list[bool]:
    """Point a tag at an image through each door; tell which door let it move."""
    path, headers = f"/v2/{repository}/manifests/{tag}", {"Content-Type": image.media_type}
    answer = server.request("PUT", path, headers=headers, body=image.manifest)
    assert answer.status in {201, 400}, answer.data
    with pytest.raises(client.exceptions.ClientError) as caught:
        client.put_image(repositoryName=repository, imageManifest=image.manifest.decode(), imageTag=tag)
    error = caught.value.response["Error"]
    if answer.status == 201:
        # The one door moved it, so to the other there is nothing left to do.
        return [True, error["Code"] == "ImageAlreadyExistsException"]
    assert answer.json()["errors"] == [{"code": "TAG_INVALID", "message": error["Message"]}]
    return [False, error["Code"] != "ImageTagAlreadyExistsException"]


ENUM = "[IMMUTABLE, MUTABLE, MUTABLE_WITH_EXCLUSION, IMMUTABLE_WITH_EXCLUSION]"
MODES = {
    "MUTABLE": ((), {"v1": True, "dev-1": True, "dev": True}),
    "IMMUTABLE": ((), {"v1": False, "dev-1": False, "dev": False}),
    "IMMUTABLE_WITH_EXCLUSION": (("dev-*", "*-latest"), {"v1": False, "dev-1": True, "dev": False, "x-latest": True}),
    "MUTABLE_WITH_EXCLUSION": (("dev-*", "v1"), {"v1": False, "dev-1": False, "dev": True, "v10": True}),
}


@pytest.mark.parametrize("mode", MODES)
def test_a_mode_says_which_tags_move(server: Server, ecr: Any, repository: str, mode: str) -> None:
    """Each mode, set on a repository with images, holds exactly the tags that it says, at both doors."""
    filters, expected = MODES[mode]
    first, second = content.push(server, repository), content.push(server, repository)
    for tag in expected:
        content.put_manifest(server, repository, tag, first.manifest, first.media_type)

    set_mode(ecr, repository, mode, *filters)

    moved = {tag: move(server, ecr, repository, tag, second) for tag in expected}
    assert moved == {tag: [moves, moves] for tag, moves in expected.items()}
    for tag, moves in expected.items():
        found = ecr.describe_images(repositoryName=repository, imageIds=[{"imageTag": tag}])["imageDetails"][0]
        assert found["imageDigest"] == (second if moves else first).digest


def test_the_answer_is_what_is_described(ecr: Any, repository: str) -> None:
    """PutImageTagMutability echoes mode and filters, DescribeRepositories shows them, and a mode without has none."""
    named = {"registryId": ACCOUNT, "repositoryName": repository}
    for mode, filters in (
        ("IMMUTABLE_WITH_EXCLUSION", ["a*", "b"]),
        ("MUTABLE_WITH_EXCLUSION", ["b"]),
        ("IMMUTABLE", []),
        ("IMMUTABLE", []),
        ("MUTABLE", []),
    ):
        setting: dict[str, Any] = {"imageTagMutability": mode}
        if filters:
            setting["imageTagMutabilityExclusionFilters"] = wildcards(*filters)
        assert set_mode(ecr, repository, mode, *filters) == named | setting
        described = ecr.describe_repositories(repositoryNames=[repository])["repositories"][0]
        assert {key: value for key, value in described.items() if key.startswith("imageTagMutability")} == setting


def test_tags_that_stand_are_left_as_they_are(server: Server, ecr: Any, repository: str) -> None:
    """An immutable tag can be deleted and set anew, and an image can get more tags."""
    first, second = content.push(server, repository, "v1"), content.push(server, repository)
    set_mode(ecr, repository, "IMMUTABLE")

    assert move(server, ecr, repository, "v2", first) == [True, True]
    ecr.batch_delete_image(repositoryName=repository, imageIds=[{"imageTag": "v1"}])
    assert move(server, ecr, repository, "v1", second) == [True, True]


@pytest.mark.parametrize(
    ("mode", "filters", "member", "problem"),
    [
        (
            "IMMUTABLE",
            ["a"],
            "imageTagMutabilityExclusionFilters",
            "ImageTagMutabilityExclusionFilters are not allowed when imageTagMutability is set as IMMUTABLE",
        ),
        (
            "MUTABLE_WITH_EXCLUSION",
            [],
            "imageTagMutabilityExclusionFilters",
            "ImageTagMutabilityExclusionFilters can't be null when imageTagMutability is set as MUTABLE_WITH_EXCLUSION",
        ),
        (
            "SOMETIMES",
            [],
            "imageTagMutability",
            f"Member must satisfy enum value set: {ENUM}",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(
    ecr: Any, repository: str, mode: str, filters: list[str], member: str, problem: str
) -> None:
    """Filters without an exclusion, an exclusion without filters, and other modes are refused in ECR's words."""
    call: dict[str, Any] = {"repositoryName": repository, "imageTagMutability": mode}
    if filters:
        call["imageTagMutabilityExclusionFilters"] = wildcards(*filters)
    message = refusal(ecr, "InvalidParameterException", "put_image_tag_mutability", **call)
    assert message == CONSTRAINT.format(member, problem)
    assert ecr.describe_repositories(repositoryNames=[repository])["repositories"][0]["imageTagMutability"] == "MUTABLE"


def test_the_repository_must_be_there(ecr: Any, name: str) -> None:
    """The mode of a missing repository cannot be set."""
    call = {"repositoryName": name, "imageTagMutability": "IMMUTABLE"}
    message = refusal(ecr, "RepositoryNotFoundException", "put_image_tag_mutability", **call)
    assert message == f"The repository with name '{name}' does not exist in the registry with id '{ACCOUNT}'"

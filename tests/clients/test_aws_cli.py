"""The AWS CLI, in the environment that ``moorage env`` makes."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest

from moorage.domain import manifests
from tests import content
from tests.servers import ACCOUNT, REGION

if TYPE_CHECKING:
    from pathlib import Path

    from tests.clients.tools import Tool
    from tests.servers import Server

REFUSED = 255
"""The exit status where the service refused: of the CLI's version 1, which is a package. Version 2 has 254."""


def answer(aws: Tool, *words: str) -> Any:
    """Run ``aws ecr``; return its answer."""
    return json.loads(aws("ecr", *words))


@pytest.fixture
def image(server: Server, repository: str) -> content.Image:
    """An image in the repository, with the tag v1."""
    return content.push(server, repository, "v1")


def test_the_environment_is_all_that_it_takes(environment: dict[str, str], server: Server) -> None:
    """``moorage env`` prints the addresses, the key and the region."""
    assert {name: value for name, value in environment.items() if name.startswith("AWS_")} == {
        "AWS_ENDPOINT_URL_ECR": server.url,
        "AWS_ENDPOINT_URL_STS": server.url,
        "AWS_ACCESS_KEY_ID": server.key.access_key_id,
        "AWS_SECRET_ACCESS_KEY": server.key.secret_access_key,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def test_get_caller_identity(aws: Tool) -> None:
    """``sts get-caller-identity`` names the account's root."""
    identity = json.loads(aws("sts", "get-caller-identity"))

    assert identity["Account"] == ACCOUNT
    assert identity["Arn"] == f"arn:aws:iam::{ACCOUNT}:root"


def test_get_login_password(aws: Tool, server: Server) -> None:
    """``get-login-password`` prints a password that the distribution door takes."""
    password = aws("ecr", "get-login-password")

    token = base64.b64encode(f"AWS:{password}".encode()).decode()
    assert server.request("GET", "/v2/", token=token).status == 200


def test_create_repository(aws: Tool, server: Server, name: str) -> None:
    """``create-repository`` answers with a URI that docker can pull from as it stands."""
    created = answer(aws, "create-repository", "--repository-name", name)["repository"]

    assert created["repositoryUri"] == f"{server.host}/{name}"
    assert created["repositoryArn"] == f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/{name}"
    assert created["imageTagMutability"] == "MUTABLE"


def test_describe_repositories(aws: Tool, repository: str) -> None:
    """``describe-repositories`` finds a repository by its name."""
    (found,) = answer(aws, "describe-repositories", "--repository-names", repository)["repositories"]

    assert (found["registryId"], found["repositoryName"]) == (ACCOUNT, repository)


def test_describe_repositories_follows_the_pages(aws: Tool, ecr: Any, repository: str, name: str) -> None:
    """``describe-repositories`` gathers every page by itself."""
    ecr.create_repository(repositoryName=f"{name}/second")

    words = ("--page-size", "1", "--query", f"repositories[?starts_with(repositoryName, '{name}')].repositoryName")

    assert answer(aws, "describe-repositories", *words) == [repository, f"{name}/second"]


def test_describe_images(aws: Tool, repository: str, image: content.Image) -> None:
    """``describe-images`` shows an image's digest, tags, size and type."""
    (details,) = answer(aws, "describe-images", "--repository-name", repository)["imageDetails"]

    assert details["imageDigest"] == image.digest
    assert details["imageTags"] == ["v1"]
    assert details["imageSizeInBytes"] == image.size
    assert details["imageManifestMediaType"] == manifests.OCI_IMAGE


def test_list_images(aws: Tool, repository: str, image: content.Image) -> None:
    """``list-images`` lists digests with their tags."""
    listed = answer(aws, "list-images", "--repository-name", repository, "--filter", "tagStatus=TAGGED")

    assert listed["imageIds"] == [{"imageDigest": image.digest, "imageTag": "v1"}]


def test_batch_get_image(aws: Tool, repository: str, image: content.Image) -> None:
    """``batch-get-image`` gives the manifest as it was pushed, and says which image is not there."""
    words = ("--repository-name", repository, "--image-ids", "imageTag=v1", "imageTag=absent")
    found = answer(aws, "batch-get-image", *words)

    assert [one["imageManifest"] for one in found["images"]] == [image.manifest.decode()]
    assert [one["failureCode"] for one in found["failures"]] == ["ImageNotFound"]


def test_put_image(aws: Tool, ecr: Any, repository: str, image: content.Image, tmp_path: Path) -> None:
    """``put-image`` with a manifest in a file gives an image a further tag."""
    file = tmp_path / "manifest.json"
    file.write_bytes(image.manifest)

    aws("ecr", "put-image", "--repository-name", repository, "--image-tag", "v2", "--image-manifest", f"file://{file}")

    (details,) = ecr.describe_images(repositoryName=repository)["imageDetails"]
    assert sorted(details["imageTags"]) == ["v1", "v2"]


def test_a_layer_goes_up_in_parts(aws: Tool, ecr: Any, repository: str, tmp_path: Path) -> None:
    """The layer operations take a layer from files, part by part."""
    layer, named = content.layer(), ("--repository-name", repository)
    (tmp_path / "part").write_bytes(layer)
    upload = ("--upload-id", answer(aws, "initiate-layer-upload", *named)["uploadId"])

    span = ("--part-first-byte", "0", "--part-last-byte", str(len(layer) - 1))
    aws("ecr", "upload-layer-part", *named, *upload, *span, "--layer-part-blob", f"fileb://{tmp_path / 'part'}")
    aws("ecr", "complete-layer-upload", *named, *upload, "--layer-digests", content.digest_of(layer))

    (there,) = ecr.batch_check_layer_availability(repositoryName=repository, layerDigests=[content.digest_of(layer)])[
        "layers"
    ]
    assert (there["layerAvailability"], there["layerSize"]) == ("AVAILABLE", len(layer))


def test_a_repository_policy_is_kept(aws: Tool, repository: str) -> None:
    """``get-repository-policy`` gives what ``set-repository-policy`` took."""
    allow = {"Effect": "Allow", "Principal": "*", "Action": "ecr:BatchGetImage"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    aws("ecr", "set-repository-policy", "--repository-name", repository, "--policy-text", policy)

    kept = answer(aws, "get-repository-policy", "--repository-name", repository)

    assert json.loads(kept["policyText"])["Statement"][0]["Action"] == "ecr:BatchGetImage"


def test_batch_delete_image(aws: Tool, ecr: Any, repository: str, image: content.Image) -> None:
    """``batch-delete-image`` by digest deletes the image with its tags."""
    words = ("--repository-name", repository, "--image-ids", f"imageDigest={image.digest}")
    deleted = answer(aws, "batch-delete-image", *words)

    assert deleted["imageIds"] == [{"imageDigest": image.digest, "imageTag": "v1"}]
    assert not ecr.list_images(repositoryName=repository)["imageIds"]


@pytest.mark.usefixtures("image")
def test_delete_repository_keeps_what_has_images(aws: Tool, ecr: Any, repository: str) -> None:
    """``delete-repository`` refuses to delete a repository with images."""
    done = aws.call("ecr", "delete-repository", "--repository-name", repository)

    assert done.returncode == REFUSED
    assert "RepositoryNotEmptyException" in done.stderr
    assert ecr.list_images(repositoryName=repository)["imageIds"]


@pytest.mark.usefixtures("image")
def test_delete_repository_with_force(aws: Tool, ecr: Any, repository: str) -> None:
    """``delete-repository --force`` deletes a repository with its images."""
    deleted = answer(aws, "delete-repository", "--repository-name", repository, "--force")

    assert deleted["repository"]["repositoryName"] == repository
    with pytest.raises(ecr.exceptions.RepositoryNotFoundException):
        ecr.list_images(repositoryName=repository)


def test_a_refusal_has_the_words_of_ecr(aws: Tool, name: str) -> None:
    """What the service refuses ends with the status of a failure and ECR's message, to the letter."""
    done = aws.call("ecr", "describe-images", "--repository-name", name)

    assert done.returncode == REFUSED
    assert done.stderr.strip().removeprefix("aws: [ERROR]: ") == (
        "An error occurred (RepositoryNotFoundException) when calling the DescribeImages operation: "
        f"The repository with name '{name}' does not exist in the registry with id '{ACCOUNT}'"
    )


def test_a_wrong_key_is_refused(aws: Tool) -> None:
    """A secret that is not the key's is refused, and the message says that the signature does not match."""
    done = aws.with_environment(AWS_SECRET_ACCESS_KEY="x" * 40).call("ecr", "describe-repositories")

    assert done.returncode == REFUSED
    assert "InvalidSignatureException" in done.stderr

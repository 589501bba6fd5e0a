"""Repositories at the AWS door: made, described, deleted, each in its account's and region's own registry."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests import content
from tests.aws.kit import refusal
from tests.aws.wire import Sender
from tests.servers import ACCOUNT, REGION

if TYPE_CHECKING:
    from tests.servers import Server

NOBODY = "999999999999"


@pytest.fixture
def empty(server: Server) -> Any:
    """A client of a registry that nobody else uses."""
    return server.client(region_name=f"repos-{uuid.uuid4().hex[:8]}")


def names(client: Any) -> list[str]:
    """Return the names of all repositories, in the order of the answer."""
    pages = client.get_paginator("describe_repositories").paginate()
    return [repository["repositoryName"] for page in pages for repository in page["repositories"]]


# --- Created ---------------------------------------------------------------------


def test_a_new_repository_has_ecrs_defaults(server: Server, ecr: Any, name: str) -> None:
    """What CreateRepository answers has every member that ECR always sets, with its defaults."""
    before = datetime.now(UTC)
    created = ecr.create_repository(repositoryName=name)["repository"]

    at = created.pop("createdAt")
    assert before - timedelta(milliseconds=1) <= at <= datetime.now(UTC)
    assert created == {
        "repositoryArn": f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/{name}",
        "registryId": ACCOUNT,
        "repositoryName": name,
        "repositoryUri": f"{server.host}/{name}",
        "imageTagMutability": "MUTABLE",
        "imageScanningConfiguration": {"scanOnPush": False},
        "encryptionConfiguration": {"encryptionType": "AES256"},
    }


def test_a_repository_is_described_as_it_was_created(ecr: Any, name: str) -> None:
    """DescribeRepositories gives what CreateRepository gave, times and filters too."""
    created = ecr.create_repository(
        repositoryName=name,
        imageTagMutability="IMMUTABLE_WITH_EXCLUSION",
        imageTagMutabilityExclusionFilters=[{"filterType": "WILDCARD", "filter": "latest*"}],
    )["repository"]

    assert ecr.describe_repositories(repositoryNames=[name])["repositories"] == [created]
    assert created["imageTagMutabilityExclusionFilters"] == [{"filterType": "WILDCARD", "filter": "latest*"}]


def test_a_name_is_taken_once(ecr: Any, repository: str) -> None:
    """Creating a repository that is there is refused in ECR's words, and changes nothing."""
    before = ecr.describe_repositories(repositoryNames=[repository])["repositories"]
    message = refusal(
        ecr,
        "RepositoryAlreadyExistsException",
        "create_repository",
        repositoryName=repository,
        imageTagMutability="IMMUTABLE",
    )
    assert message == (f"The repository with name '{repository}' already exists in the registry with id '{ACCOUNT}'")
    assert ecr.describe_repositories(repositoryNames=[repository])["repositories"] == before


@pytest.mark.parametrize("name", ["ab", "a.b", "a_b", "a__b", "a--b", "a---b", "a/b__c", "1a", "00", "a" * 256])
def test_names_of_ecrs_grammar_are_taken(empty: Any, name: str) -> None:
    """Every form of name that ECR accepts is accepted."""
    assert empty.create_repository(repositoryName=name)["repository"]["repositoryName"] == name


BAD_NAMES = [
    "A1",
    "_ab",
    "ab_",
    "a___b",
    "a_-b",
    "a..b",
    "a//b",
    "/ab",
    "ab/",
    "a b",
    "ab\n",
    "..",
    "a/../b",
    "ä1",
    "a%2fb",
]


@pytest.mark.parametrize("name", BAD_NAMES)
def test_other_names_are_refused(empty: Any, name: str) -> None:
    """A name that ECR would not accept is refused in ECR's words, and is not made."""
    message = refusal(empty, "InvalidParameterException", "create_repository", repositoryName=name)
    assert message == (
        "Invalid parameter at 'repositoryName' failed to satisfy constraint: 'must satisfy regular expression"
        " '[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*)*''"
    )
    assert names(empty) == []


def test_a_name_may_begin_with_another(empty: Any) -> None:
    """Repositories are no folders: one may have the name of another and a slash after it."""
    for name in ("team", "team/app", "team/app/blobs", "v2", "team/manifests/a"):
        empty.create_repository(repositoryName=name)
    assert names(empty) == ["team", "team/app", "team/app/blobs", "team/manifests/a", "v2"]


@pytest.mark.parametrize(
    ("region", "partition"),
    [
        ("us-east-1", "aws"),
        ("cn-north-1", "aws-cn"),
        ("us-gov-west-1", "aws-us-gov"),
        ("us-iso-east-1", "aws-iso"),
        ("us-isob-east-1", "aws-iso-b"),
        ("eusc-de-east-1", "aws-eusc"),
        ("on-premises", "aws"),
    ],
)
def test_an_arn_has_its_regions_partition(server: Server, name: str, region: str, partition: str) -> None:
    """The ARN of a repository begins with the partition that its region is of."""
    created = server.client(region_name=region).create_repository(repositoryName=name)["repository"]
    assert created["repositoryArn"] == f"arn:{partition}:ecr:{region}:{ACCOUNT}:repository/{name}"


# --- Resource tags ---------------------------------------------------------------

BAD_TAGS = {
    "an empty key": [{"Key": "", "Value": "b"}],
    "a long key": [{"Key": "a" * 129, "Value": "b"}],
    "a long value": [{"Key": "a", "Value": "b" * 257}],
    "a reserved key": [{"Key": "aws:name", "Value": "b"}],
    "a reserved key in capitals": [{"Key": "AWS:name", "Value": "b"}],
    "a key twice": [{"Key": "a", "Value": "b"}, {"Key": "a", "Value": "c"}],
}


@pytest.mark.parametrize("case", BAD_TAGS)
def test_bad_tags_create_nothing(empty: Any, case: str) -> None:
    """Resource tags that ECR would not take are refused, and the repository is not made."""
    message = refusal(
        empty, "InvalidTagParameterException", "create_repository", repositoryName="ab", tags=BAD_TAGS[case]
    )
    assert message == "Tag parameters are invalid"
    assert names(empty) == []


def test_fifty_tags_are_enough(empty: Any) -> None:
    """A repository carries up to fifty resource tags; one more is a TooManyTagsException and creates nothing."""
    tags = [{"Key": f"key-{number}", "Value": ""} for number in range(51)]
    refusal(empty, "TooManyTagsException", "create_repository", repositoryName="many", tags=tags)
    assert names(empty) == []
    empty.create_repository(repositoryName="many", tags=tags[:50])
    assert names(empty) == ["many"]


def test_the_longest_tag_fits(empty: Any) -> None:
    """A key of 128 characters and a value of 256, of any alphabet, are accepted."""
    empty.create_repository(repositoryName="ab", tags=[{"Key": "é" * 128, "Value": "\U0001f600" * 256}])
    assert names(empty) == ["ab"]


# --- Settings that are refused rather than kept ----------------------------------


def at(field: str, constraint: str) -> str:
    """Return ECR's message for a constraint."""
    return f"Invalid parameter at '{field}' failed to satisfy constraint: '{constraint}'"


@pytest.mark.parametrize("mutability", ["MUTABLE", "IMMUTABLE"])
def test_filters_need_an_exclusion(empty: Any, mutability: str) -> None:
    """Exclusion filters without an excluding mutability are refused in ECR's words."""
    message = refusal(
        empty,
        "InvalidParameterException",
        "create_repository",
        repositoryName="ab",
        imageTagMutability=mutability,
        imageTagMutabilityExclusionFilters=[{"filterType": "WILDCARD", "filter": "a*"}],
    )
    assert message == at(
        "imageTagMutabilityExclusionFilters",
        f"ImageTagMutabilityExclusionFilters are not allowed when imageTagMutability is set as {mutability}",
    )
    assert names(empty) == []


@pytest.mark.parametrize("mutability", ["MUTABLE_WITH_EXCLUSION", "IMMUTABLE_WITH_EXCLUSION"])
def test_an_exclusion_needs_filters(empty: Any, mutability: str) -> None:
    """An excluding mutability without filters is refused in ECR's words."""
    message = refusal(
        empty, "InvalidParameterException", "create_repository", repositoryName="ab", imageTagMutability=mutability
    )
    assert message == at(
        "imageTagMutabilityExclusionFilters",
        f"ImageTagMutabilityExclusionFilters can't be null when imageTagMutability is set as {mutability}",
    )
    assert names(empty) == []


@pytest.mark.parametrize(
    ("filters", "field", "constraint"),
    [
        ([], "", "Member must have length greater than or equal to 1"),
        ([{"filterType": "WILDCARD", "filter": "a"}] * 6, "", "Member must have length less than or equal to 5"),
        (
            [{"filterType": "REGEX", "filter": "a"}],
            ".1.member.filterType",
            "Member must satisfy enum value set: [WILDCARD]",
        ),
        (
            [{"filterType": "WILDCARD", "filter": "a" * 129}],
            ".1.member.filter",
            "Member must have length less than or equal to 128",
        ),
        ([{"filterType": "WILDCARD"}], ".1.member.filter", "Member must not be null"),
    ],
)
def test_filters_have_limits(server: Server, name: str, filters: list[Any], field: str, constraint: str) -> None:
    """One to five filters of 1 to 128 characters, of the one type that ECR has: anything else is refused."""
    body = {
        "repositoryName": name,
        "imageTagMutability": "IMMUTABLE_WITH_EXCLUSION",
        "imageTagMutabilityExclusionFilters": filters,
    }
    message = Sender(server).send("CreateRepository", body).refused("InvalidParameterException")
    assert message == at(f"imageTagMutabilityExclusionFilters{field}", constraint)


def test_an_immutable_tag_stays(server: Server, ecr: Any, name: str) -> None:
    """In a repository that was created IMMUTABLE a tag cannot be moved, through either door."""
    ecr.create_repository(repositoryName=name, imageTagMutability="IMMUTABLE")
    first = content.push(server, name, "v1")
    second = content.image()
    content.push_blobs(server, name, second)

    message = refusal(
        ecr,
        "ImageTagAlreadyExistsException",
        "put_image",
        repositoryName=name,
        imageManifest=second.manifest.decode(),
        imageTag="v1",
    )
    pushed = server.request(
        "PUT", f"/v2/{name}/manifests/v1", headers={"Content-Type": second.media_type}, body=second.manifest
    )

    assert message == (
        f"The image tag 'v1' already exists in the '{name}' repository"
        " and cannot be overwritten because the tag is immutable."
    )
    assert (pushed.status, pushed.json()["errors"][0]["code"]) == (400, "TAG_INVALID")
    (details,) = ecr.describe_images(repositoryName=name)["imageDetails"]
    assert (details["imageDigest"], details["imageTags"]) == (first.digest, ["v1"])


@pytest.mark.parametrize("kind", ["KMS", "KMS_DSSE"])
def test_encryption_that_is_not_there_is_refused(empty: Any, kind: str) -> None:
    """Encryption with a key service, which is not here, is a KmsException and not a setting without effect."""
    refusal(
        empty,
        "KmsException",
        "create_repository",
        repositoryName="ab",
        encryptionConfiguration={"encryptionType": kind},
    )
    assert names(empty) == []


def test_a_key_needs_its_encryption(empty: Any) -> None:
    """A key with AES256, which has none, is refused in ECR's words."""
    message = refusal(
        empty,
        "InvalidParameterException",
        "create_repository",
        repositoryName="ab",
        encryptionConfiguration={"encryptionType": "AES256", "kmsKey": "alias/mine"},
    )
    assert message == at(
        "encryptionConfiguration",
        "Invalid encryption configuration: Encryption key should not be set for AES256 encryption.",
    )
    assert names(empty) == []


def test_scanning_on_push_is_kept(empty: Any) -> None:
    """Whether images are to be scanned on push is shown as it was asked for."""
    for name, wanted in (("on", True), ("off", False)):
        made = empty.create_repository(repositoryName=name, imageScanningConfiguration={"scanOnPush": wanted})
        assert made["repository"]["imageScanningConfiguration"] == {"scanOnPush": wanted}


# --- Described -------------------------------------------------------------------


def test_an_empty_registry_has_an_empty_list(empty: Any) -> None:
    """A registry without repositories answers an empty list, and no token."""
    answer = empty.describe_repositories()
    answer.pop("ResponseMetadata")
    assert answer == {"repositories": []}


def test_the_first_missing_name_is_named(ecr: Any, repository: str) -> None:
    """Describing several repositories of which some are not there is refused with the name of the first of those."""
    message = refusal(
        ecr,
        "RepositoryNotFoundException",
        "describe_repositories",
        repositoryNames=[repository, "zz/missing", "aa/missing"],
    )
    assert message == f"The repository with name 'zz/missing' does not exist in the registry with id '{ACCOUNT}'"


def test_named_repositories_come_once(empty: Any) -> None:
    """Names given twice are described once."""
    for name in ("ab", "cd"):
        empty.create_repository(repositoryName=name)
    found = empty.describe_repositories(repositoryNames=["cd", "ab", "cd"])["repositories"]
    assert sorted(repository["repositoryName"] for repository in found) == ["ab", "cd"]


def test_pages_hold_all_repositories_once(empty: Any) -> None:
    """Pages of any size give every repository once, in the order of names, and the last page has no token."""
    made = sorted(f"repo-{number:03}" for number in range(101))
    for name in made:
        empty.create_repository(repositoryName=name)
    first = empty.describe_repositories()
    second = empty.describe_repositories(nextToken=first["nextToken"])

    assert len(first["repositories"]) == 100
    assert [one["repositoryName"] for one in second["repositories"]] == made[100:]
    assert "nextToken" not in second
    assert names(empty) == made
    by_seven = empty.get_paginator("describe_repositories").paginate(PaginationConfig={"PageSize": 7})
    assert [one["repositoryName"] for page in by_seven for one in page["repositories"]] == made
    assert len(empty.describe_repositories(maxResults=1000)["repositories"]) == 101


def test_a_page_goes_on_where_it_stopped(empty: Any) -> None:
    """What comes and goes between two pages neither repeats nor hides another repository."""
    for name in ("bb", "dd", "ff"):
        empty.create_repository(repositoryName=name)
    first = empty.describe_repositories(maxResults=2)
    empty.delete_repository(repositoryName="dd")
    for name in ("aa", "ee"):
        empty.create_repository(repositoryName=name)

    rest = empty.describe_repositories(nextToken=first["nextToken"])["repositories"]
    assert [repository["repositoryName"] for repository in rest] == ["ee", "ff"]


def bad_tokens(server: Server, empty: Any) -> dict[str, str]:
    """Return page tokens that are not of this list in this registry."""
    for name in ("ab", "cd"):
        empty.create_repository(repositoryName=name)
    content_client = server.client(region_name=empty.meta.region_name)
    good = content_client.describe_repositories(maxResults=1)["nextToken"]
    middle = len(good) // 2
    altered = good[:middle] + ("A" if good[middle] != "A" else "B") + good[middle + 1 :]
    other = server.client(region_name=f"other-{uuid.uuid4().hex[:8]}")
    for name in ("ab", "cd"):
        other.create_repository(repositoryName=name)
    return {
        "nonsense": "nonsense",
        "a number": "100",
        "altered": altered,
        "cut": good[:-1],
        "of another registry": other.describe_repositories(maxResults=1)["nextToken"],
        "a password": content_client.get_authorization_token()["authorizationData"][0]["authorizationToken"],
        "long": "a" * 100_000,
        "é": "é",
    }


def test_a_token_is_of_its_list(server: Server, empty: Any) -> None:
    """A page token that is altered, of another registry or none at all is refused in ECR's words."""
    for case, token in bad_tokens(server, empty).items():
        message = refusal(empty, "InvalidParameterException", "describe_repositories", nextToken=token)
        assert message == at("nextToken", "Invalid token"), case


# --- Deleted ---------------------------------------------------------------------


def test_an_empty_repository_is_deleted(ecr: Any, name: str) -> None:
    """DeleteRepository answers the repository as it was, and it is gone."""
    created = ecr.create_repository(repositoryName=name)["repository"]
    assert ecr.delete_repository(repositoryName=name)["repository"] == created
    message = refusal(ecr, "RepositoryNotFoundException", "delete_repository", repositoryName=name)
    assert message == f"The repository with name '{name}' does not exist in the registry with id '{ACCOUNT}'"


def test_a_repository_with_images_stays(server: Server, ecr: Any, repository: str) -> None:
    """A repository with an image, an untagged one too, is not deleted without force."""
    content.push(server, repository)
    for force in ({}, {"force": False}):
        message = refusal(ecr, "RepositoryNotEmptyException", "delete_repository", repositoryName=repository, **force)
        assert message == (
            f"The repository with name '{repository}' in registry with id '{ACCOUNT}'"
            " cannot be deleted because it still contains images"
        )
    assert len(ecr.list_images(repositoryName=repository)["imageIds"]) == 1


def test_layers_alone_do_not_hold_a_repository(server: Server, ecr: Any, repository: str) -> None:
    """Layers that no image refers to, and uploads that have not ended, are no images."""
    content.push_blob(server, repository, b"a layer")
    ecr.initiate_layer_upload(repositoryName=repository)
    ecr.delete_repository(repositoryName=repository)
    refusal(ecr, "RepositoryNotFoundException", "list_images", repositoryName=repository)


def test_force_deletes_all(server: Server, ecr: Any, repository: str) -> None:
    """With force a repository goes with its images, lists and their children too, at both doors."""
    child = content.push(server, repository, "child")
    content.put_manifest(server, repository, "list", content.index(child), "application/vnd.oci.image.index.v1+json")
    ecr.delete_repository(repositoryName=repository, force=True)

    assert server.request("GET", f"/v2/{repository}/manifests/child").status == 404
    assert server.request("GET", f"/v2/{repository}/tags/list").json()["errors"][0]["code"] == "NAME_UNKNOWN"
    refusal(ecr, "RepositoryNotFoundException", "list_images", repositoryName=repository)


def test_a_name_is_free_again(server: Server, ecr: Any, repository: str) -> None:
    """A repository made under a name that was deleted has nothing of the old one: no image, layer or policy."""
    image = content.push(server, repository, "v1")
    ecr.set_repository_policy(
        repositoryName=repository,
        policyText='{"Statement": [{"Effect": "Deny", "Principal": "*", "Action": "ecr:ListImages"}]}',
    )
    ecr.delete_repository(repositoryName=repository, force=True)
    ecr.create_repository(repositoryName=repository)

    assert ecr.list_images(repositoryName=repository)["imageIds"] == []
    refusal(ecr, "RepositoryPolicyNotFoundException", "get_repository_policy", repositoryName=repository)
    digests = [content.digest_of(layer) for layer in image.layers]
    layers = ecr.batch_check_layer_availability(repositoryName=repository, layerDigests=digests)["layers"]
    assert {layer["layerAvailability"] for layer in layers} == {"UNAVAILABLE"}


def test_an_open_upload_ends_with_its_repository(ecr: Any, name: str) -> None:
    """An upload is not found once its repository has been deleted, not even in a new one of the same name."""
    ecr.create_repository(repositoryName=name)
    upload = ecr.initiate_layer_upload(repositoryName=name)["uploadId"]
    part = {"repositoryName": name, "uploadId": upload, "partFirstByte": 0, "partLastByte": 0, "layerPartBlob": b"x"}
    ecr.delete_repository(repositoryName=name)
    refusal(ecr, "RepositoryNotFoundException", "upload_layer_part", **part)
    ecr.create_repository(repositoryName=name)

    message = refusal(ecr, "UploadNotFoundException", "upload_layer_part", **part)
    assert message == (
        f"The upload with id '{upload}' does not exist in the repository with name '{name}'"
        f" in registry with id '{ACCOUNT}'"
    )


# --- Registries ------------------------------------------------------------------


def test_regions_share_no_repository(server: Server, name: str) -> None:
    """The same name in two regions is two repositories, with images of their own."""
    here, there = (server.client(region_name=f"{side}-{uuid.uuid4().hex[:8]}") for side in ("here", "there"))
    for client in (here, there):
        client.create_repository(repositoryName=name)
    content.upload_layer(here, name, b"a layer")
    digest = content.digest_of(b"a layer")

    for client, availability in ((here, "AVAILABLE"), (there, "UNAVAILABLE")):
        (layer,) = client.batch_check_layer_availability(repositoryName=name, layerDigests=[digest])["layers"]
        assert layer["layerAvailability"] == availability
    here.delete_repository(repositoryName=name)
    assert names(there) == [name]


def test_the_registry_can_be_named(ecr: Any, name: str) -> None:
    """The caller's own account may be named as the registry."""
    created = ecr.create_repository(repositoryName=name, registryId=ACCOUNT)["repository"]
    assert created["registryId"] == ACCOUNT
    assert ecr.delete_repository(repositoryName=name, registryId=ACCOUNT)["repository"] == created


def test_another_accounts_registry_is_closed(ecr: Any, name: str) -> None:
    """In the registry of another account nothing can be made, seen or learned about."""
    for operation, call in (
        ("create_repository", {"repositoryName": name}),
        ("describe_repositories", {}),
        ("describe_repositories", {"repositoryNames": [name]}),
        ("delete_repository", {"repositoryName": name}),
        ("list_images", {"repositoryName": name}),
    ):
        message = refusal(ecr, "AccessDeniedException", operation, registryId=NOBODY, **call)
        assert f":{NOBODY}:repository/" in message

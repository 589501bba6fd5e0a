"""Images at the AWS door: boto3 over a socket, against what the distribution door sees."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from moorage.domain import manifests
from tests import content
from tests.servers import ACCOUNT, Server


def put(ecr: Any, repository: str, image: content.Image, tag: str | None = None) -> Any:
    """Put an image whose layers are there."""
    named = {"imageTag": tag} if tag else {}
    return ecr.put_image(repositoryName=repository, imageManifest=image.manifest.decode(), **named)["image"]


def tags_by_digest(ecr: Any, repository: str) -> dict[str, set[str | None]]:
    """Return what ListImages says, gathered by digest."""
    found: dict[str, set[str | None]] = {}
    for page in ecr.get_paginator("list_images").paginate(repositoryName=repository):
        for item in page["imageIds"]:
            found.setdefault(item["imageDigest"], set()).add(item.get("imageTag"))
    return found


def test_what_docker_pushes_boto3_describes(server: Server, ecr: Any, repository: str) -> None:
    """An image pushed at the distribution door is described at once with its digest, size, tags and time."""
    before = datetime.now(UTC)
    image = content.push(server, repository, "v1", content.image(count=3))

    (details,) = ecr.describe_images(repositoryName=repository)["imageDetails"]

    assert details["imageDigest"] == image.digest
    assert details["imageTags"] == ["v1"]
    assert details["imageSizeInBytes"] == image.size
    assert details["imageManifestMediaType"] == manifests.OCI_IMAGE
    assert details["artifactMediaType"] == content.CONFIG
    assert details["registryId"] == ACCOUNT
    assert before - timedelta(seconds=1) <= details["imagePushedAt"] <= datetime.now(UTC)


def test_what_boto3_puts_docker_pulls(server: Server, ecr: Any, repository: str) -> None:
    """An image uploaded through ECR's operations is served byte for byte by the distribution door."""
    image = content.image(count=2)
    for part in (image.config, *image.layers):
        assert content.upload_layer(ecr, repository, part) == content.digest_of(part)
    answered = put(ecr, repository, image, "latest")

    pulled = server.request("GET", f"/v2/{repository}/manifests/latest")

    assert answered["imageId"] == {"imageDigest": image.digest, "imageTag": "latest"}
    assert pulled.data == image.manifest
    assert pulled.headers["Content-Type"] == image.media_type
    for part in image.layers:
        assert server.request("GET", f"/v2/{repository}/blobs/{content.digest_of(part)}").data == part


def test_batch_get_image_answers_each_identifier_apart(server: Server, ecr: Any, repository: str) -> None:
    """BatchGetImage returns what it can and names the code and reason of what it cannot."""
    image = content.push(server, repository, "v1")
    other = content.push(server, repository, "v2")
    asked = [
        {"imageTag": "v1"},
        {"imageDigest": image.digest},
        {"imageTag": "missing"},
        {"imageDigest": "sha256:" + "0" * 64},
        {"imageDigest": "nonsense"},
        {"imageTag": "a b"},
        {"imageTag": "v1", "imageDigest": other.digest},
        {},
    ]

    answer = ecr.batch_get_image(repositoryName=repository, imageIds=asked)

    assert [found["imageId"] for found in answer["images"]] == [
        {"imageDigest": image.digest, "imageTag": "v1"},
        {"imageDigest": image.digest},
    ]
    assert all(found["imageManifest"].encode() == image.manifest for found in answer["images"])
    assert [(f["failureCode"], f["imageId"]) for f in answer["failures"]] == [
        ("ImageNotFound", asked[2]),
        ("ImageNotFound", asked[3]),
        ("InvalidImageDigest", asked[4]),
        ("InvalidImageTag", asked[5]),
        ("ImageTagDoesNotMatchDigest", asked[6]),
        ("MissingDigestAndTag", {}),
    ]
    assert answer["failures"][0]["failureReason"] == "Requested image not found"


def test_a_tag_moves_and_leaves_its_image_untagged(server: Server, ecr: Any, repository: str) -> None:
    """Putting a tag on another image moves it; the first image stays, without a tag."""
    first = content.push(server, repository, "latest")
    second = content.push(server, repository, "latest")

    untagged = ecr.list_images(repositoryName=repository, filter={"tagStatus": "UNTAGGED"})["imageIds"]

    assert tags_by_digest(ecr, repository) == {second.digest: {"latest"}, first.digest: {None}}
    assert untagged == [{"imageDigest": first.digest}]


def test_an_immutable_tag_stays_at_both_doors(server: Server, ecr: Any, name: str) -> None:
    """In an IMMUTABLE repository neither door moves a tag, and both let the same image be pushed again."""
    ecr.create_repository(repositoryName=name, imageTagMutability="IMMUTABLE")
    first = content.push(server, name, "v1")
    second = content.push(server, name, None)

    with pytest.raises(ecr.exceptions.ImageTagAlreadyExistsException, match="cannot be overwritten because the tag"):
        put(ecr, name, second, "v1")
    headers = {"Content-Type": second.media_type}
    refused = server.request("PUT", f"/v2/{name}/manifests/v1", headers=headers, body=second.manifest)
    again = server.request("PUT", f"/v2/{name}/manifests/v1", headers=headers, body=first.manifest)

    assert refused.status == 400
    assert refused.json()["errors"][0]["code"] == "TAG_INVALID"
    assert again.status == 201
    assert tags_by_digest(ecr, name)[first.digest] == {"v1"}


def test_exclusion_filters_turn_the_rule_round(server: Server, ecr: Any, name: str) -> None:
    """A tag that matches an exclusion filter moves in an immutable repository, and no other does."""
    ecr.create_repository(
        repositoryName=name,
        imageTagMutability="IMMUTABLE_WITH_EXCLUSION",
        imageTagMutabilityExclusionFilters=[{"filterType": "WILDCARD", "filter": "dev-*"}],
    )
    content.push(server, name, "dev-1")
    content.push(server, name, "v1")
    image = content.push(server, name, "dev-1")

    with pytest.raises(ecr.exceptions.ImageTagAlreadyExistsException):
        put(ecr, name, image, "v1")

    assert tags_by_digest(ecr, name)[image.digest] == {"dev-1"}


def test_the_same_image_again_already_exists(server: Server, ecr: Any, repository: str) -> None:
    """PutImage of what is there, with the same tag or with none, is ImageAlreadyExists; another tag is added."""
    image = content.push(server, repository, "v1")

    with pytest.raises(ecr.exceptions.ImageAlreadyExistsException, match=f"{image.digest}' and tag 'v1'"):
        put(ecr, repository, image, "v1")
    with pytest.raises(ecr.exceptions.ImageAlreadyExistsException, match="tag 'null'"):
        put(ecr, repository, image)
    put(ecr, repository, image, "v2")

    assert tags_by_digest(ecr, repository) == {image.digest: {"v1", "v2"}}


def test_a_manifest_needs_its_layers(ecr: Any, repository: str) -> None:
    """PutImage names every layer that the repository lacks, and stores nothing."""
    image = content.image(count=2)
    parts = [content.digest_of(part) for part in (image.config, *image.layers)]

    with pytest.raises(ecr.exceptions.LayersNotFoundException) as caught:
        put(ecr, repository, image, "v1")

    assert f"[{', '.join(parts)}]" in caught.value.response["Error"]["Message"]
    assert tags_by_digest(ecr, repository) == {}


def test_an_index_needs_its_images(ecr: Any, repository: str) -> None:
    """PutImage of an index whose children are not there is ReferencedImagesNotFound."""
    child = content.image()

    with pytest.raises(ecr.exceptions.ReferencedImagesNotFoundException, match=child.digest):
        ecr.put_image(repositoryName=repository, imageManifest=content.index(child).decode(), imageTag="multi")


@pytest.mark.parametrize(
    ("manifest", "constraint"),
    [
        ("not json", "Invalid JSON syntax"),
        ("[]", "Invalid JSON syntax"),
        (json.dumps({"schemaVersion": 2, "config": {}, "layers": []}), "mediatype not provided"),
        (content.image().manifest.decode().replace("sha256:", "sha1:"), "Invalid|must satisfy"),
        (json.dumps(json.loads(content.image().manifest) | {"layers": []}), "Image has to have at least 1 layer"),
        (json.dumps(json.loads(content.image().manifest) | {"manifests": []}), "Invalid JSON syntax"),
        (json.dumps(json.loads(content.image().manifest) | {"mediaType": "text/plain"}), "Invalid JSON syntax"),
        ("[" * 100_000, "Invalid JSON syntax"),
    ],
)
def test_a_bad_manifest_is_refused_in_ecrs_words(ecr: Any, repository: str, manifest: str, constraint: str) -> None:
    """What is no manifest is InvalidParameter at ImageManifest."""
    with pytest.raises(ecr.exceptions.InvalidParameterException, match=constraint) as caught:
        ecr.put_image(repositoryName=repository, imageManifest=manifest)

    assert "Invalid parameter at 'ImageManifest'" in caught.value.response["Error"]["Message"]


def test_a_wrong_digest_is_refused(server: Server, ecr: Any, repository: str) -> None:
    """PutImage with a digest that the manifest does not have stores nothing."""
    image = content.image()
    content.push_blobs(server, repository, image)

    with pytest.raises(ecr.exceptions.ImageDigestDoesNotMatchException):
        ecr.put_image(
            repositoryName=repository, imageManifest=image.manifest.decode(), imageDigest="sha256:" + "1" * 64
        )

    assert tags_by_digest(ecr, repository) == {}


def test_deleting_by_tag_and_by_digest(server: Server, ecr: Any, repository: str) -> None:
    """A tag goes alone until it is the last; a digest goes with all its tags."""
    first = content.push(server, repository, "a")
    put(ecr, repository, first, "b")
    second = content.push(server, repository, "c")
    put(ecr, repository, second, "d")
    third = content.push(server, repository)

    by_tag = ecr.batch_delete_image(repositoryName=repository, imageIds=[{"imageTag": "a"}])
    last_tag = ecr.batch_delete_image(repositoryName=repository, imageIds=[{"imageTag": "b"}])
    by_digest = ecr.batch_delete_image(
        repositoryName=repository,
        imageIds=[{"imageDigest": second.digest}, {"imageDigest": third.digest}, {"imageDigest": third.digest}],
    )

    assert by_tag["imageIds"] == [{"imageDigest": first.digest, "imageTag": "a"}]
    assert last_tag["imageIds"] == [{"imageDigest": first.digest, "imageTag": "b"}]
    assert by_digest["imageIds"] == [
        {"imageDigest": second.digest, "imageTag": "c"},
        {"imageDigest": second.digest, "imageTag": "d"},
        {"imageDigest": third.digest},
    ]
    assert [f["failureCode"] for f in by_digest["failures"]] == ["ImageNotFound"]
    assert tags_by_digest(ecr, repository) == {}


def test_a_child_cannot_be_deleted_before_its_index(server: Server, ecr: Any, repository: str) -> None:
    """An image that an index names goes only after the index, at both doors."""
    child = content.push(server, repository, "child")
    body = content.index(child)
    content.put_manifest(server, repository, "multi", body, manifests.OCI_INDEX)
    index = content.digest_of(body)

    refused = ecr.batch_delete_image(
        repositoryName=repository, imageIds=[{"imageDigest": child.digest}, {"imageTag": "child"}]
    )
    at_other_door = server.request("DELETE", f"/v2/{repository}/manifests/{child.digest}")
    in_order = ecr.batch_delete_image(
        repositoryName=repository, imageIds=[{"imageDigest": index}, {"imageDigest": child.digest}]
    )

    assert [f["failureCode"] for f in refused["failures"]] == ["ImageReferencedByManifestList"] * 2
    assert refused["failures"][0]["failureReason"] == f"Requested image referenced by manifest list: [{index}]"
    assert at_other_door.status == 405
    assert in_order["failures"] == []


def test_an_index_is_as_large_as_its_largest_child(server: Server, ecr: Any, repository: str) -> None:
    """DescribeImages gives an index the size of its largest child."""
    small, large = content.push(server, repository), content.push(server, repository, None, content.image(count=4))
    content.put_manifest(server, repository, "multi", content.index(small, large), manifests.OCI_INDEX)

    (details,) = ecr.describe_images(repositoryName=repository, imageIds=[{"imageTag": "multi"}])["imageDetails"]

    assert details["imageSizeInBytes"] == large.size
    assert "artifactMediaType" not in details


def test_describe_images_fails_whole_for_one_missing(server: Server, ecr: Any, repository: str) -> None:
    """One identifier that leads nowhere fails DescribeImages, named in ECR's words."""
    content.push(server, repository, "v1")

    with pytest.raises(ecr.exceptions.ImageNotFoundException) as caught:
        ecr.describe_images(repositoryName=repository, imageIds=[{"imageTag": "v1"}, {"imageTag": "gone"}])

    assert caught.value.response["Error"]["Message"] == (
        f"The image with imageId {{imageDigest:'null', imageTag:'gone'}} does not exist within the repository"
        f" with name '{repository}' in the registry with id '{ACCOUNT}'"
    )


def test_lists_page_without_loss_or_repetition(server: Server, ecr: Any, repository: str) -> None:
    """Both lists give each entry once, whatever the page size, tagged and untagged."""
    image = content.image()
    content.push_blobs(server, repository, image)
    token = server.token()
    expected = set()
    for number in range(7):
        document = json.loads(image.manifest) | {"annotations": {"n": str(number)}}
        body = json.dumps(document).encode()
        tag = f"t{number}" if number % 2 else None
        reference = tag or content.digest_of(body)
        content.put_manifest(server, repository, reference, body, image.media_type, token)
        expected.add((content.digest_of(body), tag))

    for size in (1, 2, 3, 100):
        pages = list(
            ecr.get_paginator("list_images").paginate(repositoryName=repository, PaginationConfig={"PageSize": size})
        )
        seen = [(i["imageDigest"], i.get("imageTag")) for page in pages for i in page["imageIds"]]
        assert len(seen) == 7
        assert set(seen) == expected
        pages = list(
            ecr.get_paginator("describe_images").paginate(
                repositoryName=repository, PaginationConfig={"PageSize": size}
            )
        )
        details = [d["imageDigest"] for page in pages for d in page["imageDetails"]]
        assert details == [d["imageDigest"] for d in ecr.describe_images(repositoryName=repository)["imageDetails"]]
        assert len(details) == 7
        for status, count in (("TAGGED", 3), ("UNTAGGED", 4)):
            chosen = {"repositoryName": repository, "filter": {"tagStatus": status}}
            pages = list(ecr.get_paginator("describe_images").paginate(**chosen, PaginationConfig={"PageSize": size}))
            assert sum(len(page["imageDetails"]) for page in pages) == count


def test_a_page_token_is_bound_to_its_list(server: Server, ecr: Any, repository: str) -> None:
    """A token that was altered, or made for another list, is InvalidParameter at nextToken."""
    for tag in ("a", "b"):
        content.push(server, repository, tag)
    token = ecr.list_images(repositoryName=repository, maxResults=1)["nextToken"]

    for bad in (token[:-2] + "xx", "garbage", "a" * 9000):
        with pytest.raises(ecr.exceptions.InvalidParameterException, match="nextToken"):
            ecr.list_images(repositoryName=repository, nextToken=bad)
    with pytest.raises(ecr.exceptions.InvalidParameterException, match="nextToken"):
        ecr.describe_images(repositoryName=repository, nextToken=token)


def test_a_referrer_tells_its_subject(server: Server, ecr: Any, repository: str) -> None:
    """An artifact with a subject is stored even if the subject is not here, and says so."""
    subject = content.image()
    artifact = content.image(subject=content.descriptor(subject.manifest, subject.media_type), artifactType="a/b")
    pushed = content.push(server, repository, None, artifact)

    (details,) = ecr.describe_images(repositoryName=repository)["imageDetails"]

    assert details["subjectManifestDigest"] == subject.digest
    assert details["artifactMediaType"] == "a/b"
    assert details["imageDigest"] == pushed.digest

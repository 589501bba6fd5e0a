"""The archive: images that are kept and cannot be pulled, what goes there with them, and how they come back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from moorage.domain import manifests
from tests import content
from tests.aws.kit import CONSTRAINT, bare, refusal
from tests.servers import ACCOUNT

if TYPE_CHECKING:
    from tests.servers import Server

NOT_SUPPORTED = "ImageStorageClassUpdateNotSupportedException"


def update(client: Any, repository: str, target: str, **image: str) -> dict[str, Any]:
    """Move an image to a storage class."""
    return bare(client.update_image_storage_class(repositoryName=repository, imageId=image, targetStorageClass=target))


def archive(client: Any, repository: str, digest: str) -> str:
    """Archive an image; return its status."""
    status: str = update(client, repository, "ARCHIVE", imageDigest=digest)["imageStatus"]
    return status


def restore(client: Any, repository: str, digest: str) -> str:
    """Restore an image; return its status."""
    status: str = update(client, repository, "STANDARD", imageDigest=digest)["imageStatus"]
    return status


def statuses(client: Any, repository: str) -> dict[str, str]:
    """Return the status of every image."""
    found = client.describe_images(repositoryName=repository, filter={"imageStatus": "ANY"})["imageDetails"]
    return {item["imageDigest"]: item["imageStatus"] for item in found}


def referring(subject: content.Image, **more: Any) -> content.Image:
    """Return an artifact that refers to an image."""
    return content.image(subject=content.descriptor(subject.manifest, subject.media_type), **more)


def test_an_image_goes_and_comes_back(ecr: Any, server: Server, repository: str) -> None:
    """The answers tell the image and its status; what is described tells when it went and when it came."""
    image = content.push(server, repository, "v1")
    expected = {"registryId": ACCOUNT, "repositoryName": repository}
    asked = {"repositoryName": repository, "imageIds": [{"imageTag": "v1"}]}
    before = datetime.now(UTC) - timedelta(milliseconds=1)

    gone = update(ecr, repository, "ARCHIVE", imageTag="v1")
    archived = ecr.describe_images(**asked)["imageDetails"][0]
    back = update(ecr, repository, "STANDARD", imageDigest=image.digest)
    active = ecr.describe_images(**asked)["imageDetails"][0]

    assert gone == expected | {
        "imageId": {"imageDigest": image.digest, "imageTag": "v1"},
        "imageStatus": "ARCHIVED",
    }
    assert back == expected | {"imageId": {"imageDigest": image.digest}, "imageStatus": "ACTIVE"}
    assert archived["imageStatus"] == "ARCHIVED"
    assert before <= archived["lastArchivedAt"] <= active["lastActivatedAt"] <= datetime.now(UTC)
    assert "lastActivatedAt" not in archived
    assert (active["imageStatus"], active["lastArchivedAt"]) == ("ACTIVE", archived["lastArchivedAt"])
    assert active["imagePushedAt"] == archived["imagePushedAt"]


def test_what_is_archived_cannot_be_pulled(ecr: Any, server: Server, repository: str) -> None:
    """Neither door gives the manifest or the layers, by tag or digest, until the image is restored."""
    image = content.push(server, repository, "v1")
    layer = content.digest_of(image.layers[0])

    def outcomes() -> tuple[list[int], list[str], str, bool]:
        paths = [f"manifests/{ref}" for ref in ("v1", image.digest)] + [f"blobs/{layer}"]
        answers = [server.request("GET", f"/v2/{repository}/{path}").status for path in paths]
        asked = [{"imageTag": "v1"}, {"imageDigest": image.digest}]
        got = ecr.batch_get_image(repositoryName=repository, imageIds=asked)
        failures = [f"{item['failureCode']}: {item['failureReason']}" for item in got["failures"]]
        known = ecr.batch_check_layer_availability(repositoryName=repository, layerDigests=[layer])["layers"][0]
        try:
            ecr.get_download_url_for_layer(repositoryName=repository, layerDigest=layer)
        except ecr.exceptions.LayerInaccessibleException:
            return answers, failures, known["layerAvailability"], False
        return answers, failures, known["layerAvailability"], True

    archive(ecr, repository, image.digest)
    assert outcomes() == ([404, 404, 404], ["ImageNotFound: Requested image not found"] * 2, "ARCHIVED", False)
    answer = server.request("GET", f"/v2/{repository}/manifests/v1")
    assert answer.json()["errors"][0]["code"] == "MANIFEST_UNKNOWN"

    restore(ecr, repository, image.digest)
    assert outcomes() == ([200, 200, 200], [], "AVAILABLE", True)


def test_a_layer_that_is_in_use_is_served(ecr: Any, server: Server, repository: str) -> None:
    """A layer that an active image shares with an archived one can be had; the others of the archived cannot."""
    shared = content.layer()
    kept, gone = content.image(shared), content.image(shared, content.layer())
    for image in (kept, gone):
        content.push(server, repository, pushed=image)
    archive(ecr, repository, gone.digest)

    digests = [content.digest_of(part) for part in gone.layers]
    found = ecr.batch_check_layer_availability(repositoryName=repository, layerDigests=digests)["layers"]
    assert [item["layerAvailability"] for item in found] == ["AVAILABLE", "ARCHIVED"]
    served = [server.request("GET", f"/v2/{repository}/blobs/{digest}").status for digest in digests]
    assert served == [200, 404]


def test_lists_show_what_is_in_use(ecr: Any, server: Server, repository: str) -> None:
    """By default lists leave archived images out; the filter shows them, or all; tags/list never does."""
    gone, kept = content.push(server, repository, "gone"), content.push(server, repository, "kept")
    archive(ecr, repository, gone.digest)
    expected = {
        None: {kept.digest},
        "ACTIVE": {kept.digest},
        "ARCHIVED": {gone.digest},
        "ACTIVATING": set(),
        "ANY": {gone.digest, kept.digest},
    }
    for status, digests in expected.items():
        call = {"repositoryName": repository} | ({"filter": {"imageStatus": status}} if status else {})
        assert {item["imageDigest"] for item in ecr.list_images(**call)["imageIds"]} == digests
        assert {item["imageDigest"] for item in ecr.describe_images(**call)["imageDetails"]} == digests
    assert server.request("GET", f"/v2/{repository}/tags/list").json()["tags"] == ["kept"]


def test_naming_an_image_finds_it_archived(ecr: Any, server: Server, repository: str) -> None:
    """DescribeImages of named images shows archived ones, unless a status is asked for."""
    image = content.push(server, repository, "v1")
    archive(ecr, repository, image.digest)
    asked = {"repositoryName": repository, "imageIds": [{"imageTag": "v1"}]}

    assert ecr.describe_images(**asked)["imageDetails"][0]["imageStatus"] == "ARCHIVED"
    assert ecr.describe_images(**asked, filter={"imageStatus": "ACTIVE"})["imageDetails"] == []


def test_a_page_of_one_status_is_bound_to_it(ecr: Any, server: Server, repository: str) -> None:
    """A token of one status is no token of another, and pages of a status hold all of it."""
    for _ in range(3):
        archive(ecr, repository, content.push(server, repository).digest)
    call = {"repositoryName": repository, "filter": {"imageStatus": "ARCHIVED"}, "maxResults": 2}
    for operation, member in (("list_images", "imageIds"), ("describe_images", "imageDetails")):
        first = getattr(ecr, operation)(**call)
        second = getattr(ecr, operation)(**call, nextToken=first["nextToken"])
        assert [len(first[member]), len(second[member])] == [2, 1]
        other = call | {"filter": {"imageStatus": "ANY"}, "nextToken": first["nextToken"]}
        refusal(ecr, "InvalidParameterException", operation, **other)


@pytest.mark.parametrize("door", ["aws", "oci"])
def test_pushing_it_again_restores_it(ecr: Any, server: Server, repository: str, door: str) -> None:
    """A push of an archived image takes it back into use at once, and is no ImageAlreadyExists."""
    image = content.push(server, repository, "v1")
    archive(ecr, repository, image.digest)

    if door == "oci":
        content.push(server, repository, "v1", image)
    else:
        ecr.put_image(repositoryName=repository, imageManifest=image.manifest.decode(), imageTag="v1")

    found = ecr.describe_images(repositoryName=repository)["imageDetails"][0]
    assert (found["imageStatus"], found["imageTags"]) == ("ACTIVE", ["v1"])
    assert "lastActivatedAt" in found


def test_an_index_takes_its_images_along(ecr: Any, server: Server, repository: str) -> None:
    """With an index go those of its images that no tag and no other index in use has, and they come back with it."""
    own, shared, tagged = (content.push(server, repository, tag) for tag in (None, None, "kept"))
    bodies = [content.index(own, shared, tagged), content.index(shared)]
    for body in bodies:
        content.put_manifest(server, repository, content.digest_of(body), body, manifests.OCI_INDEX)
    first, second = map(content.digest_of, bodies)

    archive(ecr, repository, first)
    assert {d for d, status in statuses(ecr, repository).items() if status == "ARCHIVED"} == {first, own.digest}
    archive(ecr, repository, second)
    gone = {d for d, status in statuses(ecr, repository).items() if status == "ARCHIVED"}
    assert gone == {first, second, own.digest, shared.digest}

    restore(ecr, repository, first)
    gone = {d for d, status in statuses(ecr, repository).items() if status == "ARCHIVED"}
    assert gone == {second}


def test_referrers_go_with_their_subject(ecr: Any, server: Server, repository: str) -> None:
    """What refers to an archived image is archived, and so is what refers to that; all of it comes back."""
    subject = content.push(server, repository, "v1")
    signature = content.push(server, repository, pushed=referring(subject))
    second = content.push(server, repository, pushed=referring(signature))
    other = content.push(server, repository)

    archive(ecr, repository, subject.digest)
    assert statuses(ecr, repository) == {
        subject.digest: "ARCHIVED",
        signature.digest: "ARCHIVED",
        second.digest: "ARCHIVED",
        other.digest: "ACTIVE",
    }
    listed = server.request("GET", f"/v2/{repository}/referrers/{subject.digest}").json()
    assert listed["manifests"] == []

    restore(ecr, repository, subject.digest)
    assert set(statuses(ecr, repository).values()) == {"ACTIVE"}


def test_what_goes_with_another_does_not_go_alone(ecr: Any, server: Server, repository: str) -> None:
    """A child of an index and a referrer are refused, as is what is where it should go; a reason is given."""
    subject = content.push(server, repository, "v1")
    signature = content.push(server, repository, pushed=referring(subject))
    child = content.push(server, repository, "child")
    body = content.index(child)
    content.put_manifest(server, repository, "all", body, manifests.OCI_INDEX)

    def reason(target: str, digest: str) -> str:
        call = {"imageId": {"imageDigest": digest}, "targetStorageClass": target}
        return refusal(ecr, NOT_SUPPORTED, "update_image_storage_class", repositoryName=repository, **call)

    assert "the image that it refers to" in reason("ARCHIVE", signature.digest)
    assert "the index that names it" in reason("ARCHIVE", child.digest)
    assert "it is not archived" in reason("STANDARD", subject.digest)
    archive(ecr, repository, subject.digest)
    assert "it is archived already" in reason("ARCHIVE", subject.digest)
    assert "the image that it refers to" in reason("STANDARD", signature.digest)


def test_the_image_must_be_there(ecr: Any, server: Server, repository: str, name: str) -> None:
    """Images and repositories that are not there, and other storage classes, are refused in ECR's words."""
    content.push(server, repository, "v1")
    operation = "update_image_storage_class"
    given: dict[str, Any] = {"repositoryName": repository, "targetStorageClass": "ARCHIVE"}

    message = refusal(ecr, "ImageNotFoundException", operation, **given, imageId={"imageTag": "v2"})
    assert message.startswith("The image with imageId {imageDigest:'null', imageTag:'v2'} does not exist")
    mixed = {"imageTag": "v1", "imageDigest": content.digest_of(b"")}
    refusal(ecr, "ImageNotFoundException", operation, **given, imageId=mixed)
    message = refusal(ecr, "InvalidParameterException", operation, **given, imageId={})
    assert "'imageId'" in message
    message = refusal(
        ecr,
        "InvalidParameterException",
        operation,
        **given | {"targetStorageClass": "COLD"},
        imageId={"imageTag": "v1"},
    )
    assert message == CONSTRAINT.format("targetStorageClass", "Member must satisfy enum value set: [STANDARD, ARCHIVE]")
    missing = given | {"repositoryName": f"{name}/missing"}
    refusal(ecr, "RepositoryNotFoundException", operation, **missing, imageId={"imageTag": "v1"})


def test_an_archived_image_can_be_deleted(ecr: Any, server: Server, repository: str) -> None:
    """BatchDeleteImage and DELETE remove archived images, by tag and by digest."""
    images = [content.push(server, repository, f"v{n}") for n in range(3)]
    for image in images:
        archive(ecr, repository, image.digest)

    ids = [{"imageTag": "v0"}, {"imageDigest": images[1].digest}]
    assert ecr.batch_delete_image(repositoryName=repository, imageIds=ids)["failures"] == []
    assert server.request("DELETE", f"/v2/{repository}/manifests/v2").status == 202

    assert statuses(ecr, repository) == {}


def test_an_archived_child_must_be_pushed_again(ecr: Any, server: Server, repository: str) -> None:
    """An index cannot be pushed on top of an archived image; after a push of that image it can."""
    child = content.push(server, repository, "child")
    archive(ecr, repository, child.digest)
    body = content.index(child).decode()

    refusal(ecr, "ReferencedImagesNotFoundException", "put_image", repositoryName=repository, imageManifest=body)
    content.push(server, repository, pushed=child)
    ecr.put_image(repositoryName=repository, imageManifest=body)

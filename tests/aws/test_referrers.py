"""What refers to an image, at the AWS door: the rows of the distribution door's referrers, filtered and in pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from tests import content
from tests.access import kit
from tests.aws.kit import pages, refusal

if TYPE_CHECKING:
    from tests.servers import Server

LIST = "list_image_referrers"


def attach(server: Server, repository: str, subject: content.Image, kind: str, **more: Any) -> content.Image:
    """Push an artifact that refers to an image."""
    described = content.descriptor(subject.manifest, subject.media_type)
    return content.push(server, repository, pushed=content.image(subject=described, artifactType=kind, **more))


def digests(client: Any, repository: str, subject: str, **more: Any) -> list[str]:
    """Return the digests of all referrers, in order."""
    found = pages(
        client.list_image_referrers, "referrers", repositoryName=repository, subjectId={"imageDigest": subject}, **more
    )
    return [item["digest"] for page in found for item in page]


def test_a_referrer_is_described(ecr: Any, server: Server, repository: str) -> None:
    """An entry is the descriptor that the distribution door gives, and the status."""
    subject = content.push(server, repository, "v1")
    made = attach(server, repository, subject, "application/sbom", annotations={"made-by": "test"})

    answer = ecr.list_image_referrers(repositoryName=repository, subjectId={"imageDigest": subject.digest})

    assert answer["referrers"] == [
        {
            "digest": made.digest,
            "mediaType": made.media_type,
            "artifactType": "application/sbom",
            "size": len(made.manifest),
            "annotations": {"made-by": "test"},
            "artifactStatus": "ACTIVE",
        }
    ]
    assert "nextToken" not in answer
    route = server.request("GET", f"/v2/{repository}/referrers/{subject.digest}").json()["manifests"]
    assert [item | {"artifactStatus": "ACTIVE"} for item in route] == answer["referrers"]
    details = ecr.describe_images(repositoryName=repository, imageIds=[{"imageDigest": made.digest}])["imageDetails"]
    assert details[0]["subjectManifestDigest"] == subject.digest
    assert details[0]["artifactMediaType"] == "application/sbom"


def test_types_are_a_filter(ecr: Any, server: Server, repository: str) -> None:
    """Any of the types asked for, exactly; without a type of its own an artifact has that of its config."""
    subject = content.push(server, repository, "v1")
    a, b = (attach(server, repository, subject, kind).digest for kind in ("x/a", "x/b"))
    described = content.descriptor(subject.manifest, subject.media_type)
    plain = content.push(server, repository, pushed=content.image(subject=described)).digest

    def of(*types: str) -> set[str]:
        return set(digests(ecr, repository, subject.digest, filter={"artifactTypes": list(types)}))

    assert of("x/a") == {a}
    assert of("x/a", "x/b") == {a, b}
    assert of("x/") == set()
    assert of(content.CONFIG) == {plain}
    assert of() == {a, b, plain}


def test_status_is_a_filter(ecr: Any, server: Server, repository: str) -> None:
    """By default only what is in use; archived ones, or all, where that is asked for."""
    subject = content.push(server, repository, "v1")
    made = attach(server, repository, subject, "x/a").digest
    call = {"repositoryName": repository, "imageId": {"imageTag": "v1"}, "targetStorageClass": "ARCHIVE"}
    ecr.update_image_storage_class(**call)

    found = {
        status: digests(ecr, repository, subject.digest, filter={"artifactStatus": status})
        for status in ("ACTIVE", "ARCHIVED", "ACTIVATING", "ANY")
    }
    assert found == {"ACTIVE": [], "ARCHIVED": [made], "ACTIVATING": [], "ANY": [made]}
    assert digests(ecr, repository, subject.digest) == []


def test_referrers_are_listed_to_the_last_page(ecr: Any, server: Server, repository: str) -> None:
    """Twenty a page, or as many as asked for; each once, whatever comes and goes between two pages."""
    subject = content.push(server, repository, "v1")
    body = content.push(server, repository).manifest.decode()
    described = content.descriptor(subject.manifest, subject.media_type)
    made = set()
    for number in range(23):
        image = body[:-1] + f', "subject": {described}, "annotations": {{"n": "{number}"}}}}'.replace("'", '"')
        put = ecr.put_image(repositoryName=repository, imageManifest=image)["image"]["imageId"]
        made.add(put["imageDigest"])

    call = {"repositoryName": repository, "subjectId": {"imageDigest": subject.digest}}
    found = pages(ecr.list_image_referrers, "referrers", **call)
    assert [len(page) for page in found] == [20, 3]
    listed = digests(ecr, repository, subject.digest, maxResults=7)
    assert (set(listed), listed) == (made, sorted(made))
    token = ecr.list_image_referrers(**call)["nextToken"]
    for other in ({"filter": {"artifactStatus": "ANY"}}, {"subjectId": {"imageDigest": content.digest_of(b"")}}):
        refusal(ecr, "InvalidParameterException", LIST, **call | other, nextToken=token)


@pytest.mark.parametrize(
    "wrong",
    [
        {"subjectId": {"imageDigest": "v1"}},
        {"subjectId": {"imageDigest": "sha256:00"}},
        {"maxResults": 51},
        {"filter": {"artifactTypes": ["a/b"] * 6}},
        {"filter": {"artifactStatus": "GONE"}},
    ],
)
def test_limits_are_ecrs(ecr: Any, repository: str, wrong: dict[str, Any]) -> None:
    """What is no digest, too many types, too long a page, another status: refused."""
    call = {"repositoryName": repository, "subjectId": {"imageDigest": content.digest_of(b"")}}
    refusal(ecr, "InvalidParameterException", LIST, **call | wrong)


def test_an_unknown_subject_has_none(ecr: Any, repository: str, name: str) -> None:
    """A digest that is not there has no referrers; a repository that is not there is refused."""
    subject = content.digest_of(b"nothing")
    assert digests(ecr, repository, subject) == []
    call = {"repositoryName": f"{name}/missing", "subjectId": {"imageDigest": subject}}
    refusal(ecr, "RepositoryNotFoundException", LIST, **call)


def test_who_may_pull_may_list_referrers(server: Server, repository: str, user: str) -> None:
    """The right is BatchGetImage; an action of the operation's name gives nothing."""
    client = server.client(**kit.credentials(server, user))
    subject = content.digest_of(b"nothing")

    def allow(action: str) -> None:
        statement = {"Effect": "Allow", "Action": action, "Resource": "*"}
        kit.moorage(server, "policy", "put", user, "-", text=kit.document(statement))
        kit.moorage(server, "user", "attach", user, user)

    allow("ecr:ListImages")
    with pytest.raises(ClientError, match="ecr:BatchGetImage"):
        digests(client, repository, subject)
    allow("ecr:BatchGetImage")
    assert digests(client, repository, subject) == []


def test_referrers_are_deleted_with_their_subject(ecr: Any, server: Server, repository: str) -> None:
    """Deleting an image through either door deletes what refers to it."""
    for door in ("aws", "oci"):
        subject = content.push(server, repository, "v1")
        attach(server, repository, subject, "x/a")
        if door == "aws":
            ecr.batch_delete_image(repositoryName=repository, imageIds=[{"imageDigest": subject.digest}])
        else:
            assert server.request("DELETE", f"/v2/{repository}/manifests/{subject.digest}").status == 202
        assert ecr.list_images(repositoryName=repository)["imageIds"] == []

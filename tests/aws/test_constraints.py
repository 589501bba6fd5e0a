"""What a request's members must be, and the words that say they are not."""

from __future__ import annotations

import base64
import itertools
import re
import time
from datetime import UTC, datetime
from typing import Any

import pytest

from moorage.aws import constraints, decoding, model, patches
from moorage.aws.faults import Broken, Fault
from moorage.domain.errors import InvalidParameter, Malformed
from tests.aws.samples import SERVICE, UPLOAD


def decode(name: str, document: object) -> dict[str, Any]:
    return model.load()[name].decode(document)


# --- What breaks a constraint -------------------------------------------------------

NAME_PATTERN = r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*"
DIGEST_PATTERN = "[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+"
RULE = {"scanFrequency": "MANUAL", "repositoryFilters": [{"filter": "a", "filterType": "WILDCARD"}]}
MUTABILITY = "[IMMUTABLE, MUTABLE, MUTABLE_WITH_EXCLUSION, IMMUTABLE_WITH_EXCLUSION]"
ARN = "arn:aws:ecr:us-east-1:000000000000:repository/ab"


def images(count: int) -> list[dict[str, str]]:
    return [{"imageTag": "a"}] * count


VIOLATIONS: list[tuple[str, dict[str, Any], str, str]] = [
    # repositoryName and registryId have words of their own
    ("DescribeImages", {}, "repositoryName", "must not be null"),
    ("DescribeImages", {"repositoryName": None}, "repositoryName", "must not be null"),
    ("DescribeImages", {"repositoryName": "a"}, "repositoryName", "must have length greater than or equal to 2"),
    ("DescribeImages", {"repositoryName": "a" * 257}, "repositoryName", "must have length less than or equal to 256"),
    *[
        (
            "DescribeImages",
            {"repositoryName": name},
            "repositoryName",
            f"must satisfy regular expression '{NAME_PATTERN}'",
        )
        for name in ("Ab", "ab\n", "ab/", "a//b", "a___b", "../etc", "a\0b", "\uff41\uff42", "a" * 255 + "!")
    ],
    (
        "DescribeImages",
        {"repositoryName": "ab", "registryId": "1"},
        "registryId",
        "must satisfy regular expression [0-9]{12}",
    ),
    # other members
    ("BatchGetImage", {"repositoryName": "ab"}, "imageIds", "Member must not be null"),
    (
        "BatchGetImage",
        {"repositoryName": "ab", "imageIds": images(101)},
        "imageIds",
        "Member must have length less than or equal to 100",
    ),
    (
        "BatchGetImage",
        {"repositoryName": "ab", "imageIds": []},
        "imageIds",
        "Member must have length greater than or equal to 1",
    ),
    (
        "BatchGetImage",
        {"repositoryName": "ab", "imageIds": [{"imageTag": "a"}, {"imageTag": ""}]},
        "imageIds.2.member.imageTag",
        "Member must have length greater than or equal to 1",
    ),
    (
        "BatchGetImage",
        {"repositoryName": "ab", "imageIds": [{"imageTag": "a" * 301}]},
        "imageIds.1.member.imageTag",
        "Member must have length less than or equal to 300",
    ),
    (
        "DescribeImages",
        {"repositoryName": "ab", "maxResults": 1001},
        "maxResults",
        "Member must have value less than or equal to 1000",
    ),
    (
        "DescribeImages",
        {"repositoryName": "ab", "maxResults": 0},
        "maxResults",
        "Member must have value greater than or equal to 1",
    ),
    (
        "CreateRepository",
        {"repositoryName": "ab", "imageTagMutability": "mutable"},
        "imageTagMutability",
        f"Member must satisfy enum value set: {MUTABILITY}",
    ),
    (
        "DescribeImages",
        {"repositoryName": "ab", "filter": {"tagStatus": "SOME"}},
        "filter.tagStatus",
        "Member must satisfy enum value set: [TAGGED, UNTAGGED, ANY]",
    ),
    (
        "CreateRepositoryCreationTemplate",
        {"prefix": "ab", "appliedFor": ["PULL"]},
        "appliedFor.1.member",
        "Member must satisfy enum value set: [REPLICATION, PULL_THROUGH_CACHE, CREATE_ON_PUSH]",
    ),
    (
        "GetDownloadUrlForLayer",
        {"repositoryName": "ab", "layerDigest": "sha256"},
        "layerDigest",
        f"Member must satisfy regular expression pattern: {DIGEST_PATTERN}",
    ),
    (
        "DescribeRepositories",
        {"repositoryNames": ["ab", "a"]},
        "repositoryNames.2.member",
        "Member must have length greater than or equal to 2",
    ),
    (
        "GetAuthorizationToken",
        {"registryIds": ["000000000000", "1"]},
        "registryIds.2.member",
        "Member must satisfy regular expression pattern: [0-9]{12}",
    ),
    # tags, whose members have capitals on the wire and none in messages; a null in a list
    (
        "TagResource",
        {"resourceArn": ARN, "tags": [{"Key": "a", "Value": "b"}, {"Value": "c"}]},
        "tags.2.member.key",
        "Member must not be null",
    ),
    ("TagResource", {"resourceArn": ARN, "tags": [{"Key": "a"}]}, "tags.1.member.value", "Member must not be null"),
    ("TagResource", {"resourceArn": ARN, "tags": [None]}, "tags.1.member", "Member must not be null"),
    ("TagResource", {"tags": []}, "resourceArn", "Member must not be null"),
    # the legacy fields
    ("SetRepositoryPolicy", {"repositoryName": "ab"}, "PolicyText", "Cannot be null"),
    ("PutRegistryPolicy", {}, "PolicyText", "Cannot be null"),
    (
        "SetRepositoryPolicy",
        {"repositoryName": "ab", "policyText": "a" * 10241},
        "PolicyText",
        "Invalid repository policy provided",
    ),
    (
        "PutLifecyclePolicy",
        {"repositoryName": "ab", "lifecyclePolicyText": "{}"},
        "LifecyclePolicyText",
        "Member must have length greater than or equal to 100",
    ),
    ("PutImage", {"repositoryName": "ab"}, "ImageManifest", "Member must not be null"),
    (
        "PutImage",
        {"repositoryName": "ab", "imageManifest": ""},
        "ImageManifest",
        "Member must have length greater than or equal to 1",
    ),
    (
        "PutImage",
        {"repositoryName": "ab", "imageManifest": "a" * 4194305},
        "ImageManifest",
        "Member must have length less than or equal to 4194304",
    ),
    # blobs, nesting, NUL
    (
        "UploadLayerPart",
        {
            "repositoryName": "ab",
            "uploadId": UPLOAD,
            "partFirstByte": 0,
            "partLastByte": 20971520,
            "layerPartBlob": base64.b64encode(bytes(20971521)).decode(),
        },
        "layerPartBlob",
        "Member must have length less than or equal to 20971520",
    ),
    (
        "PutRegistryScanningConfiguration",
        {"rules": [RULE, RULE | {"repositoryFilters": [{"filter": "A", "filterType": "WILDCARD"}]}]},
        "rules.2.member.repositoryFilters.1.member.filter",
        r"Member must satisfy regular expression pattern: ^[a-z0-9*](?:[._\-/a-z0-9*]?[a-z0-9*]+)*$",
    ),
    (
        "PutImage",
        {"repositoryName": "ab", "imageManifest": "{}", "imageTag": "a\0"},
        "imageTag",
        r"Member must satisfy regular expression pattern: [^\u0000]*",
    ),
]


@pytest.mark.parametrize(
    ("name", "document", "field", "constraint"),
    VIOLATIONS,
    ids=lambda value: ascii(value)[:40],
)
def test_a_violation_has_ecrs_words(name: str, document: dict[str, Any], field: str, constraint: str) -> None:
    """Each kind of constraint is refused at the field, and in the words, that ECR has for it."""
    with pytest.raises(InvalidParameter) as caught:
        decode(name, document)
    assert caught.value.message == f"Invalid parameter at '{field}' failed to satisfy constraint: '{constraint}'"
    assert caught.value.field == field


def test_the_first_violation_is_reported() -> None:
    """Missing members come first, then the order of the model, whatever the order of the document."""
    with pytest.raises(InvalidParameter) as missing:
        decode("BatchGetImage", {"imageIds": [], "registryId": "1"})
    assert missing.value.field == "repositoryName"
    with pytest.raises(InvalidParameter) as in_order:
        decode("BatchGetImage", {"imageIds": [], "repositoryName": "A", "registryId": "1"})
    assert in_order.value.field == "registryId"


def test_limits_themselves_are_allowed() -> None:
    """A value as long, as large or as many as may be is taken."""
    whole = {"repositoryName": "a" * 256, "imageIds": images(100)}
    assert decode("BatchGetImage", whole)["image_ids"] == images(100)
    assert decode("DescribeImages", {"repositoryName": "ab", "maxResults": 1000})["max_results"] == 1000
    assert decode("PutImage", {"repositoryName": "ab", "imageManifest": "é" * 4194304})


@pytest.mark.parametrize(
    ("shape", "text", "good"),
    [
        ("KmsKeyForRepositoryCreationTemplate", "", True),
        ("KmsKeyForRepositoryCreationTemplate", "\n", False),
        ("KmsKeyForRepositoryCreationTemplate", "x", False),
        ("PrincipalArn", "arn:aws:iam::000000000000:role/a", True),
        ("PrincipalArn", "arn:aws:iam::000000000000:role/é", False),
        ("Region", "us-east-1\n", False),
    ],
)
def test_patterns_hold_for_the_whole_string(shape: str, text: str, good: bool) -> None:
    """With anchors of its own or without, a pattern decides about all of a string, and its classes are ASCII."""
    decoder = decoding.Decoders({shape: SERVICE.shape_for(shape).metadata | {"type": "string"}}).of(shape)
    if good:
        assert decoder(text) == text
    else:
        with pytest.raises(Broken):
            decoder(text)


def test_the_patched_pattern_accepts_the_same() -> None:
    """On every string up to six characters, our linear pattern and the published one agree."""
    published = re.compile(SERVICE.shape_for("ScanningRepositoryFilterValue").metadata["pattern"])
    ours = re.compile(patches.PATTERNS["ScanningRepositoryFilterValue"])
    for length in range(7):
        for letters in itertools.product("a*./", repeat=length):
            text = "".join(letters)
            assert bool(ours.fullmatch(text)) == bool(published.fullmatch(text)), text


ATTACKS = ["a", "*", "-", ".", "_", "/", "0", "A", "a-", "a.", "a/", "a*", "a/*", "a--", "arn:aws-a", "a:", ":"]


PATTERNS = sorted(name for name in SERVICE.shape_names if "pattern" in SERVICE.shape_for(name).metadata)


@pytest.mark.parametrize("shape", PATTERNS)
def test_no_pattern_takes_long(shape: str) -> None:
    """Every pattern of the model decides at once about long strings that nearly match."""
    metadata = SERVICE.shape_for(shape).metadata
    (check,) = constraints.text_checks(shape, {"pattern": metadata["pattern"], "enum": []})[:1]
    began = time.process_time()
    for attack in ATTACKS:
        for prefix in ("", "arn:aws:secretsmanager:", "arn:aws:iam::000000000000:role/", "a"):
            text = prefix + (attack * 2048)[: metadata.get("max", 2048)] + "!"
            with pytest.raises(Broken):
                check(text + " ")
    assert time.process_time() - began < 2


# --- What has the wrong type --------------------------------------------------------

PART = {"repositoryName": "ab", "uploadId": UPLOAD, "partFirstByte": 0, "partLastByte": 0, "layerPartBlob": "YQ=="}


@pytest.mark.parametrize(
    ("name", "document", "reason"),
    [
        ("ListImages", [], "The request body cannot be read as an object: it is a list"),
        ("ListImages", None, "The request body cannot be read as an object: it is null"),
        ("ListImages", {"repositoryName": 1}, "'repositoryName' cannot be read as a string: it is a number"),
        ("ListImages", {"repositoryName": ["ab"]}, "'repositoryName' cannot be read as a string: it is a list"),
        ("ListImages", {"repositoryName": "ab", "maxResults": "5"}, "'maxResults' cannot be read as a whole number"),
        ("ListImages", {"repositoryName": "ab", "maxResults": 5.0}, "'maxResults' cannot be read as a whole number"),
        ("ListImages", {"repositoryName": "ab", "maxResults": True}, "'maxResults' cannot be read as a whole number"),
        ("ListImages", {"repositoryName": "ab", "maxResults": 2**31}, "'maxResults' does not fit in 32 bits"),
        ("UploadLayerPart", PART | {"partLastByte": 2**63}, "'partLastByte' does not fit in 64 bits"),
        ("UploadLayerPart", PART | {"layerPartBlob": "YQ"}, "'layerPartBlob' is not base64"),
        ("UploadLayerPart", PART | {"layerPartBlob": "Y Q=="}, "'layerPartBlob' is not base64"),
        ("UploadLayerPart", PART | {"layerPartBlob": "YQ==\n"}, "'layerPartBlob' is not base64"),
        ("UploadLayerPart", PART | {"layerPartBlob": "-_=="}, "'layerPartBlob' is not base64"),
        ("UploadLayerPart", PART | {"layerPartBlob": "é"}, "'layerPartBlob' is not base64"),
        ("UploadLayerPart", PART | {"layerPartBlob": 5}, "'layerPartBlob' cannot be read as a string in base64"),
        ("BatchGetImage", {"repositoryName": "ab", "imageIds": {}}, "'imageIds' cannot be read as a list"),
        (
            "BatchGetImage",
            {"repositoryName": "ab", "imageIds": [{}, "a"]},
            "'imageIds.2.member' cannot be read as an object: it is a string",
        ),
        ("DeleteRepository", {"repositoryName": "ab", "force": "true"}, "'force' cannot be read as a boolean"),
        ("DeleteRepository", {"repositoryName": "ab", "force": 1}, "'force' cannot be read as a boolean"),
        ("PutImage", {"repositoryName": "ab", "imageManifest": "\ud800"}, "'ImageManifest' is not Unicode text"),
    ],
)
def test_a_wrong_type_names_its_member(name: str, document: object, reason: str) -> None:
    """A value of the wrong JSON type is a SerializationException that says where."""
    with pytest.raises(Malformed) as caught:
        decode(name, document)
    assert reason in caught.value.message
    assert caught.value.aws_code == "SerializationException"


def test_null_is_absent_and_the_unknown_is_ignored() -> None:
    """Null leaves a member out at every depth, and members that the model does not have make no difference."""
    document = {"repositoryName": "ab", "registryId": None, "filter": {"tagStatus": None, "other": [1]}, "more": {}}
    assert decode("ListImages", document) == {"repository_name": "ab", "filter": {}}


# ECR has no input with these: they are checked on shapes of our own.
SHAPES: dict[str, dict[str, Any]] = {
    "Time": {"type": "timestamp"},
    "Score": {"type": "double", "min": 0, "max": 10},
    "Key": {"type": "string", "max": 3},
    "Scores": {"type": "map", "key": {"shape": "Key"}, "value": {"shape": "Score"}, "max": 2},
}


def test_timestamps_maps_and_fractions_are_read() -> None:
    """Seconds since 1970 become an aware datetime; maps and doubles keep what they hold."""
    decoders = decoding.Decoders(SHAPES)
    assert decoders.of("Time")(1499287667.5) == datetime(2017, 7, 5, 20, 47, 47, 500000, UTC)
    assert decoders.of("Time")(0) == datetime(1970, 1, 1, tzinfo=UTC)
    assert decoders.of("Scores")({"a": 1, "b": 2.5}) == {"a": 1.0, "b": 2.5}


@pytest.mark.parametrize(
    ("shape", "value", "message"),
    [
        ("Time", "1499287667", "cannot be read as a number: it is a string"),
        ("Time", True, "cannot be read as a number: it is a boolean"),
        ("Time", float("nan"), "is not a finite number"),
        ("Time", float("inf"), "is not a finite number"),
        ("Time", 10**400, "is not a finite number"),
        ("Time", 1e15, "is outside the range of times"),
        ("Time", -1e30, "is outside the range of times"),
        ("Score", 11, "Member must have value less than or equal to 10"),
        ("Scores", [], "cannot be read as an object: it is a list"),
        ("Scores", {"a": 1, "b": 2, "c": 3}, "Member must have length less than or equal to 2"),
        ("Scores", {"a": 1, "b": None}, "Invalid parameter at '2.member' failed to satisfy"),
        ("Scores", {"abcd": 1}, "Invalid parameter at '1.member' failed to satisfy"),
    ],
)
def test_timestamps_maps_and_fractions_are_checked(shape: str, value: object, message: str) -> None:
    """What is no time, no finite number or not the map described is refused."""
    with pytest.raises(Fault) as caught:
        decoding.Decoders(SHAPES).of(shape)(value)
    assert message in caught.value.failure().message

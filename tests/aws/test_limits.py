"""The limits of the members of every operation, over a socket, refused in ECR's own words."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from moorage.aws import model
from moorage.aws.table import OPERATIONS
from tests.aws.wire import Sender

if TYPE_CHECKING:
    from tests.servers import Server

UPLOAD = "01234567-89ab-cdef-0123-456789abcdef"
UPLOAD_PATTERN = "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
DIGEST = "sha256:" + "0" * 64
DIGEST_PATTERN = "[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+"
NAME_PATTERN = r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*"
TAGS = {"imageTag": "a"}
BLOB = base64.b64encode(b"a").decode()
NOWHERE = "not/here"
ARN = f"arn:aws:ecr:eu-west-1:123456789012:repository/{NOWHERE}"
ROLE = "arn:aws:iam::123456789012:role/scanner"
EMPTY_RULES = '{"rules": []}' + " " * 100

VALID: dict[str, dict[str, Any]] = {
    "BatchCheckLayerAvailability": {"repositoryName": NOWHERE, "layerDigests": [DIGEST]},
    "BatchDeleteImage": {"repositoryName": NOWHERE, "imageIds": [TAGS]},
    "BatchGetImage": {"repositoryName": NOWHERE, "imageIds": [TAGS]},
    "BatchGetRepositoryScanningConfiguration": {"repositoryNames": [NOWHERE]},
    "CompleteLayerUpload": {"repositoryName": NOWHERE, "uploadId": UPLOAD, "layerDigests": [DIGEST]},
    "CreateRepository": {"repositoryName": NOWHERE},
    "CreateRepositoryCreationTemplate": {"prefix": NOWHERE, "appliedFor": ["CREATE_ON_PUSH"]},
    "DeleteLifecyclePolicy": {"repositoryName": NOWHERE},
    "DeleteRegistryPolicy": {},
    "DeleteRepository": {"repositoryName": NOWHERE},
    "DeleteRepositoryPolicy": {"repositoryName": NOWHERE},
    "DeleteRepositoryCreationTemplate": {"prefix": NOWHERE},
    "DeregisterPullTimeUpdateExclusion": {"principalArn": ROLE},
    "DescribeImages": {"repositoryName": NOWHERE},
    "DescribeRegistry": {},
    "DescribeRepositories": {},
    "DescribeRepositoryCreationTemplates": {},
    "GetAccountSetting": {"name": "BLOB_MOUNTING"},
    "GetAuthorizationToken": {},
    "GetDownloadUrlForLayer": {"repositoryName": NOWHERE, "layerDigest": DIGEST},
    "GetLifecyclePolicy": {"repositoryName": NOWHERE},
    "GetLifecyclePolicyPreview": {"repositoryName": NOWHERE},
    "GetRegistryPolicy": {},
    "GetRegistryScanningConfiguration": {},
    "GetRepositoryPolicy": {"repositoryName": NOWHERE},
    "InitiateLayerUpload": {"repositoryName": NOWHERE},
    "ListImageReferrers": {"repositoryName": NOWHERE, "subjectId": {"imageDigest": DIGEST}},
    "ListImages": {"repositoryName": NOWHERE},
    "ListPullTimeUpdateExclusions": {},
    "ListTagsForResource": {"resourceArn": ARN},
    "PutAccountSetting": {"name": "BLOB_MOUNTING", "value": "ENABLED"},
    "PutImage": {"repositoryName": NOWHERE, "imageManifest": "{}"},
    "PutImageScanningConfiguration": {"repositoryName": NOWHERE, "imageScanningConfiguration": {}},
    "PutImageTagMutability": {"repositoryName": NOWHERE, "imageTagMutability": "MUTABLE"},
    "PutLifecyclePolicy": {"repositoryName": NOWHERE, "lifecyclePolicyText": EMPTY_RULES},
    "PutRegistryPolicy": {"policyText": "{}"},
    "PutRegistryScanningConfiguration": {},
    "RegisterPullTimeUpdateExclusion": {"principalArn": ROLE},
    "SetRepositoryPolicy": {"repositoryName": NOWHERE, "policyText": "{}"},
    "StartLifecyclePolicyPreview": {"repositoryName": NOWHERE},
    "TagResource": {"resourceArn": ARN, "tags": []},
    "UntagResource": {"resourceArn": ARN, "tagKeys": []},
    "UpdateImageStorageClass": {"repositoryName": NOWHERE, "imageId": TAGS, "targetStorageClass": "ARCHIVE"},
    "UpdateRepositoryCreationTemplate": {"prefix": NOWHERE},
    "UploadLayerPart": {
        "repositoryName": NOWHERE,
        "uploadId": UPLOAD,
        "partFirstByte": 0,
        "partLastByte": 0,
        "layerPartBlob": BLOB,
    },
}
"""For each operation what it must have, and nothing wrong with it."""

ON_REPOSITORY = sorted(name for name in VALID if "repositoryName" in VALID[name])
OF_A_REGISTRY = sorted(name for name in VALID if "registry_id" in model.load()[name].parameters)
"""Operations that may address another account's registry."""


class Broken(NamedTuple):
    """One member given a value that it must not have, and what the refusal says."""

    operation: str
    member: str
    value: Any
    field: str
    constraint: str

    @property
    def message(self) -> str:
        """The whole message."""
        return f"Invalid parameter at '{self.field}' failed to satisfy constraint: '{self.constraint}'"

    def __str__(self) -> str:
        return f"{self.operation}-{self.field}-{self.constraint.split(': ')[0][-32:]}"


def at_least(limit: int) -> str:
    return f"Member must have length greater than or equal to {limit}"


def at_most(limit: int) -> str:
    return f"Member must have length less than or equal to {limit}"


def matching(pattern: str) -> str:
    return f"Member must satisfy regular expression pattern: {pattern}"


NULL = "Member must not be null"
ENUM = "Member must satisfy enum value set"

NAMES = [
    Broken(operation, "repositoryName", value, "repositoryName", constraint)
    for operation in ON_REPOSITORY
    for value, constraint in (
        (None, "must not be null"),
        ("", "must have length greater than or equal to 2"),
        ("a", "must have length greater than or equal to 2"),
        ("a" * 257, "must have length less than or equal to 256"),
        ("a/../b", f"must satisfy regular expression '{NAME_PATTERN}'"),
        ("UPPER", f"must satisfy regular expression '{NAME_PATTERN}'"),
    )
]
REGISTRIES = [
    Broken(operation, "registryId", value, "registryId", "must satisfy regular expression [0-9]{12}")
    for operation in OF_A_REGISTRY
    for value in ("", "1" * 11, "1" * 13, "12345678901a", "１２３４５６７８９０１２")
]
PAGES = [
    Broken(operation, "maxResults", value, "maxResults", f"Member must have value {limit}")
    for operation, most in (
        ("DescribeImages", 1000),
        ("DescribeRepositories", 1000),
        ("DescribeRepositoryCreationTemplates", 1000),
        ("GetLifecyclePolicyPreview", 100),
        ("ListImageReferrers", 50),
        ("ListImages", 1000),
        ("ListPullTimeUpdateExclusions", 1000),
    )
    for value, limit in (
        (0, "greater than or equal to 1"),
        (-1, "greater than or equal to 1"),
        (most + 1, f"less than or equal to {most}"),
    )
]
FILTERS = [
    Broken(
        operation,
        "filter",
        {member: "SOME"},
        f"filter.{member}",
        f"Member must satisfy enum value set: [{', '.join(values)}]",
    )
    for operation in ("DescribeImages", "ListImages")
    for member, values in (
        ("tagStatus", ["TAGGED", "UNTAGGED", "ANY"]),
        ("imageStatus", ["ACTIVE", "ARCHIVED", "ACTIVATING", "ANY"]),
    )
]
IMAGES = [
    Broken(operation, "imageIds", value, f"imageIds{below}", constraint)
    for operation in ("BatchDeleteImage", "BatchGetImage", "DescribeImages")
    for value, below, constraint in (
        ([], "", at_least(1)),
        ([TAGS] * 101, "", at_most(100)),
        ([TAGS, None], ".2.member", NULL),
        ([TAGS, {"imageTag": ""}], ".2.member.imageTag", at_least(1)),
        ([{"imageTag": "a" * 301}], ".1.member.imageTag", at_most(300)),
    )
]
DIGESTS = [
    Broken(operation, "layerDigests", value, f"layerDigests{below}", constraint)
    for operation in ("BatchCheckLayerAvailability", "CompleteLayerUpload")
    for value, below, constraint in (
        (None, "", NULL),
        ([], "", at_least(1)),
        ([DIGEST] * 101, "", at_most(100)),
        ([None], ".1.member", NULL),
    )
]
UPLOADS = [
    Broken(operation, "uploadId", value, "uploadId", constraint)
    for operation in ("CompleteLayerUpload", "UploadLayerPart")
    for value, constraint in (
        (None, NULL),
        ("../../master.key", matching(UPLOAD_PATTERN)),
        (UPLOAD + "0", matching(UPLOAD_PATTERN)),
        (UPLOAD + "\n", matching(UPLOAD_PATTERN)),
    )
]
PARTS = [
    Broken("UploadLayerPart", member, value, member, constraint)
    for member in ("partFirstByte", "partLastByte")
    for value, constraint in ((None, NULL), (-1, "Member must have value greater than or equal to 0"))
]
OTHERS = [
    Broken("BatchCheckLayerAvailability", "layerDigests", ["a" * 1001], "layerDigests.1.member", at_most(1000)),
    Broken("BatchDeleteImage", "imageIds", None, "imageIds", NULL),
    Broken("BatchGetImage", "imageIds", None, "imageIds", NULL),
    Broken("BatchGetImage", "acceptedMediaTypes", [], "acceptedMediaTypes", at_least(1)),
    Broken("BatchGetImage", "acceptedMediaTypes", ["a/b"] * 101, "acceptedMediaTypes", at_most(100)),
    Broken("CompleteLayerUpload", "layerDigests", ["sha256"], "layerDigests.1.member", matching(DIGEST_PATTERN)),
    Broken(
        "CreateRepository",
        "imageTagMutability",
        "FROZEN",
        "imageTagMutability",
        "Member must satisfy enum value set: [IMMUTABLE, MUTABLE, MUTABLE_WITH_EXCLUSION, IMMUTABLE_WITH_EXCLUSION]",
    ),
    Broken("CreateRepository", "tags", [{"Key": "a"}], "tags.1.member.value", NULL),
    Broken("CreateRepository", "encryptionConfiguration", {}, "encryptionConfiguration.encryptionType", NULL),
    Broken("DescribeRepositories", "repositoryNames", [], "repositoryNames", at_least(1)),
    Broken("DescribeRepositories", "repositoryNames", ["ab"] * 101, "repositoryNames", at_most(100)),
    Broken("DescribeRepositories", "repositoryNames", ["a"], "repositoryNames.1.member", at_least(2)),
    Broken("DescribeRepositories", "repositoryNames", ["a" * 257], "repositoryNames.1.member", at_most(256)),
    Broken("GetAuthorizationToken", "registryIds", [], "registryIds", at_least(1)),
    Broken("GetAuthorizationToken", "registryIds", ["1" * 12] * 11, "registryIds", at_most(10)),
    Broken("GetAuthorizationToken", "registryIds", ["1"], "registryIds.1.member", matching("[0-9]{12}")),
    Broken("GetDownloadUrlForLayer", "layerDigest", None, "layerDigest", NULL),
    Broken("GetDownloadUrlForLayer", "layerDigest", "sha256:../..", "layerDigest", matching(DIGEST_PATTERN)),
    Broken("PutImage", "imageManifest", None, "ImageManifest", NULL),
    Broken("PutImage", "imageManifest", "", "ImageManifest", at_least(1)),
    Broken("PutImage", "imageManifest", " " * 4194305, "ImageManifest", at_most(4194304)),
    Broken("PutImage", "imageTag", "", "imageTag", at_least(1)),
    Broken("PutImage", "imageTag", "a" * 301, "imageTag", at_most(300)),
    Broken("SetRepositoryPolicy", "policyText", None, "PolicyText", "Cannot be null"),
    Broken("SetRepositoryPolicy", "policyText", " " * 10241, "PolicyText", "Invalid repository policy provided"),
    Broken("UploadLayerPart", "layerPartBlob", None, "layerPartBlob", NULL),
]
WILDCARD = {"filterType": "WILDCARD", "filter": "a"}
TEMPLATES = [
    Broken(operation, "prefix", value, "prefix", constraint)
    for operation in sorted(name for name in VALID if "prefix" in VALID[name])
    for value, constraint in ((None, NULL), ("", at_least(1)), ("a" * 257, at_most(256)))
] + [
    Broken(operation, member, value, field, constraint)
    for operation in ("CreateRepositoryCreationTemplate", "UpdateRepositoryCreationTemplate")
    for member, value, field, constraint in (
        ("appliedFor", ["EVER"], "appliedFor.1.member", f"{ENUM}: [REPLICATION, PULL_THROUGH_CACHE, CREATE_ON_PUSH]"),
        ("description", "a" * 257, "description", at_most(256)),
        ("repositoryPolicy", " " * 10241, "repositoryPolicy", at_most(10240)),
        ("lifecyclePolicy", " " * 30721, "lifecyclePolicy", at_most(30720)),
        ("customRoleArn", "a" * 2049, "customRoleArn", at_most(2048)),
        ("imageTagMutabilityExclusionFilters", [], "imageTagMutabilityExclusionFilters", at_least(1)),
        ("imageTagMutabilityExclusionFilters", [WILDCARD] * 6, "imageTagMutabilityExclusionFilters", at_most(5)),
    )
]
RULE = {"scanFrequency": "MANUAL", "repositoryFilters": []}
SETTINGS = [
    Broken("BatchGetRepositoryScanningConfiguration", "repositoryNames", [], "repositoryNames", at_least(1)),
    Broken("BatchGetRepositoryScanningConfiguration", "repositoryNames", ["ab"] * 26, "repositoryNames", at_most(25)),
    Broken("DeregisterPullTimeUpdateExclusion", "principalArn", "a" * 201, "principalArn", at_most(200)),
    Broken("GetAccountSetting", "name", None, "name", NULL),
    Broken("ListImageReferrers", "subjectId", None, "subjectId", NULL),
    Broken("ListImageReferrers", "subjectId", {}, "subjectId.imageDigest", NULL),
    Broken("ListImageReferrers", "filter", {"artifactTypes": ["a"] * 6}, "filter.artifactTypes", at_most(5)),
    Broken("ListTagsForResource", "resourceArn", None, "resourceArn", NULL),
    Broken("PutAccountSetting", "value", None, "value", NULL),
    Broken("PutImageScanningConfiguration", "imageScanningConfiguration", None, "imageScanningConfiguration", NULL),
    Broken("PutImageTagMutability", "imageTagMutability", None, "imageTagMutability", NULL),
    Broken("PutLifecyclePolicy", "lifecyclePolicyText", None, "LifecyclePolicyText", NULL),
    Broken("PutLifecyclePolicy", "lifecyclePolicyText", "{}", "LifecyclePolicyText", at_least(100)),
    Broken("PutRegistryPolicy", "policyText", None, "PolicyText", "Cannot be null"),
    Broken("PutRegistryScanningConfiguration", "scanType", "SOME", "scanType", f"{ENUM}: [BASIC, ENHANCED]"),
    Broken("PutRegistryScanningConfiguration", "rules", [RULE] * 3, "rules", at_most(2)),
    Broken("RegisterPullTimeUpdateExclusion", "principalArn", None, "principalArn", NULL),
    Broken("TagResource", "tags", None, "tags", NULL),
    Broken("UntagResource", "tagKeys", None, "tagKeys", NULL),
    Broken("UpdateImageStorageClass", "imageId", None, "imageId", NULL),
    Broken("UpdateImageStorageClass", "imageId", {"imageTag": "a" * 301}, "imageId.imageTag", at_most(300)),
    Broken(
        "UpdateImageStorageClass", "targetStorageClass", "COLD", "targetStorageClass", f"{ENUM}: [STANDARD, ARCHIVE]"
    ),
]
ALL = [*NAMES, *REGISTRIES, *PAGES, *FILTERS, *IMAGES, *DIGESTS, *UPLOADS, *PARTS, *OTHERS, *TEMPLATES, *SETTINGS]


def test_every_operation_is_here() -> None:
    """The tables of this module speak of every operation that is offered."""
    assert VALID.keys() == OPERATIONS.keys()
    assert {case.operation for case in ALL} == {name for name in OPERATIONS if model.load()[name].parameters}


@pytest.mark.parametrize("case", ALL, ids=str)
def test_a_broken_limit_is_named(server: Server, case: Broken) -> None:
    """A member beyond its limit is an InvalidParameterException that says where and what, before all else."""
    body = VALID[case.operation] | {case.member: case.value}
    assert Sender(server).send(case.operation, body).refused("InvalidParameterException") == case.message


@pytest.mark.parametrize("operation", sorted(set(ON_REPOSITORY) - {"CreateRepository"}))
def test_a_repository_that_is_not_there_is_named(server: Server, operation: str) -> None:
    """Every operation on a repository that is not there is a RepositoryNotFoundException, in ECR's words."""
    message = Sender(server).send(operation, VALID[operation]).refused("RepositoryNotFoundException")
    assert message == f"The repository with name '{NOWHERE}' does not exist in the registry with id '123456789012'"


@pytest.mark.parametrize("operation", OF_A_REGISTRY)
def test_a_registry_of_somebody_else_is_closed(server: Server, operation: str) -> None:
    """The registry of another account is an AccessDeniedException for every operation, in AWS's words."""
    body = VALID[operation] | {"registryId": "999999999999"}
    message = Sender(server).send(operation, body).refused("AccessDeniedException")
    resource = f"arn:aws:ecr:eu-west-1:999999999999:repository/{body.get('repositoryName', '*')}"
    action = "BatchGetImage" if operation == "ListImageReferrers" else operation
    assert message.startswith(
        f"User: arn:aws:iam::123456789012:root is not authorized to perform: ecr:{action} on resource: {resource} "
    )

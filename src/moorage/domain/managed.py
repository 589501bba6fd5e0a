"""AWS's managed policies for ECR, by their names."""

from __future__ import annotations

import json
from types import MappingProxyType
from typing import Final

_PULL: Final = ("GetAuthorizationToken", "BatchGetImage", "GetDownloadUrlForLayer", "BatchImportUpstreamImage")
_READ: Final = (
    "GetAuthorizationToken",
    "BatchCheckLayerAvailability",
    "GetDownloadUrlForLayer",
    "GetRepositoryPolicy",
    "DescribeRepositories",
    "ListImages",
    "DescribeImages",
    "BatchGetImage",
    "GetLifecyclePolicy",
    "GetLifecyclePolicyPreview",
    "ListTagsForResource",
    "DescribeImageScanFindings",
)
_PUSH: Final = ("InitiateLayerUpload", "UploadLayerPart", "CompleteLayerUpload", "PutImage")


def _allowing(*actions: str) -> str:
    statement = {"Effect": "Allow", "Action": [f"ecr:{action}" for action in actions], "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]}, indent=2)


MANAGED: Final = MappingProxyType(
    {
        "AmazonEC2ContainerRegistryFullAccess": _allowing("*"),
        "AmazonEC2ContainerRegistryPowerUser": _allowing(*_READ, *_PUSH),
        "AmazonEC2ContainerRegistryReadOnly": _allowing(*_READ),
        "AmazonEC2ContainerRegistryPullOnly": _allowing(*_PULL),
    }
)
"""Name -> document."""

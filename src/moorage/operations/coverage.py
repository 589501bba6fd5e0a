"""
What this version does of ECR, and what it does not: said once, for refusals and for the reference.

``docs/reference/operations.md`` is made of this (``scripts/operations-reference``).
"""

from __future__ import annotations

from typing import Final

_PULL_THROUGH: Final = "pull-through caches are not here yet"
_REPLICATION: Final = "replication is not here yet"
_SCANNING: Final = "there is no image scanner yet"
_SIGNING: Final = "managed signing is not here yet (signatures that clients push are kept and listed)"

LATER: Final = {
    "CreatePullThroughCacheRule": _PULL_THROUGH,
    "DeletePullThroughCacheRule": _PULL_THROUGH,
    "DescribePullThroughCacheRules": _PULL_THROUGH,
    "UpdatePullThroughCacheRule": _PULL_THROUGH,
    "ValidatePullThroughCacheRule": _PULL_THROUGH,
    "DescribeImageReplicationStatus": _REPLICATION,
    "DescribeReplicationBackfillResults": _REPLICATION,
    "ListReplicationBackfills": _REPLICATION,
    "PutReplicationConfiguration": _REPLICATION,
    "StartReplicationBackfill": _REPLICATION,
    "StopReplicationBackfill": _REPLICATION,
    "DescribeImageScanFindings": _SCANNING,
    "StartImageScan": _SCANNING,
    "DeleteSigningConfiguration": _SIGNING,
    "DescribeImageSigningStatus": _SIGNING,
    "GetSigningConfiguration": _SIGNING,
    "PutSigningConfiguration": _SIGNING,
}
"""Operations that answer ``UnknownOperationException``, each with the reason."""

_SETTING: Final = "kept, checked and reflected; nothing is scanned, because there is no image scanner yet"

NOTES: Final = {
    "BatchDeleteImage": "what refers to a deleted image as its subject is deleted with it, at once",
    "BatchGetImage": "manifests are returned as stored: `acceptedMediaTypes` converts nothing",
    "BatchGetRepositoryScanningConfiguration": _SETTING,
    "CreateRepository": "encryption `AES256` only (that of the disk or bucket); `KMS` is refused with `KmsException`",
    "CreateRepositoryCreationTemplate": "encryption `AES256` only; `customRoleArn` is kept and no role taken on;"
    " of the events only `CREATE_ON_PUSH` happens yet",
    "DescribeImages": "no scan status and no findings; `lastRecordedPullTime` is at most `last_used_seconds` behind",
    "DescribeRegistry": "the replication configuration is empty, always",
    "GetRegistryScanningConfiguration": _SETTING,
    "ListImageReferrers": "needs `ecr:BatchGetImage`, as in ECR; without what stands under fallback tags",
    "PutImage": "Docker's schema 1 is refused",
    "PutImageScanningConfiguration": _SETTING,
    "PutRegistryScanningConfiguration": _SETTING,
    "UpdateImageStorageClass": "at once, both ways; bytes stay where they are",
    "UpdateRepositoryCreationTemplate": "as CreateRepositoryCreationTemplate",
}
"""What a user of an operation that works should know."""

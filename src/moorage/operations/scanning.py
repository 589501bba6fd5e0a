"""
Settings of scanning: kept, checked, and reflected for each repository.

There is no scanner yet. What is set here says what one would scan, and when;
operations that would have to scan are refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

from moorage.domain import scanning
from moorage.domain.names import RepositoryName
from moorage.operations.framework import Mode, on_registry, on_repository
from moorage.operations.repositories import named, wildcards
from moorage.registry import registries, repositories
from moorage.registry.auth import Need

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from moorage.domain.scanning import Configuration
    from moorage.registry.core import Context
    from moorage.registry.repositories import Repository


class Filter(TypedDict):
    """One filter of a rule."""

    filter: str
    filterType: str


class ScanningRule(TypedDict):
    """One rule of a registry."""

    scanFrequency: str
    repositoryFilters: list[Filter]


@on_repository("ecr:PutImageScanningConfiguration", Mode.WRITE)
def put_image_scanning_configuration(
    ctx: Context, repository: Repository, *, image_scanning_configuration: dict[str, bool]
) -> dict[str, Any]:
    """Say whether images of a repository are scanned when they are pushed (PutImageScanningConfiguration)."""
    changed = repositories.set_scanning(ctx, repository, on_push=image_scanning_configuration.get("scanOnPush", False))
    return named(changed) | {"imageScanningConfiguration": {"scanOnPush": changed.scan_on_push}}


def _reading(_ctx: Context, _given: Mapping[str, Any]) -> Iterable[Need]:
    return [Need("ecr:GetRegistryScanningConfiguration", "*")]


@on_registry("ecr:GetRegistryScanningConfiguration", _reading)
def get_registry_scanning_configuration(ctx: Context) -> dict[str, Any]:
    """Return type and rules of scanning (GetRegistryScanningConfiguration)."""
    return {"registryId": ctx.registry_id, "scanningConfiguration": _shape(registries.scanning_of(ctx))}


def _writing(_ctx: Context, _given: Mapping[str, Any]) -> Iterable[Need]:
    return [Need("ecr:PutRegistryScanningConfiguration", "*")]


@on_registry("ecr:PutRegistryScanningConfiguration", _writing, Mode.WRITE)
def put_registry_scanning_configuration(
    ctx: Context, *, scan_type: str = scanning.BASIC, rules: list[ScanningRule] | None = None
) -> dict[str, Any]:
    """Replace type and rules of scanning (PutRegistryScanningConfiguration)."""
    wanted = tuple(
        scanning.Rule(rule["scanFrequency"], tuple(item["filter"] for item in rule["repositoryFilters"]))
        for rule in rules or ()
    )
    configuration = scanning.Configuration(scan_type, wanted)
    scanning.check(configuration)
    registries.set_scanning(ctx, configuration)
    return {"registryScanningConfiguration": _shape(configuration)}


def _shape(configuration: Configuration) -> dict[str, Any]:
    rules = [
        {"scanFrequency": rule.frequency, "repositoryFilters": wildcards(rule.filters)} for rule in configuration.rules
    ]
    return {"scanType": configuration.kind, "rules": rules}


def _each(ctx: Context, given: Mapping[str, Any]) -> Iterable[Need]:
    action = "ecr:BatchGetRepositoryScanningConfiguration"
    return [repositories.need(ctx, action, RepositoryName.parse(name))[0] for name in given["repository_names"]]


@on_registry("ecr:BatchGetRepositoryScanningConfiguration", _each)
def batch_get_repository_scanning_configuration(ctx: Context, *, repository_names: list[str]) -> dict[str, Any]:
    """Return what follows for repositories; a missing one is a failure (BatchGetRepositoryScanningConfiguration)."""
    configuration = registries.scanning_of(ctx)
    found = [(name, repositories.find(ctx, RepositoryName.parse(name))) for name in repository_names]
    code = "REPOSITORY_NOT_FOUND"
    return {
        "scanningConfigurations": _effective([repository for _, repository in found if repository], configuration),
        "failures": [
            {"repositoryName": name, "failureCode": code, "failureReason": code}
            for name, repository in found
            if repository is None
        ],
    }


def _effective(found: Sequence[Repository], configuration: Configuration) -> list[dict[str, Any]]:
    answers = []
    for repository in found:
        follows = scanning.effective(configuration, repository.name, own=repository.scan_on_push)
        answers.append(
            {
                "repositoryArn": repository.arn,
                "repositoryName": repository.name,
                "scanOnPush": follows.frequency != scanning.MANUAL,
                "scanFrequency": follows.frequency,
                "appliedScanFilters": wildcards(follows.filters),
            }
        )
    return answers

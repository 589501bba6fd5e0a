"""Lifecycle policies at the AWS door: kept, read back, previewed page by page; nothing is touched by a preview."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests import content
from tests.servers import ACCOUNT

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.servers import Server

EXPIRE = {"type": "expire"}
ANY_OVER_ONE = {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 1}


def text(*rules: dict[str, Any], indent: int | None = 4) -> str:
    """Return a policy, spread out so that it is long enough for ECR."""
    return json.dumps({"rules": list(rules)}, indent=indent)


def rule(priority: int = 1, **selection: Any) -> dict[str, Any]:
    return {
        "rulePriority": priority,
        "description": "keep it short",
        "selection": ANY_OVER_ONE | selection,
        "action": EXPIRE,
    }


def refused(call: Callable[..., Any], **arguments: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as failure:
        call(**arguments)
    error = failure.value.response["Error"]
    return error["Code"], error["Message"]


@pytest.fixture
def pushed(server: Server, repository: str) -> list[str]:
    """Digests of six images, from the oldest: four with a tag, two without."""
    digests = [content.push(server, repository, f"v{n}" if n % 3 else None).digest for n in range(6)]
    assert len(set(digests)) == 6
    return digests


def test_a_policy_is_kept_compact_and_read_back(ecr: Any, repository: str) -> None:
    """Put, got and deleted; each answer has what ECR's has."""
    given, kept = text(rule()), text(rule(), indent=None).replace(", ", ",").replace(": ", ":")
    put = ecr.put_lifecycle_policy(repositoryName=repository, lifecyclePolicyText=given)
    put.pop("ResponseMetadata")
    assert put == {"registryId": ACCOUNT, "repositoryName": repository, "lifecyclePolicyText": kept}
    got = ecr.get_lifecycle_policy(repositoryName=repository)
    got.pop("ResponseMetadata")
    assert got == put | {"lastEvaluatedAt": got["lastEvaluatedAt"]}
    assert ecr.delete_lifecycle_policy(repositoryName=repository)["lifecyclePolicyText"] == kept
    absent = f"Lifecycle policy does not exist for the repository with name '{repository}' in the registry with id '{ACCOUNT}'"
    for call in (ecr.get_lifecycle_policy, ecr.delete_lifecycle_policy, ecr.start_lifecycle_policy_preview):
        assert refused(call, repositoryName=repository) == ("LifecyclePolicyNotFoundException", absent)


def test_a_policy_that_was_never_carried_out_says_so(ecr: Any, repository: str) -> None:
    """... with the epoch, as ECR does."""
    ecr.put_lifecycle_policy(repositoryName=repository, lifecyclePolicyText=text(rule(countNumber=1000)))
    removed = ecr.delete_lifecycle_policy(repositoryName=repository)
    assert removed["lastEvaluatedAt"] == datetime(1970, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("operation", ["put_lifecycle_policy", "start_lifecycle_policy_preview"])
def test_a_bad_policy_is_refused_with_what_is_wrong(server: Server, ecr: Any, repository: str, operation: str) -> None:
    """Length, grammar and rules, in ECR's words."""
    call = getattr(server.client(config=Config(parameter_validation=False)), operation)
    frame = "Invalid parameter at 'LifecyclePolicyText' failed to satisfy constraint: '{}'"
    wrong = {
        "{}": "Member must have length greater than or equal to 100",
        "x" * 100: "Lifecycle policy parsing failure: Could not map policyString into LifecyclePolicy.",
        text(
            rule(tagStatus="tagged")
        ): "Lifecycle policy validation failure: Must specify tagPrefixList or tagPatternList when tagStatus=TAGGED.",
        text(rule(), rule()): "Lifecycle policy validation failure: Duplicate priority in multiple rules",
    }
    for given, said in wrong.items():
        told = refused(call, repositoryName=repository, lifecyclePolicyText=given)
        assert told == ("InvalidParameterException", frame.format(said))
    assert refused(ecr.get_lifecycle_policy, repositoryName=repository)[0] == "LifecyclePolicyNotFoundException"


def test_a_preview_says_what_would_go_and_changes_nothing(ecr: Any, repository: str, pushed: list[str]) -> None:
    """Each image that would go, with its rule; the waiter of the SDK sees that it is complete."""
    absent = f"There is no lifecycle policy preview for the repository with name '{repository}' in the registry with id '{ACCOUNT}'"
    told = refused(ecr.get_lifecycle_policy_preview, repositoryName=repository)
    assert told == ("LifecyclePolicyPreviewNotFoundException", absent)
    begun = ecr.start_lifecycle_policy_preview(repositoryName=repository, lifecyclePolicyText=text(rule()))
    assert begun["status"] == "IN_PROGRESS"
    ecr.get_waiter("lifecycle_policy_preview_complete").wait(repositoryName=repository)
    preview = ecr.get_lifecycle_policy_preview(repositoryName=repository)
    assert preview["lifecyclePolicyText"] == begun["lifecyclePolicyText"]
    assert preview["summary"] == {"expiringImageTotalCount": 5}
    results = preview["previewResults"]
    assert [result["imageDigest"] for result in results] == pushed[:5]
    assert [result.get("imageTags") for result in results] == [None, ["v1"], ["v2"], None, ["v4"]]
    assert {(r["action"]["type"], r["appliedRulePriority"], r["storageClass"]) for r in results} == {
        ("EXPIRE", 1, "STANDARD")
    }
    assert len(ecr.describe_images(repositoryName=repository)["imageDetails"]) == 6


def test_a_preview_is_narrowed_and_paged(ecr: Any, repository: str, pushed: list[str]) -> None:
    """By tags, by images and by page; the summary is of all."""
    ecr.put_lifecycle_policy(repositoryName=repository, lifecyclePolicyText=text(rule(countNumber=1)))
    ecr.start_lifecycle_policy_preview(repositoryName=repository)

    def shown(**given: Any) -> list[str]:
        pages = ecr.get_paginator("get_lifecycle_policy_preview").paginate(repositoryName=repository, **given)
        found = list(pages)
        assert all(page["summary"] == {"expiringImageTotalCount": 5} for page in found)
        return [result["imageDigest"] for page in found for result in page["previewResults"]]

    for size in (1, 2, 5, 100):
        assert shown(PaginationConfig={"PageSize": size}) == pushed[:5]
        assert shown(filter={"tagStatus": "TAGGED"}, PaginationConfig={"PageSize": size}) == [
            pushed[1],
            pushed[2],
            pushed[4],
        ]
        assert shown(filter={"tagStatus": "UNTAGGED"}, PaginationConfig={"PageSize": size}) == [pushed[0], pushed[3]]
    named = [{"imageDigest": pushed[3]}, {"imageTag": "v4"}, {"imageTag": "v5"}, {"imageTag": "nowhere"}]
    preview = ecr.get_lifecycle_policy_preview(repositoryName=repository, imageIds=named)
    assert [result["imageDigest"] for result in preview["previewResults"]] == [pushed[3], pushed[4]]
    told = refused(ecr.get_lifecycle_policy_preview, repositoryName=repository, imageIds=named, maxResults=5)
    assert told[0] == "InvalidParameterException"


def test_a_page_token_is_of_one_preview(ecr: Any, repository: str, pushed: list[str]) -> None:
    """A token of the preview before, or of another filter, is not taken for a place in this one."""
    assert pushed
    for _ in range(2):
        ecr.start_lifecycle_policy_preview(repositoryName=repository, lifecyclePolicyText=text(rule()))
        page = ecr.get_lifecycle_policy_preview(repositoryName=repository, maxResults=1)
    token = page["nextToken"]
    assert ecr.get_lifecycle_policy_preview(repositoryName=repository, maxResults=1, nextToken=token)["previewResults"]
    told = refused(
        ecr.get_lifecycle_policy_preview, repositoryName=repository, nextToken=token, filter={"tagStatus": "TAGGED"}
    )
    assert told[0] == "InvalidParameterException"
    ecr.start_lifecycle_policy_preview(repositoryName=repository, lifecyclePolicyText=text(rule()))
    assert (
        refused(ecr.get_lifecycle_policy_preview, repositoryName=repository, nextToken=token)[0]
        == "InvalidParameterException"
    )


def test_the_policy_goes_with_its_repository(ecr: Any, repository: str, pushed: list[str]) -> None:
    """A repository of the same name begins without one, and without a preview."""
    assert pushed
    ecr.put_lifecycle_policy(repositoryName=repository, lifecyclePolicyText=text(rule(countNumber=1000)))
    ecr.start_lifecycle_policy_preview(repositoryName=repository)
    ecr.delete_repository(repositoryName=repository, force=True)
    ecr.create_repository(repositoryName=repository)
    assert refused(ecr.get_lifecycle_policy, repositoryName=repository)[0] == "LifecyclePolicyNotFoundException"
    assert (
        refused(ecr.get_lifecycle_policy_preview, repositoryName=repository)[0]
        == "LifecyclePolicyPreviewNotFoundException"
    )

"""Settings of scanning, and the registry as a whole: kept, checked, reflected."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import pytest

from tests.aws.kit import bare, refusal
from tests.servers import ACCOUNT

if TYPE_CHECKING:
    from tests.servers import Server

PUT = "put_registry_scanning_configuration"
BATCH = "batch_get_repository_scanning_configuration"


@pytest.fixture
def client(server: Server) -> Any:
    """A client of a registry that nobody else uses."""
    return server.client(region_name=f"scanning-{uuid.uuid4().hex[:8]}")


def rule(frequency: str, *filters: str) -> dict[str, Any]:
    """Return a rule as ECR writes it."""
    wildcards = [{"filter": pattern, "filterType": "WILDCARD"} for pattern in filters]
    return {"scanFrequency": frequency, "repositoryFilters": wildcards}


def test_a_registry_has_ecrs_defaults(client: Any) -> None:
    """A registry scans nothing and is replicated nowhere, until something else is said."""
    assert bare(client.describe_registry()) == {"registryId": ACCOUNT, "replicationConfiguration": {"rules": []}}
    assert bare(client.get_registry_scanning_configuration()) == {
        "registryId": ACCOUNT,
        "scanningConfiguration": {"scanType": "BASIC", "rules": []},
    }


def test_rules_are_replaced(client: Any) -> None:
    """A Put replaces type and rules, and Get returns what was put; without members it is the default again."""
    wanted = {"scanType": "ENHANCED", "rules": [rule("SCAN_ON_PUSH", "*"), rule("CONTINUOUS_SCAN", "prod", "a*b")]}
    for _ in range(2):
        assert bare(client.put_registry_scanning_configuration(**wanted)) == {"registryScanningConfiguration": wanted}
    assert client.get_registry_scanning_configuration()["scanningConfiguration"] == wanted

    default = {"scanType": "BASIC", "rules": []}
    assert client.put_registry_scanning_configuration()["registryScanningConfiguration"] == default
    assert client.get_registry_scanning_configuration()["scanningConfiguration"] == default


def test_rules_leave_the_other_settings_alone(client: Any) -> None:
    """The settings of a registry are set one by one."""
    client.put_account_setting(name="BLOB_MOUNTING", value="DISABLED")
    client.put_registry_scanning_configuration(scanType="ENHANCED")
    client.put_account_setting(name="BLOB_MOUNTING", value="ENABLED")
    assert client.get_registry_scanning_configuration()["scanningConfiguration"]["scanType"] == "ENHANCED"


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ({"rules": [rule("CONTINUOUS_SCAN", "*")]}, "Invalid scan frequency for scanType BASIC: CONTINUOUS_SCAN"),
        ({"rules": [rule("MANUAL"), rule("MANUAL")]}, "Contains duplicate scan frequencies: [MANUAL]"),
        ({"rules": [rule("MANUAL")] * 3}, "less than or equal to 2"),
        ({"scanType": "SOME"}, "Member must satisfy enum value set"),
        ({"rules": [rule("MANUAL", "A")]}, "regular expression"),
    ],
)
def test_what_contradicts_itself_is_refused(client: Any, call: dict[str, Any], words: str) -> None:
    """Nothing is changed by what is refused."""
    assert words in refusal(client, "InvalidParameterException", PUT, **call)
    assert client.get_registry_scanning_configuration()["scanningConfiguration"]["rules"] == []


def test_scanning_of_a_repository_is_set(client: Any) -> None:
    """PutImageScanningConfiguration echoes, DescribeRepositories shows; an empty structure is false."""
    client.create_repository(repositoryName="ab")
    for given, expected in (({"scanOnPush": True}, True), ({"scanOnPush": True}, True), ({}, False)):
        answer = client.put_image_scanning_configuration(repositoryName="ab", imageScanningConfiguration=given)
        shown = {"imageScanningConfiguration": {"scanOnPush": expected}}
        assert bare(answer) == {"registryId": ACCOUNT, "repositoryName": "ab"} | shown
        described = client.describe_repositories(repositoryNames=["ab"])["repositories"][0]
        assert described["imageScanningConfiguration"] == {"scanOnPush": expected}
    call = {"repositoryName": "missing", "imageScanningConfiguration": {}}
    refusal(client, "RepositoryNotFoundException", "put_image_scanning_configuration", **call)


def test_what_follows_for_each_repository(client: Any) -> None:
    """Each repository that is there has its frequency and the filters that decide; the others are failures."""
    for name, on_push in (("prod/a", False), ("dev/a", True)):
        client.create_repository(repositoryName=name, imageScanningConfiguration={"scanOnPush": on_push})

    def follows() -> dict[str, tuple[bool, str, list[str]]]:
        answer = client.batch_get_repository_scanning_configuration(repositoryNames=["prod/a", "gone", "dev/a"])
        code = "REPOSITORY_NOT_FOUND"
        failure = {"repositoryName": "gone", "failureCode": code, "failureReason": code}
        assert answer["failures"] == [failure]
        for one in answer["scanningConfigurations"]:
            assert one["repositoryArn"].endswith(f":{ACCOUNT}:repository/{one['repositoryName']}")
        return {
            one["repositoryName"]: (
                one["scanOnPush"],
                one["scanFrequency"],
                [item["filter"] for item in one["appliedScanFilters"]],
            )
            for one in answer["scanningConfigurations"]
        }

    assert follows() == {"prod/a": (False, "MANUAL", []), "dev/a": (True, "SCAN_ON_PUSH", [])}
    client.put_registry_scanning_configuration(scanType="ENHANCED", rules=[rule("CONTINUOUS_SCAN", "prod")])
    assert follows() == {"prod/a": (True, "CONTINUOUS_SCAN", ["prod"]), "dev/a": (False, "MANUAL", [])}
    refusal(client, "InvalidParameterException", BATCH, repositoryNames=["ab"] * 26)

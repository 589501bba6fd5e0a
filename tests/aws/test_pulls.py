"""Pull times through both doors of a server, and whose pulls leave none."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import pytest

from tests import content, servers
from tests.access import kit
from tests.aws.kit import bare, pages, refusal
from tests.servers import ACCOUNT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers import Server

REGISTER, DEREGISTER, LIST = (
    "register_pull_time_update_exclusion",
    "deregister_pull_time_update_exclusion",
    "list_pull_time_update_exclusions",
)
ROLE = f"arn:aws:iam::{ACCOUNT}:role/scanner"


@pytest.fixture
def client(server: Server) -> Any:
    """A client of a registry that nobody else uses."""
    return server.client(region_name=f"pulls-{uuid.uuid4().hex[:8]}")


def test_an_exclusion_begins_and_ends(client: Any) -> None:
    """Register and Deregister answer the ARN, and each is refused when there is nothing to do."""
    made = bare(client.register_pull_time_update_exclusion(principalArn=ROLE))
    assert (made["principalArn"], set(made)) == (ROLE, {"principalArn", "createdAt"})
    assert ROLE in refusal(client, "ExclusionAlreadyExistsException", REGISTER, principalArn=ROLE)
    assert client.list_pull_time_update_exclusions()["pullTimeUpdateExclusions"] == [ROLE]

    assert bare(client.deregister_pull_time_update_exclusion(principalArn=ROLE)) == {"principalArn": ROLE}
    assert ROLE in refusal(client, "ExclusionNotFoundException", DEREGISTER, principalArn=ROLE)
    assert client.list_pull_time_update_exclusions()["pullTimeUpdateExclusions"] == []


def test_exclusions_are_listed_to_the_last_page(client: Any) -> None:
    """Pages hold each ARN once, in order."""
    arns = [f"{ROLE}-{n}" for n in range(5)]
    for arn in reversed(arns):
        client.register_pull_time_update_exclusion(principalArn=arn)
    found = pages(client.list_pull_time_update_exclusions, "pullTimeUpdateExclusions", maxResults=2)
    assert found == [arns[:2], arns[2:4], arns[4:]]
    refusal(client, "InvalidParameterException", LIST, nextToken="x")
    refusal(client, "InvalidParameterException", LIST, maxResults=1001)


@pytest.mark.parametrize("arn", ["scanner", f"arn:aws:iam::{ACCOUNT}:root", f"arn:aws:sts::{ACCOUNT}:assumed-role/a/b"])
def test_only_users_and_roles_are_excluded(client: Any, arn: str) -> None:
    """What is no ARN of a user or a role is refused."""
    refusal(client, "InvalidParameterException", REGISTER, principalArn=arn)


def test_a_pull_is_recorded_once_it_is_written(tmp_path: Path) -> None:
    """GET and BatchGetImage record their time, HEAD and pulls of excluded users do not; a server's end writes all."""
    with servers.running(tmp_path) as server:
        ecr = server.client()
        ecr.create_repository(repositoryName="app")
        for user in ("alice", "mirror"):
            kit.moorage(server, "user", "create", user)
            kit.moorage(server, "user", "attach", user, kit.READ_ONLY)
        keys = {user: kit.credentials(server, user) for user in ("alice", "mirror")}
        ecr.register_pull_time_update_exclusion(principalArn=f"arn:aws:iam::{ACCOUNT}:user/mirror")
        digests = {tag: content.push(server, "app", tag).digest for tag in ("got", "batched", "headed", "mirrored")}

        tokens = {user: server.token(**key) for user, key in keys.items()}
        for method, tag, user in (("GET", "got", "alice"), ("HEAD", "headed", "alice"), ("GET", "mirrored", "mirror")):
            assert server.request(method, f"/v2/app/manifests/{tag}", token=tokens[user]).status == 200
        server.client(**keys["alice"]).batch_get_image(
            repositoryName="app", imageIds=[{"imageDigest": digests["batched"]}]
        )
        before = ecr.describe_images(repositoryName="app")["imageDetails"]
        assert not any("lastRecordedPullTime" in item for item in before)

    with servers.running(tmp_path) as server:
        found = server.client().describe_images(repositoryName="app")["imageDetails"]
    recorded = {item["imageTags"][0]: item.get("lastRecordedPullTime") for item in found}
    assert {tag for tag, time in recorded.items() if time} == {"got", "batched"}
    assert all(time >= item["imagePushedAt"] for item in found if (time := item.get("lastRecordedPullTime")))

"""``moorage policy explain``: the answer that a request would get, the statement behind it, and what is missing."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from tests.access.kit import OTHER_ACCOUNT, READ_ONLY, attempt, code_of, credentials, document, moorage
from tests.servers import ACCOUNT, REGION

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers import Server

ROOT = f"arn:aws:iam::{ACCOUNT}:root"


def user_arn(name: str) -> str:
    return f"arn:aws:iam::{ACCOUNT}:user/{name}"


def repository_arn(name: str) -> str:
    return f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/{name}"


def explain(server: Server, arn: str, action: str, repository: str | None, *more: str) -> dict[str, Any]:
    """Ask; return the answer, whose exit status says the same."""
    where = ("--repository", repository) if repository else ()
    done = attempt(server, "policy", "explain", "--as", arn, "--action", action, *where, "--json", *more)
    told: dict[str, Any] = json.loads(done.stdout)
    assert done.exit_code == (0 if told["allowed"] else 1)
    return told


@pytest.fixture
def own(server: Server) -> Iterator[str]:
    """The name of a policy of the account's own, not written yet."""
    name = f"policy-{uuid.uuid4().hex[:8]}"
    yield name
    attempt(server, "policy", "delete", name)


def test_a_managed_policy_through_a_group(server: Server, repository: str, user: str) -> None:
    """An allow is told with its policy, the group it came through, and the statement itself."""
    group = f"group-{uuid.uuid4().hex[:8]}"
    moorage(server, "group", "create", group)
    moorage(server, "group", "add", group, user)
    moorage(server, "group", "attach", group, READ_ONLY)
    told = explain(server, user_arn(user), "ecr:BatchGetImage", repository)
    (cause,) = told["decidedBy"]
    assert (told["allowed"], told["missing"]) == (True, [])
    assert cause["policy"] == f"managed policy {READ_ONLY} of group {group}"
    assert (cause["type"], cause["name"], cause["of"]) == ("identity policy", READ_ONLY, f"group {group}")
    assert "ecr:BatchGetImage" in cause["statement"]["Action"]


def test_silence_and_what_would_end_it(server: Server, repository: str, user: str, own: str) -> None:
    """What nothing allows is told with the statement that is missing; with that statement it is allowed."""
    told = explain(server, user_arn(user), "ecr:PutImage", repository)
    assert (told["allowed"], told["decidedBy"]) == (False, [])
    assert told["reason"] == "because no identity-based policy allows the ecr:PutImage action"
    ((place, statement),) = [(one["place"], one["statement"]) for one in told["missing"]]
    assert (place, statement["Resource"]) == ("identity policy", repository_arn(repository))
    moorage(server, "policy", "put", own, "-", text=document(statement))
    moorage(server, "user", "attach", user, own)
    assert explain(server, user_arn(user), "ecr:PutImage", repository)["allowed"]


def test_a_deny_ends_the_questions(server: Server, repository: str, user: str, own: str) -> None:
    """An explicit Deny is shown, is the only step, and nothing is said to be missing."""
    deny = {"Sid": "Hands off", "Effect": "Deny", "Action": "ecr:Put*", "Resource": "*"}
    moorage(server, "policy", "put", own, "-", text=document({"Effect": "Allow", "Action": "*", "Resource": "*"}, deny))
    moorage(server, "user", "attach", user, own)
    told = explain(server, user_arn(user), "ecr:PutImage", repository)
    assert (told["allowed"], told["missing"], len(told["steps"])) == (False, [], 1)
    assert told["decidedBy"][0]["label"] == "Hands off"
    assert told["decidedBy"][0]["statement"] == deny
    assert told["steps"][0]["answer"].startswith(f"Yes: statement Hands off of identity policy {own} of user {user}.")


def test_a_repository_policy(server: Server, ecr: Any, repository: str, user: str) -> None:
    """The repository's own policy is shown where it allows, and where it denies."""
    allow = {"Effect": "Allow", "Principal": {"AWS": user_arn(user)}, "Action": "ecr:BatchGetImage"}
    deny = {"Effect": "Deny", "Principal": "*", "Action": "ecr:DeleteRepository"}
    ecr.set_repository_policy(repositoryName=repository, policyText=document(allow, deny))
    allowed = explain(server, user_arn(user), "ecr:BatchGetImage", repository)
    denied = explain(server, ROOT, "ecr:DeleteRepository", repository)
    assert (allowed["decidedBy"][0]["policy"], allowed["decidedBy"][0]["statement"]) == ("repository policy", allow)
    assert (denied["allowed"], denied["decidedBy"][0]["label"]) == (False, "#2")


def test_a_registry_policy(server: Server, user: str) -> None:
    """The registry's policy is shown where it decides; in another region it has no say."""
    ecr = server.client(region_name="eu-north-1")
    ecr.create_repository(repositoryName="mirror")
    statement = {"Effect": "Allow", "Principal": {"AWS": user_arn(user)}, "Action": "ecr:ListImages", "Resource": "*"}
    ecr.put_registry_policy(policyText=document(statement))
    told = explain(server, user_arn(user), "ecr:ListImages", "mirror", "--region", "eu-north-1")
    assert (told["allowed"], told["decidedBy"][0]["type"], told["region"]) == (True, "registry policy", "eu-north-1")
    assert not explain(server, user_arn(user), "ecr:ListImages", "mirror")["allowed"]


def test_root_needs_no_policy(server: Server, repository: str) -> None:
    """Root is allowed by being root."""
    told = explain(server, ROOT, "ecr:PutImage", repository)
    assert (told["allowed"], told["decidedBy"][0]["policy"], told["decidedBy"][0]["statement"]) == (True, "root", None)


def test_another_account_needs_both_sides(server: Server, ecr: Any, repository: str) -> None:
    """From another account both sides must allow; as long as neither does, both statements are named."""
    attempt(server, "account", "create", OTHER_ACCOUNT)
    name = f"far-{uuid.uuid4().hex[:8]}"
    moorage(server, "user", "create", name, account=OTHER_ACCOUNT)
    arn = f"arn:aws:iam::{OTHER_ACCOUNT}:user/{name}"
    there = ("--registry-id", ACCOUNT)
    neither = explain(server, arn, "ecr:BatchGetImage", repository, *there)
    assert [one["place"] for one in neither["missing"]] == ["repository policy", "identity policy"]
    ecr.set_repository_policy(repositoryName=repository, policyText=document(neither["missing"][0]["statement"]))
    one = explain(server, arn, "ecr:BatchGetImage", repository, *there)
    assert [missing["place"] for missing in one["missing"]] == ["identity policy"]
    moorage(server, "user", "attach", name, READ_ONLY, account=OTHER_ACCOUNT)
    both = explain(server, arn, "ecr:BatchGetImage", repository, *there)
    assert (both["allowed"], len(both["decidedBy"])) == (True, 2)


def test_limits_are_named(server: Server, repository: str, own: str, tmp_path: Path) -> None:
    """What a permissions boundary or a session policy leaves no room for is told so."""
    name = f"bounded-{uuid.uuid4().hex[:8]}"
    statement = {"Effect": "Allow", "Action": "ecr:ListImages", "Resource": "*"}
    moorage(server, "policy", "put", own, "-", text=document(statement))
    moorage(server, "user", "create", name)
    moorage(server, "user", "attach", name, READ_ONLY)
    moorage(server, "user", "boundary", name, own)
    told = explain(server, user_arn(name), "ecr:BatchGetImage", repository)
    assert (told["allowed"], told["missing"][0]["place"]) == (False, "permissions boundary")
    assert explain(server, user_arn(name), "ecr:ListImages", repository)["allowed"]
    moorage(server, "user", "boundary", name, "--none")

    role = f"role-{uuid.uuid4().hex[:8]}"
    trust = document({"Effect": "Allow", "Principal": {"AWS": ROOT}, "Action": "sts:AssumeRole"})
    moorage(server, "role", "create", role, "--trust", "-", text=trust)
    moorage(server, "role", "attach", role, READ_ONLY)
    arn = f"arn:aws:sts::{ACCOUNT}:assumed-role/{role}/build-7"
    narrow = tmp_path / "session.json"
    narrow.write_text(document(statement))
    told = explain(server, arn, "ecr:BatchGetImage", repository, "--session-policy", str(narrow))
    assert (told["allowed"], told["missing"][0]["place"]) == (False, "session policy")
    told = explain(server, f"arn:aws:iam::{ACCOUNT}:role/{role}", "ecr:BatchGetImage", repository)
    assert (told["allowed"], told["decidedBy"][0]["of"]) == (True, f"role {role}")


def test_conditions(server: Server, repository: str, user: str, own: str) -> None:
    """Condition keys are given as a request would have them; one that is missing is named."""
    condition = {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}
    statement = {"Effect": "Allow", "Action": "ecr:PutImage", "Resource": "*", "Condition": condition}
    moorage(server, "policy", "put", own, "-", text=document(statement))
    moorage(server, "user", "attach", user, own)
    without = explain(server, user_arn(user), "ecr:PutImage", repository)
    outside = explain(server, user_arn(user), "ecr:PutImage", repository, "--context", "aws:SourceIp=192.0.2.1")
    inside = explain(server, user_arn(user), "ecr:PutImage", repository, "--context", "aws:SourceIp=10.1.2.3")
    assert [one["allowed"] for one in (without, outside, inside)] == [False, False, True]
    assert "aws:SourceIp" in without["notes"][0]
    assert (outside["notes"], inside["notes"]) == ([], [])


def test_the_answer_is_that_of_a_request(server: Server, repository: str, user: str) -> None:
    """What is explained is what a request gets, to the words."""
    moorage(server, "user", "attach", user, READ_ONLY)
    client = server.client(**credentials(server, user))
    assert explain(server, user_arn(user), "ecr:ListImages", repository)["allowed"]
    assert client.list_images(repositoryName=repository)["imageIds"] == []
    told = explain(server, user_arn(user), "ecr:DeleteRepository", repository)
    with pytest.raises(ClientError) as caught:
        client.delete_repository(repositoryName=repository)
    assert code_of(caught) == "AccessDeniedException"
    assert caught.value.response["Error"]["Message"].endswith(told["reason"])


def test_what_is_on_no_repository(server: Server, user: str) -> None:
    """Logins and other actions on the registry as a whole are asked of ``*``; lists of all repositories."""
    moorage(server, "user", "attach", user, READ_ONLY)
    assert explain(server, user_arn(user), "ecr:GetAuthorizationToken", None)["resource"] == "*"
    assert explain(server, user_arn(user), "ecr:DescribeRepositories", None)["resource"] == repository_arn("*")
    missing = explain(server, user_arn(user), "ecr:ListImages", "not/there")
    assert (missing["allowed"], "There is no repository not/there" in missing["notes"][0]) == (True, True)


def test_people_read_it(server: Server, repository: str, user: str) -> None:
    """Without ``--json`` it is said in words: the answer first, the steps, and the statement to add."""
    asked = ("policy", "explain", "--as", user_arn(user), "--action", "ecr:PutImage", "--repository", repository)
    done = attempt(server, *asked)
    assert done.exit_code == 1
    assert done.stdout.startswith(f"denied: ecr:PutImage on {repository_arn(repository)}\n       by {user_arn(user)}\n")
    assert "1. Does any policy deny it?" in done.stdout
    assert "It would take a statement such as this in a policy of the caller" in done.stdout
    assert '"Effect": "Allow"' in done.stdout


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (("--as", "ci", "--action", "ecr:PutImage", "--repository", "app"), "must be the ARN of"),
        (("--as", user_arn("nobody"), "--action", "ecr:PutImage", "--repository", "app"), "There is no user nobody"),
        (("--as", f"arn:aws:iam::{ACCOUNT}:role/none", "--action", "ecr:PutImage", "--repository", "app"), "There is no role none"),
        (("--as", ROOT, "--action", "PutImage", "--repository", "app"), "must be an action of ECR"),
        (("--as", ROOT, "--action", "ecr:PutImage"), "name it with --repository"),
        (("--as", ROOT, "--action", "ecr:PutImage", "--repository", "UP"), "repositoryName"),
        (("--as", ROOT, "--action", "ecr:PutImage", "--repository", "app", "--context", "x"), "must be KEY=VALUE"),
        (("--as", ROOT, "--action", "ecr:PutImage", "--repository", "app", "--region", "Not One"), "--region must look like"),
        (("--as", "arn:aws:iam::999999999999:root", "--action", "ecr:PutImage", "--repository", "app"), "no account 999999999999"),
    ],
)  # fmt: skip
def test_questions_that_make_no_sense(server: Server, asked: tuple[str, ...], said: str) -> None:
    """A question that cannot be answered ends with status 2 and one line that says why."""
    done = attempt(server, "policy", "explain", *asked)
    assert done.exit_code == 2
    assert said in done.output

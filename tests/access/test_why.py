"""Why: every decision names the statement that made it, in the log."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from tests import servers
from tests.access.kit import READ_ONLY, credentials, document, moorage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers import Server


@pytest.fixture(scope="module")
def talkative(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that logs all it decides, with a repository and a user who may read, through a group."""
    with servers.running(tmp_path_factory.mktemp("why"), "--log-level", "debug", workers=1) as server:
        server.client().create_repository(repositoryName="app")
        moorage(server, "user", "create", "ci")
        moorage(server, "group", "create", "readers")
        moorage(server, "group", "add", "readers", "ci")
        moorage(server, "group", "attach", "readers", READ_ONLY)
        yield server


def line_of(server: Server, answer: Any) -> dict[str, Any]:
    """Return what the log says was decided about a request."""
    line: dict[str, Any] = json.loads(server.log.line_with(answer["ResponseMetadata"]["RequestId"]))
    return line


def test_an_allow_names_its_policy_and_group(talkative: Server) -> None:
    """For debugging, the log says which statement of which policy, through which group, allowed a request."""
    reader = talkative.client(**credentials(talkative, "ci"))
    answer = reader.describe_images(repositoryName="app")
    line = line_of(talkative, answer)
    assert (line["event"], line["level"], line["statement"]) == ("access_allowed", "debug", "#1")
    assert line["decided_by"] == f"managed policy {READ_ONLY} of group readers"


def test_a_refusal_by_silence_says_so(talkative: Server) -> None:
    """Where nothing allows, the log says that, with who asked for what."""
    reader = talkative.client(**credentials(talkative, "ci"))
    with pytest.raises(ClientError) as caught:
        reader.delete_repository(repositoryName="app")
    line = line_of(talkative, caught.value.response)
    assert (line["event"], line["level"]) == ("access_denied", "info")
    assert (line["decided_by"], line["statement"]) == ("implicit deny", None)
    assert line["principal"] == f"arn:aws:iam::{servers.ACCOUNT}:user/ci"
    assert line["action"] == "ecr:DeleteRepository"
    assert line["resource"] == f"arn:aws:ecr:{servers.REGION}:{servers.ACCOUNT}:repository/app"


def test_an_explicit_deny_is_named_and_not_told(talkative: Server) -> None:
    """The log names the Deny of the account's own policy; who is refused learns its kind alone."""
    denying = {
        "Sid": "NotTheSecrets",
        "Effect": "Deny",
        "Action": "ecr:*",
        "Resource": "arn:aws:ecr:*:*:repository/app",
    }
    moorage(talkative, "policy", "put", "fence", "-", text=document(denying))
    moorage(talkative, "user", "create", "outside")
    moorage(talkative, "user", "attach", "outside", "fence")
    with pytest.raises(ClientError, match="with an explicit deny in an identity-based policy") as caught:
        talkative.client(**credentials(talkative, "outside")).list_images(repositoryName="app")
    line = line_of(talkative, caught.value.response)
    assert (line["decided_by"], line["statement"]) == ("identity policy fence of user outside", "NotTheSecrets")
    assert "NotTheSecrets" not in str(caught.value)

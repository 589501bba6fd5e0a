"""The audit trail of real clients: what skopeo and the AWS CLI do is told as ECR tells it."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from tests import servers
from tests.audit.kit import events

if TYPE_CHECKING:
    from pathlib import Path

    from tests.clients.layouts import Layout
    from tests.clients.tools import Tool

PUSH = {"InitiateLayerUpload", "UploadLayerPart", "CompleteLayerUpload", "PutImage"}
PULL = {"BatchGetImage", "GetDownloadUrlForLayer"}


def test_a_copy_there_and_back(skopeo_of_nobody: Tool, small: Layout, tmp_path: Path) -> None:
    """A login by the AWS CLI, a push and a pull by skopeo are the events that ECR has for them, all of one key."""
    path = tmp_path / "audit.jsonl"
    with servers.running(tmp_path / "data", "--audit", str(path)) as server:
        aws = [sys.executable, "-m", "awscli", "ecr"]
        create = [*aws, "create-repository", "--repository-name", "app"]
        subprocess.run(create, check=True, env=server.environment(), stdout=subprocess.DEVNULL)
        login = [*aws, "get-login-password"]
        password = subprocess.run(login, check=True, env=server.environment(), stdout=subprocess.PIPE, text=True).stdout
        logins = skopeo_of_nobody.with_environment(REGISTRY_AUTH_FILE=str(tmp_path / "auth.json"))
        logins("login", "--tls-verify=false", "--username", "AWS", "--password-stdin", server.host, stdin=password)
        remote = f"docker://{server.host}/app:v1"
        logins("copy", "--dest-tls-verify=false", small.at("v1"), remote)
        pushed = server.client().describe_images(repositoryName="app")["imageDetails"][0]
        logins("copy", "--src-tls-verify=false", remote, f"dir:{tmp_path / 'back'}")
        key = server.key.access_key_id
    found = events(path)
    by_skopeo = [event for event in found if "skopeo" in event["userAgent"] and "errorCode" not in event]
    assert [event["eventName"] for event in found[:2]] == ["CreateRepository", "GetAuthorizationToken"]
    assert found[0]["userAgent"].startswith("aws-cli/")
    assert {event["eventName"] for event in by_skopeo} >= PUSH | PULL
    assert {event["userIdentity"]["accessKeyId"] for event in by_skopeo} == {key}
    (put,) = [event for event in by_skopeo if event["eventName"] == "PutImage"]
    assert put["responseElements"]["image"]["imageId"]["imageDigest"] == pushed["imageDigest"]
    assert password.strip() not in path.read_text()

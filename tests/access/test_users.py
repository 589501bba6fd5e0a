"""Users, groups and keys, managed by commands beside a running server, and what they may do at both doors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests import content
from tests.access.kit import POWER_USER, READ_ONLY, attempt, code_of, credentials, moorage
from tests.servers import ACCOUNT, REGION, Server


def test_a_new_user_may_do_nothing(server: Server, repository: str, user: str) -> None:
    """Without a policy a user is refused in AWS's words, whether the repository is there or not."""
    client = server.client(**credentials(server, user))

    for name in (repository, f"{repository}/missing"):
        with pytest.raises(ClientError) as caught:
            client.list_images(repositoryName=name)
        assert code_of(caught) == "AccessDeniedException"
        assert caught.value.response["Error"]["Message"] == (
            f"User: arn:aws:iam::{ACCOUNT}:user/{user} is not authorized to perform: ecr:ListImages on resource:"
            f" arn:aws:ecr:{REGION}:{ACCOUNT}:repository/{name}"
            " because no identity-based policy allows the ecr:ListImages action"
        )
    with pytest.raises(ClientError) as caught:
        client.get_authorization_token()
    assert code_of(caught) == "AccessDeniedException"


def test_a_reader_pulls_and_does_not_push(server: Server, repository: str, user: str) -> None:
    """With the built-in read-only policy both doors serve what is there and refuse to change it."""
    image = content.push(server, repository, "v1")
    moorage(server, "user", "attach", user, READ_ONLY)
    given = credentials(server, user)
    client, token = server.client(**given), server.token(**given)
    headers = {"Content-Type": image.media_type}
    path = f"/v2/{repository}/manifests/v2"

    pulled = server.request("GET", f"/v2/{repository}/manifests/v1", token=token)
    blob = server.request("GET", f"/v2/{repository}/blobs/{content.digest_of(image.layers[0])}", token=token)
    begun = server.request("POST", f"/v2/{repository}/blobs/uploads/", token=token)
    put = server.request("PUT", path, token=token, headers=headers, body=image.manifest)
    deleted = server.request("DELETE", f"/v2/{repository}/manifests/v1", token=token)

    assert (pulled.data, blob.data) == (image.manifest, image.layers[0])
    assert [begun.status, put.status, deleted.status] == [403, 403, 403]
    assert begun.json()["errors"][0]["code"] == "DENIED"
    assert "is not authorized to perform: ecr:InitiateLayerUpload" in begun.json()["errors"][0]["message"]
    assert client.describe_images(repositoryName=repository)["imageDetails"][0]["imageTags"] == ["v1"]
    with pytest.raises(ClientError) as caught:
        client.batch_delete_image(repositoryName=repository, imageIds=[{"imageTag": "v1"}])
    assert code_of(caught) == "AccessDeniedException"


def test_a_group_gives_its_policies_to_its_members(server: Server, repository: str, user: str) -> None:
    """A policy of a group counts while the membership lasts."""
    group = f"group-{user}"
    moorage(server, "group", "create", group)
    moorage(server, "group", "attach", group, POWER_USER)
    client = server.client(**credentials(server, user))

    with pytest.raises(ClientError):
        client.initiate_layer_upload(repositoryName=repository)
    moorage(server, "group", "add", group, user)
    assert client.initiate_layer_upload(repositoryName=repository)["partSize"] > 0
    moorage(server, "group", "remove", group, user)
    with pytest.raises(ClientError):
        client.initiate_layer_upload(repositoryName=repository)


def test_a_policy_of_ones_own_with_a_condition(server: Server, ecr: Any, user: str) -> None:
    """A policy of the account's own allows what it names, where the tag of the repository is right."""
    name = f"team-{user}"
    ecr.create_repository(repositoryName=f"{name}/ours", tags=[{"Key": "team", "Value": "a"}])
    ecr.create_repository(repositoryName=f"{name}/theirs", tags=[{"Key": "team", "Value": "b"}])
    statement = {
        "Effect": "Allow",
        "Action": "ecr:List*",
        "Resource": f"arn:aws:ecr:*:{ACCOUNT}:repository/{name}/*",
        "Condition": {"StringEquals": {"ecr:ResourceTag/team": "a"}},
    }
    moorage(server, "policy", "put", name, "-", text=json.dumps({"Version": "2012-10-17", "Statement": statement}))
    moorage(server, "user", "attach", user, name)
    client = server.client(**credentials(server, user))

    assert client.list_images(repositoryName=f"{name}/ours")["imageIds"] == []
    with pytest.raises(ClientError) as caught:
        client.list_images(repositoryName=f"{name}/theirs")
    assert code_of(caught) == "AccessDeniedException"


def test_a_repository_policy_lets_a_user_in(server: Server, ecr: Any, repository: str, user: str) -> None:
    """Within an account a repository policy that names a user is enough."""
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:user/{user}"},
        "Action": "ecr:ListImages",
    }
    ecr.set_repository_policy(
        repositoryName=repository, policyText=json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    )
    client = server.client(**credentials(server, user))

    assert client.list_images(repositoryName=repository)["imageIds"] == []
    with pytest.raises(ClientError):
        client.describe_images(repositoryName=repository)


def test_a_disabled_key_ends_its_logins(server: Server, repository: str, user: str) -> None:
    """A key that is disabled signs nothing more, and docker logins made with it end on every worker."""
    moorage(server, "user", "attach", user, POWER_USER)
    given = credentials(server, user)
    client, token = server.client(**given), server.token(**given)
    path = f"/v2/{repository}/tags/list"
    assert server.request("GET", path, token=token).status == 200

    moorage(server, "key", "disable", given["aws_access_key_id"])

    assert {server.request("GET", path, token=token).status for _ in range(8)} == {401}
    with pytest.raises(ClientError) as caught:
        client.list_images(repositoryName=repository)
    assert code_of(caught) == "UnrecognizedClientException"
    moorage(server, "key", "enable", given["aws_access_key_id"])
    assert server.request("GET", path, token=token).status == 200


def test_a_deleted_user_is_gone_with_its_keys(server: Server, user: str) -> None:
    """Deleting a user ends its keys."""
    moorage(server, "user", "attach", user, POWER_USER)
    client = server.client(**credentials(server, user))
    assert client.get_authorization_token()["authorizationData"]

    moorage(server, "user", "delete", user)

    with pytest.raises(ClientError) as caught:
        client.get_authorization_token()
    assert code_of(caught) == "UnrecognizedClientException"


@pytest.mark.usefixtures("require_disk")
def test_secrets_are_not_in_the_database(server: Server, user: str) -> None:
    """The secret of a key stands nowhere in the data folder in the clear."""
    secret = credentials(server, user)["aws_secret_access_key"].encode()

    holding = [path for path in Path(server.data).rglob("*") if path.is_file() and secret in path.read_bytes()]

    assert holding == []


def test_commands_say_what_is_wrong(server: Server, user: str) -> None:
    """A command that cannot be carried out ends with status 2 and a sentence."""
    for arguments, message in (
        (["user", "create", user], "already"),
        (["user", "attach", user, "NoSuchPolicy"], "There is no policy NoSuchPolicy"),
        (["user", "create", "a/b"], "must satisfy regular expression"),
        (["key", "delete", "AKIANOTTHERE"], "There is no access key"),
    ):
        done = attempt(server, *arguments)
        assert done.exit_code == 2
        assert message in done.stderr

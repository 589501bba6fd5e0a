"""Temporary credentials: roles taken on by users and by web identities, through boto3's own providers."""

from __future__ import annotations

import json
import time
import uuid
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

from tests import content
from tests.access.kit import POWER_USER, READ_ONLY, code_of, credentials, document, moorage
from tests.servers import ACCOUNT, REGION, Server

if TYPE_CHECKING:
    from pathlib import Path

ISSUER = "https://issuer.example"


def temporary(answer: dict[str, Any]) -> dict[str, str]:
    """Return credentials that STS gave, as a client takes them."""
    given = answer["Credentials"]
    return {
        "aws_access_key_id": given["AccessKeyId"],
        "aws_secret_access_key": given["SecretAccessKey"],
        "aws_session_token": given["SessionToken"],
    }


def make_role(server: Server, trust: dict[str, Any], policy: str) -> str:
    """Make a role; return its ARN."""
    name = f"role-{uuid.uuid4().hex[:8]}"
    moorage(server, "role", "create", name, "--trust", "-", text=document(trust))
    moorage(server, "role", "attach", name, policy)
    return f"arn:aws:iam::{ACCOUNT}:role/{name}"


def trusting(user: str) -> dict[str, Any]:
    """Return a statement that lets a user take a role on."""
    return {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:user/{user}"},
        "Action": "sts:AssumeRole",
    }


def test_a_user_takes_a_role_on(server: Server, repository: str, user: str) -> None:
    """The session may do what the role may, at both doors, and says who it is."""
    image = content.push(server, repository, "v1")
    role = make_role(server, trusting(user), READ_ONLY)
    sts = server.client("sts", **credentials(server, user))

    answer = sts.assume_role(RoleArn=role, RoleSessionName="build-7")
    session = temporary(answer)
    token = server.token(**session)

    who = server.client("sts", **session).get_caller_identity()
    assert who["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/{role.rpartition('/')[2]}/build-7"
    assert answer["AssumedRoleUser"]["Arn"] == who["Arn"]
    assert server.client(**session).list_images(repositoryName=repository)["imageIds"]
    assert server.request("GET", f"/v2/{repository}/manifests/v1", token=token).data == image.manifest
    refused = server.request("POST", f"/v2/{repository}/blobs/uploads/", token=token)
    assert refused.status == 403
    assert f"User: {who['Arn']} is not authorized" in refused.json()["errors"][0]["message"]


def test_only_whom_a_role_trusts(server: Server, user: str) -> None:
    """A role that does not trust the caller is refused like one that is not there."""
    role = make_role(server, trusting("somebody-else"), READ_ONLY)
    sts = server.client("sts", **credentials(server, user))

    for arn in (role, f"arn:aws:iam::{ACCOUNT}:role/missing"):
        with pytest.raises(ClientError) as caught:
            sts.assume_role(RoleArn=arn, RoleSessionName="build")
        assert code_of(caught) == "AccessDenied"


def test_a_session_policy_narrows(server: Server, repository: str, user: str) -> None:
    """What the session policy does not allow the session may not do, whatever its role may."""
    role = make_role(server, trusting(user), POWER_USER)
    sts = server.client("sts", **credentials(server, user))
    policy = document({"Effect": "Allow", "Action": "ecr:ListImages", "Resource": "*"})
    session = temporary(sts.assume_role(RoleArn=role, RoleSessionName="narrow", Policy=policy))
    client = server.client(**session)

    assert client.list_images(repositoryName=repository)["imageIds"] == []
    with pytest.raises(ClientError) as caught:
        client.describe_images(repositoryName=repository)
    assert code_of(caught) == "AccessDeniedException"


def test_a_session_ends_with_its_role(server: Server, repository: str, user: str) -> None:
    """Deleting a role ends its sessions and their docker logins; a new role of that name does not revive them."""
    role = make_role(server, trusting(user), READ_ONLY)
    name = role.rpartition("/")[2]
    sts = server.client("sts", **credentials(server, user))
    session = temporary(sts.assume_role(RoleArn=role, RoleSessionName="build"))
    client, token = server.client(**session), server.token(**session)
    path = f"/v2/{repository}/tags/list"
    assert server.request("GET", path, token=token).status == 200

    moorage(server, "role", "delete", name)
    moorage(server, "role", "create", name, "--trust", "-", text=document(trusting(user)))
    moorage(server, "role", "attach", name, READ_ONLY)

    assert server.request("GET", path, token=token).status == 401
    with pytest.raises(ClientError) as caught:
        client.list_images(repositoryName=repository)
    assert code_of(caught) == "UnrecognizedClientException"


def test_a_session_token_belongs_to_its_key(server: Server, user: str) -> None:
    """A session token with another key's id or secret, or altered, is refused."""
    role = make_role(server, trusting(user), READ_ONLY)
    own = credentials(server, user)
    session = temporary(server.client("sts", **own).assume_role(RoleArn=role, RoleSessionName="build"))

    for changed, code in (
        ({"aws_secret_access_key": "x" * 40}, "InvalidSignatureException"),
        ({"aws_access_key_id": own["aws_access_key_id"]}, "UnrecognizedClientException"),
        ({"aws_session_token": session["aws_session_token"][:-8] + "AAAAAAA="}, "UnrecognizedClientException"),
        ({"aws_session_token": "garbage"}, "UnrecognizedClientException"),
    ):
        with pytest.raises(ClientError) as caught:
            server.client(**(session | changed)).describe_repositories()
        assert code_of(caught) == code


def test_a_users_own_session(server: Server, repository: str, user: str) -> None:
    """GetSessionToken gives credentials that may do what the user may, and that end with the user's key."""
    moorage(server, "user", "attach", user, READ_ONLY)
    own = credentials(server, user)
    session = temporary(server.client("sts", **own).get_session_token(DurationSeconds=900))
    client = server.client(**session)

    assert client.list_images(repositoryName=repository)["imageIds"] == []
    with pytest.raises(ClientError) as caught:
        server.client("sts", **session).get_session_token()
    assert code_of(caught) == "AccessDenied"
    moorage(server, "key", "disable", own["aws_access_key_id"])
    with pytest.raises(ClientError) as caught:
        client.list_images(repositoryName=repository)
    assert code_of(caught) == "UnrecognizedClientException"


@pytest.fixture(scope="module")
def issuer_key(server: Server, tmp_path_factory: pytest.TempPathFactory) -> RSAKey:
    """The key of an issuer that the account trusts."""
    key = RSAKey.generate_key(2048, parameters={"kid": "one", "use": "sig"}, private=True)
    file = tmp_path_factory.mktemp("issuer") / "keys.json"
    file.write_text(json.dumps(KeySet([key]).as_dict(private=False)))
    moorage(server, "oidc", "add", ISSUER, "--audience", "registry", "--keys", str(file))
    return key


def identity_token(key: RSAKey, **claims: Any) -> str:
    """Return a token as a CI system would issue it."""
    now = int(time.time())
    given = {"iss": ISSUER, "aud": "registry", "sub": "repo:acme/app:ref:main", "iat": now, "exp": now + 600}
    return jwt.encode({"alg": "RS256", "kid": "one"}, given | claims, key)


@pytest.fixture
def ci_role(server: Server, issuer_key: RSAKey) -> str:
    """A role for the main branch of one repository of the issuer."""
    trust = {
        "Effect": "Allow",
        "Principal": {"Federated": f"arn:aws:iam::{ACCOUNT}:oidc-provider/issuer.example"},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {
            "StringEquals": {"issuer.example:aud": "registry"},
            "StringLike": {"issuer.example:sub": "repo:acme/*:ref:main"},
        },
    }
    assert issuer_key.kid == "one"
    return make_role(server, trust, POWER_USER)


@pytest.fixture
def token_file(issuer_key: RSAKey, tmp_path: Path) -> Path:
    """The file in which a CI system leaves its token."""
    file = tmp_path / "token"
    file.write_text(identity_token(issuer_key))
    return file


def test_boto3s_own_web_identity_provider(
    server: Server, repository: str, ci_role: str, token_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the environment that CI systems set, boto3 logs in without a stored secret, and docker's push works."""
    for name, value in {
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(token_file),
        "AWS_ROLE_ARN": ci_role,
        "AWS_ROLE_SESSION_NAME": "ci",
        "AWS_ENDPOINT_URL_STS": server.url,
        "AWS_ENDPOINT_URL_ECR": server.url,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
    }.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    session: Any = boto3.session.Session()
    data = session.client("ecr").get_authorization_token()["authorizationData"]
    image = content.image()

    for part in (image.config, *image.layers):
        content.push_blob(server, repository, part, data[0]["authorizationToken"])
    content.put_manifest(server, repository, "v1", image.manifest, image.media_type, data[0]["authorizationToken"])

    assert server.request("GET", f"/v2/{repository}/manifests/v1").data == image.manifest


def test_web_identities_that_are_not_let_in(server: Server, ci_role: str, issuer_key: RSAKey) -> None:
    """Another signer, audience, issuer or time is InvalidIdentityToken; another subject is AccessDenied."""
    stranger = RSAKey.generate_key(2048, parameters={"kid": "one"}, private=True)
    past = int(time.time()) - 3600
    unsigned = "eyJhbGciOiJub25lIn0." + identity_token(issuer_key).split(".")[1] + "."
    sts = server.client("sts")

    for token, code in (
        (identity_token(stranger), "InvalidIdentityToken"),
        (identity_token(issuer_key, aud="other"), "InvalidIdentityToken"),
        (identity_token(issuer_key, iss="https://elsewhere.example"), "InvalidIdentityToken"),
        (identity_token(issuer_key, exp=past), "InvalidIdentityToken"),
        (identity_token(issuer_key, nbf=int(time.time()) + 3600), "InvalidIdentityToken"),
        (identity_token(issuer_key, sub="repo:acme/app:ref:feature"), "AccessDenied"),
        (unsigned, "InvalidIdentityToken"),
        ("not.a.token", "InvalidIdentityToken"),
    ):
        with pytest.raises(ClientError) as caught:
            sts.assume_role_with_web_identity(RoleArn=ci_role, RoleSessionName="ci", WebIdentityToken=token)
        assert code_of(caught) == code

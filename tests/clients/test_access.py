"""Access as people with real clients meet it: readers, pushers, other accounts, roles, and CI without a secret."""

from __future__ import annotations

import base64
import dataclasses
import json
import uuid
from typing import TYPE_CHECKING, Any, Final

import boto3
import pytest

from tests import servers
from tests.access import issuer as issuers
from tests.access.kit import POWER_USER, READ_ONLY, credentials, document, moorage
from tests.clients.test_docker import built, identity, pushed
from tests.clients.test_skopeo import PULL, PUSH, remote
from tests.clients.tools import Tool, private_home
from tests.servers import ACCOUNT, REGION, Server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.clients.engine import Engine
    from tests.clients.layouts import Layout

OTHER: Final = "210987654321"
DOMAIN: Final = "registry.test"


def make_user(server: Server, *policies: str, account: str = ACCOUNT) -> dict[str, str]:
    """Make a user with policies; return its credentials as a client takes them."""
    name = f"user-{uuid.uuid4().hex[:8]}"
    moorage(server, "user", "create", name, account=account)
    for policy in policies:
        moorage(server, "user", "attach", name, policy, account=account)
    return credentials(server, name, account=account)


def password(server: Server, given: dict[str, str], registry: str = ACCOUNT) -> str:
    """Return the docker password of somebody for an account's registry."""
    client = server.client(**given)
    data = client.get_authorization_token(registryIds=[registry])["authorizationData"]
    text: str = base64.b64decode(data[0]["authorizationToken"]).decode()
    return text.removeprefix("AWS:")


def logged_in(tool: Tool, host: str, secret: str, *flags: str) -> Tool:
    """Log a tool in, which must work."""
    assert "Login Succeeded" in tool("login", *flags, "--username", "AWS", "--password-stdin", host, stdin=secret)
    return tool


@pytest.fixture
def docker_as(docker_engine: Engine, server: Server, tmp_path: Path) -> Callable[[str], Tool]:
    """Make a docker CLI that is logged in with a password, its logins in a folder of their own."""

    def make(secret: str) -> Tool:
        folder = tmp_path / uuid.uuid4().hex[:8]
        folder.mkdir()
        return logged_in(docker_engine.client(folder), server.host, secret)

    return make


@pytest.fixture
def skopeo_as(skopeo_of_nobody: Tool, server: Server, tmp_path: Path) -> Callable[[str], Tool]:
    """Make a skopeo that is logged in with a password."""

    def make(secret: str, host: str = server.host) -> Tool:
        tool = skopeo_of_nobody.with_environment(REGISTRY_AUTH_FILE=str(tmp_path / f"{uuid.uuid4().hex[:8]}.json"))
        return logged_in(tool, host, secret, "--tls-verify=false")

    return make


# --- Readers and pushers ----------------------------------------------------------------


def test_a_reader_with_docker(
    docker: Tool, docker_as: Callable[[str], Tool], server: Server, ecr: Any, repository: str, context: Path
) -> None:
    """With the read-only policy docker pulls; its push is refused, and says in AWS's words why."""
    image = f"{server.host}/{repository}:v1"
    before = built(docker, context, image)
    pushed(docker, image)
    reader = docker_as(password(server, make_user(server, READ_ONLY)))
    docker("rmi", image)

    reader("pull", image)
    docker("tag", image, f"{server.host}/{repository}:v2")
    (context / "new").write_text("a layer that is not there yet")
    (context / "Dockerfile").write_text((context / "Dockerfile").read_text() + "\nCOPY new /new\n")
    other = f"{server.host}/{repository}:v3"
    built(docker, context, other)
    said = [reader.refused("push", f"{server.host}/{repository}:v2"), reader.refused("push", other)]

    assert identity(docker, image) == before
    assert "is not authorized to perform: ecr:PutImage on resource" in said[0]
    assert "is not authorized to perform: ecr:InitiateLayerUpload on resource" in said[1]
    tags = ecr.list_images(repositoryName=repository)["imageIds"]
    assert [one["imageTag"] for one in tags] == ["v1"]


def test_a_reader_with_skopeo(
    skopeo: Tool,
    skopeo_as: Callable[..., Tool],
    server: Server,
    ecr: Any,
    repository: str,
    small: Layout,
    tmp_path: Path,
) -> None:
    """With the read-only policy skopeo pulls; its push is refused, and says in AWS's words why."""
    skopeo(*PUSH, small.at("v1"), remote(server, repository, "v1"))
    reader = skopeo_as(password(server, make_user(server, READ_ONLY)))

    reader(*PULL, remote(server, repository, "v1"), f"oci:{tmp_path / 'pulled'}:v1")
    said = reader.refused(*PUSH, small.at("arm"), remote(server, repository, "v2"))

    assert "is not authorized to perform: ecr:" in said
    assert f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/{repository}" in said
    assert len(ecr.list_images(repositoryName=repository)["imageIds"]) == 1


def test_a_pusher(skopeo_as: Callable[..., Tool], server: Server, ecr: Any, repository: str, small: Layout) -> None:
    """With the power user's policy skopeo pushes; to delete what was pushed, or the repository, is refused."""
    given = make_user(server, POWER_USER)
    pusher, client = skopeo_as(password(server, given)), server.client(**given)

    pusher(*PUSH, small.at("v1"), remote(server, repository, "v1"))
    said = pusher.refused("delete", "--tls-verify=false", remote(server, repository, "v1"))

    assert "is not authorized to perform: ecr:BatchDeleteImage" in said
    deletions: dict[str, dict[str, Any]] = {
        "delete_repository": {"force": True},
        "batch_delete_image": {"imageIds": [{"imageTag": "v1"}]},
    }
    for operation, arguments in deletions.items():
        with pytest.raises(client.exceptions.ClientError, match="is not authorized to perform: ecr:"):
            getattr(client, operation)(repositoryName=repository, **arguments)
    assert len(ecr.list_images(repositoryName=repository)["imageIds"]) == 1


# --- Between accounts -------------------------------------------------------------------


def allow_pulls(ecr: Any, repository: str, account: str) -> None:
    """Let an account pull from a repository."""
    actions = ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:BatchCheckLayerAvailability"]
    statement = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{account}:root"}, "Action": actions}
    ecr.set_repository_policy(repositoryName=repository, policyText=document(statement))


@pytest.fixture
def abroad(server: Server) -> dict[str, str]:
    """A user of another account, whom that account lets read everything."""
    if OTHER not in moorage(server, "account", "list", "--json"):
        moorage(server, "account", "create", OTHER)
    return make_user(server, READ_ONLY, account=OTHER)


def test_a_pull_from_another_account(
    *,
    skopeo: Tool,
    skopeo_as: Callable[..., Tool],
    docker_as: Callable[[str], Tool],
    server: Server,
    ecr: Any,
    repository: str,
    small: Layout,
    abroad: dict[str, str],
    tmp_path: Path,
) -> None:
    """By one plain address: with the repository's policy skopeo and docker pull from another account, and push nothing."""
    skopeo(*PUSH, small.at("v1"), remote(server, repository, "v1"))
    secret = password(server, abroad, ACCOUNT)
    visitor = skopeo_as(secret)

    said = visitor.refused(*PULL, remote(server, repository, "v1"), f"oci:{tmp_path / 'refused'}:v1")
    assert "because no resource-based policy allows the ecr:BatchGetImage action" in said
    allow_pulls(ecr, repository, OTHER)
    visitor(*PULL, remote(server, repository, "v1"), f"oci:{tmp_path / 'pulled'}:v1")
    docker = docker_as(secret)
    docker("pull", f"{server.host}/{repository}:v1")

    assert identity(docker, f"{server.host}/{repository}:v1") == small.manifest("v1")["config"]["digest"]
    assert "is not authorized" in visitor.refused(*PUSH, small.at("arm"), remote(server, repository, "v2"))
    own = skopeo_as(password(server, abroad, OTHER))
    said = own.refused(*PULL, remote(server, repository, "v1"), f"oci:{tmp_path / 'own'}:v1")
    assert f"does not exist in the registry with id '{OTHER}'" in said


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose host names say account and region."""
    with servers.running(tmp_path_factory.mktemp("named"), "--domain", DOMAIN) as started:
        yield started


def test_a_pull_from_another_account_by_its_host_name(
    named: Server, skopeo_of_nobody: Tool, small: Layout, tmp_path: Path
) -> None:
    """By host names: skopeo pulls from another account's, and what it finds at its own is its own."""
    moorage(named, "account", "create", OTHER)
    stranger = make_user(named, READ_ONLY, account=OTHER)
    ecr = named.client()
    name = f"shared/{uuid.uuid4().hex[:8]}"
    ecr.create_repository(repositoryName=name)
    hosts = {account: f"{account}.dkr.ecr.{REGION}.{DOMAIN}:{named.port}" for account in (ACCOUNT, OTHER)}
    # Nobody resolves these names: the server is asked for them as a proxy would be.
    proxied = skopeo_of_nobody.with_environment(
        HTTP_PROXY=named.url,
        http_proxy=named.url,
        HTTPS_PROXY=named.url,
        https_proxy=named.url,
        NO_PROXY="",
        no_proxy="",
    )

    def login(account: str, secret: str) -> Tool:
        tool = proxied.with_environment(REGISTRY_AUTH_FILE=str(tmp_path / f"{uuid.uuid4().hex[:8]}.json"))
        return logged_in(tool, hosts[account], secret, "--tls-verify=false")

    def at(account: str) -> str:
        return f"docker://{hosts[account]}/{name}:v1"

    login(ACCOUNT, named.password())(*PUSH, small.at("v1"), at(ACCOUNT))
    # The password that an account's user gets by default: the host name says where it is used.
    secret = password(named, stranger, OTHER)
    visitor = login(ACCOUNT, secret)
    assert "no resource-based policy" in visitor.refused(*PULL, at(ACCOUNT), f"oci:{tmp_path / 'refused'}:v1")
    allow_pulls(ecr, name, OTHER)

    visitor(*PULL, at(ACCOUNT), f"oci:{tmp_path / 'pulled'}:v1")

    said = login(OTHER, secret).refused(*PULL, at(OTHER), f"oci:{tmp_path / 'own'}:v1")
    assert f"does not exist in the registry with id '{OTHER}'" in said


# --- CI without a stored secret -----------------------------------------------------------


def test_a_web_identity_pushes_with_docker(
    *,
    server: Server,
    repository: str,
    context: Path,
    docker: Tool,
    docker_as: Callable[[str], Tool],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    A job's token becomes a docker login with nothing stored.

    boto3's own provider takes the role on with the token file, and docker pushes and pulls with the password that it gets.
    """
    with issuers.running() as issuer:
        moorage(server, "oidc", "add", issuer.url, "--audience", issuers.AUDIENCE)
        role = f"ci-{uuid.uuid4().hex[:8]}"
        moorage(server, "role", "create", role, "--trust", "-", text=document(issuer.trust()))
        moorage(server, "role", "attach", role, POWER_USER)
        (tmp_path / "token").write_text(issuer.token())
        for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
            monkeypatch.delenv(variable, raising=False)
        for variable, value in {
            "AWS_WEB_IDENTITY_TOKEN_FILE": str(tmp_path / "token"),
            "AWS_ROLE_ARN": f"arn:aws:iam::{ACCOUNT}:role/{role}",
            "AWS_ENDPOINT_URL_STS": server.url,
            "AWS_ENDPOINT_URL_ECR": server.url,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
        }.items():
            monkeypatch.setenv(variable, value)
        session: Any = boto3.session.Session()
        data = session.client("ecr").get_authorization_token()["authorizationData"][0]

    job = docker_as(base64.b64decode(data["authorizationToken"]).decode().removeprefix("AWS:"))
    image = f"{server.host}/{repository}:from-ci"
    before = built(job, context, image)
    pushed(job, image)
    job("rmi", image)
    job("pull", image)

    assert identity(docker, image) == before


# --- Roles by profile ---------------------------------------------------------------------


def test_a_profile_that_takes_a_role_on(server: Server, repository: str, aws: Tool, tmp_path: Path) -> None:
    """The AWS CLI takes a role on by a profile's ``role_arn`` and ``source_profile``, with the addresses in the profile too."""
    given = make_user(server)
    arn = server.client("sts", **given).get_caller_identity()["Arn"]
    role = f"deploy-{uuid.uuid4().hex[:8]}"
    trust = {"Effect": "Allow", "Principal": {"AWS": arn}, "Action": "sts:AssumeRole"}
    moorage(server, "role", "create", role, "--trust", "-", text=document(trust))
    moorage(server, "role", "attach", role, READ_ONLY)
    config = f"""
[profile person]
region = {REGION}
services = here
{chr(10).join(f"{name} = {value}" for name, value in given.items())}

[profile deploy]
role_arn = arn:aws:iam::{ACCOUNT}:role/{role}
source_profile = person
region = {REGION}
services = here

[services here]
ecr =
  endpoint_url = {server.url}
sts =
  endpoint_url = {server.url}
"""
    (tmp_path / "config").write_text(config)
    bare = {k: v for k, v in private_home(tmp_path).items() if not k.startswith("AWS_")}
    tool = dataclasses.replace(aws, environment=bare | {"AWS_CONFIG_FILE": str(tmp_path / "config")})

    who = json.loads(tool("sts", "get-caller-identity", "--profile", "deploy"))
    listed = json.loads(tool("ecr", "list-images", "--profile", "deploy", "--repository-name", repository))
    said = tool.refused("ecr", "list-images", "--profile", "person", "--repository-name", repository)
    refused = tool.refused("ecr", "delete-repository", "--profile", "deploy", "--repository-name", repository)

    assert who["Arn"].startswith(f"arn:aws:sts::{ACCOUNT}:assumed-role/{role}/")
    assert listed == {"imageIds": []}
    assert f"User: {arn} is not authorized to perform: ecr:ListImages" in said
    assert f"User: arn:aws:sts::{ACCOUNT}:assumed-role/{role}/" in refused

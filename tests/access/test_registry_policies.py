"""Registry policies: set, read, removed; and in force at both doors, beside those of repositories."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from tests import content, servers
from tests.access.kit import (
    OTHER_ACCOUNT,
    READ_ONLY,
    attempt,
    code_of,
    credentials,
    document,
    moorage,
)
from tests.servers import ACCOUNT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers import Server

INVALID = "Invalid parameter at 'PolicyText' failed to satisfy constraint: 'Invalid registry policy provided'"
NOT_FOUND = "Invalid parameter at 'PolicyText' failed to satisfy constraint: 'Principal not found'"


@dataclass(frozen=True, slots=True)
class Place:
    """A registry that no other test has: an account in a region of the test's own, with an image in it."""

    server: Server
    region: str
    root: Any
    image: content.Image

    @property
    def token(self) -> str:
        """The root's docker login."""
        return self.server.token(region_name=self.region)

    def put(self, *statements: dict[str, Any]) -> None:
        """Set the registry policy; statements are about every repository unless they say otherwise."""
        self.root.put_registry_policy(policyText=document(*({"Resource": "*", **one} for one in statements)))

    def pull(self, token: str) -> int:
        """Pull the image at the distribution door; return the status."""
        headers = {"Accept": self.image.media_type}
        return self.server.request("GET", "/v2/app/manifests/v1", token=token, headers=headers).status

    def client(self, given: dict[str, str]) -> Any:
        """Return a client of this registry's region."""
        return self.server.client(region_name=self.region, **given)

    def login(self, given: dict[str, str], account: str = ACCOUNT) -> str:
        """Return a docker login to a registry of this region, of any account."""
        answer = self.client(given).get_authorization_token(registryIds=[account])
        token: str = answer["authorizationData"][0]["authorizationToken"]
        return token


def put_image(client: Any, repository: str, image: content.Image) -> None:
    """Push an image through ECR's own operations."""
    for part in (image.config, *image.layers):
        content.upload_layer(client, repository, part)
    client.put_image(
        repositoryName=repository,
        imageManifest=image.manifest.decode(),
        imageManifestMediaType=image.media_type,
        imageTag="v1",
    )


@pytest.fixture
def place(server: Server) -> Place:
    """A registry of the test's own, with the image app:v1."""
    region = f"reg-{uuid.uuid4().hex[:8]}-1"
    root, image = server.client(region_name=region), content.image()
    root.create_repository(repositoryName="app")
    put_image(root, "app", image)
    return Place(server, region, root, image)


def user_arn(name: str, account: str = ACCOUNT) -> str:
    """Return the ARN of a user."""
    return f"arn:aws:iam::{account}:user/{name}"


def allowing(principal: str, *actions: str, **more: Any) -> dict[str, Any]:
    """Return a statement that allows somebody actions."""
    return {"Effect": "Allow", "Principal": {"AWS": principal}, "Action": list(actions), **more}


PULL = ("ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")


# --- Set, read, removed ----------------------------------------------------------


def test_a_registry_policy_is_set_read_and_removed(place: Place) -> None:
    """Put, Get and Delete give the registry and the text, which is the one that was put."""
    text = json.dumps({"Statement": {**allowing(ACCOUNT, "ecr:*"), "Resource": "*"}}, indent=3) + "\n "
    for answer in (
        place.root.put_registry_policy(policyText=text),
        place.root.put_registry_policy(policyText=text),
        place.root.get_registry_policy(),
        place.root.delete_registry_policy(),
    ):
        answer.pop("ResponseMetadata")
        assert answer == {"registryId": ACCOUNT, "policyText": text}
    for operation in (place.root.get_registry_policy, place.root.delete_registry_policy):
        with pytest.raises(place.root.exceptions.RegistryPolicyNotFoundException) as caught:
            operation()
        assert caught.value.response["Error"]["Message"] == (
            f"Registry policy does not exist in the registry with id '{ACCOUNT}'"
        )


def test_a_registry_is_an_account_in_a_region(server: Server, place: Place) -> None:
    """A policy of one region's registry is neither read nor in force in another's."""
    place.put({"Effect": "Deny", "Principal": "*", "Action": "ecr:BatchGetImage"})
    elsewhere = server.client(region_name=f"{place.region}2")
    elsewhere.create_repository(repositoryName="app")
    put_image(elsewhere, "app", place.image)
    with pytest.raises(ClientError, match="RegistryPolicyNotFound"):
        elsewhere.get_registry_policy()
    assert elsewhere.batch_get_image(repositoryName="app", imageIds=[{"imageTag": "v1"}])["images"]
    assert place.pull(place.token) == 403


BAD: dict[str, str] = {
    "nothing": "",
    "no JSON": "{",
    "no resource": document(allowing(ACCOUNT, "ecr:*")),
    "no principal": document({"Effect": "Allow", "Action": "ecr:*", "Resource": "*"}),
    "no action": document({"Effect": "Allow", "Principal": "*", "Resource": "*"}),
    "another service": document({**allowing(ACCOUNT, "s3:GetObject"), "Resource": "*"}),
    "a wildcard in an ARN": document({**allowing(user_arn("*"), "ecr:*"), "Resource": "*"}),
    "too long": document({**allowing(ACCOUNT, "ecr:*"), "Resource": "*", "Sid": "x" * 10_240}),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_registry_policy_is_refused(server: Server, case: str) -> None:
    """A text that is malformed, incomplete or too long is refused in ECR's words, and nothing is stored."""
    client = server.client(region_name="reg-bad-1")
    with pytest.raises(client.exceptions.InvalidParameterException) as caught:
        client.put_registry_policy(policyText=BAD[case])
    assert caught.value.response["Error"]["Message"] == INVALID
    with pytest.raises(ClientError, match="RegistryPolicyNotFound"):
        client.get_registry_policy()


def test_a_policy_of_the_greatest_length_is_taken(place: Place) -> None:
    """A text of 10,240 characters is a registry policy."""
    statement = {**allowing(ACCOUNT, "ecr:*"), "Resource": "*", "Sid": ""}
    statement["Sid"] = "x" * (10_240 - len(document(statement)))
    assert len(place.root.put_registry_policy(policyText=document(statement))["policyText"]) == 10_240


@pytest.mark.parametrize("operation", ["get_registry_policy", "delete_registry_policy", "put_registry_policy"])
def test_registry_policies_need_permission(place: Place, user: str, operation: str) -> None:
    """A user whom no policy allows it neither sets, reads nor removes the registry policy."""
    arguments = {"policyText": document()} if operation.startswith("put") else {}
    with pytest.raises(ClientError) as caught:
        getattr(place.client(credentials(place.server, user)), operation)(**arguments)
    assert code_of(caught) == "AccessDeniedException"
    assert "on resource: *" in caught.value.response["Error"]["Message"]


# --- In force ----------------------------------------------------------------------


def test_within_an_account_a_registry_policy_is_enough(place: Place, user: str) -> None:
    """A user whom only the registry policy names pulls at both doors, and does nothing else."""
    given = credentials(place.server, user)
    moorage(place.server, "policy", "put", user, "-", text=document(LOGIN))
    moorage(place.server, "user", "attach", user, user)
    client, token = place.client(given), place.login(given)
    assert place.pull(token) == 403

    place.put(allowing(user_arn(user), *PULL))

    assert place.pull(token) == 200
    assert client.batch_get_image(repositoryName="app", imageIds=[{"imageTag": "v1"}])["images"]
    assert place.server.request("POST", "/v2/app/blobs/uploads/", token=token).status == 403
    with pytest.raises(ClientError, match="because no identity-based policy allows the ecr:ListImages action"):
        client.list_images(repositoryName="app")


LOGIN = {"Effect": "Allow", "Action": "ecr:GetAuthorizationToken", "Resource": "*"}


def test_another_account_pulls_by_registry_policy(place: Place, stranger: str) -> None:
    """With its own policy and the registry's, a user of another account pulls at both doors; with one, it does not."""
    given = credentials(place.server, stranger, OTHER_ACCOUNT)
    moorage(place.server, "user", "attach", stranger, READ_ONLY, account=OTHER_ACCOUNT)
    client, token = place.client(given), place.login(given)

    def at_aws_door() -> int:
        wanted = {"registryId": ACCOUNT, "repositoryName": "app", "imageIds": [{"imageTag": "v1"}]}
        return len(client.batch_get_image(**wanted)["images"])

    assert place.pull(token) == 403
    with pytest.raises(ClientError, match="because no resource-based policy allows the ecr:BatchGetImage action"):
        at_aws_door()

    place.put(allowing(OTHER_ACCOUNT, *PULL))
    assert (place.pull(token), at_aws_door()) == (200, 1)
    layer = f"/v2/app/blobs/{content.digest_of(place.image.layers[0])}"
    assert place.server.request("GET", layer, token=token).data == place.image.layers[0]

    moorage(place.server, "user", "detach", stranger, READ_ONLY, account=OTHER_ACCOUNT)
    assert place.pull(token) == 403
    with pytest.raises(ClientError, match="because no identity-based policy allows the ecr:BatchGetImage action"):
        at_aws_door()


def test_the_resource_of_a_registry_policy_counts(place: Place, stranger: str) -> None:
    """A statement for some repositories opens these and no others, which stay as unknown as those that are not there."""
    given = credentials(place.server, stranger, OTHER_ACCOUNT)
    moorage(place.server, "user", "attach", stranger, READ_ONLY, account=OTHER_ACCOUNT)
    place.put(allowing(OTHER_ACCOUNT, *PULL, Resource=f"arn:aws:ecr:{place.region}:{ACCOUNT}:repository/open/*"))
    place.root.create_repository(repositoryName="open/app")
    token = place.login(given)

    def status(repository: str) -> int:
        return place.server.request("GET", f"/v2/{repository}/manifests/v1", token=token).status

    assert (status("open/app"), status("open/missing"), status("app"), status("missing")) == (404, 404, 403, 403)


@pytest.mark.parametrize("who", ["root", "user"])
def test_a_deny_in_a_registry_policy_beats(place: Place, user: str, who: str) -> None:
    """What a registry policy denies is refused to everybody, whatever else allows it, at both doors."""
    moorage(place.server, "user", "attach", user, READ_ONLY)
    given = credentials(place.server, user) if who == "user" else {}
    place.root.set_repository_policy(repositoryName="app", policyText=document(allowing(user_arn(user), "ecr:*")))
    token, client = place.login(given), place.client(given)
    assert place.pull(token) == 200

    place.put({"Effect": "Deny", "Principal": "*", "Action": "ecr:BatchGetImage"})

    assert place.pull(token) == 403
    with pytest.raises(ClientError, match="with an explicit deny in a resource-based policy"):
        client.batch_get_image(repositoryName="app", imageIds=[{"imageTag": "v1"}])
    assert client.list_images(repositoryName="app")["imageIds"]
    place.root.delete_registry_policy()
    assert place.pull(token) == 200


def test_root_is_never_locked_out_of_a_registry(place: Place) -> None:
    """Under a registry policy that denies everything, root can still replace and remove it; and log in."""
    place.put({"Effect": "Deny", "Principal": "*", "Action": "ecr:*"})
    for operation, arguments in (("describe_repositories", {}), ("put_account_setting", MOUNTS_OFF)):
        with pytest.raises(ClientError, match="with an explicit deny in a resource-based policy"):
            getattr(place.root, operation)(**arguments)
    assert place.server.request("GET", "/v2/_catalog", token=place.token).status == 403
    assert "ecr:*" in place.root.get_registry_policy()["policyText"]
    place.root.delete_registry_policy()
    assert place.root.describe_repositories()["repositories"]


MOUNTS_OFF = {"name": "BLOB_MOUNTING", "value": "DISABLED"}


def test_registry_wide_operations_are_governed(place: Place, user: str) -> None:
    """A registry policy grants what is asked of no repository in particular, such as listing them."""
    given = credentials(place.server, user)
    place.put(allowing(user_arn(user), "ecr:DescribeRepositories", "ecr:GetAccountSetting"))
    client = place.client(given)
    assert [one["repositoryName"] for one in client.describe_repositories()["repositories"]] == ["app"]
    assert client.get_account_setting(name="BLOB_MOUNTING")["value"] == "ENABLED"
    with pytest.raises(ClientError, match="AccessDenied"):
        client.get_registry_policy()


# --- The narrow scope ---------------------------------------------------------------


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose registries begin with the scope V1, as old accounts of ECR have it."""
    data = tmp_path_factory.mktemp("narrow")
    with servers.running(data, "--registry-policy-scope", "V1", "--create-on-push", workers=1) as started:
        yield started


NARROW = ("ecr:ReplicateImage", "ECR:batchImportUpstreamImage", "ecr:CreateRepository")


@pytest.mark.parametrize(
    "actions",
    [
        {"Action": "ecr:*"},
        {"Action": "*"},
        {"Action": "ecr:BatchGetImage"},
        {"Action": ["ecr:CreateRepository", "ecr:PutImage"]},
        {"Action": "ecr:Create*"},
        {"NotAction": "ecr:CreateRepository"},
    ],
    ids=str,
)
def test_the_narrow_scope_refuses_other_actions(narrow: Server, actions: dict[str, Any]) -> None:
    """Under V1 a policy with any action but the three is refused as no registry policy."""
    client = narrow.client(region_name="narrow-refuses-1")
    with pytest.raises(ClientError) as caught:
        client.put_registry_policy(
            policyText=document({"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Resource": "*", **actions})
        )
    assert caught.value.response["Error"]["Message"] == INVALID


def test_the_narrow_scope_and_the_way_out_of_it(narrow: Server) -> None:
    """Under V1 the three actions are taken and in force; V2 takes every action, and there is no way back."""
    name = f"user-{uuid.uuid4().hex[:8]}"
    moorage(narrow, "user", "create", name)
    given = credentials(narrow, name)
    root, user = narrow.client(region_name="narrow-out-1"), narrow.client(region_name="narrow-out-1", **given)
    assert root.get_account_setting(name="REGISTRY_POLICY_SCOPE")["value"] == "V1"
    root.put_registry_policy(policyText=document({**allowing(user_arn(name), *NARROW), "Resource": "*"}))
    assert user.create_repository(repositoryName="made/by-policy")["repository"]["registryId"] == ACCOUNT

    for _ in range(2):
        assert root.put_account_setting(name="REGISTRY_POLICY_SCOPE", value="V2")["value"] == "V2"
    root.put_registry_policy(policyText=document({**allowing(user_arn(name), "ecr:*"), "Resource": "*"}))
    assert user.list_images(repositoryName="made/by-policy")["imageIds"] == []
    with pytest.raises(ClientError, match="enum value set"):
        root.put_account_setting(name="REGISTRY_POLICY_SCOPE", value="V1")
    assert root.get_account_setting(name="REGISTRY_POLICY_SCOPE")["value"] == "V2"


# --- Account settings ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "default", "values"),
    [
        ("BASIC_SCAN_TYPE_VERSION", "AWS_NATIVE", ["AWS_NATIVE"]),
        ("REGISTRY_POLICY_SCOPE", "V2", ["V2"]),
        ("BLOB_MOUNTING", "ENABLED", ["DISABLED", "ENABLED"]),
    ],
)
def test_account_settings_are_read_and_set(place: Place, name: str, default: str, values: list[str]) -> None:
    """Each setting has its default, takes its values any number of times, and echoes name and value."""
    read = place.root.get_account_setting(name=name)
    assert (read["name"], read["value"]) == (name, default)
    for value in values * 2:
        done = place.root.put_account_setting(name=name, value=value)
        assert (done["name"], done["value"]) == (name, value)
        assert place.root.get_account_setting(name=name)["value"] == value


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BASIC_SCAN_TYPE_VERSION", "CLAIR"),
        ("REGISTRY_POLICY_SCOPE", "V3"),
        ("BLOB_MOUNTING", "enabled"),
        ("BLOB_MOUNTING", ""),
        ("blob_mounting", "ENABLED"),
        ("OTHER", "ENABLED"),
    ],
)
def test_unknown_account_settings_are_refused(place: Place, name: str, value: str) -> None:
    """A name or value that has no effect is not stored, but refused."""
    with pytest.raises(place.root.exceptions.InvalidParameterException):
        place.root.put_account_setting(name=name, value=value)


def test_blob_mounting_can_be_turned_off(place: Place) -> None:
    """With BLOB_MOUNTING=DISABLED a mount begins an upload instead; with ENABLED it mounts again. Policies stay."""
    place.put(allowing(ACCOUNT, "ecr:*"))
    place.root.create_repository(repositoryName="target")
    token, digest = place.token, content.digest_of(place.image.layers[0])

    def mount(query: str) -> int:
        path = f"/v2/target/blobs/uploads/?mount={digest}{query}"
        return place.server.request("POST", path, token=token).status

    place.root.put_account_setting(**MOUNTS_OFF)
    assert (mount("&from=app"), mount("")) == (202, 202)
    assert place.root.get_registry_policy()["registryId"] == ACCOUNT
    place.root.put_account_setting(name="BLOB_MOUNTING", value="ENABLED")
    assert mount("&from=app") == 201


# --- Principals ----------------------------------------------------------------------


def test_principals_must_be_there(place: Place, user: str, stranger: str) -> None:
    """Policies of repositories and of the registry may name those who are there, in every form, and nobody else."""
    trust = {**allowing(ACCOUNT, "sts:AssumeRole")}
    role = f"role-{user}"
    moorage(place.server, "role", "create", role, "--trust", "-", text=document(trust))
    here = [
        ACCOUNT,
        f"arn:aws:iam::{ACCOUNT}:root",
        OTHER_ACCOUNT,
        user_arn(user),
        user_arn(stranger, OTHER_ACCOUNT),
        f"arn:aws:iam::{ACCOUNT}:role/{role}",
        f"arn:aws:sts::{ACCOUNT}:assumed-role/{role}/build-7",
    ]
    missing = [
        "999999999999",
        "arn:aws:iam::999999999999:root",
        user_arn("nobody-at-all"),
        user_arn(stranger),
        user_arn(f"path/{user}"),
        f"arn:aws:iam::{ACCOUNT}:role/{user}",
        f"arn:aws:sts::{ACCOUNT}:assumed-role/{user}/build-7",
    ]
    for principal in here:
        place.put(allowing(principal, "ecr:ListImages"))
        place.root.set_repository_policy(
            repositoryName="app", policyText=document(allowing(principal, "ecr:ListImages"))
        )
    for principal in missing:
        for element in ("Principal", "NotPrincipal"):
            statement = {"Effect": "Deny", element: {"AWS": [ACCOUNT, principal]}, "Action": "ecr:ListImages"}
            with pytest.raises(ClientError) as caught:
                place.put(statement)
            assert caught.value.response["Error"]["Message"] == NOT_FOUND
            with pytest.raises(ClientError) as caught:
                place.root.set_repository_policy(repositoryName="app", policyText=document(statement))
            assert caught.value.response["Error"]["Message"] == NOT_FOUND
            with pytest.raises(ClientError, match=r"at 'repositoryPolicy' .*: 'Principal not found'"):
                place.root.create_repository_creation_template(
                    prefix="x", appliedFor=["CREATE_ON_PUSH"], repositoryPolicy=document(statement)
                )


def test_without_credentials_everybody_is_there(tmp_path: Any) -> None:
    """With ``--dev`` policies may name anybody: nobody can be told from anybody else."""
    with servers.running(tmp_path, "--dev", workers=1) as started:
        client = started.client()
        client.put_registry_policy(
            policyText=document({**allowing(user_arn("any", "999999999999"), "ecr:*"), "Resource": "*"})
        )


# --- Permissions boundaries --------------------------------------------------------------


def test_a_boundary_cuts_what_a_users_policies_give(place: Place, user: str) -> None:
    """A user may do what both its policies and its boundary allow, at both doors, until the boundary is taken away."""
    server = place.server
    moorage(server, "user", "attach", user, "AmazonEC2ContainerRegistryFullAccess")
    given = credentials(server, user)
    client, token = place.client(given), place.login(given)
    moorage(server, "user", "boundary", user, READ_ONLY)

    assert place.pull(token) == 200
    assert server.request("POST", "/v2/app/blobs/uploads/", token=token).status == 403
    with pytest.raises(ClientError) as caught:
        client.delete_repository(repositoryName="app", force=True)
    assert caught.value.response["Error"]["Message"].endswith(
        "because no permissions boundary allows the ecr:DeleteRepository action"
    )
    session = client_of_session(place, given)
    with pytest.raises(ClientError, match="no permissions boundary"):
        session.initiate_layer_upload(repositoryName="app")

    moorage(server, "user", "boundary", user, "--none")
    assert server.request("POST", "/v2/app/blobs/uploads/", token=token).status == 202


def client_of_session(place: Place, given: dict[str, str]) -> Any:
    """Return a client with temporary credentials of a user."""
    answer = place.server.client("sts", **given).get_session_token()["Credentials"]
    return place.client(
        {
            "aws_access_key_id": answer["AccessKeyId"],
            "aws_secret_access_key": answer["SecretAccessKey"],
            "aws_session_token": answer["SessionToken"],
        }
    )


def test_a_boundary_gives_nothing(place: Place, user: str) -> None:
    """A user with a boundary and no policy may do nothing."""
    moorage(place.server, "user", "boundary", user, READ_ONLY)
    with pytest.raises(ClientError, match="because no identity-based policy allows"):
        place.client(credentials(place.server, user)).list_images(repositoryName="app")


def test_a_boundary_and_policies_of_resources(place: Place, user: str) -> None:
    """What a registry policy gives the user itself is not cut by a boundary, but by a Deny in it."""
    name, server = f"limit-{user}", place.server
    deny = {"Effect": "Deny", "Action": "ecr:ListImages", "Resource": "*"}
    moorage(server, "policy", "put", name, "-", text=document(LOGIN, deny))
    moorage(server, "user", "boundary", user, name)
    place.put(allowing(user_arn(user), "ecr:BatchGetImage", "ecr:ListImages"))
    client = place.client(credentials(server, user))

    assert client.batch_get_image(repositoryName="app", imageIds=[{"imageTag": "v1"}])["images"]
    with pytest.raises(ClientError, match="with an explicit deny in a permissions boundary"):
        client.list_images(repositoryName="app")


def test_a_boundary_of_a_role(place: Place, user: str) -> None:
    """Sessions of a role are held by the role's boundary, and a user's boundary decides about taking a role on."""
    server, role = place.server, f"role-{user}"
    moorage(server, "role", "create", role, "--trust", "-", text=document(allowing(ACCOUNT, "sts:AssumeRole")))
    moorage(server, "role", "attach", role, "AmazonEC2ContainerRegistryFullAccess")
    moorage(server, "role", "boundary", role, READ_ONLY)
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    moorage(server, "policy", "put", user, "-", text=document(everything))
    moorage(server, "user", "attach", user, user)
    sts = server.client("sts", **credentials(server, user))
    wanted = {"RoleArn": f"arn:aws:iam::{ACCOUNT}:role/{role}", "RoleSessionName": "build"}

    answer = sts.assume_role(**wanted)["Credentials"]
    session = place.client(
        {
            "aws_access_key_id": answer["AccessKeyId"],
            "aws_secret_access_key": answer["SecretAccessKey"],
            "aws_session_token": answer["SessionToken"],
        }
    )
    assert session.list_images(repositoryName="app")["imageIds"]
    with pytest.raises(ClientError, match="no permissions boundary"):
        session.initiate_layer_upload(repositoryName="app")

    moorage(server, "user", "boundary", user, READ_ONLY)
    with pytest.raises(ClientError, match="no permissions boundary allows the sts:AssumeRole action"):
        sts.assume_role(**wanted)


def test_a_boundary_is_not_deleted_from_under_a_user(server: Server, user: str) -> None:
    """A policy that is somebody's boundary cannot be deleted; one that is not there cannot be a boundary."""
    moorage(server, "policy", "put", user, "-", text=document(LOGIN))
    moorage(server, "user", "boundary", user, user)
    refused = attempt(server, "policy", "delete", user)
    assert (refused.exit_code, f"is the boundary of user {user}" in refused.stderr) == (2, True)
    assert attempt(server, "user", "boundary", user, "NoSuchPolicy").exit_code == 2
    assert attempt(server, "user", "boundary", user).exit_code == 2
    assert attempt(server, "user", "boundary", user, READ_ONLY, "--none").exit_code == 2
    listed = json.loads(moorage(server, "user", "list", "--json"))
    assert {one["name"]: one["boundary"] for one in listed}[user] == user
    moorage(server, "user", "boundary", user, "--none")
    moorage(server, "policy", "delete", user)

"""Repository policies: set, read, removed; and in force at both doors, for every worker, at once."""

from __future__ import annotations

import json
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from botocore.exceptions import ClientError

from tests import content
from tests.access import kit
from tests.aws.wire import Sender
from tests.servers import ACCOUNT, REGION

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.servers import Server

ROOT = f"arn:aws:iam::{ACCOUNT}:root"
INVALID = "Invalid parameter at 'PolicyText' failed to satisfy constraint: 'Invalid repository policy provided'"
READ = {"Sid": "new statement", "Effect": "Allow", "Principal": {"AWS": ROOT}, "Action": ["ecr:BatchGetImage"]}


def policy(*statements: dict[str, Any], **more: Any) -> str:
    """Return a policy's text."""
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements), **more})


def deny(action: str | list[str], **more: Any) -> str:
    """Return the text of a policy that denies everybody an action."""
    return policy({"Effect": "Deny", "Principal": "*", "Action": action, **more})


def set_policy(client: Any, repository: str, text: str, **more: Any) -> Any:
    """Set a policy."""
    return client.set_repository_policy(repositoryName=repository, policyText=text, **more)


@pytest.fixture(scope="module", autouse=True)
def named(server: Server) -> None:
    """Whom the policies here name: another account, with a user, and a role."""
    kit.attempt(server, "account", "create", kit.OTHER_ACCOUNT)  # unless another test has
    trust = {"Effect": "Allow", "Principal": {"AWS": ROOT}, "Action": "sts:AssumeRole"}
    kit.moorage(server, "role", "create", "ci", "--trust", "-", text=policy(trust))


# --- Set, read, removed ----------------------------------------------------------


def test_a_policy_is_set_read_and_removed(ecr: Any, repository: str) -> None:
    """Set, Get and Delete give registry, repository and text, and the text is the one that was set."""
    text = policy(READ)
    expected = {"registryId": ACCOUNT, "repositoryName": repository, "policyText": text}
    for answer in (
        set_policy(ecr, repository, text),
        ecr.get_repository_policy(repositoryName=repository),
        ecr.delete_repository_policy(repositoryName=repository),
    ):
        answer.pop("ResponseMetadata")
        assert answer == expected


@pytest.mark.parametrize("operation", ["get_repository_policy", "delete_repository_policy"])
def test_no_policy_is_an_error(ecr: Any, repository: str, operation: str) -> None:
    """Reading or removing a policy that is not there is refused in ECR's words."""
    with pytest.raises(ecr.exceptions.RepositoryPolicyNotFoundException) as caught:
        getattr(ecr, operation)(repositoryName=repository)
    assert caught.value.response["Error"]["Message"] == (
        f"Repository policy does not exist for the repository with name '{repository}'"
        f" in the registry with id '{ACCOUNT}'"
    )


def test_a_policy_is_replaced_whole(ecr: Any, repository: str) -> None:
    """A second policy takes the place of the first, and setting one again changes nothing."""
    set_policy(ecr, repository, deny("ecr:ListImages"))
    for _ in range(2):
        set_policy(ecr, repository, policy(READ))
        assert ecr.get_repository_policy(repositoryName=repository)["policyText"] == policy(READ)
    assert ecr.list_images(repositoryName=repository)["imageIds"] == []


VALID = {
    "the version of old": json.dumps({"Version": "2008-10-17", "Statement": [READ]}),
    "no version": json.dumps({"Statement": [READ]}),
    "one statement": json.dumps({"Version": "2012-10-17", "Statement": READ}),
    "an id": policy(READ, Id="mine"),
    "a statement twice": policy(READ, READ),
    "an account": policy(READ | {"Principal": {"AWS": kit.OTHER_ACCOUNT}}),
    "several principals": policy(READ | {"Principal": {"AWS": [ROOT, f"arn:aws:iam::{ACCOUNT}:role/ci"]}}),
    "everybody": policy(READ | {"Principal": {"AWS": "*"}}),
    "a service": policy(READ | {"Principal": {"Service": "codebuild.amazonaws.com"}}),
    "all actions": policy(READ | {"Action": "ecr:*"}),
    "a wildcard": policy(READ | {"Action": ["ecr:Batch*", "ECR:listimages"]}),
    "all but": policy({"Effect": "Deny", "NotPrincipal": {"AWS": ROOT}, "NotAction": "ecr:ListImages"}),
    "a resource": policy(READ | {"Resource": "*"}),
    "a condition": policy(READ | {"Condition": {"IpAddress": {"aws:SourceIp": ["192.0.2.0/24"]}}}),
    "spaces": "\n\t" + policy(READ) + " \n",
    "other letters": policy(READ | {"Sid": "für später \U0001f600"}),
}


@pytest.mark.parametrize("case", VALID)
def test_policies_of_iams_grammar_are_taken(ecr: Any, repository: str, case: str) -> None:
    """Every form of policy that ECR accepts is accepted, and given back as it was."""
    set_policy(ecr, repository, VALID[case])
    assert ecr.get_repository_policy(repositoryName=repository)["policyText"] == VALID[case]


BAD = {
    "nothing": "",
    "no JSON": "{",
    "a list": "[]",
    "a text": '"ecr:*"',
    "no statement": "{}",
    "an empty statement": policy({}),
    "no statements": policy(),
    "only an effect": policy({"Effect": "Allow"}),
    "no principal": policy({"Effect": "Allow", "Action": "ecr:*"}),
    "no action": policy({"Effect": "Allow", "Principal": "*"}),
    "no effect": policy({"Principal": "*", "Action": "ecr:*"}),
    "another effect": policy(READ | {"Effect": "allow"}),
    "another version": json.dumps({"Version": "2020-01-01", "Statement": [READ]}),
    "another key": policy(READ, Comment="hello"),
    "another element": policy(READ | {"Users": "*"}),
    "another service": policy(READ | {"Action": "s3:GetObject"}),
    "a number": policy(READ | {"Action": 5}),
    "both kinds of action": policy(READ | {"NotAction": "ecr:ListImages"}),
    "half an ARN": policy(READ | {"Principal": {"AWS": "arn:aws:iam::12"}}),
    "a wildcard in an ARN": policy(READ | {"Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:*"}}),
    "an unknown operator": policy(READ | {"Condition": {"StringIsh": {"aws:SourceIp": "a"}}}),
    "a condition that cannot hold": policy(READ | {"Condition": {"IpAddress": {"aws:SourceIp": "nowhere"}}}),
    "a key twice": '{"Statement": [], "Statement": ' + json.dumps([READ]) + "}",
    "NaN": policy(READ).replace('"new statement"', "NaN"),
}


@pytest.mark.parametrize("case", BAD)
def test_other_policies_are_refused(server: Server, ecr: Any, repository: str, case: str) -> None:
    """A text that is no policy is refused in ECR's words, and the policy that was there stays."""
    set_policy(ecr, repository, policy(READ))
    body = {"repositoryName": repository, "policyText": BAD[case]}
    assert Sender(server).send("SetRepositoryPolicy", body).refused("InvalidParameterException") == INVALID
    assert ecr.get_repository_policy(repositoryName=repository)["policyText"] == policy(READ)


def test_a_policy_has_a_longest_text(ecr: Any, repository: str) -> None:
    """A policy of 10,240 characters is accepted, and one character more is refused."""
    longest = policy(READ).ljust(10240)
    set_policy(ecr, repository, longest)
    with pytest.raises(ecr.exceptions.InvalidParameterException, match="Invalid repository policy provided"):
        set_policy(ecr, repository, longest + " ")
    assert ecr.get_repository_policy(repositoryName=repository)["policyText"] == longest


# --- In force at both doors ------------------------------------------------------


class Stage(NamedTuple):
    """A repository with an image, and what asks for the same thing at either door."""

    server: Server
    client: Any
    repository: str
    image: content.Image
    token: str

    @property
    def layer(self) -> bytes:
        """The image's layer."""
        return self.image.layers[0]

    def aws(self, operation: str, **call: Any) -> str | None:
        """Call an operation; return the message if access was denied."""
        try:
            getattr(self.client, operation)(repositoryName=self.repository, **call)
        except ClientError as error:
            if error.response["Error"]["Code"] == "AccessDeniedException":
                return str(error.response["Error"]["Message"])
        return None

    def docker(self, method: str, path: str, **more: Any) -> str | None:
        """Send what docker sends; return the message if access was denied."""
        answer = self.server.request(method, f"/v2/{self.repository}/{path}", token=self.token, **more)
        if answer.status != 403:
            assert answer.status < 500
            return None
        if method == "HEAD":
            return "denied"
        (error,) = answer.json()["errors"]
        assert error["code"] == "DENIED"
        return str(error["message"])


@pytest.fixture(scope="module")
def token(server: Server) -> str:
    """A docker password, as Basic carries it."""
    return server.token()


@pytest.fixture
def stage(server: Server, ecr: Any, repository: str, token: str) -> Stage:
    """A repository with one image, tagged ``v1``."""
    image = content.image()
    content.push_blobs(server, repository, image, token)
    content.put_manifest(server, repository, "v1", image.manifest, image.media_type, token)
    return Stage(server, ecr, repository, image, token)


UPLOAD = str(uuid.UUID(int=0))
MANIFEST = {"headers": {"Content-Type": content.image().media_type}}

ASKED: dict[str, list[Callable[[Stage], str | None]]] = {
    "ecr:BatchGetImage": [
        lambda s: s.aws("batch_get_image", imageIds=[{"imageTag": "v1"}]),
        lambda s: s.docker("GET", "manifests/v1"),
        lambda s: s.docker("GET", f"manifests/{s.image.digest}"),
        lambda s: s.docker("HEAD", "manifests/v1"),
    ],
    "ecr:GetDownloadUrlForLayer": [
        lambda s: s.aws("get_download_url_for_layer", layerDigest=content.digest_of(s.layer)),
        lambda s: s.docker("GET", f"blobs/{content.digest_of(s.layer)}"),
    ],
    "ecr:BatchCheckLayerAvailability": [
        lambda s: s.aws("batch_check_layer_availability", layerDigests=[content.digest_of(s.layer)]),
        lambda s: s.docker("HEAD", f"blobs/{content.digest_of(s.layer)}"),
    ],
    "ecr:InitiateLayerUpload": [
        lambda s: s.aws("initiate_layer_upload"),
        lambda s: s.docker("POST", "blobs/uploads/"),
    ],
    "ecr:UploadLayerPart": [
        lambda s: s.aws("upload_layer_part", uploadId=UPLOAD, partFirstByte=0, partLastByte=0, layerPartBlob=b"x"),
        lambda s: s.docker("PATCH", f"blobs/uploads/{UPLOAD}", body=b"x"),
    ],
    "ecr:CompleteLayerUpload": [
        lambda s: s.aws("complete_layer_upload", uploadId=UPLOAD, layerDigests=[content.digest_of(s.layer)]),
        lambda s: s.docker("PUT", f"blobs/uploads/{UPLOAD}?digest={content.digest_of(s.layer)}"),
    ],
    "ecr:PutImage": [
        lambda s: s.aws("put_image", imageManifest=s.image.manifest.decode(), imageTag="v2"),
        lambda s: s.docker("PUT", "manifests/v3", body=s.image.manifest, **MANIFEST),
    ],
    "ecr:ListImages": [
        lambda s: s.aws("list_images"),
        lambda s: s.docker("GET", "tags/list"),
    ],
    "ecr:BatchDeleteImage": [
        lambda s: s.aws("batch_delete_image", imageIds=[{"imageTag": "none"}]),
        lambda s: s.docker("DELETE", f"manifests/{content.digest_of(b'none')}"),
    ],
    "ecr:DescribeImages": [lambda s: s.aws("describe_images")],
    "ecr:DeleteRepository": [lambda s: s.aws("delete_repository")],
}
"""For each action, all that asks for it: of these, the ways that change something fail even if they are allowed."""


@pytest.mark.parametrize("action", ASKED)
def test_a_deny_is_in_force_at_both_doors(stage: Stage, action: str) -> None:
    """What a policy denies is denied to root too, by boto3 and by docker, in the same words; all else goes on."""
    assert [ask(stage) for ask in ASKED[action]] == [None] * len(ASKED[action])
    set_policy(stage.client, stage.repository, deny(action))

    arn = f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/{stage.repository}"
    message = f"User: {ROOT} is not authorized to perform: {action} on resource: {arn}"
    message += " with an explicit deny in a resource-based policy"
    assert {ask(stage) for ask in ASKED[action]} <= {message, "denied"}
    for other in ASKED.keys() - {action}:
        assert [ask(stage) for ask in ASKED[other]] == [None] * len(ASKED[other])


def test_what_is_denied_is_not_done(stage: Stage) -> None:
    """A push that is denied stores nothing, and a delete that is denied deletes nothing."""
    set_policy(stage.client, stage.repository, deny(["ecr:PutImage", "ecr:BatchDeleteImage", "ecr:DeleteRepository"]))
    assert stage.docker("PUT", "manifests/v2", body=stage.image.manifest, **MANIFEST)
    assert stage.docker("DELETE", f"manifests/{stage.image.digest}")
    assert stage.aws("batch_delete_image", imageIds=[{"imageTag": "v1"}])
    assert stage.aws("delete_repository", force=True)

    listed = stage.client.list_images(repositoryName=stage.repository)["imageIds"]
    assert listed == [{"imageDigest": stage.image.digest, "imageTag": "v1"}]


def test_a_deny_of_reading_hides_a_repository_by_name(stage: Stage) -> None:
    """A denied DescribeRepositories refuses the repository by name."""
    set_policy(stage.client, stage.repository, deny("ecr:DescribeRepositories"))
    with pytest.raises(ClientError, match="explicit deny"):
        stage.client.describe_repositories(repositoryNames=[stage.repository])


def test_root_is_never_locked_out(stage: Stage) -> None:
    """Under a policy that denies everybody everything, root can still read, replace and remove it, and nothing else."""
    set_policy(stage.client, stage.repository, deny("ecr:*"))
    assert stage.aws("list_images")
    assert stage.docker("GET", "manifests/v1")

    assert stage.client.get_repository_policy(repositoryName=stage.repository)["policyText"] == deny("ecr:*")
    set_policy(stage.client, stage.repository, deny(["ecr:*"], Sid="again"))
    assert stage.aws("list_images")
    stage.client.delete_repository_policy(repositoryName=stage.repository)
    assert stage.aws("list_images") is None
    assert stage.docker("GET", "manifests/v1") is None


def test_an_allow_takes_nothing_away(stage: Stage) -> None:
    """A policy that allows somebody else something does not narrow what root may do."""
    set_policy(stage.client, stage.repository, policy(READ | {"Principal": {"AWS": kit.OTHER_ACCOUNT}}))
    assert stage.aws("list_images") is None
    assert stage.docker("GET", "tags/list") is None


CONDITIONS: dict[str, tuple[dict[str, Any], bool]] = {
    "this address": ({"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}}, True),
    "another address": ({"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}}, False),
    "not another address": ({"NotIpAddress": {"aws:SourceIp": ["192.0.2.0/24", "198.51.100.1"]}}, True),
    "in clear": ({"Bool": {"aws:SecureTransport": "false"}}, True),
    "encrypted": ({"Bool": {"aws:SecureTransport": "true"}}, False),
    "its tag": ({"StringEquals": {"ecr:ResourceTag/stage": "production"}}, True),
    "its tag, as AWS names it": ({"StringEquals": {"aws:ResourceTag/stage": "production"}}, True),
    "another value": ({"StringEquals": {"ecr:ResourceTag/stage": "Production"}}, False),
    "another tag": ({"StringEquals": {"ecr:ResourceTag/team": "production"}}, False),
    "no such tag": ({"Null": {"ecr:ResourceTag/team": "true"}}, True),
    "root": ({"ArnEquals": {"aws:PrincipalArn": ROOT}}, True),
    "a role": ({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/*"}}, False),
    "this account": ({"StringEquals": {"aws:PrincipalAccount": ACCOUNT}}, True),
    "since 2020": ({"DateGreaterThan": {"aws:CurrentTime": "2020-01-01T00:00:00Z"}}, True),
    "before 2020": ({"DateLessThan": {"aws:CurrentTime": "2020-01-01T00:00:00Z"}}, False),
    "since 2020, in seconds": ({"NumericGreaterThan": {"aws:EpochTime": "1577836800"}}, True),
    "both": ({"Bool": {"aws:SecureTransport": "false"}, "IpAddress": {"aws:SourceIp": "127.0.0.1"}}, True),
    "one of both": ({"Bool": {"aws:SecureTransport": "false"}, "IpAddress": {"aws:SourceIp": "192.0.2.1"}}, False),
}


@pytest.mark.parametrize("case", CONDITIONS)
def test_conditions_are_looked_at(server: Server, ecr: Any, name: str, token: str, case: str) -> None:
    """A statement is in force where all of its conditions hold, and nowhere else, at both doors alike."""
    condition, holds = CONDITIONS[case]
    ecr.create_repository(repositoryName=name, tags=[{"Key": "stage", "Value": "production"}])
    set_policy(ecr, name, deny("ecr:ListImages", Condition=condition))
    stage = Stage(server, ecr, name, content.image(), token)
    assert (stage.aws("list_images") is not None) == holds
    assert (stage.docker("GET", "tags/list") is not None) == holds


def test_the_program_that_asks_is_a_condition(server: Server, ecr: Any, repository: str) -> None:
    """A statement about the user agent is in force for that program and not for another."""
    set_policy(ecr, repository, deny("ecr:ListImages", Condition={"StringLike": {"aws:UserAgent": "docker/*"}}))
    token = server.token()

    def tags(agent: str) -> int:
        return server.request("GET", f"/v2/{repository}/tags/list", token=token, headers={"User-Agent": agent}).status

    assert (tags("docker/27.0"), tags("skopeo/1.18")) == (403, 200)
    assert ecr.list_images(repositoryName=repository)["imageIds"] == []


def test_a_resource_in_a_policy_is_its_repository(stage: Stage) -> None:
    """A statement for another repository's ARN is not in force here, and one for a pattern of this one is."""
    arn = f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository"
    set_policy(stage.client, stage.repository, deny("ecr:ListImages", Resource=f"{arn}/other/*"))
    assert stage.aws("list_images") is None
    set_policy(stage.client, stage.repository, deny("ecr:ListImages", Resource=f"{arn}/test/*"))
    assert stage.aws("list_images")


# --- At once, everywhere ---------------------------------------------------------


def test_a_policy_is_in_force_at_once_on_every_worker(server: Server, repository: str) -> None:
    """From the moment a policy is set, no connection to any worker is let through; from its removal, all are."""
    token = server.token()
    clients = [server.client() for _ in range(4)]
    path = f"/v2/{repository}/tags/list"

    def both(client: Any) -> set[int]:
        # A new connection may be taken up by any worker.
        fresh = server.anonymous("GET", path, headers={"Authorization": f"Basic {token}", "Connection": "close"})
        return {fresh.status, *_statuses(client, repository)}

    with ThreadPoolExecutor(8) as pool:
        for _ in range(5):
            set_policy(clients[0], repository, deny("ecr:ListImages"))
            assert set().union(*pool.map(both, clients * 4)) <= {403, 400}
            clients[1].delete_repository_policy(repositoryName=repository)
            assert set().union(*pool.map(both, clients * 4)) == {200}


def _statuses(client: Any, repository: str) -> set[int]:
    try:
        return {client.list_images(repositoryName=repository)["ResponseMetadata"]["HTTPStatusCode"]}
    except ClientError as error:
        return {error.response["ResponseMetadata"]["HTTPStatusCode"]}


def test_policies_set_at_once_leave_one(server: Server, repository: str) -> None:
    """Of several policies set in the same moment one is the repository's, whole, and none of the calls fails."""
    texts = [policy(READ | {"Sid": f"number {number}"}) for number in range(8)]
    clients = [server.client() for _ in texts]
    together = threading.Barrier(len(texts))

    def put(client: Any, text: str) -> None:
        together.wait(timeout=60)
        set_policy(client, repository, text)

    with ThreadPoolExecutor(len(texts)) as pool:
        list(pool.map(put, clients, texts))
    assert clients[0].get_repository_policy(repositoryName=repository)["policyText"] in texts


# --- Who may set one --------------------------------------------------------------


@pytest.fixture
def user(server: Server) -> str:
    """A user who may do everything with repositories."""
    name = f"user-{uuid.uuid4().hex[:8]}"
    kit.moorage(server, "user", "create", name)
    kit.moorage(server, "user", "attach", name, "AmazonEC2ContainerRegistryFullAccess")
    return name


def test_a_user_does_not_lock_itself_out(server: Server, ecr: Any, repository: str, user: str) -> None:
    """A policy under which its author could not set another is refused, unless it is forced; then root must help."""
    client = server.client(**kit.credentials(server, user))
    text = deny("ecr:SetRepositoryPolicy")
    with pytest.raises(client.exceptions.InvalidParameterException) as caught:
        set_policy(client, repository, text)
    assert caught.value.response["Error"]["Message"] == (
        "Invalid parameter at 'PolicyText' failed to satisfy constraint: 'The policy would prevent you from setting"
        " another policy in the future. Use force to set it.'"
    )

    set_policy(client, repository, text, force=True)
    with pytest.raises(ClientError, match="explicit deny in a resource-based policy"):
        set_policy(client, repository, policy(READ))
    set_policy(ecr, repository, policy(READ))
    assert set_policy(client, repository, policy(READ, READ))["policyText"] == policy(READ, READ)


def test_the_tags_that_a_request_brings_are_a_condition(server: Server, user: str) -> None:
    """A user who must tag what it makes can make a repository with that tag, and no other."""
    kit.moorage(server, "user", "detach", user, "AmazonEC2ContainerRegistryFullAccess")
    statement = {
        "Effect": "Allow",
        "Action": ["ecr:CreateRepository", "ecr:TagResource"],
        "Resource": "*",
        "Condition": {
            "StringEquals": {"aws:RequestTag/team": "a"},
            "ForAllValues:StringEquals": {"aws:TagKeys": "team"},
        },
    }
    kit.moorage(server, "policy", "put", user, "-", text=policy(statement))
    kit.moorage(server, "user", "attach", user, user)
    client = server.client(**kit.credentials(server, user))
    ours, theirs, more = ({"Key": "team", "Value": "a"}, {"Key": "team", "Value": "b"}, {"Key": "x", "Value": "y"})

    for tags in ([], [theirs], [ours, more]):
        with pytest.raises(ClientError, match="AccessDenied"):
            client.create_repository(repositoryName=f"{user}/made", tags=tags)
    assert client.create_repository(repositoryName=f"{user}/made", tags=[ours])["repository"]["registryId"] == ACCOUNT

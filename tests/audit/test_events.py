"""Events: who did what from where with what outcome, at both doors, in CloudTrail's shape."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from moorage.domain.trail import LONGEST
from tests import content
from tests.access.kit import READ_ONLY, credentials, document, moorage
from tests.servers import ACCOUNT, REGION

if TYPE_CHECKING:
    from tests.audit.kit import Reading
    from tests.servers import Server

KEY_OF_NOBODY = {"aws_access_key_id": "AKIAAAAAAAAAAAAAAAAA", "aws_secret_access_key": "wrong"}


def arn_of(repository: str) -> list[dict[str, str]]:
    """Return what an event says of a repository."""
    return [{"ARN": f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/{repository}", "accountId": ACCOUNT}]


def request_of(answer: Any) -> str:
    """Return the id of a request to the AWS door."""
    request_id: str = answer["ResponseMetadata"]["RequestId"]
    return request_id


@pytest.fixture(scope="module")
def reader(server: Server) -> dict[str, str]:
    """The credentials of a user who may only read."""
    moorage(server, "user", "create", "reader")
    moorage(server, "user", "attach", "reader", READ_ONLY)
    return credentials(server, "reader")


def test_an_operation_of_root(server: Server, trail: Reading, ecr: Any, name: str) -> None:
    """A write at the AWS door is told whole: who, from where with what, what was asked, what was answered."""
    answer = ecr.create_repository(repositoryName=name, tags=[{"Key": "team", "Value": "red"}])
    event = trail.event(request_of(answer))
    assert (event["eventSource"], event["eventName"]) == ("ecr.amazonaws.com", "CreateRepository")
    assert event["userIdentity"] == {
        "type": "Root",
        "principalId": ACCOUNT,
        "arn": f"arn:aws:iam::{ACCOUNT}:root",
        "accountId": ACCOUNT,
        "accessKeyId": server.key.access_key_id,
    }
    assert event["requestParameters"] == {"repositoryName": name, "tags": [{"Key": "team", "Value": "red"}]}
    assert event["responseElements"]["repository"]["repositoryArn"] == answer["repository"]["repositoryArn"]
    assert (event["sourceIPAddress"], event["awsRegion"]) == ("127.0.0.1", REGION)
    assert event["userAgent"].startswith("Boto3/")
    assert (event["readOnly"], event["eventType"], event["recipientAccountId"]) == (False, "AwsApiCall", ACCOUNT)
    assert event["resources"] == arn_of(name)


def test_a_read_is_told_without_its_answer(trail: Reading, ecr: Any, repository: str) -> None:
    """Of a read the trail has the question, and the answer is null."""
    event = trail.event(request_of(ecr.list_images(repositoryName=repository, filter={"tagStatus": "TAGGED"})))
    assert (event["eventName"], event["readOnly"], event["responseElements"]) == ("ListImages", True, None)
    assert event["requestParameters"] == {"repositoryName": repository, "filter": {"tagStatus": "TAGGED"}}


def test_a_refusal_names_its_user_and_what_decided(
    server: Server, trail: Reading, repository: str, reader: dict[str, str]
) -> None:
    """A refused operation is an event with AWS's code and message, and with what decided."""
    with pytest.raises(ClientError) as caught:
        server.client(**reader).delete_repository(repositoryName=repository)
    event = trail.event(request_of(caught.value.response))
    assert (event["eventName"], event["errorCode"]) == ("DeleteRepository", "AccessDenied")
    assert event["errorMessage"] == caught.value.response["Error"]["Message"]
    assert (event["userIdentity"]["type"], event["userIdentity"]["userName"]) == ("IAMUser", "reader")
    assert event["userIdentity"]["accessKeyId"] == reader["aws_access_key_id"]
    assert event["resources"] == arn_of(repository)
    assert event["additionalEventData"] == {"decidedBy": "implicit deny", "statement": None}


def test_bad_credentials_are_told_as_a_claim(server: Server, trail: Reading, repository: str) -> None:
    """Who signs with a key that is not there, or with a wrong secret, is unknown; the key's id is noted."""
    wrong_secret = {"aws_access_key_id": server.key.access_key_id, "aws_secret_access_key": "wrong"}
    codes = []
    for given in (KEY_OF_NOBODY, wrong_secret):
        with pytest.raises(ClientError) as caught:
            server.client(**given).list_images(repositoryName=repository)
        event = trail.event(request_of(caught.value.response))
        codes.append(event["errorCode"])
        assert event["userIdentity"] == {"type": "Unknown", "accessKeyId": given["aws_access_key_id"]}
        assert (event["requestParameters"], event["resources"]) == (None, [])
    assert codes == ["UnrecognizedClientException", "InvalidSignatureException"]


def test_what_the_registry_refuses_is_told(trail: Reading, ecr: Any, name: str) -> None:
    """An operation that fails for what is not there, or is not well formed, is an event with that code."""
    with pytest.raises(ClientError) as missing:
        ecr.delete_repository(repositoryName=name)
    with pytest.raises(ClientError) as malformed:
        ecr.create_repository(repositoryName="UPPER")
    assert trail.event(request_of(missing.value.response))["errorCode"] == "RepositoryNotFoundException"
    event = trail.event(request_of(malformed.value.response))
    assert (event["errorCode"], event["requestParameters"]) == (
        "InvalidParameterException",
        {"repositoryName": "UPPER"},
    )


def test_a_push_is_told_as_ecr_tells_docker_pushes(server: Server, trail: Reading, repository: str) -> None:
    """The routes of a push are InitiateLayerUpload, UploadLayerPart, CompleteLayerUpload and PutImage."""
    image, token = content.image(), server.token()
    blob, digest = image.layers[0], content.digest_of(image.layers[0])
    base = f"/v2/{repository}"
    begun = server.request("POST", f"{base}/blobs/uploads/", token=token)
    upload = begun.headers["Docker-Upload-UUID"]
    part = server.request("PATCH", f"{base}/blobs/uploads/{upload}", token=token, body=blob)
    done = server.request("PUT", f"{base}/blobs/uploads/{upload}?digest={digest}", token=token)
    server.request(
        "POST", f"{base}/blobs/uploads/?digest={content.digest_of(image.config)}", token=token, body=image.config
    )
    put = server.request(
        "PUT", f"{base}/manifests/v1", token=token, body=image.manifest, headers={"Content-Type": image.media_type}
    )
    found = [trail.event(answer.headers["x-request-id"]) for answer in (begun, part, done, put)]
    assert [event["eventName"] for event in found] == [
        "InitiateLayerUpload", "UploadLayerPart", "CompleteLayerUpload", "PutImage",
    ]  # fmt: skip
    assert [event["additionalEventData"]["httpStatus"] for event in found] == [202, 202, 201, 201]
    assert all(event["resources"] == arn_of(repository) and not event["readOnly"] for event in found)
    assert found[0]["responseElements"]["uploadId"] == upload
    assert found[1]["responseElements"]["lastByteReceived"] == len(blob) - 1
    assert found[2]["requestParameters"] == {"repositoryName": repository, "uploadId": upload, "layerDigests": [digest]}
    assert found[3]["requestParameters"]["imageTag"] == "v1"
    assert found[3]["responseElements"] == {
        "image": {
            "registryId": ACCOUNT,
            "repositoryName": repository,
            "imageId": {"imageDigest": image.digest, "imageTag": "v1"},
        }
    }


def test_a_pull_is_told_as_ecr_tells_docker_pulls(server: Server, trail: Reading, repository: str) -> None:
    """The routes of a pull are BatchGetImage and GetDownloadUrlForLayer, in the name of who logged in."""
    image, token = content.push(server, repository, "v1"), server.token()
    base, digest = f"/v2/{repository}", content.digest_of(image.layers[0])
    accept = {"Accept": "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json"}
    asked = server.request("HEAD", f"{base}/manifests/v1", token=token, headers=accept)
    got = server.request("GET", f"{base}/manifests/{image.digest}", token=token)
    layer = server.request("GET", f"{base}/blobs/{digest}", token=token)
    head, manifest, blob = (trail.event(answer.headers["x-request-id"]) for answer in (asked, got, layer))
    assert [one["eventName"] for one in (head, manifest, blob)] == [
        "BatchGetImage",
        "BatchGetImage",
        "GetDownloadUrlForLayer",
    ]
    assert head["requestParameters"] == {
        "repositoryName": repository,
        "imageIds": [{"imageTag": "v1"}],
        "acceptedMediaTypes": accept["Accept"].split(", "),
    }
    assert manifest["requestParameters"]["imageIds"] == [{"imageDigest": image.digest}]
    assert blob["requestParameters"] == {"repositoryName": repository, "layerDigest": digest}
    assert head["additionalEventData"] == {"httpMethod": "HEAD", "httpStatus": 200}
    assert head["userIdentity"]["accessKeyId"] == server.key.access_key_id
    assert all(one["readOnly"] for one in (head, manifest, blob))


def test_refusals_at_the_distribution_door(
    server: Server, trail: Reading, repository: str, reader: dict[str, str]
) -> None:
    """A push by a reader, a wrong password and no password are events of their kinds; a bare ping is none."""
    token = server.token(**reader)
    wrong = base64.b64encode(b"AWS:wrong").decode()
    path = f"/v2/{repository}/blobs/uploads/"
    denied = trail.event(server.request("POST", path, token=token).headers["x-request-id"])
    forged = trail.event(server.request("POST", path, token=wrong).headers["x-request-id"])
    unread = trail.event(server.anonymous("POST", path, headers={"Authorization": "Basic %"}).headers["x-request-id"])
    ping = server.anonymous("GET", "/v2/")
    nobody = trail.event(server.anonymous("GET", f"/v2/{repository}/tags/list").headers["x-request-id"])
    assert (denied["errorCode"], denied["userIdentity"]["userName"]) == ("AccessDenied", "reader")
    assert (denied["additionalEventData"]["decidedBy"], denied["resources"]) == ("implicit deny", arn_of(repository))
    assert (forged["errorCode"], forged["userIdentity"]["type"]) == ("UnrecognizedClientException", "Unknown")
    assert (unread["errorCode"], unread["userIdentity"]["type"]) == ("UnrecognizedClientException", "Unknown")
    assert (nobody["errorCode"], nobody["userIdentity"]["accountId"]) == (
        "MissingAuthenticationTokenException",
        "ANONYMOUS_PRINCIPAL",
    )
    assert not any(ping.headers["x-request-id"] in line for line in trail.lines)


def test_a_session_is_followed_from_its_beginning(server: Server, trail: Reading, repository: str) -> None:
    """AssumeRole tells the id of the key it gave, which the session's own events carry, at both doors."""
    moorage(server, "user", "create", "deployer")
    who = f"arn:aws:iam::{ACCOUNT}:user/deployer"
    trust = document({"Effect": "Allow", "Principal": {"AWS": who}, "Action": "sts:AssumeRole"})
    moorage(server, "role", "create", "deploy", "--trust", "-", text=trust)
    moorage(server, "role", "attach", "deploy", READ_ONLY)
    role = f"arn:aws:iam::{ACCOUNT}:role/deploy"
    answer = server.client("sts", **credentials(server, "deployer")).assume_role(
        RoleArn=role, RoleSessionName="build-7"
    )
    given = answer["Credentials"]
    session = {
        "aws_access_key_id": given["AccessKeyId"],
        "aws_secret_access_key": given["SecretAccessKey"],
        "aws_session_token": given["SessionToken"],
    }
    began = trail.event(request_of(answer))
    listed = trail.event(request_of(server.client(**session).list_images(repositoryName=repository)))
    pulled = trail.event(
        server.request("GET", f"/v2/{repository}/tags/list", token=server.token(**session)).headers["x-request-id"]
    )
    assert (began["eventSource"], began["eventName"], began["readOnly"]) == ("sts.amazonaws.com", "AssumeRole", True)
    assert began["requestParameters"] == {"roleArn": role, "roleSessionName": "build-7"}
    assert began["resources"] == [{"ARN": role, "accountId": ACCOUNT}]
    assert began["responseElements"]["credentials"]["accessKeyId"] == given["AccessKeyId"]
    assert began["responseElements"]["assumedRoleUser"]["arn"] == answer["AssumedRoleUser"]["Arn"]
    for event in (listed, pulled):
        identity = event["userIdentity"]
        assert (identity["type"], identity["accessKeyId"]) == ("AssumedRole", given["AccessKeyId"])
        assert identity["arn"] == answer["AssumedRoleUser"]["Arn"]
        assert identity["sessionContext"]["attributes"]["creationDate"] == began["eventTime"]
        issuer = identity["sessionContext"]["sessionIssuer"]
        assert (issuer["type"], issuer["arn"], issuer["userName"]) == ("Role", role, "deploy")


def test_a_refused_session_is_told(server: Server, trail: Reading, reader: dict[str, str]) -> None:
    """A role that may not be taken on is an event with the role, the caller, and the code that STS gave."""
    role = f"arn:aws:iam::{ACCOUNT}:role/missing"
    with pytest.raises(ClientError) as caught:
        server.client("sts", **reader).assume_role(RoleArn=role, RoleSessionName="build")
    event = trail.event(request_of(caught.value.response))
    assert (event["errorCode"], event["userIdentity"]["userName"]) == ("AccessDenied", "reader")
    assert event["resources"] == [{"ARN": role, "accountId": ACCOUNT}]
    with pytest.raises(ClientError) as unknown:
        server.client("sts", **KEY_OF_NOBODY).get_caller_identity()
    assert trail.event(request_of(unknown.value.response))["errorCode"] == "InvalidClientTokenId"


def test_no_secret_is_in_the_trail(server: Server, trail: Reading, ecr: Any, repository: str) -> None:
    """Tokens, passwords, secrets and signed URLs that went either way are nowhere in the trail."""
    image = content.push(server, repository, "v1")
    password = server.password()
    session = server.client("sts").get_session_token()["Credentials"]
    url = ecr.get_download_url_for_layer(repositoryName=repository, layerDigest=content.digest_of(image.layers[0]))[
        "downloadUrl"
    ]
    fetched = server.http.request("GET", url)
    event = trail.event(fetched.headers["x-request-id"])
    assert event["requestParameters"] == {"layerDigest": content.digest_of(image.layers[0])}
    secrets = [password, session["SecretAccessKey"], session["SessionToken"], url.rpartition("/")[2]]
    assert fetched.status == 200
    assert not [line for line in trail.lines for secret in secrets if secret in line]


def test_long_parameters_are_cut(trail: Reading, ecr: Any, repository: str) -> None:
    """A policy is in the trail whole; what is longer than any policy is cut, and says so; layer bytes never are."""
    statement = {"Effect": "Deny", "Principal": "*", "Action": "ecr:BatchDeleteImage", "Sid": "x" * 9000}
    text = document(statement)
    whole = trail.event(request_of(ecr.set_repository_policy(repositoryName=repository, policyText=text)))
    assert json.loads(whole["requestParameters"]["policyText"]) == json.loads(text)
    upload = ecr.initiate_layer_upload(repositoryName=repository)["uploadId"]
    blob = {"repositoryName": repository, "uploadId": upload, "partFirstByte": 0, "partLastByte": 9}
    part = trail.event(request_of(ecr.upload_layer_part(**blob, layerPartBlob=b"0123456789")))
    assert part["requestParameters"] == blob
    with pytest.raises(ClientError) as caught:
        ecr.put_image(repositoryName=repository, imageManifest="m" * 200_000)
    cut = trail.event(request_of(caught.value.response))["requestParameters"]["imageManifest"]
    assert len(cut) < LONGEST + 100
    assert cut.endswith("… (cut, 200000 characters)")


def test_a_repository_that_a_push_makes_is_told(server: Server, trail: Reading, ecr: Any, name: str) -> None:
    """What a push does besides, in the name of who pushes, is an event of its own with the same request."""
    ecr.create_repository_creation_template(prefix=name, appliedFor=["CREATE_ON_PUSH"])
    request_id = server.request("POST", f"/v2/{name}/app/blobs/uploads/").headers["x-request-id"]
    made, pushed = (trail.event(request_id, event) for event in ("CreateRepository", "InitiateLayerUpload"))
    assert (made["eventName"], made["readOnly"]) == ("CreateRepository", False)
    assert made["requestParameters"] == {"repositoryName": f"{name}/app"}
    assert made["additionalEventData"] == {"causedBy": "InitiateLayerUpload"}
    assert made["userIdentity"] == pushed["userIdentity"]
    assert made["eventID"] != pushed["eventID"]

"""Requests that no client of AWS's would send: each gets its own error, and nothing happens."""

from __future__ import annotations

import dataclasses
import socket
import uuid
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from moorage.aws import model
from moorage.aws.table import OPERATIONS
from moorage.operations import LATER
from tests.aws.wire import CONTENT_TYPE, TARGET, QuerySigner, Request, Sender
from tests.servers import REGION

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.servers import Server

MIB = 1024 * 1024
MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key"
    " and signing method. Consult the service documentation for details."
)


@pytest.fixture(scope="session")
def sender(server: Server) -> Sender:
    """The root of the server's account."""
    return Sender(server)


@pytest.fixture
def empty(server: Server) -> Sender:
    """The root, in a region that nobody else uses."""
    return Sender(server, region=f"empty-{uuid.uuid4().hex[:8]}")


def names_of(sender: Sender) -> list[str]:
    """Return the repositories that a sender sees."""
    answer = sender.send("DescribeRepositories")
    assert answer.status == 200, answer.http.data
    return [repository["repositoryName"] for repository in answer.document["repositories"]]


# --- What every answer has -------------------------------------------------------


def test_a_success_carries_a_request_id(ecr: Any) -> None:
    """The request id that botocore shows is the one of the answer's header, another one for every request."""
    first, second = (ecr.describe_repositories()["ResponseMetadata"] for _ in range(2))
    assert first["RequestId"] == first["HTTPHeaders"]["x-amzn-requestid"]
    assert first["RequestId"] != second["RequestId"]
    assert first["HTTPHeaders"]["content-type"] == CONTENT_TYPE


def test_an_error_carries_a_request_id(ecr: Any) -> None:
    """An error has a request id too, and its code in the header that other SDKs read."""
    with pytest.raises(ecr.exceptions.RepositoryNotFoundException) as caught:
        ecr.describe_repositories(repositoryNames=["not/here"])
    metadata = caught.value.response["ResponseMetadata"]
    assert metadata["RequestId"] == metadata["HTTPHeaders"]["x-amzn-requestid"]
    assert metadata["HTTPHeaders"]["x-amzn-errortype"] == "RepositoryNotFoundException"
    assert metadata["HTTPStatusCode"] == 400


# --- Which operation -------------------------------------------------------------

STRANGE_TARGETS = [
    "Nope",
    "describeRepositories",
    "DescribeRepositories\tCreateRepository",
    "AmazonEC2ContainerRegistry_V20150921",
    "AmazonEC2ContainerRegistry_V20140101.DescribeRepositories",
    "DynamoDB_20120810.ListTables",
    "." * 5000,
]


@pytest.mark.parametrize("target", STRANGE_TARGETS)
def test_an_unknown_target_is_refused(sender: Sender, target: str) -> None:
    """A target that is no operation of ECR, exactly as it is spelled, is an UnknownOperationException."""
    sender.send(target).refused("UnknownOperationException")


def test_a_missing_target_is_refused(sender: Sender) -> None:
    """A request that names no operation is an UnknownOperationException."""
    sender.send(None).refused("UnknownOperationException")


@pytest.mark.parametrize("operation", sorted(model.load().keys() - OPERATIONS.keys()))
def test_what_is_not_offered_yet_says_so(sender: Sender, operation: str) -> None:
    """An operation that ECR has and this version has not is refused by its name, with the reason."""
    message = sender.send(operation).refused("UnknownOperationException")
    assert message == f"{operation} is not available in this version of Moorage: {LATER[operation]}"


# --- Bodies ----------------------------------------------------------------------

NOT_JSON = {
    "half an object": b'{"repositoryName": "ab"',
    "two objects": b"{}{}",
    "single quotes": b"{'repositoryName': 'ab'}",
    "no UTF-8": b'{"repositoryName": "\xff\xfe"}',
    "UTF-16": '{"repositoryName": "ab"}'.encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbf{}",
    "NaN": b'{"maxResults": NaN}',
    "Infinity": b'{"maxResults": -Infinity}',
    "a key twice": b'{"repositoryName": "ab", "repositoryName": "cd"}',
    "lists without end": b"[" * 100_000,
    "objects without end": b'{"a":' * 100_000,
    "a closed abyss": b'{"repositoryName":' + b"[" * 50_000 + b"]" * 50_000 + b"}",
    "a number of many digits": b'{"maxResults": 1' + b"0" * 100_000 + b"}",
    "a NUL": b"\0",
    "a form": b"Action=DescribeRepositories&Version=2015-09-21",
    "XML": b"<?xml version='1.0'?><a/>",
}


@pytest.mark.parametrize("body", NOT_JSON)
@pytest.mark.parametrize("operation", ["CreateRepository", "DescribeRepositories"])
def test_what_is_not_json_is_refused(sender: Sender, operation: str, body: str) -> None:
    """A body that is not JSON in UTF-8 is a SerializationException."""
    sender.send(operation, NOT_JSON[body]).refused("SerializationException")


@pytest.mark.parametrize("body", [b"null", b"[]", b'"text"', b"1", b"true"])
def test_json_that_is_no_object_is_refused(sender: Sender, body: bytes) -> None:
    """A body that is JSON and no object is a SerializationException."""
    sender.send("DescribeRepositories", body).refused("SerializationException")


def test_no_body_is_an_empty_object(sender: Sender) -> None:
    """A request without a body is answered as one with an empty object."""
    assert sender.send("DescribeRepositories", b"").status == 200


WRONG_TYPES: list[tuple[str, dict[str, Any], str]] = [
    ("CreateRepository", {"repositoryName": 1}, "repositoryName"),
    ("CreateRepository", {"repositoryName": ["ab"]}, "repositoryName"),
    ("CreateRepository", {"repositoryName": {"a": "b"}}, "repositoryName"),
    ("CreateRepository", {"repositoryName": True}, "repositoryName"),
    ("CreateRepository", {"repositoryName": "ab", "tags": {}}, "tags"),
    ("CreateRepository", {"repositoryName": "ab", "tags": [["Key"]]}, "tags.1.member"),
    ("CreateRepository", {"repositoryName": "ab", "imageScanningConfiguration": "no"}, "imageScanningConfiguration"),
    (
        "CreateRepository",
        {"repositoryName": "ab", "imageScanningConfiguration": {"scanOnPush": "false"}},
        "imageScanningConfiguration.scanOnPush",
    ),
    ("DescribeRepositories", {"maxResults": "10"}, "maxResults"),
    ("DescribeRepositories", {"maxResults": 1.5}, "maxResults"),
    ("DescribeRepositories", {"maxResults": True}, "maxResults"),
    ("DescribeRepositories", {"maxResults": 1 << 31}, "maxResults"),
    ("DescribeRepositories", {"nextToken": 5}, "nextToken"),
    ("DescribeRepositories", {"repositoryNames": "ab"}, "repositoryNames"),
    ("DeleteRepository", {"repositoryName": "ab", "force": "true"}, "force"),
    ("DeleteRepository", {"repositoryName": "ab", "force": 1}, "force"),
    ("DescribeImages", {"repositoryName": "ab", "imageIds": {"imageTag": "a"}}, "imageIds"),
    ("DescribeImages", {"repositoryName": "ab", "imageIds": ["a"]}, "imageIds.1.member"),
    ("DescribeImages", {"repositoryName": "ab", "filter": "TAGGED"}, "filter"),
    ("PutImage", {"repositoryName": "ab", "imageManifest": {"schemaVersion": 2}}, "ImageManifest"),
    ("SetRepositoryPolicy", {"repositoryName": "ab", "policyText": {"Statement": []}}, "PolicyText"),
]


@pytest.mark.parametrize(("operation", "body", "member"), WRONG_TYPES)
def test_a_wrong_type_is_refused_by_the_name_of_its_member(
    sender: Sender, operation: str, body: dict[str, Any], member: str
) -> None:
    """A member of another JSON type is a SerializationException that names it: nothing is converted."""
    assert f"'{member}'" in sender.send(operation, body).refused("SerializationException")


BAD_BLOBS = ["?", "QQ", "QQ=", "QQ==\n", "Q Q==", "-_-_", "QQ==QQ==", "é", "=" * 4]


@pytest.mark.parametrize("blob", BAD_BLOBS)
def test_bad_base64_is_refused(sender: Sender, repository: str, ecr: Any, blob: str) -> None:
    """A layer part that is not base64, strictly, is a SerializationException and leaves the upload as it was."""
    upload = ecr.initiate_layer_upload(repositoryName=repository)["uploadId"]
    body = {
        "repositoryName": repository,
        "uploadId": upload,
        "partFirstByte": 0,
        "partLastByte": 0,
        "layerPartBlob": blob,
    }
    sender.send("UploadLayerPart", body).refused("SerializationException")
    assert sender.send("UploadLayerPart", body | {"layerPartBlob": "QQ=="}).document["lastByteReceived"] == 0


def test_unknown_members_are_ignored(sender: Sender) -> None:
    """A member that the model does not have is ignored, as is one that is null."""
    assert sender.send("DescribeRepositories", {"sortBy": [1], "maxResults": None, "": {}}).status == 200


@pytest.mark.parametrize("bad", ["\0", "a\0b", "\ud800", "a\udfffb"], ids=["nul", "nul inside", "high", "low"])
@pytest.mark.parametrize(
    ("place", "more"),
    [
        ("CreateRepository.repositoryName", {}),
        ("DescribeRepositories.nextToken", {}),
        ("DescribeRepositories.registryId", {}),
        ("PutImage.imageTag", {"imageManifest": "{}"}),
        ("PutImage.imageManifest", {}),
        ("PutImage.imageDigest", {"imageManifest": "{}"}),
        ("PutImage.imageManifestMediaType", {"imageManifest": "{}"}),
        ("SetRepositoryPolicy.policyText", {}),
        ("GetDownloadUrlForLayer.layerDigest", {}),
        ("CompleteLayerUpload.uploadId", {"layerDigests": ["sha256:00"]}),
    ],
)
def test_text_that_is_no_text_is_refused(
    sender: Sender, repository: str, place: str, more: dict[str, Any], bad: str
) -> None:
    """U+0000 and halves of surrogate pairs are refused wherever a text may stand."""
    operation, _, member = place.partition(".")
    answer = sender.send(operation, {"repositoryName": repository, **more, member: bad})
    answer.refused("InvalidParameterException" if "\0" in bad else "SerializationException")


@pytest.mark.parametrize("member", ["Key", "Value"])
def test_nul_in_a_resource_tag_is_refused(empty: Sender, member: str) -> None:
    """A resource tag with U+0000 in it creates nothing."""
    tag = {"Key": "a", "Value": "b"} | {member: "a\0"}
    empty.send("CreateRepository", {"repositoryName": "ab", "tags": [tag]}).refused("InvalidParameterException")
    assert names_of(empty) == []


def test_a_long_body_is_refused(server: Server, sender: Sender) -> None:
    """A body longer than any operation takes is refused with 413, before it has all been read."""
    signed = sender.request("PutImage", b"{}")
    head = "".join(f"{name}: {value}\r\n" for name, value in signed.headers.items() if name != "Content-Length")
    with socket.create_connection(("localhost", server.port), timeout=60) as connection:
        connection.sendall(f"POST / HTTP/1.1\r\n{head}Content-Length: {1 << 40}\r\n\r\n".encode())
        for _ in range(29):
            connection.sendall(b" " * MIB)
        answer = connection.makefile("rb").read(4096)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"RequestEntityTooLargeException" in answer
    assert names_of(sender)


def test_the_longest_part_fits(ecr: Any, repository: str) -> None:
    """A part of 20 MiB, the longest that the model has, is accepted, and one byte more is refused by its length."""
    upload = {
        "repositoryName": repository,
        "uploadId": ecr.initiate_layer_upload(repositoryName=repository)["uploadId"],
    }
    size = 20 * MIB
    done = ecr.upload_layer_part(**upload, partFirstByte=0, partLastByte=size - 1, layerPartBlob=bytes(size))
    assert done["lastByteReceived"] == size - 1
    with pytest.raises(ecr.exceptions.InvalidParameterException) as caught:
        ecr.upload_layer_part(**upload, partFirstByte=size, partLastByte=2 * size, layerPartBlob=bytes(size + 1))
    assert caught.value.response["Error"]["Message"] == (
        "Invalid parameter at 'layerPartBlob' failed to satisfy constraint:"
        " 'Member must have length less than or equal to 20971520'"
    )


@pytest.mark.parametrize("chunked", [False, True], ids=["with a length", "in chunks"])
@pytest.mark.parametrize("part", [0.0, 0.5, 0.99])
def test_a_body_that_stops_does_nothing(server: Server, empty: Sender, part: float, chunked: bool) -> None:
    """A request whose body breaks off changes nothing, and the server goes on."""
    signed = empty.request("CreateRepository", {"repositoryName": "never"})
    length = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(signed.body)}"
    head = "".join(f"{name}: {value}\r\n" for name, value in signed.headers.items() if name != "Content-Length")
    sent = signed.body[: int(len(signed.body) * part)]
    with socket.create_connection(("localhost", server.port), timeout=60) as connection:
        connection.sendall(f"POST / HTTP/1.1\r\n{head}{length}\r\n\r\n".encode())
        connection.sendall(b"%x\r\n%b\r\n" % (len(sent), sent) if chunked and sent else sent)
        connection.shutdown(socket.SHUT_WR)
        answer = connection.makefile("rb").read()
    assert not answer.startswith((b"HTTP/1.1 200", b"HTTP/1.1 5"))
    assert names_of(empty) == []


# --- Who asks --------------------------------------------------------------------


def test_nobody_is_refused(sender: Sender) -> None:
    """A request without a signature is a MissingAuthenticationTokenException."""
    unsigned = sender.request("DescribeRepositories").with_headers(authorization=None)
    assert unsigned.send(sender.server).refused("MissingAuthenticationTokenException") == "Missing Authentication Token"


@pytest.mark.parametrize("value", ["Basic QVdTOmE=", "Bearer abc", "", "AWS AKIA:abc", "Signature keyId=a"])
def test_another_kind_of_credential_is_refused(sender: Sender, value: str) -> None:
    """A credential that is no signature counts as none at this door, a docker password too."""
    request = sender.request("DescribeRepositories").with_headers(authorization=value)
    request.send(sender.server).refused("MissingAuthenticationTokenException")


def test_an_unknown_key_is_refused(sender: Sender) -> None:
    """A key that is not one of ours is an UnrecognizedClientException, in AWS's words."""
    stranger = dataclasses.replace(sender, key="AKIA" + "A" * 16)
    message = stranger.send("DescribeRepositories").refused("UnrecognizedClientException")
    assert message == "The security token included in the request is invalid."


def test_a_wrong_secret_is_refused(sender: Sender) -> None:
    """The right key with a wrong secret is an InvalidSignatureException, in AWS's words."""
    forger = dataclasses.replace(sender, secret="a" * 40)
    assert forger.send("DescribeRepositories").refused("InvalidSignatureException") == MISMATCH


def test_a_session_token_is_refused(sender: Sender) -> None:
    """A session token, which no key here has, is an UnrecognizedClientException, well signed as it may be."""
    foreign = dataclasses.replace(sender, token="FwoGZXIvYXdzEBYaD")
    foreign.send("DescribeRepositories").refused("UnrecognizedClientException")


@pytest.mark.parametrize(
    ("minutes", "beginning"),
    [(6, "Signature expired: "), (60 * 24 * 400, "Signature expired: "), (-6, "Signature not yet current: ")],
)
def test_another_time_is_refused(sender: Sender, minutes: int, beginning: str) -> None:
    """A request that was signed more than five minutes from now, past or future, is an InvalidSignatureException."""
    late = dataclasses.replace(sender, late=timedelta(minutes=minutes))
    assert late.send("DescribeRepositories").refused("InvalidSignatureException").startswith(beginning)


@pytest.mark.parametrize("minutes", [4, -4])
def test_clocks_may_differ_a_little(sender: Sender, minutes: int) -> None:
    """A clock that is four minutes slow or fast is accepted."""
    assert dataclasses.replace(sender, late=timedelta(minutes=minutes)).send("DescribeRepositories").status == 200


ALTERED: dict[str, Callable[[Request], Request]] = {
    "the body": lambda r: dataclasses.replace(r, body=r.body.replace(b"never", b"other")),
    "a space in the body": lambda r: dataclasses.replace(r, body=r.body + b" "),
    "no body": lambda r: dataclasses.replace(r, body=b""),
    "a query": lambda r: dataclasses.replace(r, url=r.url + "?force=true"),
    "the target": lambda r: r.with_headers(x_amz_target=TARGET + "DeleteRepository"),
    "the content type": lambda r: r.with_headers(content_type="application/json"),
    "the date": lambda r: r.with_headers(x_amz_date=_a_second_off(r.headers["X-Amz-Date"])),
    "the host": lambda r: r.with_headers(host="registry.example.com"),
    "one more x-amz header": lambda r: r.with_headers(x_amz_user_agent="abc"),
    "a session token": lambda r: r.with_headers(x_amz_security_token="abc"),
    "a signed header dropped": lambda r: r.with_headers(content_type=None),
    "the region": lambda r: _reauthorized(r, f"/{REGION}/", "/eu-central-1/"),
    "the service": lambda r: _reauthorized(r, "/ecr/", "/sts/"),
    "the terminator": lambda r: _reauthorized(r, "/aws4_request", "/aws5_request"),
    "fewer signed headers": lambda r: _reauthorized(r, "content-type;", ""),
    "the host not signed": lambda r: _reauthorized(r, "host;", ""),
    "the signature": lambda r: _reauthorized(r, "Signature=", "Signature=0"),
    "the body hash": lambda r: r.with_headers(x_amz_content_sha256="UNSIGNED-PAYLOAD"),
}


def _a_second_off(date: str) -> str:
    return f"{date[:-2]}{int(date[-2]) ^ 1}Z"


def _reauthorized(request: Request, old: str, new: str) -> Request:
    authorization = request.headers["Authorization"]
    assert old in authorization
    return request.with_headers(authorization=authorization.replace(old, new, 1))


@pytest.mark.parametrize("change", ALTERED)
def test_what_is_altered_is_refused(sender: Sender, change: str) -> None:
    """A request of which anything is changed after it was signed is an InvalidSignatureException."""
    signed = sender.request("CreateRepository", {"repositoryName": "never"})
    answer = ALTERED[change](signed).send(sender.server)
    # A session token, even if it has been put there by another, is looked at first.
    answer.refused("UnrecognizedClientException" if "token" in change else "InvalidSignatureException")
    assert "never" not in names_of(sender)


MALFORMED = [
    "AWS4-HMAC-SHA256",
    "AWS4-HMAC-SHA256 ",
    "AWS4-HMAC-SHA256 Credential",
    "AWS4-HMAC-SHA256 Credential=, SignedHeaders=, Signature=",
    "AWS4-HMAC-SHA256 Credential=a/b/c, SignedHeaders=host, Signature=abc",
    "AWS4-HMAC-SHA256 Credential=AKIA/20260101/eu-west-1/ecr/aws4_request, SignedHeaders=host",
    "AWS4-HMAC-SHA256 Credential=AKIA/20260101/eu-west-1/ecr/aws4_request, Signature=abc",
    "AWS4-HMAC-SHA256 SignedHeaders=host, Signature=abc",
    "AWS4-HMAC-SHA512 Credential=AKIA/20260101/eu-west-1/ecr/aws4_request, SignedHeaders=host, Signature=abc",
    "AWS4-ECDSA-P256-SHA256 Credential=AKIA/20260101/ecr/aws4_request, SignedHeaders=host, Signature=abc",
    "AWS4-HMAC-SHA256 Credential=AKIA/20260101/eu-west-1/ecr/aws4_request, SignedHeaders=HOST, Signature=abc",
    "AWS4-HMAC-SHA256 " + "Credential=a," * 2,
    "AWS4-HMAC-SHA256 " + "a=b," * 5000,
    "AWS4-HMAC-SHA256 \xe9",
]


@pytest.mark.parametrize("value", MALFORMED)
def test_half_a_signature_is_refused(sender: Sender, value: str) -> None:
    """An Authorization header that begins as a signature and is none is an IncompleteSignatureException."""
    sender.request("DescribeRepositories").with_headers(authorization=value).send(sender.server).refused(
        "IncompleteSignatureException"
    )


def test_two_signatures_are_refused(sender: Sender) -> None:
    """A request with a signature in its header and one in its query is an IncompleteSignatureException."""
    presigned = dataclasses.replace(sender, signer=QuerySigner).request("DescribeRepositories", b"")
    signed = sender.request("DescribeRepositories", b"")
    both = dataclasses.replace(signed, url=presigned.url)
    both.send(sender.server).refused("IncompleteSignatureException")


def test_a_presigned_request_has_no_body(sender: Sender) -> None:
    """A body behind a presigned URL is refused: its signature covers none."""
    presigned = dataclasses.replace(sender, signer=QuerySigner).request("CreateRepository", b"")
    smuggling = dataclasses.replace(presigned, body=b'{"repositoryName": "smuggled"}')
    smuggling.send(sender.server).refused("InvalidSignatureException")
    assert "smuggled" not in names_of(sender)


def test_a_signed_query_does_not_replace_a_signed_body(empty: Sender) -> None:
    """The words of a presigned URL, somewhere in the query of a request signed in its header, change nothing."""
    body = {"repositoryName": "from-body"}
    request = empty.request("CreateRepository", body, query="?repositoryName=X-Amz-Signature=")
    assert request.send(empty.server).status == 200
    assert names_of(empty) == ["from-body"]


def test_another_region_is_another_registry(empty: Sender) -> None:
    """A request signed for another region addresses another registry, where there is nothing of the first."""
    assert empty.send("CreateRepository", {"repositoryName": "here"}).status == 200
    other = dataclasses.replace(empty, region=f"other-{uuid.uuid4().hex[:8]}")
    assert names_of(other) == []
    assert "'here'" in other.send("ListImages", {"repositoryName": "here"}).refused("RepositoryNotFoundException")


@pytest.mark.parametrize("region", ["EU-WEST-1", "eu_west_1", "-", "a--b", "a" * 33, "eu west", ".."])
def test_what_is_no_region_is_refused(sender: Sender, region: str) -> None:
    """A signature for what cannot be a region is refused, whoever made it."""
    answer = dataclasses.replace(sender, region=region).send("DescribeRepositories")
    assert answer.status == 400
    assert answer.document["__type"] in {"InvalidSignatureException", "UnrecognizedClientException"}


def test_the_credential_is_looked_at_before_the_arguments(sender: Sender) -> None:
    """Who is not known does not learn what is wrong with the request."""
    unsigned = sender.request("CreateRepository", b"not JSON").with_headers(authorization=None)
    unsigned.send(sender.server).refused("MissingAuthenticationTokenException")


def test_the_arguments_are_looked_at_before_the_repository(sender: Sender) -> None:
    """A constraint that is broken is reported before a repository that is not there."""
    body = {"repositoryName": "not/here", "maxResults": 0}
    assert "maxResults" in sender.send("ListImages", body).refused("InvalidParameterException")


# --- HTTP ------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_only_post_is_answered(server: Server, method: str) -> None:
    """Any other method at this door is refused with 405."""
    assert server.anonymous(method, "/").status == 405


def test_a_long_header_does_no_harm(sender: Sender) -> None:
    """A header of 64 KiB that nothing reads is passed over or refused, and is never a server's fault."""
    answer = sender.request("DescribeRepositories").with_headers(x_long="a" * 65536).send(sender.server)
    assert answer.status in {200, 400, 431}
    assert names_of(sender)


def test_headers_without_end_are_refused(server: Server, sender: Sender) -> None:
    """A head of some megabytes is cut off, and the server goes on."""
    with socket.create_connection(("localhost", server.port), timeout=60) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\n")
        received = b""
        try:
            for _ in range(200):
                connection.sendall(b"X-Filler: " + b"a" * 65536 + b"\r\n")
            received = connection.makefile("rb").read(64)
        except ConnectionError:
            pass  # the server has hung up, which is as good
    assert not received.startswith((b"HTTP/1.1 2", b"HTTP/1.1 5"))
    assert names_of(sender)


def test_a_header_given_twice_is_refused(server: Server, sender: Sender) -> None:
    """A request with two targets is refused: which one is signed would be a matter of opinion."""
    signed = sender.request("DescribeRepositories")
    head = "".join(f"{name}: {value}\r\n" for name, value in signed.headers.items())
    twice = f"POST / HTTP/1.1\r\n{head}X-Amz-Target: {TARGET}CreateRepository\r\nContent-Length: 2\r\n\r\n{{}}"
    with socket.create_connection(("localhost", server.port), timeout=60) as connection:
        connection.sendall(twice.encode())
        answer = connection.recv(65536)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"IncompleteSignatureException" in answer


def test_the_path_is_the_root(server: Server, sender: Sender) -> None:
    """The API is at the root alone: a signed request to another path is not answered by it."""
    signed = sender.request("DescribeRepositories")
    elsewhere = dataclasses.replace(signed, url=f"{server.url}/api/")
    assert elsewhere.send(server).status == 404

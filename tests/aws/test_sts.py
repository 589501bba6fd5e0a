"""STS on the same address: who am I, in the query protocol that every login script speaks."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode
from xml.etree import ElementTree as ET

import pytest
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.aws.wire import Answer, Request, Sender
from tests.servers import ACCOUNT

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.servers import Server

NAMESPACE = "{https://sts.amazonaws.com/doc/2011-06-15/}"
FORM = "application/x-www-form-urlencoded; charset=utf-8"
WHO = b"Action=GetCallerIdentity&Version=2011-06-15"


@pytest.fixture
def sender(server: Server) -> Sender:
    """The root, asking STS."""
    return Sender(server, service="sts", headers={"Content-Type": FORM})


def refused(answer: Answer, code: str, status: int) -> str:
    """Assert that this is an error of that code, in the form of the query protocol; return its message."""
    assert answer.status == status, answer.http.data
    assert answer.http.headers["Content-Type"].startswith("text/xml")
    document = ET.fromstring(answer.http.data)  # noqa: S314 (our own answer)
    assert document.tag == f"{NAMESPACE}ErrorResponse"
    assert document.findtext(f"{NAMESPACE}Error/{NAMESPACE}Code") == code
    assert document.findtext(f"{NAMESPACE}Error/{NAMESPACE}Type") == "Sender"
    assert document.findtext(f"{NAMESPACE}RequestId") == answer.http.headers["x-request-id"]
    return document.findtext(f"{NAMESPACE}Error/{NAMESPACE}Message") or ""


def test_boto3_learns_who_it_is(server: Server) -> None:
    """GetCallerIdentity gives account, ARN and user id of the account's root."""
    answer = server.client("sts").get_caller_identity()
    metadata = answer.pop("ResponseMetadata")
    assert answer == {"Account": ACCOUNT, "Arn": f"arn:aws:iam::{ACCOUNT}:root", "UserId": ACCOUNT}
    assert metadata["RequestId"] == metadata["HTTPHeaders"]["x-request-id"]


@pytest.mark.parametrize("region", ["us-east-1", "cn-north-1", "on-premises", "aws-global"])
def test_any_region_may_ask(server: Server, region: str) -> None:
    """Who somebody is does not depend on the region of the question."""
    assert server.client("sts", region_name=region).get_caller_identity()["Account"] == ACCOUNT


def test_a_wrong_secret_is_refused(server: Server) -> None:
    """A wrong secret is STS's SignatureDoesNotMatch."""
    client = server.client("sts", aws_secret_access_key="a" * 40)
    with pytest.raises(ClientError) as caught:
        client.get_caller_identity()
    assert caught.value.response["Error"]["Code"] == "SignatureDoesNotMatch"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


def test_an_unknown_key_is_refused(server: Server) -> None:
    """An unknown key is STS's InvalidClientTokenId, in its words."""
    client = server.client("sts", aws_access_key_id="AKIA" + "A" * 16)
    with pytest.raises(ClientError) as caught:
        client.get_caller_identity()
    assert caught.value.response["Error"]["Code"] == "InvalidClientTokenId"
    assert caught.value.response["Error"]["Message"] == "The security token included in the request is invalid."


def test_nobody_is_refused(sender: Sender) -> None:
    """A request without a signature is a MissingAuthenticationToken."""
    unsigned = sender.request(None, WHO).with_headers(authorization=None)
    refused(unsigned.send(sender.server), "MissingAuthenticationToken", 403)


ALTERED: dict[str, Callable[[Request], Request]] = {
    "the body": lambda request: dataclasses.replace(request, body=request.body + b"&x=y"),
    "the path": lambda request: dataclasses.replace(request, url=request.url + "?x=y"),
    "the date": lambda request: request.with_headers(x_amz_date="20200101T000000Z"),
}


@pytest.mark.parametrize("change", ALTERED)
def test_what_is_altered_is_refused(sender: Sender, change: str) -> None:
    """A request of which anything is changed after it was signed is a SignatureDoesNotMatch."""
    refused(ALTERED[change](sender.request(None, WHO)).send(sender.server), "SignatureDoesNotMatch", 403)


def test_a_late_request_is_refused(sender: Sender) -> None:
    """A request that was signed too long ago is refused with the times that it was about."""
    late = dataclasses.replace(sender, late=timedelta(hours=1))
    assert refused(late.send(None, WHO), "SignatureDoesNotMatch", 403).startswith("Signature expired: ")


def test_a_signature_for_ecr_is_none_for_sts(sender: Sender) -> None:
    """What is signed for one service is refused by the other."""
    refused(dataclasses.replace(sender, service="ecr").send(None, WHO), "SignatureDoesNotMatch", 403)
    ecr = dataclasses.replace(sender, headers={})
    ecr.send("DescribeRepositories").refused("InvalidSignatureException")


UNKNOWN = {
    "nothing": b"",
    "no action": b"Version=2011-06-15",
    "an action of another service": b"Action=ListUsers&Version=2010-05-08",
    "an action we lack": b"Action=DecodeAuthorizationMessage&Version=2011-06-15",
    "another spelling": b"Action=getcalleridentity&Version=2011-06-15",
    "no text": b"Action=%00%01%0B%EF%BF%BE&Version=2011-06-15",
    "no UTF-8": b"Action=%FF%FE",
    "raw bytes": b"\xff\xfe",
    "markup": b"Action=%3C%2FMessage%3E%26amp%3B",
    "JSON": b'{"Action": "GetCallerIdentity"}',
    "many fields": WHO + b"&a=b" * 1000,
    "a long name": b"Action=" + b"a" * 100_000,
}


@pytest.mark.parametrize("case", UNKNOWN)
def test_what_is_no_action_is_refused(sender: Sender, case: str) -> None:
    """What names no action that we have is an InvalidAction, in XML that can be read."""
    refused(sender.send(None, UNKNOWN[case]), "InvalidAction", 400)


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    pairs=st.lists(
        st.tuples(
            st.sampled_from(["Action", "Version", "RoleArn", "RoleSessionName", "DurationSeconds", "Policy", "X"]),
            st.sampled_from(["GetCallerIdentity", "AssumeRole", "GetSessionToken", "AssumeRoleWithWebIdentity"])
            | st.text(max_size=20),
        ),
        max_size=6,
    )
)
def test_no_form_is_our_fault(sender: Sender, pairs: list[tuple[str, str]]) -> None:
    """Any form is answered or refused, in XML that can be read."""
    body = urlencode([(key, value.encode("utf-8", "replace")) for key, value in pairs]).encode()
    answer = sender.send(None, body)
    assert answer.status in {200, 400, 403}, answer.http.data
    ET.fromstring(answer.http.data)  # noqa: S314 (our own answer)


def test_sts_is_met_by_its_protocol(server: Server) -> None:
    """A form that names a target is ECR's, and JSON without one is no request to STS."""
    form: Any = Sender(server, headers={"Content-Type": FORM})
    form.send("DescribeRepositories", b"{}").http.close()
    assert form.send("DescribeRepositories", b"{}").status == 200
    Sender(server).send(None, b"{}").refused("UnknownOperationException")

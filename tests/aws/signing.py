"""Signed requests: made by real botocore clients, and by a signer of our own written from AWS's description."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import io
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3
from botocore.awsrequest import AWSResponse
from botocore.parsers import ResponseParserError

from moorage.aws.sigv4 import Claim, SignedRequest, parse, verify

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

HOST = "localhost:5100"
KEY = "AKIAEXAMPLE"
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
TARGET = "AmazonEC2ContainerRegistry_V20150921."


class _Nothing(io.BytesIO):
    def stream(self, *_args: object, **_named: object) -> Iterator[bytes]:
        yield self.read()


def client(service: str = "ecr", token: str | None = None) -> Any:
    # By way of Any: the stubs have an overload for every service there is.
    make: Any = boto3.client
    return make(
        service,
        region_name="us-east-1",
        endpoint_url=f"http://{HOST}",
        aws_access_key_id=KEY,
        aws_secret_access_key=SECRET,
        aws_session_token=token,
    )


def captured(service: str, operation: str, token: str | None = None, **arguments: Any) -> SignedRequest:
    """What a botocore client sends for an operation."""
    sent: list[Any] = []

    def answer(request: Any, **_named: Any) -> AWSResponse:
        sent.append(request)
        return AWSResponse(request.url, 200, {}, _Nothing())  # type: ignore[arg-type]

    made = client(service, token)
    made.meta.events.register("before-send", answer)
    with contextlib.suppress(ResponseParserError):  # STS answers in XML, and there is no answer
        getattr(made, operation)(**arguments)
    (request,) = sent
    url = urlsplit(request.url)
    headers = [(name.lower(), v.decode() if isinstance(v, bytes) else str(v)) for name, v in request.headers.items()]
    body = request.body.encode() if isinstance(request.body, str) else request.body
    return SignedRequest(request.method, url.path, url.query, [("host", HOST), *headers], body)


def presigned(operation: str, expires: int = 900, token: str | None = None, **arguments: Any) -> SignedRequest:
    """What a caller sends with the URL that ``generate_presigned_url`` gave."""
    url = urlsplit(client(token=token).generate_presigned_url(operation, Params=arguments, ExpiresIn=expires))
    target = "".join(word.capitalize() for word in operation.split("_"))
    headers = [("host", HOST), ("content-type", "application/x-amz-json-1.1"), ("x-amz-target", TARGET + target)]
    return SignedRequest("POST", url.path or "/", url.query, headers, b"")


def sign(
    headers: Sequence[tuple[str, str]],
    *,
    method: str = "POST",
    path: str = "/",
    query: str = "",
    body: bytes = b"{}",
    timestamp: str = "20260101T120000Z",
    scope: str = "20260101/us-east-1/ecr/aws4_request",
    signed: Sequence[str] | None = None,
    payload: str | None = None,
) -> SignedRequest:
    """Sign as AWS describes it, whatever sense it makes: all headers unless ``signed`` names them."""
    values: dict[str, list[str]] = {}
    for name, value in headers:
        values.setdefault(name, []).append(" ".join(value.split()))
    names = sorted(values if signed is None else signed)
    lines = [f"{name}:{','.join(values.get(name, ['']))}" for name in names]
    pairs = sorted(pair if "=" in pair else f"{pair}=" for pair in query.split("&")) if query else []
    digest = payload or hashlib.sha256(body).hexdigest()
    canonical = "\n".join([method, path, "&".join(pairs), *lines, "", ";".join(names), digest])
    to_sign = "\n".join(["AWS4-HMAC-SHA256", timestamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = f"AWS4{SECRET}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, to_sign.encode(), "sha256").hex()
    authorization = f"AWS4-HMAC-SHA256 Credential={KEY}/{scope}, SignedHeaders={';'.join(names)}, Signature={signature}"
    return SignedRequest(method, path, query, [*headers, ("authorization", authorization)], body)


IN_HEADER = captured("ecr", "describe_images", repositoryName="ab", imageIds=[{"imageTag": "é"}])
IN_QUERY = presigned("describe_images", repositoryName="ab", imageIds=[{"imageTag": "é"}], maxResults=5)


def check(request: SignedRequest, *, now: datetime | None = None, secret: str = SECRET, service: str = "ecr") -> Claim:
    """Parse and verify a request, at the moment of its signing unless told otherwise."""
    claim = parse(request)
    assert claim is not None
    # The key's name is not signed: it chooses the secret, and another key has another.
    held = secret if claim.access_key_id == KEY else "another"
    verify(request, claim, held, now or claim.signed_at, frozenset({service}))
    return claim


def claim_of(request: SignedRequest) -> Claim:
    claim = parse(request)
    assert claim is not None
    return claim

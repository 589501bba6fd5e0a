"""Signature Version 4: what botocore signs passes, and nothing else does."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from moorage.aws.claims import stamp
from moorage.aws.sigv4 import SignedRequest, parse
from moorage.domain.errors import Failure, IncompleteSignature, InvalidSignature
from tests.aws.signing import HOST, IN_HEADER, IN_QUERY, KEY, SECRET, captured, check, claim_of, presigned, sign

if TYPE_CHECKING:
    from collections.abc import Callable

    Change = Callable[[SignedRequest], SignedRequest]

MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key"
    " and signing method. Consult the service documentation for details."
)
SECOND = timedelta(seconds=1)
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
HEADERS = [("host", HOST), ("x-amz-date", "20260101T120000Z"), ("x-amz-target", "Service.Operation")]


def header(name: str, value: str) -> Change:
    """Give a header another value."""
    return lambda request: replace(request, headers=[(n, value if n == name else v) for n, v in request.headers])


def without(*names: str) -> Change:
    return lambda request: replace(request, headers=[(n, v) for n, v in request.headers if n not in names])


def added(name: str, value: str) -> Change:
    return lambda request: replace(request, headers=[*request.headers, (name, value)])


def authorized(old: str, new: str) -> Change:
    """Change something in the Authorization header."""
    return _changed_header("authorization", old, new)


def _changed_header(name: str, old: str, new: str) -> Change:
    def change(request: SignedRequest) -> SignedRequest:
        assert any(old in v for n, v in request.headers if n == name)
        return replace(request, headers=[(n, v.replace(old, new) if n == name else v) for n, v in request.headers])

    return change


def queried(old: str, new: str) -> Change:
    """Change something in the query."""

    def change(request: SignedRequest) -> SignedRequest:
        assert old in request.query
        return replace(request, query=request.query.replace(old, new, 1))

    return change


def more_query(text: str) -> Change:
    return lambda request: replace(request, query=f"{request.query}&{text}".lstrip("&"))


# --- What passes ---------------------------------------------------------------------


def test_what_a_client_signs_passes() -> None:
    """A request of an unmodified boto3 client is accepted, and its claim says who made it."""
    claim = check(IN_HEADER)
    assert (claim.access_key_id, claim.region, claim.service) == (KEY, "us-east-1", "ecr")
    assert claim.signed_headers == ("content-type", "host", "x-amz-date", "x-amz-target")
    assert claim.session_token is None
    assert not claim.presigned
    # It was signed when this module was imported, and that may be a while ago.
    assert timedelta() <= datetime.now(UTC) - claim.signed_at < timedelta(hours=2)


def test_a_presigned_url_passes() -> None:
    """What ``generate_presigned_url`` gives is accepted with its two headers and no body."""
    claim = check(IN_QUERY)
    assert (claim.access_key_id, claim.region, claim.expires) == (KEY, "us-east-1", 900)
    assert claim.presigned
    check(IN_QUERY, now=claim.signed_at + timedelta(seconds=900))


def test_a_session_token_is_part_of_the_claim() -> None:
    """A session token is read from the header or the query, and is signed with the rest."""
    in_header = captured("ecr", "describe_repositories", token="tok/en+==")
    in_query = presigned("describe_repositories", token="tok/en+==")
    assert check(in_header).session_token == check(in_query).session_token == "tok/en+=="
    with pytest.raises(InvalidSignature):
        check(header("x-amz-security-token", "other")(in_header))
    with pytest.raises(InvalidSignature):
        check(queried("X-Amz-Security-Token=tok", "X-Amz-Security-Token=tik")(in_query))


def test_sts_passes_where_it_may() -> None:
    """A request for STS is accepted by who accepts STS, and by no one else."""
    request = captured("sts", "get_caller_identity")
    check(request, service="sts")
    with pytest.raises(InvalidSignature, match=r"^Credential should be scoped to correct service: 'ecr'\.$"):
        check(request)


def test_a_large_body_passes() -> None:
    """A layer part is signed like any other body."""
    upload = "01234567-89ab-cdef-0123-456789abcdef"
    part: dict[str, Any] = {
        "uploadId": upload,
        "partFirstByte": 0,
        "partLastByte": 99999,
        "layerPartBlob": bytes(100000),
    }
    check(captured("ecr", "upload_layer_part", repositoryName="ab", **part))


def test_the_published_example_passes() -> None:
    """AWS's own test vector ``get-vanilla`` has the signature that AWS says."""
    request = sign(
        [("host", "example.amazonaws.com"), ("x-amz-date", "20150830T123600Z")],
        method="GET",
        body=b"",
        timestamp="20150830T123600Z",
        scope="20150830/us-east-1/service/aws4_request",
    )
    assert "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31" in request.headers[-1][1]
    check(request, service="service")


@pytest.mark.parametrize(
    "request_",
    [
        sign([*HEADERS, ("user-agent", "me  and\tyou"), ("x-other", "1"), ("x-other", "2")]),
        sign([*HEADERS, ("x-amz-content-sha256", "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a")]),
        sign([("host", HOST), ("date", "Thu, 01 Jan 2026 12:00:00 GMT")]),
        sign([("host", HOST), ("date", "Thu, 01 Jan 2026 12:00:00 -0000")]),
        sign([("host", HOST), ("date", "Thu, 01 Jan 2026 13:00:00 +0100")]),
        sign([("host", HOST), ("date", "20260101T120000Z")]),
        sign([*HEADERS, ("date", "Thu, 01 Jan 1970 00:00:00 GMT")]),
        sign(HEADERS, path="/a%20b/c", query="b=2&a=1&a&c=%2F+"),
        sign(HEADERS[:2]),
    ],
)
def test_what_is_signed_in_other_ways_passes(request_: SignedRequest) -> None:
    """Any header may be signed, the time may be in Date, and a path and query are signed as they are."""
    # botocore, like AWS, escapes once more what is escaped in the path.
    if request_.path != "/":
        request_ = replace(sign(HEADERS, path="/a%2520b/c", query=request_.query), path=request_.path)
    assert check(request_).signed_at == NOON


@pytest.mark.parametrize(
    "change",
    [
        lambda request: replace(request, headers=request.headers[:-1]),
        without("authorization"),
        header("authorization", "Basic QVdTOnRva2Vu"),
        header("authorization", "Bearer AWS4-HMAC-SHA256"),
        header("authorization", ""),
    ],
)
def test_what_is_not_signed_is_not_ours(change: Change) -> None:
    """A request with another credential, or none, is no claim and no error."""
    assert parse(change(sign(HEADERS))) is None


# --- What does not -------------------------------------------------------------------

HEADER_CHANGES: list[tuple[str, Change, type[Failure]]] = [
    ("method", lambda r: replace(r, method="PUT"), InvalidSignature),
    ("method in small letters", lambda r: replace(r, method="post"), InvalidSignature),
    ("path", lambda r: replace(r, path="/v2"), InvalidSignature),
    ("path with more slashes", lambda r: replace(r, path="//"), InvalidSignature),
    ("path with dots", lambda r: replace(r, path="/a/../"), InvalidSignature),
    ("no path", lambda r: replace(r, path=""), InvalidSignature),
    ("path with a fragment", lambda r: replace(r, path="/#a"), InvalidSignature),
    ("path with a query", lambda r: replace(r, path="/?"), InvalidSignature),
    ("path that is not ASCII", lambda r: replace(r, path="/\xe9"), InvalidSignature),
    ("path with a newline", lambda r: replace(r, path="/\n"), InvalidSignature),
    ("query", more_query("a=1"), InvalidSignature),
    ("an empty query parameter", lambda r: replace(r, query="&"), InvalidSignature),
    ("body", lambda r: replace(r, body=r.body.replace(b"ab", b"ac")), InvalidSignature),
    ("longer body", lambda r: replace(r, body=r.body + b" "), InvalidSignature),
    ("no body", lambda r: replace(r, body=b""), InvalidSignature),
    ("host", header("host", "localhost:5101"), InvalidSignature),
    ("target", header("x-amz-target", "AmazonEC2ContainerRegistry_V20150921.DeleteRepository"), InvalidSignature),
    ("content type", header("content-type", "application/x-amz-json-1.0"), InvalidSignature),
    ("no content type", without("content-type"), InvalidSignature),
    ("no host", without("host"), InvalidSignature),
    ("no target", without("x-amz-target"), InvalidSignature),
    ("a header that is not text", header("content-type", "\udc80"), InvalidSignature),
    ("a second target", added("x-amz-target", "a"), IncompleteSignature),
    ("a second host", added("host", HOST), IncompleteSignature),
    ("a second content type", added("content-type", "text/plain"), IncompleteSignature),
    ("a second date", added("x-amz-date", "20260101T120000Z"), IncompleteSignature),
    ("a second authorization", added("authorization", "Basic QVdTOnRva2Vu"), IncompleteSignature),
    ("a token that is not signed", added("x-amz-security-token", "token"), InvalidSignature),
    ("the hash of another body", added("x-amz-content-sha256", "0" * 64), InvalidSignature),
    ("another time", lambda r: header("x-amz-date", stamp(claim_of(r).signed_at + SECOND))(r), InvalidSignature),
    ("no time", without("x-amz-date"), IncompleteSignature),
    ("a time of another form", header("x-amz-date", "2026-01-01T12:00:00Z"), IncompleteSignature),
    ("a time that is none", header("x-amz-date", "20261301T120000Z"), IncompleteSignature),
    *[
        (f"{name} left out of the list", authorized(f"{before}{name}{after}", glue), InvalidSignature)
        for before, name, after, glue in [
            ("=", "content-type", ";", "="),
            (";", "host", ";", ";"),
            (";", "x-amz-date", ";", ";"),
            (";", "x-amz-target", ",", ","),
        ]
    ],
    ("another header in the list", authorized("content-type;", "accept;content-type;"), InvalidSignature),
    ("a list that is not sorted", authorized("content-type;host", "host;content-type"), IncompleteSignature),
    ("a list with repeats", authorized("host;", "host;host;"), IncompleteSignature),
    ("a list in capitals", authorized("host;", "Host;"), IncompleteSignature),
    ("an empty list", authorized("content-type;host;x-amz-date;x-amz-target", ""), IncompleteSignature),
    ("another key", authorized(KEY, "AKIAOTHER"), InvalidSignature),
    ("no key", authorized(f"{KEY}/", "/"), IncompleteSignature),
    ("a key of other characters", authorized(KEY, "AK IA"), IncompleteSignature),
    ("another region", authorized("us-east-1", "us-east-2"), InvalidSignature),
    ("a region that is none", authorized("us-east-1", "US_EAST"), InvalidSignature),
    ("another service", authorized("/ecr/", "/ec2/"), InvalidSignature),
    ("another end of the scope", authorized("aws4_request", "aws5_request"), InvalidSignature),
    ("a short scope", authorized("/aws4_request", ""), IncompleteSignature),
    ("a long scope", authorized("/aws4_request", "/aws4_request/more"), IncompleteSignature),
    ("another algorithm", authorized("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"), IncompleteSignature),
    ("another signature", authorized("Signature=", "Signature=0"), InvalidSignature),
    ("a signature that is not ASCII", authorized("Signature=", "Signature=\xe9"), InvalidSignature),
    ("no signature", authorized("Signature=", "Signatur="), IncompleteSignature),
    ("two signatures", authorized("Signature=", "Signature=0, Signature="), IncompleteSignature),
    ("a part without a value", authorized("Signature=", "Signature"), IncompleteSignature),
    ("nothing but the algorithm", header("authorization", "AWS4-HMAC-SHA256"), IncompleteSignature),
    ("an endless authorization", authorized("Signature=", "Signature=" + "0" * 8192), IncompleteSignature),
    ("endless headers", lambda r: replace(r, headers=[*r.headers, *[("a", "b")] * 256]), IncompleteSignature),
    ("an endless query", more_query("a" * ((1 << 20) + 1)), IncompleteSignature),
    ("a query of endless parameters", more_query("a&" * 10_001), IncompleteSignature),
    ("signed in the query too", more_query(IN_QUERY.query), IncompleteSignature),
]


@pytest.mark.parametrize(("change", "error"), [case[1:] for case in HEADER_CHANGES], ids=[c[0] for c in HEADER_CHANGES])
def test_any_change_to_a_signed_request_is_seen(change: Change, error: type[Failure]) -> None:
    """A request that was changed in one thing after it was signed is refused, with the failure for that thing."""
    with pytest.raises(error):
        check(change(IN_HEADER), now=claim_of(IN_HEADER).signed_at)


QUERY_CHANGES: list[tuple[str, Change, type[Failure]]] = [
    ("method", lambda r: replace(r, method="GET"), InvalidSignature),
    ("path", lambda r: replace(r, path="/v2"), InvalidSignature),
    ("a parameter", queried("repositoryName=ab", "repositoryName=ac"), InvalidSignature),
    ("a parameter more", more_query("force=True"), InvalidSignature),
    ("a parameter less", queried("repositoryName=ab&", ""), InvalidSignature),
    ("an escape written otherwise", queried("%27", "'"), InvalidSignature),
    ("a body", lambda r: replace(r, body=b"{}"), InvalidSignature),
    ("host", header("host", "localhost:5101"), InvalidSignature),
    ("target", header("x-amz-target", "AmazonEC2ContainerRegistry_V20150921.DeleteRepository"), InvalidSignature),
    ("no target", without("x-amz-target"), InvalidSignature),
    ("content type", header("content-type", "application/json"), InvalidSignature),
    ("target not in the list", queried("%3Bx-amz-target", ""), InvalidSignature),
    ("host not in the list", queried("%3Bhost", ""), InvalidSignature),
    ("longer expiry", queried("X-Amz-Expires=900", "X-Amz-Expires=901"), InvalidSignature),
    ("no expiry", queried("&X-Amz-Expires=900", ""), IncompleteSignature),
    ("expiry of nothing", queried("X-Amz-Expires=900", "X-Amz-Expires=0"), IncompleteSignature),
    ("expiry of more than a week", queried("X-Amz-Expires=900", "X-Amz-Expires=604801"), IncompleteSignature),
    ("expiry that is no number", queried("X-Amz-Expires=900", "X-Amz-Expires=%2B900"), IncompleteSignature),
    ("endless expiry", queried("X-Amz-Expires=900", "X-Amz-Expires=" + "9" * 5000), IncompleteSignature),
    ("region", queried("us-east-1", "us-east-2"), InvalidSignature),
    ("service", queried("%2Fecr%2F", "%2Fsts%2F"), InvalidSignature),
    ("key", queried(KEY, "AKIAOTHER"), InvalidSignature),
    ("signature", queried("X-Amz-Signature=", "X-Amz-Signature=0"), InvalidSignature),
    ("no signature", lambda r: replace(r, query=r.query.partition("&X-Amz-Signature")[0]), IncompleteSignature),
    ("signature without a value", queried("X-Amz-Signature=", "X-Amz-Signature&a="), IncompleteSignature),
    ("signature with its name escaped", queried("X-Amz-Signature", "X%2DAmz-Signature"), IncompleteSignature),
    ("two signatures", more_query("X-Amz-Signature=0"), IncompleteSignature),
    ("two signatures, one escaped", more_query("X%2DAmz-Signature=0"), IncompleteSignature),
    ("two dates in two spellings", more_query("x-amz-date=20260101T120000Z"), IncompleteSignature),
    ("two tokens", more_query("X-Amz-Security-Token=a&X-Amz-Security-Token=a"), IncompleteSignature),
    ("a token", more_query("X-Amz-Security-Token=a"), InvalidSignature),
    ("algorithm", queried("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA1"), IncompleteSignature),
    ("no algorithm", queried("X-Amz-Algorithm=AWS4-HMAC-SHA256&", ""), IncompleteSignature),
    ("a header signature too", added("authorization", "AWS4-HMAC-SHA256 Credential=a"), IncompleteSignature),
    ("another credential too", added("authorization", "Basic QVdTOnRva2Vu"), IncompleteSignature),
    ("a header that must be signed", added("x-amz-security-token", "a"), InvalidSignature),
    ("a hash that is not signed", added("x-amz-content-sha256", "UNSIGNED-PAYLOAD"), InvalidSignature),
]


@pytest.mark.parametrize(("change", "error"), [case[1:] for case in QUERY_CHANGES], ids=[c[0] for c in QUERY_CHANGES])
def test_any_change_to_a_presigned_request_is_seen(change: Change, error: type[Failure]) -> None:
    """A presigned request that was changed in one thing is refused, with the failure for that thing."""
    with pytest.raises(error):
        check(change(IN_QUERY), now=claim_of(IN_QUERY).signed_at)


@pytest.mark.parametrize("request_", [IN_HEADER, IN_QUERY])
def test_another_secret_does_not_pass(request_: SignedRequest) -> None:
    """A signature made with another secret is refused in AWS's words."""
    with pytest.raises(InvalidSignature) as caught:
        check(request_, secret=SECRET[:-1])
    assert caught.value.message == MISMATCH


def test_a_signature_is_good_for_five_minutes() -> None:
    """A clock may differ by five minutes, either way, and not by a second more."""
    request = sign(HEADERS)
    for seconds in (-300, 0, 300):
        check(request, now=NOON + timedelta(seconds=seconds))
    with pytest.raises(InvalidSignature) as late:
        check(request, now=NOON + timedelta(seconds=301))
    assert late.value.message == (
        "Signature expired: 20260101T120000Z is now earlier than 20260101T120001Z (20260101T120501Z - 5 min.)"
    )
    with pytest.raises(InvalidSignature) as early:
        check(request, now=NOON - timedelta(seconds=301))
    assert early.value.message == (
        "Signature not yet current: 20260101T120000Z is still later than 20260101T115959Z (20260101T115459Z + 5 min.)"
    )


def test_a_presigned_url_is_good_until_it_expires() -> None:
    """A presigned request is refused after its time, and more than five minutes before it was made."""
    at = claim_of(IN_QUERY).signed_at
    check(IN_QUERY, now=at - timedelta(seconds=300))
    with pytest.raises(InvalidSignature, match=r"^Signature expired: .* - 900 sec\.\)$"):
        check(IN_QUERY, now=at + timedelta(seconds=901))
    with pytest.raises(InvalidSignature, match=r"^Signature not yet current: "):
        check(IN_QUERY, now=at - timedelta(seconds=301))


NEVER: list[tuple[str, SignedRequest, str]] = [
    (
        "a scope of another day",
        sign(HEADERS, scope="20260102/us-east-1/ecr/aws4_request"),
        (
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP:"
            " '20260102' != '20260101', from '20260101T120000Z'."
        ),
    ),
    (
        "a scope with another end",
        sign(HEADERS, scope="20260101/us-east-1/ecr/aws5_request"),
        "Credential should be scoped with a valid terminator: 'aws4_request', not 'aws5_request'.",
    ),
    (
        "a region that is none",
        sign(HEADERS, scope="20260101/US/ecr/aws4_request"),
        "Credential should be scoped to a valid region.",
    ),
    (
        "a service that is not this one",
        sign(HEADERS, scope="20260101/us-east-1/s3/aws4_request"),
        "Credential should be scoped to correct service: 'ecr'.",
    ),
    (
        "a host that is not signed",
        sign(HEADERS, signed=["x-amz-date", "x-amz-target"]),
        "'Host' must be a 'SignedHeader' in the AWS Authorization.",
    ),
    (
        "a target that is not signed",
        sign(HEADERS, signed=["host", "x-amz-date"]),
        "'x-amz-target' must be a 'SignedHeader' in the AWS Authorization.",
    ),
    (
        "a body that is not signed",
        sign([*HEADERS, ("x-amz-content-sha256", "UNSIGNED-PAYLOAD")], payload="UNSIGNED-PAYLOAD"),
        "The 'x-amz-content-sha256' header does not match what was received.",
    ),
    ("a header that is not there", sign(HEADERS, signed=["host", "x-amz-date", "x-amz-target", "x-none"]), MISMATCH),
    ("a path that means another", sign(HEADERS, path="/a/../"), MISMATCH),
]


@pytest.mark.parametrize(("request_", "message"), [case[1:] for case in NEVER], ids=[case[0] for case in NEVER])
def test_a_correct_signature_is_not_enough(request_: SignedRequest, message: str) -> None:
    """What is signed with the right secret, and for another purpose or leaving something open, is refused."""
    with pytest.raises(InvalidSignature) as caught:
        check(request_, now=NOON)
    assert caught.value.message == message


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            header("authorization", "AWS4-HMAC-SHA256 Credential=a"),
            (
                "Authorization header requires 'Signature' parameter."
                " Authorization header requires 'SignedHeaders' parameter."
            ),
        ),
        (
            without("x-amz-date"),
            "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.",
        ),
        (
            header("authorization", "AWS4-HMAC-SHA256 what"),
            "'what' not a valid key=value pair (missing equal-sign) in Authorization header.",
        ),
        (
            header("authorization", "AWS4-HMAC-SHA1 Credential=a"),
            "Unsupported AWS 'algorithm': 'AWS4-HMAC-SHA1'.",
        ),
        (
            authorized("/aws4_request", ""),
            (
                "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term,"
                f" got '{KEY}/20260101/us-east-1/ecr'"
            ),
        ),
    ],
)
def test_what_is_missing_is_named(change: Change, message: str) -> None:
    """An incomplete signature is refused with what it lacks."""
    with pytest.raises(IncompleteSignature) as caught:
        parse(change(sign(HEADERS)))
    assert caught.value.message == message


def test_a_query_without_its_parts_names_them() -> None:
    """A presigned request is told which parameters it lacks."""
    with pytest.raises(IncompleteSignature) as caught:
        parse(SignedRequest("POST", "/", "X-Amz-Signature=0&X-Amz-Date=", [], b""))
    assert caught.value.message == (
        "AWS query-string parameters must include 'X-Amz-Algorithm'."
        " AWS query-string parameters must include 'X-Amz-Credential'."
        " AWS query-string parameters must include 'X-Amz-SignedHeaders'."
        " AWS query-string parameters must include 'X-Amz-Date'."
        " Re-examine the query-string parameters."
    )


def test_nothing_shows_the_secret(caplog: pytest.LogCaptureFixture) -> None:
    """Neither a log nor a failure holds the secret."""
    caplog.set_level(0)
    with pytest.raises(InvalidSignature) as caught:
        check(header("host", "other")(IN_HEADER))
    assert SECRET not in caplog.text + str(caught.value) + repr(caught.getrepr(showlocals=False))

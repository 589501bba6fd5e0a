"""Signature Version 4 under any change and any request: nothing passes that was not signed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.compat import HTTPHeaders
from botocore.credentials import ReadOnlyCredentials
from botocore.utils import normalize_url_path
from hypothesis import given, settings
from hypothesis import strategies as st

from moorage.aws.sigv4 import Claim, SignedRequest, canonical_request, is_normal, parse, signature, verify
from moorage.domain.errors import IncompleteSignature, InvalidSignature
from tests.aws.signing import IN_HEADER, IN_QUERY, SECRET, check, claim_of

PRINTABLE = [chr(code) for code in range(0x20, 0x7F)]


def places(request: SignedRequest) -> list[str]:
    names = [name for name, _ in request.headers if name in {"authorization", *claim_of(request).signed_headers}]
    return ["method", "path", *(["query"] if request.query else []), *(["body"] if request.body else []), *names]


def parse_or_none(request: SignedRequest) -> Claim | None:
    try:
        return parse(request)
    except IncompleteSignature:
        return None


def mutated(request: SignedRequest, place: str, position: int, by: str) -> SignedRequest:
    """The request with one character of one of its signed parts replaced."""
    if place == "body":
        index = position % len(request.body)
        return replace(request, body=request.body[:index] + by.encode() + request.body[index + 1 :])
    if place in {"method", "path", "query"}:
        changes: dict[str, Any] = {place: _swapped(getattr(request, place), position, by)}
        return replace(request, **changes)
    headers = [(name, _swapped(value, position, by) if name == place else value) for name, value in request.headers]
    return replace(request, headers=headers)


def _swapped(text: str, position: int, by: str) -> str:
    index = position % len(text)
    return text[:index] + by + text[index + 1 :]


@given(original=st.sampled_from([IN_HEADER, IN_QUERY]), data=st.data())
@settings(max_examples=600, deadline=None)
def test_no_byte_can_be_changed(original: SignedRequest, data: st.DataObject) -> None:
    """Replace any one character of what is signed, or of the signature: it never passes, and fails as it should."""
    place = data.draw(st.sampled_from(places(original)))
    changed = mutated(original, place, data.draw(st.integers(0, 5000)), data.draw(st.sampled_from(PRINTABLE)))
    if changed == original:
        return
    if parse_or_none(changed) is not None:
        with pytest.raises((InvalidSignature, IncompleteSignature)):
            check(changed, now=claim_of(original).signed_at)


anything = st.text(max_size=40)


@given(
    method=anything,
    path=anything,
    query=anything | st.lists(st.sampled_from(IN_QUERY.query.split("&")) | anything, max_size=12).map("&".join),
    headers=st.lists(
        st.tuples(st.sampled_from(["authorization", "host", "x-amz-date", "date", "x-amz-target"]) | anything, anything)
        | st.sampled_from(IN_HEADER.headers),
        max_size=8,
    ),
    body=st.binary(max_size=20),
)
@settings(max_examples=600, deadline=None)
def test_no_request_makes_anything_but_a_failure(
    method: str, path: str, query: str, headers: list[tuple[str, str]], body: bytes
) -> None:
    """Whatever arrives is no claim, or a claim, or one of our failures; it never passes."""
    request = SignedRequest(method, path, query, headers, body)
    try:
        claim = parse(request)
        assert claim is None or verify(request, claim, "secret", datetime.now(UTC)) == "never"  # type: ignore[func-returns-value]
    except (InvalidSignature, IncompleteSignature):
        pass


class Reference(SigV4Auth):
    """botocore's signer, applied to a received request instead of one about to be sent."""

    def __init__(self, request: SignedRequest, claim: Claim, body_hash: str) -> None:
        super().__init__(ReadOnlyCredentials(claim.access_key_id, SECRET, None), claim.service, claim.region)
        self._received = request
        self._claim = claim
        self._body_hash = body_hash
        self.request = AWSRequest(method=request.method, url=f"http://received{request.path}")
        self.request.context["timestamp"] = claim.timestamp

    def canonical(self) -> str:
        """Return the text that is signed."""
        return self.canonical_request(self.request)

    def expected(self) -> str:
        """Return the signature."""
        return self.signature(self.string_to_sign(self.request, self.canonical()), self.request)

    def headers_to_sign(self, request: AWSRequest) -> HTTPHeaders:  # noqa: ARG002 (botocore's signature)
        """Return the headers that the claim names."""
        headers = HTTPHeaders()
        for name, value in self._received.headers:
            if name in self._claim.signed_headers:
                headers[name] = value
        return headers

    def canonical_query_string(self, request: AWSRequest) -> str:  # noqa: ARG002
        """Return the query as it was received."""
        # Its own reads a URL that is about to be sent, encoded or not. What was received is taken as it is.
        return "&".join(sorted(self._received.query.split("&"), key=lambda pair: pair.split("=")))

    def payload(self, request: AWSRequest) -> str:  # noqa: ARG002
        """Return the hash of the body."""
        return self._body_hash


words = st.text(st.sampled_from("abz019-._~%2F"), max_size=8)
bytes_as_text = st.binary(max_size=20).map(lambda data: data.decode("latin-1").replace("\n", "").replace("\r", ""))


@given(
    path=st.lists(words.filter(lambda word: word not in {"", ".", ".."}), max_size=3).map(
        lambda parts: "/" + "/".join(parts)
    ),
    pairs=st.lists(st.tuples(st.text("abz019", min_size=1, max_size=5), words), max_size=5),
    values=st.lists(bytes_as_text, min_size=1, max_size=3),
    region=st.from_regex(r"[a-z0-9-]{1,32}", fullmatch=True),
    day=st.dates(),
    body_hash=st.sampled_from(["0" * 64, "f" * 64]),
)
@settings(max_examples=400, deadline=None)
def test_signatures_are_botocores(
    path: str, pairs: list[tuple[str, str]], values: list[str], region: str, day: date, body_hash: str
) -> None:
    """Of any request that can be signed, the text that is signed and the signature are those that botocore makes."""
    base = claim_of(IN_HEADER)
    headers = [("x-more", value) for value in values] + list(IN_HEADER.headers)
    request = SignedRequest("POST", path, "&".join(f"{key}={value}" for key, value in pairs), headers, b"")
    signed = tuple(sorted({*base.signed_headers, "x-more"}))
    claim = replace(base, region=region, timestamp=f"{day:%Y%m%d}T120000Z", signed_headers=signed)
    reference = Reference(request, claim, body_hash)

    assert canonical_request(request, claim, body_hash) == reference.canonical()
    assert signature(request, claim, SECRET, body_hash) == reference.expected()


@given(path=st.text(st.sampled_from("/.a%"), max_size=12).map(lambda rest: f"/{rest}"))
@settings(max_examples=600, deadline=None)
def test_a_path_is_normal_that_botocore_leaves_as_it_is(path: str) -> None:
    """What signing would change of a path is what is refused."""
    assert is_normal(path) == (normalize_url_path(path) == path)

"""Signature Version 4 under any change and any request: nothing passes that was not signed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moorage.aws.sigv4 import Claim, SignedRequest, parse, verify
from moorage.domain.errors import IncompleteSignature, InvalidSignature
from tests.aws.signing import IN_HEADER, IN_QUERY, check, claim_of

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

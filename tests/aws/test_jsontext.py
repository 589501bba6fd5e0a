"""JSON at the AWS door: strict, and nothing that arrives makes anything but one of our failures."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moorage.aws import model
from moorage.domain.errors import InvalidParameter, Malformed
from tests.aws.samples import DOCUMENTS, KEYS, OPERATIONS


def test_an_empty_body_is_an_empty_object() -> None:
    """A client that has nothing to say may send nothing."""
    assert model.parse_json(b"") == {}
    assert model.parse_json(b' {"a": [1, "\\u00e9", null]} ') == {"a": [1, "é", None]}


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"{", "Expecting property name"),
        (b"{} {}", "Extra data"),
        (b" ", "Expecting value"),
        (b"\xff", "byte 0 is not UTF-8"),
        (b'"\xed\xa0\x80"', "not UTF-8"),
        (b"\xef\xbb\xbf{}", "Expecting value"),
        ('{"a": 1}'.encode("utf-16"), "not UTF-8"),
        (b'{"a": NaN}', "NaN is not a JSON number"),
        (b'{"a": -Infinity}', "-Infinity is not a JSON number"),
        (b'{"a": 1, "a": 1}', "same key twice"),
        (b'[{"b": {"a": 1, "a": 2}}]', "same key twice"),
        (b'{"a": "\n"}', "Invalid control character"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a":' * 100_000, "nested too deeply"),
        (b"1" * 5000, "a number is too long"),
        (b"{'a': 1}", "Expecting property name"),
    ],
    ids=lambda value: str(value)[:24],
)
def test_what_is_not_json_is_refused(body: bytes, reason: str) -> None:
    """Python's reader takes more than JSON; we do not, and nothing of its making escapes."""
    with pytest.raises(Malformed) as caught:
        model.parse_json(body)
    assert reason in caught.value.message


@given(name=st.sampled_from(OPERATIONS), document=st.dictionaries(KEYS, DOCUMENTS, max_size=12) | DOCUMENTS)
@settings(max_examples=200, deadline=None)
def test_no_document_makes_anything_but_a_failure(name: str, document: object) -> None:
    """Whatever JSON arrives, it is decoded or refused by one of our failures."""
    with contextlib.suppress(InvalidParameter, Malformed):
        model.load()[name].decode(model.parse_json(json.dumps(document).encode()))


@given(name=st.sampled_from(OPERATIONS), body=st.binary() | st.text('{}[]":,\\u0123456789eE+-. tfn').map(str.encode))
@settings(max_examples=300, deadline=None)
def test_no_bytes_make_anything_but_a_failure(name: str, body: bytes) -> None:
    """Whatever bytes arrive, they are decoded or refused by one of our failures."""
    with contextlib.suppress(InvalidParameter, Malformed):
        model.load()[name].decode(model.parse_json(body))

"""The keyring: what is sealed stays sealed, and what is signed is good for one purpose."""

from __future__ import annotations

import base64
import json
import os
from typing import Any

import pytest
from cryptography.exceptions import InvalidTag
from hypothesis import given
from hypothesis import strategies as st

from moorage.registry.secrets import KEY_BYTES, Expired, Forged, Keyring, decode_key, encode_key

MASTER = bytes(range(32))
NOW = 1_700_000_000.0


class Clock:
    """A clock that stands until it is set."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        """Return the time."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """A clock."""
    return Clock()


@pytest.fixture
def keyring(clock: Clock) -> Keyring:
    """A keyring on that clock."""
    return Keyring(MASTER, os.urandom, clock)


KEYRING = Keyring(MASTER, os.urandom)


@given(st.text(), st.text())
def test_what_is_sealed_comes_out(secret: str, context: str) -> None:
    """A secret comes out of its own row, and its bytes are not in what is stored."""
    sealed = KEYRING.seal(secret, context)

    assert KEYRING.unseal(sealed, context) == secret
    assert len(secret) < 4 or secret.encode() not in sealed


def test_the_same_secret_is_never_sealed_alike(keyring: Keyring) -> None:
    """Two seals of one secret have nothing in common."""
    assert keyring.seal("secret", "row") != keyring.seal("secret", "row")


def test_a_secret_belongs_to_its_row(keyring: Keyring) -> None:
    """A sealed secret moved to another row, altered, or read with another master key does not open."""
    sealed = keyring.seal("secret", "row")
    attempts: list[tuple[Keyring, bytes, str]] = [
        (keyring, sealed, "another row"),
        (keyring, sealed[:-1] + bytes([sealed[-1] ^ 1]), "row"),
        (keyring, bytes([sealed[0] ^ 1]) + sealed[1:], "row"),
        (keyring, sealed[:-1], "row"),
        (Keyring(bytes(32), os.urandom), sealed, "row"),
    ]
    for ring, blob, context in attempts:
        with pytest.raises(InvalidTag):
            ring.unseal(blob, context)


CLAIMS = st.dictionaries(
    st.text(max_size=10).filter(lambda name: name not in {"exp", "iat", "nbf", "iss", "sub", "aud", "jti"}),
    st.text(max_size=20) | st.integers() | st.lists(st.text(max_size=5), max_size=3) | st.none(),
    max_size=5,
)


@given(CLAIMS)
def test_what_is_signed_is_read(claims: dict[str, Any]) -> None:
    """The claims come back as they were."""
    assert KEYRING.verify("page", KEYRING.sign("page", claims)) == claims


@pytest.mark.parametrize("purpose", ["page", "download", "authorization", "", "auth", "authorization "])
def test_purposes_are_apart(keyring: Keyring, purpose: str) -> None:
    """A token verifies for its own purpose and for no other one."""
    token = keyring.sign(purpose, {"a": 1})

    assert keyring.verify(purpose, token) == {"a": 1}
    for other in {"page", "download", "authorization", "x"} - {purpose}:
        with pytest.raises(Forged):
            keyring.verify(other, token)


def test_installations_are_apart(keyring: Keyring) -> None:
    """Another master key verifies nothing of ours."""
    with pytest.raises(Forged):
        Keyring(bytes(32), os.urandom).verify("page", keyring.sign("page", {"a": 1}))


def test_a_token_ends(keyring: Keyring, clock: Clock) -> None:
    """A token is good until its last second and expired from then on, though it was verified before."""
    token = keyring.sign("page", {"a": 1}, lifetime=10)
    for now in (NOW, NOW + 9.9):
        clock.now = now
        assert keyring.verify("page", token)["a"] == 1
    for now in (NOW + 10, NOW + 1e6):
        clock.now = now
        with pytest.raises(Expired):
            keyring.verify("page", token)


def test_an_end_that_is_no_time_has_passed(keyring: Keyring) -> None:
    """Claims whose end cannot be read are not good for ever."""
    ends: tuple[Any, ...] = ("never", [], {}, "9" * 20)
    for end in ends:
        with pytest.raises((Expired, Forged)):
            keyring.verify("page", keyring.sign("page", {"exp": end}))


@given(st.text() | st.binary().map(lambda data: base64.urlsafe_b64encode(data).decode()))
def test_any_text_is_forged(text: str) -> None:
    """No text that we did not sign is a token."""
    with pytest.raises(Forged):
        KEYRING.verify("page", text)


@given(st.data())
def test_any_change_is_forged(data: st.DataObject) -> None:
    """A token with one character changed is forged, or is read as the very same claims."""
    token = KEYRING.sign("page", {"a": 1})
    at = data.draw(st.integers(0, len(token) - 1))
    changed = token[:at] + data.draw(st.characters()) + token[at + 1 :]

    try:
        claims = KEYRING.verify("page", changed)
    except Forged:
        return
    assert claims == {"a": 1}


def test_only_our_algorithm(keyring: Keyring) -> None:
    """A token that chooses its own algorithm, or none, is forged."""
    _, body, signature = keyring.sign("page", {"a": 1}).split(".")
    headers: tuple[Any, ...] = ({"alg": "none"}, {"alg": "HS512"}, {}, {"alg": ["HS256"]}, [], "x")
    for header in (*headers, {"alg": "HS256", "crit": ["x"]}):
        head = base64.urlsafe_b64encode(json.dumps(header).encode()).decode().rstrip("=")
        for last in (signature, ""):
            with pytest.raises(Forged):
                keyring.verify("page", f"{head}.{body}.{last}")


def test_long_tokens_are_not_looked_at(keyring: Keyring) -> None:
    """A token beyond any of ours is forged, even if we signed it."""
    with pytest.raises(Forged):
        keyring.verify("page", keyring.sign("page", {"a": "x" * 5000}))


def test_the_master_key_has_its_length() -> None:
    """A master key of another length is refused at once; its text form is exact."""
    for length in (0, 16, 31, 33):
        with pytest.raises(ValueError, match="32 bytes"):
            Keyring(bytes(length), os.urandom)
    assert decode_key(encode_key(MASTER) + "\n") == MASTER
    assert len(MASTER) == KEY_BYTES
    for bad in ("not base64!", "AAA", "é"):
        with pytest.raises(ValueError, match=r"."):
            decode_key(bad)


def test_the_keyring_tells_nothing_of_itself(keyring: Keyring) -> None:
    """Its text form holds no key."""
    assert repr(keyring) == "Keyring(…)"

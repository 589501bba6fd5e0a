"""Failed authentications: who is slowed and for how long, who is not, and what is remembered."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from moorage.domain.errors import TooManyAttempts
from moorage.registry.attempts import LONGEST, MAX_KEYS, MAX_SOURCES, REMEMBERED, Attempts
from moorage.registry.auth import Anonymous, Password, Signed, SignedUrl

if TYPE_CHECKING:
    from moorage.registry.auth import Credential

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HERE, THERE = "192.0.2.1", "192.0.2.2"
ALLOWED = 3


def signed(key: str = "AKIAONE") -> Signed:
    """A signed request of a key."""
    return Signed(key, "us-east-1", None, "ecr", lambda _secret, _now: None)


def token(**claims: Any) -> Password:
    """A docker password that claims something, signed by nobody."""
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return Password("AWS", f"e30.{payload}.c2ln")


def wait(attempts: Attempts, credential: Credential, address: str = HERE, now: datetime = NOW) -> int:
    """Return for how many seconds the pair is refused."""
    try:
        attempts.require_patience(credential, address, now)
    except TooManyAttempts as refused:
        return int(refused.headers["Retry-After"])
    return 0


def fail(attempts: Attempts, credential: Credential, times: int = ALLOWED, address: str = HERE) -> Attempts:
    """Fail some times at once."""
    for _ in range(times):
        attempts.failed(credential, address, NOW)
    return attempts


@pytest.fixture
def attempts() -> Attempts:
    """An empty table."""
    return Attempts(ALLOWED)


def test_some_failures_are_free(attempts: Attempts) -> None:
    """Up to the limit nobody waits; with the failure that reaches it the pair does."""
    assert wait(fail(attempts, signed(), ALLOWED - 1), signed()) == 0
    assert wait(fail(attempts, signed(), 1), signed()) == 1


def test_each_failure_doubles_the_wait_up_to_a_minute(attempts: Attempts) -> None:
    """The wait grows by powers of two, and ends growing at its longest."""
    waits = [wait(fail(attempts, signed(), 1), signed()) for _ in range(ALLOWED + 40)]
    longest = int(LONGEST.total_seconds())
    assert waits[ALLOWED - 1 :][:8] == [1, 2, 4, 8, 16, 32, longest, longest]
    assert set(waits[ALLOWED + 6 :]) == {longest}


def test_a_wait_ends_by_itself(attempts: Attempts) -> None:
    """The pair is let through when its time has come; being refused does not make it longer."""
    fail(attempts, signed(), ALLOWED + 2)
    for second, left in [(0, 4), (1.5, 3), (3.999, 1), (4, 0)]:
        assert wait(attempts, signed(), now=NOW + timedelta(seconds=second)) == left


def test_a_clock_that_is_put_back_makes_no_wait_longer(attempts: Attempts) -> None:
    """Who failed while the clock was an hour ahead waits no hour when it is right again; more failures count as ever."""
    fail(attempts, signed(), ALLOWED + 2)
    right = NOW - timedelta(hours=1)
    assert wait(attempts, signed(), now=right) == 0
    attempts.failed(signed(), HERE, right)
    assert wait(attempts, signed(), now=right) == 8


def test_failures_are_forgotten(attempts: Attempts) -> None:
    """After a quiet while failures count no more."""
    fail(attempts, signed(), ALLOWED + 5)
    later = NOW + REMEMBERED + timedelta(seconds=1)
    attempts.failed(signed(), HERE, later)
    assert wait(attempts, signed(), now=later) == 0


def test_nobody_else_is_slowed(attempts: Attempts) -> None:
    """Another address with the same key, and another key from the same address, do not wait."""
    fail(attempts, signed(), 20)
    assert wait(attempts, signed(), THERE) == 0
    assert wait(attempts, signed("AKIATWO")) == 0
    assert wait(attempts, token(key="AKIATWO")) == 0
    assert wait(attempts, Password("AWS", "nonsense")) == 0


def test_a_login_is_of_the_key_it_claims(attempts: Attempts) -> None:
    """A docker password is counted under its key or role, and one that claims none under all that claim none."""
    fail(attempts, token(key="AKIAONE"))
    assert wait(attempts, signed()) == 1
    fail(attempts, token(session={"role_id": "AROAONE"}))
    assert wait(attempts, token(session={"role_id": "AROAONE"}, registry="other")) == 1
    assert wait(attempts, token(session={"role_id": "AROATWO"})) == 0
    fail(attempts, Password("AWS", "guess"))
    for odd in ("another", "a.b.c", "", "..", "e30.e30.e30", "e30.W10.x", "e30." + "W" * 8000 + ".x"):
        assert wait(attempts, Password("AWS", odd)) == 1


def test_no_credential_is_no_guess(attempts: Attempts) -> None:
    """Who presents nothing, or a URL that we signed, neither fails nor waits."""
    for credential in (Anonymous(), SignedUrl({})):
        assert wait(fail(attempts, credential, 20), credential) == 0
    assert wait(fail(attempts, Password("AWS", "guess")), Anonymous()) == 0


def test_an_ipv6_site_is_one_source(attempts: Attempts) -> None:
    """Addresses of one IPv6 network of 64 bits count as one, those of another do not; nor does a mapped IPv4 one."""
    fail(attempts, signed(), address="2001:db8::1")
    assert wait(attempts, signed(), "2001:db8::ffff:1") == 1
    assert wait(attempts, signed(), "2001:db8:0:1::1") == 0
    fail(attempts, signed(), address="::ffff:192.0.2.1")
    assert (wait(attempts, signed(), HERE), wait(attempts, signed(), THERE)) == (1, 0)


def test_it_can_be_off() -> None:
    """With a limit of 0 nobody ever waits."""
    assert wait(fail(Attempts(0), signed(), 100), signed()) == 0


def test_made_up_keys_do_not_push_a_guesser_out(attempts: Attempts) -> None:
    """An address that fails with many keys is still slowed for the one that failed most."""
    fail(attempts, signed(), ALLOWED)
    for number in range(MAX_KEYS * 10):
        fail(attempts, signed(f"AKIA{number}"), 1)
    assert wait(attempts, signed()) == 1


def test_the_table_is_bounded(attempts: Attempts) -> None:
    """However many addresses fail, only the last of them are remembered."""
    for number in range(MAX_SOURCES + 10):
        fail(attempts, signed(), address=f"10.0.{number // 256}.{number % 256}")
    assert [wait(attempts, signed(), f"10.0.0.{number}") for number in (0, 9, 10)] == [0, 0, 1]


def test_what_is_past_is_dropped(attempts: Attempts) -> None:
    """An address whose failures no longer count makes room with the next failure of anybody."""
    for number in range(50):
        fail(attempts, signed(), address=f"10.0.0.{number}")
    attempts.failed(signed(), HERE, NOW + 2 * REMEMBERED)
    assert len(attempts) == 1

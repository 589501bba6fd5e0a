"""Guessing keys and passwords: slowed at both doors, for the guesser alone."""

from __future__ import annotations

import base64
import dataclasses
import re
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from tests import servers
from tests.access.kit import READ_ONLY, code_of, credentials, moorage
from tests.oci.wire import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers import Server

ALLOWED = 5


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of one worker that slows after some failures, behind a proxy on this machine."""
    data = tmp_path_factory.mktemp("guarded")
    flags = ["--failed-attempts", str(ALLOWED), "--trusted-proxies", "127.0.0.0/8"]
    with servers.running(data, *flags, workers=1) as started:
        yield started


@dataclasses.dataclass(frozen=True)
class User:
    """A user of a test's own."""

    server: Server
    given: dict[str, str]

    @property
    def guess(self) -> dict[str, str]:
        """The user's key with a wrong secret."""
        return {**self.given, "aws_secret_access_key": "A" * 40}

    def ask(self, given: dict[str, str], address: str, service: str = "ecr") -> str:
        """Ask something at the AWS door, from an address; return the error code, or ``OK``."""
        client = self.server.client(service, **given)
        client.meta.events.register(
            "before-sign", lambda request, **_: request.headers.add_header("X-Forwarded-For", address)
        )
        try:
            client.get_caller_identity() if service == "sts" else client.get_authorization_token()
        except ClientError as error:
            return str(error.response["Error"]["Code"])
        return "OK"

    def exhaust(self, address: str) -> None:
        """Guess until the key is slowed for some seconds, longer than a test takes."""
        for _ in range(ALLOWED):
            assert self.ask(self.guess, address) == "InvalidSignatureException"
        for _ in range(2):
            until(lambda: self.ask(self.guess, address) == "InvalidSignatureException")
        assert self.ask(self.guess, address) == "ThrottlingException"


@pytest.fixture
def person(guarded: Server, request: pytest.FixtureRequest) -> User:
    """A user who may log in."""
    name = request.node.name[:60].replace("[", "-").replace("]", "")
    moorage(guarded, "user", "create", name)
    moorage(guarded, "user", "attach", name, READ_ONLY)
    return User(guarded, credentials(guarded, name))


def login(server: Server, authorization: str, address: str) -> Any:
    """Present an Authorization header at the distribution door, from an address."""
    return server.anonymous("GET", "/v2/", headers={"Authorization": authorization, "X-Forwarded-For": address})


def basic(password: str) -> str:
    """Return the header of a docker login."""
    return "Basic " + base64.b64encode(f"AWS:{password}".encode()).decode()


def test_a_guesser_is_slowed_and_learns_nothing(person: User) -> None:
    """After some failures good and bad secrets of the key are answered alike, at both protocols, with a time to wait."""
    person.exhaust("192.0.2.1")
    assert person.ask(person.given, "192.0.2.1") == "ThrottlingException"
    assert person.ask(person.given, "192.0.2.1", "sts") == "Throttling"
    refused = []
    for given in (person.given, person.guess):
        client = person.server.client(**given)
        client.meta.events.register(
            "before-sign", lambda request, **_: request.headers.add_header("X-Forwarded-For", "192.0.2.1")
        )
        with pytest.raises(client.exceptions.ClientError) as caught:
            client.get_authorization_token()
        answer = caught.value.response
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 400
        assert 1 <= int(answer["ResponseMetadata"]["HTTPHeaders"]["retry-after"]) <= 60
        refused.append((code_of(caught), re.sub("[0-9]+", "some", answer["Error"]["Message"])))
    assert refused[0] == refused[1]


def test_guessing_locks_nobody_out(person: User) -> None:
    """The key works from elsewhere, other keys work from where it was guessed, and a login made before works on."""
    before = person.server.token(**person.given)
    other = person.server.key
    person.exhaust("198.51.100.1")

    assert login(person.server, f"Basic {before}", "198.51.100.1").status == 429
    assert person.ask(person.given, "198.51.100.2") == "OK"
    root = {"aws_access_key_id": other.access_key_id, "aws_secret_access_key": other.secret_access_key}
    assert person.ask(root, "198.51.100.1") == "OK"
    assert login(person.server, f"Basic {before}", "198.51.100.2").status == 200
    assert login(person.server, f"Basic {person.server.token()}", "198.51.100.1").status == 200


def test_an_unknown_key_is_slowed_like_a_known_one(person: User) -> None:
    """Keys that are not there are counted as those that are: slowing does not tell them apart."""
    unknown = {"aws_access_key_id": "AKIAUNKNOWN", "aws_secret_access_key": "A" * 40}
    codes = [person.ask(unknown, "192.0.2.7") for _ in range(ALLOWED + 1)]
    assert codes == ["UnrecognizedClientException"] * ALLOWED + ["ThrottlingException"]


def test_wrong_passwords_are_slowed_and_good_ones_are_not(person: User) -> None:
    """Made-up docker passwords get 429 after some tries; real logins from the same address, and none at all, do not."""
    good = f"Basic {person.server.token(**person.given)}"
    statuses = [login(person.server, basic(f"guess-{n}"), "203.0.113.5").status for n in range(ALLOWED)]
    slowed = login(person.server, basic("another guess"), "203.0.113.5")

    assert statuses == [401] * ALLOWED
    assert (slowed.status, slowed.json()["errors"][0]["code"]) == (429, "TOOMANYREQUESTS")
    assert 1 <= int(slowed.headers["Retry-After"]) <= 60
    assert login(person.server, good, "203.0.113.5").status == 200
    assert login(person.server, basic("a first guess"), "203.0.113.6").status == 401
    challenge = person.server.anonymous("GET", "/v2/", headers={"X-Forwarded-For": "203.0.113.5"})
    assert (challenge.status, "WWW-Authenticate" in challenge.headers) == (401, True)


def test_a_forged_login_counts_for_the_key_it_claims(person: User) -> None:
    """A token altered under a good signature slows its own key from that address."""
    password = base64.b64decode(person.server.token(**person.given)).decode().partition(":")[2]
    head, payload, _ = password.split(".")
    for _ in range(ALLOWED):
        assert login(person.server, basic(f"{head}.{payload}.AAAA"), "203.0.113.9").status == 401
    assert login(person.server, basic(password), "203.0.113.9").status == 429
    assert login(person.server, basic(password), "203.0.113.8").status == 200


def test_the_wait_ends(person: User) -> None:
    """When the time to wait is over the good key works again, without anybody's help."""
    for _ in range(ALLOWED):
        person.ask(person.guess, "192.0.2.33")
    until(lambda: person.ask(person.given, "192.0.2.33") == "OK")

"""Behind a proxy: whose word about the client is taken, and whose is not."""

from __future__ import annotations

import json
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any

import pytest

from moorage import proxies
from moorage.config import Settings, SettingsError
from tests import servers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers import Server

CLIENT = "203.0.113.7"
STRANGER = "198.51.100.9"
TRUSTED = [ip_network("10.0.0.0/8"), ip_network("2001:db8::/64")]


def denying(condition: dict[str, Any]) -> str:
    """Return a repository policy that denies everything under a condition."""
    statement = {"Effect": "Deny", "Principal": "*", "Action": "ecr:*", "Condition": condition}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


ELSEWHERE = denying({"NotIpAddress": {"aws:SourceIp": f"{CLIENT}/32"}})
IN_CLEAR = denying({"Bool": {"aws:SecureTransport": "false"}})


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose proxies are on this machine."""
    with servers.running(tmp_path_factory.mktemp("proxied"), "--trusted-proxies", "10.1.0.0/16, 127.0.0.1") as started:
        yield started


def status(server: Server, name: str, policy: str, **headers: str) -> int:
    """Return how the server answers a pull from a repository of a policy, with these headers on it."""
    client = server.client()
    client.create_repository(repositoryName=name)
    client.set_repository_policy(repositoryName=name, policyText=policy)
    given = {key.replace("_", "-"): value for key, value in headers.items()}
    return server.request("GET", f"/v2/{name}/tags/list", headers=given).status


def test_a_proxy_names_the_client(proxied: Server, name: str) -> None:
    """The address that a trusted proxy gives is the one that policies see."""
    assert status(proxied, name, ELSEWHERE, X_Forwarded_For=CLIENT) == 200


def test_without_its_word_the_proxy_is_the_client(proxied: Server, name: str) -> None:
    """A trusted proxy that says nothing is itself the client."""
    assert status(proxied, name, ELSEWHERE) == 403


def test_a_client_of_the_proxy_cannot_lie(proxied: Server, name: str) -> None:
    """What stood in the header before the proxy wrote its part does not count."""
    assert status(proxied, name, ELSEWHERE, X_Forwarded_For=f"{CLIENT}, {STRANGER}") == 403


def test_a_stranger_is_not_believed(server: Server, name: str) -> None:
    """Without trusted proxies the header says nothing."""
    assert status(server, name, ELSEWHERE, X_Forwarded_For=CLIENT) == 403


def test_a_proxy_says_that_the_client_came_by_tls(proxied: Server, name: str) -> None:
    """A trusted proxy's scheme is the one that policies see."""
    assert status(proxied, name, IN_CLEAR, X_Forwarded_Proto="https") == 200


@pytest.mark.parametrize("said", ["http", "https, http", "wss"])
def test_anything_else_is_not_tls(proxied: Server, name: str, said: str) -> None:
    """Only ``https``, said last, makes a secure transport of a plain connection."""
    assert status(proxied, name, IN_CLEAR, X_Forwarded_Proto=said) == 403


def test_a_stranger_is_not_believed_about_tls(server: Server, name: str) -> None:
    """Without trusted proxies a connection in the clear is one, whatever the header says."""
    assert status(server, name, IN_CLEAR, X_Forwarded_Proto="https") == 403


def test_tls_from_the_server_itself_is_secure(secure: Server, name: str) -> None:
    """A request over the server's own TLS is a secure transport."""
    assert status(secure, name, IN_CLEAR) == 200


@pytest.mark.parametrize("header", ["Host", "X-Forwarded-Host", "Forwarded"])
def test_no_address_is_taken_from_a_request(proxied: Server, header: str) -> None:
    """The address that clients are told is a setting, even where a trusted proxy names another."""
    answer = proxied.anonymous("GET", "/v2/", headers={header: "evil.example"})
    assert answer.headers["www-authenticate"].startswith(f'Basic realm="{proxied.url}/"')


@pytest.mark.parametrize(
    ("forwarded", "expected"),
    [
        ([], "10.0.0.1"),
        ([CLIENT], CLIENT),
        ([STRANGER, CLIENT], CLIENT),
        ([CLIENT, "10.0.0.2", "10.0.0.3"], CLIENT),
        (["10.0.0.2"], "10.0.0.2"),
        ([f"{CLIENT}:4711"], CLIENT),
        (["[2001:db8:1::1]:4711"], "2001:db8:1::1"),
        ([CLIENT, "2001:db8::1"], CLIENT),
        ([f"::ffff:{CLIENT}"], CLIENT),
        ([CLIENT, "unknown", "10.0.0.2"], "10.0.0.2"),
        ([CLIENT, ""], "10.0.0.1"),
    ],
)
def test_the_last_untrusted_hop_is_the_client(forwarded: list[str], expected: str) -> None:
    """Read from the end, the first address that no trusted proxy has is the client's."""
    assert proxies.origin("10.0.0.1", forwarded, TRUSTED) == expected


@pytest.mark.parametrize(
    ("address", "trusted"),
    [("10.9.9.9", True), ("::ffff:10.0.0.1", True), ("11.0.0.1", False), ("2001:db8::9", True), ("unix", False)],
)
def test_a_network_holds_its_addresses(address: str, trusted: bool) -> None:
    """An address is trusted if it is in a network of the setting, in whichever form it comes."""
    assert proxies.is_trusted(address, TRUSTED) is trusted


def test_a_network_that_is_none_is_refused() -> None:
    """A setting that is no list of networks is refused."""
    with pytest.raises(SettingsError, match="trusted_proxies"):
        Settings(trusted_proxies="10.0.0.0/8,proxy.example")

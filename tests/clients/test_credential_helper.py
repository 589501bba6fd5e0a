"""Amazon's own credential helper for docker, unmodified, against a registry that bears names as Amazon's do."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests import servers
from tests.clients import go
from tests.servers import ACCOUNT, REGION

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.clients.tools import Tool
    from tests.servers import Server

# The helper's pattern of host names allows Amazon's domains only.
DOMAIN = "amazonaws.com"
REGISTRY = f"{ACCOUNT}.dkr.ecr.{REGION}.{DOMAIN}"


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that clients reach under names of the domain, by TLS, which another program ends."""
    flags = ["--domain", DOMAIN, "--public-url", f"https://{REGISTRY}"]
    with servers.running(tmp_path_factory.mktemp("named"), *flags) as started:
        # The tests themselves go past that program.
        yield replace(started, ready_line=f"http://{started.host}")


@pytest.fixture
def helper(named: Server, tmp_path: Path) -> Tool:
    """The helper, with what ``moorage env`` exports."""
    nobody = f"http://localhost:{servers.free_port()}"
    tool = go.tool("docker-credential-ecr-login", tmp_path, AWS_ENDPOINT_URL_ECR_PUBLIC=nobody, AWS_MAX_ATTEMPTS="1")
    return tool.with_environment(**{k: v for k, v in named.environment().items() if k.startswith("AWS_")})


def get(helper: Tool, host: str = REGISTRY) -> dict[str, str]:
    """Ask for a login, as docker does."""
    answer: dict[str, str] = json.loads(helper("get", stdin=f"{host}\n"))
    return answer


def token_of(login: dict[str, str]) -> str:
    """Return a login as GetAuthorizationToken gives it."""
    return base64.b64encode(f"{login['Username']}:{login['Secret']}".encode()).decode()


def ask(server: Server, login: dict[str, str], host: str = REGISTRY) -> Any:
    """Ask the registry who is there, under a name."""
    return server.request("GET", "/v2/", token=token_of(login), headers={"Host": host})


@pytest.mark.parametrize("host", [REGISTRY, f"https://{REGISTRY}", f"https://{REGISTRY}/v2/"])
def test_the_helper_logs_in(helper: Tool, named: Server, host: str) -> None:
    """What the helper gives to docker opens the registry."""
    login = get(helper, host)

    assert login["Username"] == "AWS"
    assert ask(named, login).status == 200


def test_the_helper_lists_the_registry(helper: Tool) -> None:
    """The helper's list names the registry of whoever asks, by its endpoint."""
    assert json.loads(helper("list")) == {f"https://{REGISTRY}": "AWS"}


def test_the_helper_believes_the_expiry(helper: Tool, named: Server, tmp_path: Path) -> None:
    """The helper keeps the token with its end, twelve hours on, and asks no one again before half of that."""
    first = get(helper)

    (kept,) = json.loads((tmp_path / ".ecr" / "cache.json").read_text())["Registries"].values()
    asked, ends = (datetime.fromisoformat(kept[name]) for name in ("RequestedAt", "ExpiresAt"))
    assert (kept["ProxyEndpoint"], kept["AuthorizationToken"]) == (f"https://{REGISTRY}", token_of(first))
    assert timedelta(hours=11) < ends - asked <= timedelta(hours=12)
    nobody = f"http://localhost:{servers.free_port()}"
    assert get(helper.with_environment(AWS_ENDPOINT_URL_ECR=nobody)) == first
    assert ask(named, first).status == 200


def test_another_host_is_not_the_helper_s(helper: Tool, named: Server) -> None:
    """For a plain address the helper gives nothing, as it does for any registry that is not Amazon's."""
    assert "credentials not found" in helper.refused("get", stdin=named.host)


def test_another_region_s_name_is_refused(helper: Tool, named: Server) -> None:
    """A login for one region does not open the registry under another region's name."""
    assert ask(named, get(helper), f"{ACCOUNT}.dkr.ecr.us-west-2.{DOMAIN}").status == 401


def test_every_field_that_helpers_read(named: Server) -> None:
    """GetAuthorizationToken gives a token of two parts, an end with a time zone, and an https endpoint."""
    (data,) = named.client().get_authorization_token()["authorizationData"]

    user, _, password = base64.b64decode(data["authorizationToken"]).decode().partition(":")
    assert (user, bool(password)) == ("AWS", True)
    assert data["expiresAt"].tzinfo is not None
    assert data["proxyEndpoint"] == f"https://{REGISTRY}"


def test_registry_ids_are_answered_one_by_one(named: Server) -> None:
    """A registry asked for by its id, as the helper does, is answered with that registry's endpoint."""
    (data,) = named.client().get_authorization_token(registryIds=[ACCOUNT])["authorizationData"]

    assert data["proxyEndpoint"] == f"https://{REGISTRY}"


def test_repositories_bear_the_name(named: Server) -> None:
    """The address of a repository begins with the host that the helper knows."""
    made = named.client().create_repository(repositoryName="some/app")["repository"]

    assert made["repositoryUri"] == f"{REGISTRY}/some/app"

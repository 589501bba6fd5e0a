"""Request rates of a running server, at both doors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from tests import servers
from tests.access.kit import POWER_USER, credentials, moorage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers import Server


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that allows a request in 50 seconds for each of two operations."""
    config = tmp_path_factory.mktemp("config") / "moorage.toml"
    config.write_text('rate_limits = "ListImages=0.02,DescribeImages=0.02"\n')
    with servers.running(tmp_path_factory.mktemp("limited"), "--config", str(config), workers=1) as started:
        started.client().create_repository(repositoryName="one")
        yield started


def user(server: Server, name: str) -> dict[str, str]:
    """Make a user who may push and pull; return the credentials."""
    moorage(server, "user", "create", name)
    moorage(server, "user", "attach", name, POWER_USER)
    return credentials(server, name)


def test_who_is_too_fast_is_throttled(limited: Server) -> None:
    """The second request is ``ThrottlingException: Rate exceeded``; other operations and other callers go on."""
    alice, bob = (limited.client(**user(limited, name)) for name in ("alice", "bob"))
    alice.describe_images(repositoryName="one")

    with pytest.raises(ClientError) as caught:
        alice.describe_images(repositoryName="one")

    answer: Any = caught.value.response
    assert answer["Error"] == {"Code": "ThrottlingException", "Message": "Rate exceeded"}
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert 40 <= int(answer["ResponseMetadata"]["HTTPHeaders"]["retry-after"]) <= 50
    bob.describe_images(repositoryName="one")
    alice.describe_repositories()


def test_both_doors_count_as_one(limited: Server) -> None:
    """Listing tags is ``ListImages``: what was done at one door counts at the other, which answers 429."""
    keys = user(limited, "carol")
    limited.client(**keys).list_images(repositoryName="one")

    answer = limited.request("GET", "/v2/one/tags/list", token=limited.token(**keys))

    assert answer.status == 429
    assert answer.json() == {"errors": [{"code": "TOOMANYREQUESTS", "message": "Rate exceeded"}]}
    assert 40 <= int(answer.headers["retry-after"]) <= 50
    metrics = limited.anonymous("GET", "/metrics").data.decode()
    assert 'moorage_throttled_total{group="ListImages"} 1.0' in metrics


def test_a_limit_without_effect_is_refused(tmp_path: Any) -> None:
    """A limit of an operation that there is not is refused when the server starts."""
    config = tmp_path / "moorage.toml"
    config.write_text('rate_limits = "PutImages=5"\n')
    with pytest.raises(RuntimeError, match="no operation is called PutImages"):
        servers.start(tmp_path / "data", "--config", str(config))

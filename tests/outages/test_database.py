"""PostgreSQL goes away under load, or has no room: clients see retries or clear refusals, and nothing is lost."""

from __future__ import annotations

import concurrent.futures
import contextlib
import uuid
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from botocore.config import Config

from tests import content, postgres, servers
from tests.oci.wire import until
from tests.outages.pushing import Pushers, require_pullable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers import Server

POOL = 3
WORKERS = 2


@pytest.fixture(scope="module")
def unsteady() -> Iterator[postgres.Cluster]:
    """A PostgreSQL server of our own, which waits for the disk."""
    with postgres.running() as cluster:
        yield cluster


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory, unsteady: postgres.Cluster) -> Iterator[Server]:
    """A registry on it."""
    folder = tmp_path_factory.mktemp("unsteady")
    (folder / "moorage.toml").write_text(f"database_pool = {POOL}\n")
    flags = ("--database", unsteady.migrated(), "--config", str(folder / "moorage.toml"))
    with servers.running(folder / "data", *flags, workers=WORKERS) as started:
        yield started


@pytest.fixture
def name(own: Server) -> str:
    """A new repository."""
    made = f"app-{uuid.uuid4().hex[:8]}"
    own.client().create_repository(repositoryName=made)
    return made


def connections(cluster: postgres.Cluster, server: Server) -> list[str]:
    """Return the states of the connections that the registry has."""
    name = sa.make_url(str(server.database)).database
    asked = f"SELECT state FROM pg_stat_activity WHERE datname = '{name}' AND application_name = 'moorage'"  # noqa: S608
    return [row[0] or "" for row in cluster.execute(asked)]


def require_calm(cluster: postgres.Cluster, server: Server) -> None:
    """Assert that no connection was lost or kept, and that nothing failed in a way that nobody had foreseen."""
    assert len(connections(cluster, server)) <= POOL * WORKERS
    until(lambda: not any(state.startswith("idle in transaction") for state in connections(cluster, server)))
    assert [line for line in server.log if "internal_error" in line] == []


def test_crashes_under_pushes(unsteady: postgres.Cluster, own: Server, name: str) -> None:
    """PostgreSQL crashes and starts again, three times, under many pushes: all go on, and what was acknowledged is there."""
    with Pushers(own, 4, name) as pushers:
        for _ in range(3):
            pushers.wait_for(6)
            unsteady.control("restart", "-m", "immediate")
        pushers.wait_for(6)

    assert pushers.odd == []
    assert {code for status, code in pushers.answers if status == 503} <= {"UNAVAILABLE"}
    require_pullable(own, name, pushers.acknowledged)
    listed = own.client().get_paginator("list_images").paginate(repositoryName=name)
    stored = {image["imageDigest"] for page in listed for image in page["imageIds"]}
    assert stored == {image.digest for image in pushers.acknowledged}
    require_calm(unsteady, own)


def test_a_longer_absence(unsteady: postgres.Cluster, own: Server, name: str) -> None:
    """While PostgreSQL is away both doors say so in their own words; soon after it is back they serve again."""
    pushed = content.push(own, name, "v1")
    token, client = own.token(), own.client()
    sts = own.client("sts")
    unsteady.control("stop", "-m", "fast")

    pulled = own.request("GET", f"/v2/{name}/manifests/v1", token=token)
    with pytest.raises(client.exceptions.ServerException, match="not available at the moment") as caught:
        client.describe_repositories()
    with pytest.raises(sts.exceptions.ClientError) as asked:
        sts.get_caller_identity()
    ready = own.anonymous("GET", "/readyz")
    alive = own.anonymous("GET", "/healthz")
    unsteady.control("start")

    assert (pulled.status, pulled.json()["errors"][0]["code"]) == (503, "UNAVAILABLE")
    assert pulled.headers["Retry-After"] == "1"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500
    assert asked.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
    assert (ready.status, alive.status) == (503, 200)
    require_pullable(own, name, [pushed])
    until(lambda: own.anonymous("GET", "/readyz").status == 200)  # what it says is a second old
    require_calm(unsteady, own)


def test_an_unmodified_client_gets_over_a_crash(unsteady: postgres.Cluster, own: Server) -> None:
    """boto3 with its own retries, as everybody has it, does not notice a crash between its calls or during one."""
    client = own.client(config=Config(retries={"mode": "standard", "max_attempts": 5}))
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        for number in range(3):
            restarting = pool.submit(unsteady.control, "restart", "-m", "immediate")
            made = f"made-{number}"
            with contextlib.suppress(client.exceptions.RepositoryAlreadyExistsException):
                # The answer to the first attempt may have been lost.
                client.create_repository(repositoryName=made)
            assert client.describe_repositories(repositoryNames=[made])["repositories"]
            restarting.result()
    require_calm(unsteady, own)


def test_no_room_at_the_server(tmp_path: Path) -> None:
    """Where PostgreSQL takes fewer connections than the pools would have, every request is answered, none by accident."""
    with postgres.running(max_connections="7") as cluster:  # of which three are the superuser's
        url = cluster.migrated()
        as_documented(cluster, url)
        flags = ("--database", url.replace("postgres@", "registry@"))
        # Without jobs, which would sooner or later open one too.
        with servers.running(tmp_path, *flags, "--no-jobs", workers=WORKERS) as server:
            # Before anybody asks: who has none yet would find none in the rush.
            until(lambda: len(connections(cluster, server)) >= WORKERS)
            server.client().create_repository(repositoryName="app")
            pushed = content.push(server, "app", "v1")
            token = server.token()

            def pull(_: int) -> Any:
                return server.request("GET", "/v2/app/manifests/v1", token=token)

            with concurrent.futures.ThreadPoolExecutor(24) as pool:
                answers = list(pool.map(pull, range(300)))

            assert {answer.status for answer in answers} <= {200, 503}
            assert {answer.data for answer in answers if answer.status == 200} == {pushed.manifest}
            assert all("Retry-After" in answer.headers for answer in answers if answer.status == 503)
            assert pull(0).status == 200
            assert [line for line in server.log if "internal_error" in line] == []


def as_documented(cluster: postgres.Cluster, url: str) -> None:
    """Give a role what the guide says that a server needs, and no more (docs/operating.md)."""
    name = sa.make_url(url).database or ""
    for statement in (
        "CREATE ROLE registry LOGIN",
        "GRANT USAGE ON SCHEMA public TO registry",
        "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO registry",
    ):
        cluster.execute(statement, name)


def test_all_connections_taken(tmp_path: Path) -> None:
    """A request that finds no connection free in time is refused clearly; what holds the connections is not disturbed."""
    (tmp_path / "moorage.toml").write_text("database_pool = 1\ndatabase_wait_seconds = 1\n")
    flags = ("--config", str(tmp_path / "moorage.toml"))
    with postgres.shared() as cluster:
        url = cluster.migrated()
        with servers.running(tmp_path / "data", "--database", url, *flags, workers=1) as server:
            client = server.client()
            client.create_repository(repositoryName="app")
            token = server.token()
            with contextlib.closing(cluster.connect(sa.make_url(url).database or "")) as other:
                other.execute("BEGIN")
                other.execute("LOCK TABLE repositories")
                with concurrent.futures.ThreadPoolExecutor(1) as pool:
                    held = pool.submit(server.request, "GET", "/v2/app/tags/list", token=token)
                    waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                    while not cluster.execute(waiting):
                        pass
                    refused = server.request("GET", "/v2/app/tags/list", token=token)
                    with pytest.raises(client.exceptions.ClientError) as caught:
                        client.describe_repositories()
                    other.execute("ROLLBACK")
                    assert held.result().status == 200
            assert (refused.status, refused.json()["errors"][0]["code"]) == (503, "UNAVAILABLE")
            assert caught.value.response["Error"]["Code"] == "ThrottlingException"
            assert server.request("GET", "/v2/app/tags/list", token=token).status == 200

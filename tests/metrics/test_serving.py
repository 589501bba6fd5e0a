"""``GET /metrics`` of a running server: what Prometheus reads, whoever answers it."""

from __future__ import annotations

import json
import os
import signal
import time
import uuid
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import urllib3
from prometheus_client.parser import text_string_to_metric_families

from tests import content, servers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers import Server

PATIENCE = 30

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of two workers that logs its requests."""
    config = tmp_path_factory.mktemp("config") / "moorage.toml"
    config.write_text("log_requests = true\n")
    with servers.running(tmp_path_factory.mktemp("watched"), "--config", str(config)) as started:
        yield started


def scrape(server: Server) -> Samples:
    """Read the metrics as Prometheus does, on a connection of its own."""
    with urllib3.PoolManager() as http:
        answer = http.request("GET", f"{server.url}/metrics")
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/plain")
    families = text_string_to_metric_families(answer.data.decode())
    return {(s.name, frozenset(s.labels.items())): s.value for family in families for s in family.samples}


def value(samples: Samples, name: str, **labels: str) -> float:
    """Return the sum of the samples that have these labels."""
    wanted = set(labels.items())
    return sum(v for (sample, its), v in samples.items() if sample == name and wanted <= its)


def awaited(server: Server, expected: float, name: str, **labels: str) -> Samples:
    """Scrape until a value has come: a worker's counts are read a second after it counted."""
    deadline = time.monotonic() + PATIENCE
    while value(samples := scrape(server), name, **labels) != expected:
        assert time.monotonic() < deadline, (expected, value(samples, name, **labels))
        time.sleep(0.05)
    return samples


def workers_of(server: Server) -> list[int]:
    """The process ids of the workers."""
    tasks = Path(f"/proc/{server.process.pid}/task")
    return [int(pid) for task in tasks.iterdir() for pid in (task / "children").read_text().split()]


def test_a_scrape_tells_of_all_workers(server: Server) -> None:
    """Requests that two workers answered, on 40 connections, are all counted, once each, by any of the two."""
    token = server.token()
    for _ in range(40):
        with urllib3.PoolManager() as http:
            http.request("GET", f"{server.url}/v2/_catalog", headers={"Authorization": f"Basic {token}"})

    labels = {"door": "oci", "operation": "GET /v2/_catalog"}
    samples = awaited(server, 40, "moorage_requests_total", status="2xx", **labels)

    assert value(samples, "moorage_request_seconds_count", **labels) == 40
    assert value(samples, "moorage_request_seconds_bucket", le="+Inf", **labels) == 40
    assert 0 < value(samples, "moorage_request_seconds_sum", **labels) < 40 * 300
    assert value(samples, "moorage_workers") == 2
    assert value(samples, "moorage_build_info") == 1
    assert value(samples, "process_resident_memory_bytes") > 0


def test_operations_of_the_aws_door_have_their_names(server: Server) -> None:
    """Operations of ECR and of STS are counted by their names, refusals by the class of their status."""
    ecr = server.client()
    ecr.create_repository(repositoryName="named")
    with pytest.raises(ecr.exceptions.RepositoryAlreadyExistsException):
        ecr.create_repository(repositoryName="named")
    server.client("sts").get_caller_identity()

    counted = {"door": "aws", "operation": "CreateRepository"}
    awaited(server, 1, "moorage_requests_total", status="2xx", **counted)
    awaited(server, 1, "moorage_requests_total", status="4xx", **counted)
    awaited(server, 1, "moorage_requests_total", door="aws", operation="GetCallerIdentity")


def test_bytes_are_counted_on_their_way(server: Server) -> None:
    """What a push sends in and what pulls take out is counted to the byte, also where the server sends files itself."""
    server.client().create_repository(repositoryName="bytes")
    data = os.urandom(3_000_000)
    digest = content.digest_of(data)
    upload = server.request("POST", "/v2/bytes/blobs/uploads/").headers["location"]
    assert server.request("PUT", f"{upload}?digest={digest}", body=data).status == 201
    for headers in ({}, {"Range": "bytes=0-999"}):
        server.request("GET", f"/v2/bytes/blobs/{digest}", headers=headers)

    put = "PUT /v2/{name}/blobs/uploads/{upload}"
    awaited(server, 3_000_000, "moorage_received_bytes_total", door="oci", operation=put)
    awaited(server, 3_001_000, "moorage_sent_bytes_total", door="oci", operation="GET /v2/{name}/blobs/{digest}")


def test_what_clients_write_is_no_label(server: Server) -> None:
    """Names of repositories, unknown paths, methods and operations never become labels, however many are sent."""
    known = {labels for _, labels in scrape(server)}
    marks = [uuid.uuid4().hex for _ in range(20)]
    for mark in marks:
        server.anonymous("GET", f"/v2/{mark}/tags/list")
        server.anonymous("GET", f"/{mark}")
        server.anonymous(mark.upper(), "/v2/")
        server.anonymous("POST", "/", headers={"x-amz-target": f"AmazonEC2ContainerRegistry_V20150921.{mark}"})
        server.anonymous(
            "POST", "/", headers={"content-type": "application/x-www-form-urlencoded"}, body=f"Action={mark}"
        )

    samples = awaited(server, 20, "moorage_requests_total", operation="GET /v2/{name}/tags/list")

    text = " ".join(f"{name}{sorted(labels)}" for name, labels in samples).lower()
    assert not [mark for mark in marks if mark in text]
    new = {dict(labels).get("operation") for _, labels in samples if labels not in known}
    assert new <= {"GET /v2/{name}/tags/list", "none", "/metrics", None}


def test_sums_never_go_back(server: Server) -> None:
    """Of many scrapes, which both workers answer while requests go on, none has less than one before it."""
    seen: dict[Any, float] = defaultdict(float)
    for _ in range(30):
        server.anonymous("GET", "/healthz")
        samples = scrape(server)
        for key, number in samples.items():
            if key[0].endswith(("_total", "_count", "_bucket")):
                assert number >= seen[key], key
                seen[key] = number


def test_only_those_who_may_read_them(server: Server) -> None:
    """A client that came through a proxy that nobody trusts is refused: its address is not known."""
    for header in ("X-Forwarded-For", "Forwarded"):
        assert server.anonymous("GET", "/metrics", headers={header: "127.0.0.1"}).status == 403


def test_readers_are_a_setting(tmp_path: Path) -> None:
    """Who may read metrics is chosen by networks, behind a trusted proxy by the client's own address."""
    flags = ("--metrics", "192.0.2.0/24", "--trusted-proxies", "127.0.0.1")
    with servers.running(tmp_path, *flags, workers=1) as closed:
        assert closed.anonymous("GET", "/metrics").status == 403
        assert closed.anonymous("GET", "/metrics", headers={"X-Forwarded-For": "198.51.100.1"}).status == 403
        assert closed.anonymous("GET", "/metrics", headers={"X-Forwarded-For": "192.0.2.7"}).status == 200


def test_requests_are_logged(server: Server) -> None:
    """With ``log_requests`` each request has a line, with the id of its answer; a download URL's secret is left out."""
    answer = server.anonymous("GET", "/layers/a-secret", headers={"User-Agent": "a test"})

    deadline = time.monotonic() + PATIENCE
    line = None
    while line is None and time.monotonic() < deadline:
        line = next((one for one in server.log if answer.headers["x-request-id"] in one and '"request"' in one), None)
    assert line is not None

    logged = json.loads(line)
    assert (logged["method"], logged["path"], logged["status"]) == ("GET", "/layers/…", answer.status)
    assert (logged["operation"], logged["agent"], logged["client"]) == ("GET /layers/{token}", "a test", "127.0.0.1")
    assert "a-secret" not in "".join(server.log)


def test_a_killed_worker_takes_nothing_back(server: Server) -> None:
    """What a worker had written before it was killed still counts, and there are two workers again."""
    before = scrape(server)
    killed = workers_of(server)[0]
    os.kill(killed, signal.SIGKILL)

    deadline = time.monotonic() + PATIENCE
    while killed in (pids := workers_of(server)) or len(pids) != 2:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    after = awaited(server, 2, "moorage_workers")

    requests = "moorage_requests_total"
    assert value(after, requests, door="aws") >= value(before, requests, door="aws")
    assert value(after, requests, door="oci") >= value(before, requests, door="oci")

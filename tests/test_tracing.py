"""Traces, as a collector receives them over OTLP/HTTP from a running server."""

from __future__ import annotations

import gzip
import http.server
import os
import queue
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from moorage import tracing
from tests import content, servers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers import Server

PATIENCE = 60
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@dataclass
class Collector:
    """What has been received so far."""

    port: int
    arrived: queue.Queue[Any] = field(default_factory=queue.Queue)
    spans: list[Any] = field(default_factory=list)
    resources: list[dict[str, str]] = field(default_factory=list)

    def receive(self, body: bytes) -> None:
        """Take an export apart."""
        for of_resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            resource = {one.key: one.value.string_value for one in of_resource.resource.attributes}
            for of_scope in of_resource.scope_spans:
                for span in of_scope.spans:
                    self.arrived.put((resource, span))

    def wait_for(self, request_id: str) -> Any:
        """Return the span of a request once it has come."""
        deadline = time.monotonic() + PATIENCE
        while True:
            for span in self.spans:
                if attributes(span).get("moorage.request_id") == request_id:
                    return span
            resource, span = self.arrived.get(timeout=max(deadline - time.monotonic(), 0.01))
            self.resources.append(resource)
            self.spans.append(span)

    def below(self, span: Any) -> list[str]:
        """Return the names of the spans that are a span's children; they ended before it, and have come with it."""
        return [one.name for one in self.spans if one.parent_span_id == span.span_id]


def attributes(span: Any) -> dict[str, Any]:
    """Return a span's attributes."""
    return {one.key: one.value.string_value or one.value.int_value for one in span.attributes}


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    """A collector that decodes what it is sent."""

    class Receiver(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            zipped = self.headers.get("content-encoding") == "gzip"
            made.receive(gzip.decompress(body) if zipped else body)
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    listening = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    made = Collector(listening.server_port)
    thread = threading.Thread(target=listening.serve_forever, daemon=True)
    thread.start()
    yield made
    listening.shutdown()
    thread.join()
    listening.server_close()


@pytest.fixture(scope="module")
def traced(collector: Collector, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose environment says where traces go."""
    given = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.port}",
        "OTEL_BSP_SCHEDULE_DELAY": "100",
        "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=tests",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in given.items():
            patch.setenv(name, value)
        with servers.running(tmp_path_factory.mktemp("traced"), workers=1) as started:
            started.client().create_repository(repositoryName="one")
            yield started


def test_a_request_is_a_span_of_its_callers_trace(traced: Server, collector: Collector) -> None:
    """A request that carries ``traceparent`` is a span of that trace, with a child for each of its transactions."""
    answer = traced.request("GET", "/v2/_catalog", headers={"traceparent": f"00-{TRACE}-{PARENT}-01"})

    span = collector.wait_for(answer.headers["x-request-id"])

    assert (span.trace_id.hex(), span.parent_span_id.hex()) == (TRACE, PARENT)
    assert span.name == "GET /v2/_catalog"
    seen = attributes(span)
    assert (seen["http.request.method"], seen["http.response.status_code"]) == ("GET", 200)
    assert (seen["http.route"], seen["url.path"]) == ("GET /v2/_catalog", "/v2/_catalog")
    assert collector.below(span) == ["database read"]
    assert collector.resources[0]["service.name"] == "moorage"
    assert collector.resources[0]["deployment.environment.name"] == "tests"


def test_operations_have_their_names(traced: Server, collector: Collector) -> None:
    """At the AWS door a span is named for its operation; a refusal is no error of the server's."""
    ecr = traced.client()
    found = ecr.describe_repositories()
    with pytest.raises(ecr.exceptions.RepositoryNotFoundException) as caught:
        ecr.describe_images(repositoryName="none")

    span = collector.wait_for(found["ResponseMetadata"]["RequestId"])
    assert (span.name, attributes(span)["rpc.method"]) == ("DescribeRepositories", "DescribeRepositories")
    assert collector.below(span) == ["database read"]
    refused = collector.wait_for(caught.value.response["ResponseMetadata"]["RequestId"])
    assert (refused.status.code, attributes(refused)["http.response.status_code"]) == (0, 400)


def test_a_push_shows_database_and_store(traced: Server, collector: Collector) -> None:
    """An upload's span has its transactions and its calls of the store below it, also those in other threads."""
    data = b"x" * 100_000
    upload = traced.request("POST", "/v2/one/blobs/uploads/").headers["location"]
    answer = traced.request("PUT", f"{upload}?digest={content.digest_of(data)}", body=data)

    span = collector.wait_for(answer.headers["x-request-id"])

    assert span.name == "PUT /v2/{name}/blobs/uploads/{upload}"
    assert {"database read", "database write", "store open", "store sync"} <= set(collector.below(span))


def test_what_clients_make_up_names_no_span(traced: Server, collector: Collector) -> None:
    """Methods and paths that are not ours do not become names, and secrets in a path are left out."""
    odd = collector.wait_for(traced.anonymous("BREW", "/pot").headers["x-request-id"])
    assert (odd.name, attributes(odd)["http.request.method"]) == ("HTTP", "_OTHER")
    secret = collector.wait_for(traced.anonymous("GET", "/layers/a-secret").headers["x-request-id"])
    assert secret.name == "GET /layers/{token}"
    assert "a-secret" not in str(secret)


@pytest.mark.parametrize(
    ("environ", "wanted"),
    [
        ({}, False),
        ({"OTEL_SERVICE_NAME": "x"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://there"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://there"}, True),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://there"}, False),
        ({"OTEL_SDK_DISABLED": "TRUE", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://there"}, False),
    ],
)
def test_the_environment_decides(environ: dict[str, str], *, wanted: bool) -> None:
    """Traces are made where the SDK's own variables say where they go, and nowhere else."""
    assert tracing.is_wanted(environ) is wanted


def test_nothing_is_imported_unasked() -> None:
    """Without such a variable an application is made without a module of OpenTelemetry's."""
    script = (
        "import sys; from moorage import app, tracing; assert tracing.begin(None) is None;"
        "assert not [name for name in sys.modules if name.startswith('opentelemetry')]"
    )
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    subprocess.run([sys.executable, "-c", script], env=clean, check=True, timeout=60)

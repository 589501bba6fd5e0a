"""Whatever is sent: no request makes an internal error, and none of them breaks the registry."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from moorage import app
from moorage.config import Settings
from moorage.domain import manifests
from tests import content
from tests.oci.wire import ABSENT, NO_UPLOAD

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.types import ASGIApp, Message

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"]
REPOSITORY = "some/app"
IMAGE = content.image(b"layer")
BLOB = content.digest_of(b"layer")


@dataclass(frozen=True, slots=True)
class Answer:
    """What the application sent."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes


@dataclass(frozen=True, slots=True)
class InProcess:
    """The application itself, called as a server calls it."""

    application: ASGIApp
    loop: asyncio.AbstractEventLoop

    def __call__(
        self,
        method: str,
        path: str,
        query: bytes = b"",
        headers: list[tuple[bytes, bytes]] | None = None,
        *pieces: bytes,
        gone: bool = False,
    ) -> Answer | None:
        """Send a request, whose sender may go away in the middle; return the answer."""
        received: list[Message] = []
        coming: list[Message] = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
        coming.append(
            {"type": "http.disconnect"} if gone else {"type": "http.request", "body": b"", "more_body": False}
        )

        async def receive() -> Message:
            return coming.pop(0) if coming else {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            received.append(message)

        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode("utf-8", "replace"),
            "root_path": "",
            "query_string": query,
            "headers": headers or [],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 5100),
            "extensions": {},
        }
        self.loop.run_until_complete(self.application(scope, receive, send))
        body = b"".join(message.get("body", b"") for message in received)
        return Answer(received[0]["status"], dict(received[0]["headers"]), body) if received else None


@pytest.fixture(scope="module")
def call(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcess]:
    """An application in which everybody may do everything, with one image."""
    chosen = Settings(data=tmp_path_factory.mktemp("any"), dev=True)
    app.prepare(chosen)
    registry = app.open_registry(chosen)
    loop = asyncio.new_event_loop()
    call = InProcess(app.create_app(registry=registry), loop)
    for part in (IMAGE.config, *IMAGE.layers):
        query = f"digest={content.digest_of(part)}".encode()
        done = call("POST", f"/v2/{REPOSITORY}/blobs/uploads/", query, None, part)
        assert done is not None
        assert done.status == 201
    put_image(call)
    yield call
    loop.close()
    registry.close()


def put_image(call: InProcess) -> None:
    """Put the image."""
    headers = [(b"content-type", manifests.OCI_IMAGE.encode())]
    done = call("PUT", f"/v2/{REPOSITORY}/manifests/v1", b"", headers, IMAGE.manifest)
    assert done is not None
    assert done.status == 201, done.body


ODD = st.text(max_size=40)


def mostly(*good: str, odd: list[str]) -> st.SearchStrategy[str]:
    """Return a strategy of which two thirds lead somewhere."""
    return st.one_of(st.sampled_from(good), st.sampled_from(good), st.sampled_from([*good, *odd]) | ODD)


NAMES = mostly(REPOSITORY, odd=["no/such", "..", "", "A", "a" * 256, "a" * 257, "a/../b", "\0", "ü", "a\nb"])
DIGESTS = mostly(BLOB, IMAGE.digest, odd=[ABSENT, "sha512:" + "0" * 128, "sha256:", ":", "md5:0", BLOB.upper()])
REFERENCES = mostly("v1", "v2", IMAGE.digest, odd=[ABSENT, "gone", "t" * 300, "t" * 301, "_", "."])
UPLOADS = mostly(NO_UPLOAD, odd=["", "{" + NO_UPLOAD + "}", NO_UPLOAD.replace("-", ""), "x"])
TOKENS = mostly("x.y.z", odd=["..", "", "e30.e30.e30"])
PATHS = st.one_of(
    st.builds("/v2/{}/manifests/{}".format, NAMES, REFERENCES),
    st.builds("/v2/{}/blobs/{}".format, NAMES, DIGESTS),
    st.builds("/v2/{}/blobs/uploads/{}".format, NAMES, UPLOADS),
    st.builds("/v2/{}/blobs/uploads/".format, NAMES),
    st.builds("/v2/{}/tags/list".format, NAMES),
    st.builds("/v2/{}/referrers/{}".format, NAMES, DIGESTS),
    st.builds("/layers/{}".format, TOKENS),
    st.sampled_from(["/v2/", "/v2", "/v2/_catalog", "/", "", "//", "*", "/healthz", "/readyz", "/metrics"]),
    st.builds("/{}".format, ODD),
)
QUERIES = st.lists(
    st.tuples(
        st.sampled_from(["digest", "mount", "from", "n", "last", "tag", "artifactType", "digest-algorithm", "x"]),
        DIGESTS | NAMES | st.sampled_from(["0", "-1", "1", "99999999999999999999", "1e3", "٣", "%", "%ff%fe"]),
    ),
    max_size=4,
).map(lambda pairs: "&".join(f"{name}={value}" for name, value in pairs).encode("utf-8", "replace"))
VALUES = st.binary(max_size=60) | st.sampled_from(
    [
        b"0-4",
        b"5-0",
        b"bytes=0-",
        b"bytes=5-1,-2",
        b"*",
        b'"x"',
        b"W/",
        b"Basic",
        b"Basic QVdTOng=",
        b"9" * 400,
        f'"{BLOB}"'.encode(),
        manifests.OCI_IMAGE.encode(),
        manifests.OCI_INDEX.encode(),
        b"[::1",
        b"gzip;q=",
        b"a/b;c",
    ]
)
ODD_HEADERS = st.tuples(
    st.sampled_from(
        [
            b"authorization",
            b"content-type",
            b"content-range",
            b"content-length",
            b"range",
            b"if-range",
            b"host",
            b"if-none-match",
            b"accept",
            b"user-agent",
            b"x-forwarded-host",
            b"transfer-encoding",
            b"expect",
        ]
    ),
    VALUES,
)
TYPES = st.sampled_from(sorted(manifests.MANIFEST_TYPES)).map(lambda media_type: (b"content-type", media_type.encode()))
HEADERS = st.lists(TYPES | ODD_HEADERS, max_size=4)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ODD | DIGESTS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["mediaType", "digest", "size", "urls", "config", "layers", "annotations", "subject", "x"]),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)
GOOD: dict[str, Any] = json.loads(IMAGE.manifest)
DESCRIPTOR = content.descriptor(IMAGE.manifest, manifests.OCI_IMAGE)
MEMBERS = {
    "mediaType": st.sampled_from(sorted(manifests.MANIFEST_TYPES)),
    "config": st.just(GOOD["config"]),
    "layers": st.sampled_from([GOOD["layers"], GOOD["layers"] * 2, []]),
    "manifests": st.sampled_from([[DESCRIPTOR], [], [GOOD["config"]]]),
    "subject": st.sampled_from([DESCRIPTOR, {**DESCRIPTOR, "digest": ABSENT}]),
    "artifactType": ODD,
    "annotations": st.dictionaries(ODD, ODD, max_size=2),
}
CHANGED = st.sampled_from(sorted(MEMBERS)).flatmap(
    lambda name: st.fixed_dictionaries({name: MEMBERS[name] | JSON})  # one member at a time: most documents stay good
)
DOCUMENTS = st.one_of(
    st.builds(lambda changed: GOOD | changed, CHANGED),
    st.builds(lambda first, second: GOOD | first | second, CHANGED, CHANGED),
    st.fixed_dictionaries({"schemaVersion": st.just(2) | JSON}, optional=MEMBERS),
    JSON,
).map(lambda document: json.dumps(document).encode())
BODIES = st.just([IMAGE.manifest]) | st.lists(st.binary(max_size=200), max_size=3) | DOCUMENTS.map(lambda body: [body])

RELAXED = settings(
    max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def check(answer: Answer | None) -> None:
    """Check that an answer is one that a client may get: no internal error, and an error explains itself."""
    assert answer is not None
    assert answer.status < 500, answer.body
    if (
        answer.status >= 400
        and answer.body
        and answer.headers.get(b"content-type", b"").startswith(b"application/json")
    ):
        document = cast("dict[str, Any]", json.loads(answer.body))
        assert "errors" in document or "__type" in document


@RELAXED
@given(st.sampled_from(METHODS), PATHS, QUERIES, HEADERS, BODIES, st.booleans())
@example("GET", f"/v2/{REPOSITORY}/manifests/v1", b"", [(b"host", b"[")], [], False)
@example("GET", f"/v2/{REPOSITORY}/tags/list", b"last=%00%ff", [], [], False)
@example("GET", f"/v2/{REPOSITORY}/blobs/{BLOB}", b"", [(b"range", b"bytes=0-1,3-4"), (b"if-range", b"x")], [], False)
@example("GET", "/nothing/\x85\u2028", b"", [], [], False)
def test_no_request_makes_an_internal_error(
    call: InProcess,
    method: str,
    path: str,
    query: bytes,
    headers: list[tuple[bytes, bytes]],
    pieces: list[bytes],
    gone: bool,
) -> None:
    """Any method on any path with any query, headers and body is answered below 500, also if its sender goes away."""
    check(call(method, path, query, headers, *pieces, gone=gone))


@RELAXED
@given(DOCUMENTS, st.sampled_from([manifests.OCI_IMAGE, *sorted(manifests.MANIFEST_TYPES), "", "a/b"]), REFERENCES)
def test_no_manifest_makes_an_internal_error(call: InProcess, body: bytes, media_type: str, reference: str) -> None:
    """Any document put as a manifest is stored as it is, or refused."""
    headers = [(b"content-type", media_type.encode())]
    answer = call("PUT", f"/v2/{REPOSITORY}/manifests/{reference}", b"", headers, body)

    check(answer)
    assert answer is not None
    if answer.status == 201:
        digest = answer.headers[b"docker-content-digest"].decode()
        stored = call("GET", f"/v2/{REPOSITORY}/manifests/{digest}")
        assert stored is not None
        assert stored.body == body


@settings(RELAXED, max_examples=100)
@given(
    st.lists(st.tuples(st.sampled_from(["PATCH", "PUT", "GET", "GONE"]), st.binary(max_size=40), HEADERS), max_size=6)
)
def test_no_course_of_an_upload_makes_an_internal_error(
    call: InProcess, steps: list[tuple[str, bytes, list[tuple[bytes, bytes]]]]
) -> None:
    """An upload that is continued, asked for and cut off in any order ends as the bytes that were taken."""
    begun = call("POST", f"/v2/{REPOSITORY}/blobs/uploads/")
    assert begun is not None
    path, taken = begun.headers[b"location"].decode(), b""
    for step, data, headers in steps:
        method = "PATCH" if step == "GONE" else step
        query = f"digest={ABSENT}".encode() if method == "PUT" else b""
        answer = call(method, path, query, headers, data, gone=step == "GONE")
        check(answer)
        assert answer is not None
        taken += data if answer.status == 202 else b""

    done = call("PUT", path, f"digest={content.digest_of(taken)}".encode())

    assert done is not None
    assert done.status == 201, done.body


def test_the_image_is_still_there(call: InProcess) -> None:
    """After all of this the registry works as before."""
    put_image(call)
    answer = call("GET", f"/v2/{REPOSITORY}/manifests/v1")

    assert answer is not None
    assert answer.body == IMAGE.manifest

"""The checks, in their order: each is a step of a push and a pull, and knows what commonly breaks it."""

from __future__ import annotations

import hashlib
import json
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urljoin, urlsplit

from moorage.doctor.wire import Answer, Trouble

if TYPE_CHECKING:
    from collections.abc import Callable

    from moorage.doctor.wire import Wire

_MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
_EMPTY: Final = b"{}"
_SKEW: Final = timedelta(minutes=5)
"""By how much the clock of a signature may be wrong (Signature Version 4)."""
_LARGE: Final = 2 * 1024 * 1024
"""Bytes: more than proxies take that nobody has told to (nginx: 1 MiB)."""


class Visit:
    """One visit to a registry, and what the checks so far have brought to light."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.repository = f"moorage-doctor/{uuid.uuid4().hex[:12]}"
        self.is_made = False
        self.headers: dict[str, str] = {}
        self.layer = b"x"

    def blob(self, tail: str) -> str:
        """Return an address below the repository's blobs."""
        return f"/v2/{self.repository}/blobs/{tail}"


@dataclass(frozen=True, slots=True)
class Check:
    """One step: returns what is well, or raises `Trouble`."""

    title: str
    run: Callable[[Visit], str]


def _expect(answer: Answer, status: int, what: str, advice: str) -> None:
    if answer.status == status:
        return
    if answer.status in {502, 503, 504}:
        advice = "The proxy cannot reach Moorage, or Moorage its database or store: see `/readyz` and the server's log."
    raise Trouble(f"{what}: {answer}", advice)


def reach(visit: Visit) -> str:
    """Ask for the API's version, without a credential."""
    answer = visit.wire.send("GET", "/v2/")
    if answer.status in {301, 302, 307, 308}:
        there = answer.headers.get("Location", "elsewhere")
        raise Trouble(f"it sends clients to {there}", "Clients should be told that address: set `public_url` to it.")
    _expect(answer, 401, "GET /v2/", "The proxy must pass `/v2/` on to Moorage, with the slash and nothing rewritten.")
    if "Docker-Distribution-Api-Version" not in answer.headers or "WWW-Authenticate" not in answer.headers:
        raise Trouble(
            "something other than Moorage answers there", "Does the proxy ask for a password itself, or drop headers?"
        )
    return f"{visit.wire.url} answers"


def clock(visit: Visit) -> str:
    """Compare the clocks: a signature is good for minutes."""
    date = visit.wire.send("GET", "/v2/").headers.get("Date")
    if date is None:
        return "the server tells no time"
    off = datetime.now(UTC) - parsedate_to_datetime(date)
    if abs(off) > _SKEW:
        raise Trouble(
            f"the clocks are {abs(off)} apart", "Set both by the same time service: signatures expire by them."
        )
    return f"the clocks agree to {abs(off).total_seconds():.0f} s"


def sign(visit: Visit) -> str:
    """Send a signed request, as the AWS SDKs do."""
    answer = visit.wire.call("sts", "GetCallerIdentity")
    is_ours = b"Signature" in answer.body
    if answer.status in {404, 405} or (answer.status == 403 and not is_ours):  # noqa: PLR2004 (HTTP)
        raise Trouble(f"POST /: {answer}", "The proxy must pass `/` on to Moorage too: the AWS SDKs post there.")
    if answer.status == 403:  # noqa: PLR2004 (HTTP)
        raise Trouble(
            "POST /: the signature does not match",
            "The proxy must leave the Host header and the path as the client sent them "
            "(nginx: `proxy_set_header Host $http_host`; no URI behind `proxy_pass`).",
        )
    _expect(answer, 200, "POST /", "The proxy must pass POST requests on as they come.")
    return "signatures arrive as they were made"


def login(visit: Visit) -> str:
    """Get a docker password and use it."""
    answer = visit.wire.call("ecr", "GetAuthorizationToken")
    _expect(answer, 200, "GetAuthorizationToken", "The access key may not ask for docker passwords.")
    data = json.loads(answer.body)["authorizationData"][0]
    visit.headers = {"Authorization": f"Basic {data['authorizationToken']}"}
    told, ours = urlsplit(data["proxyEndpoint"]), urlsplit(visit.wire.url)
    if told.scheme != ours.scheme:
        raise Trouble(
            f"Moorage tells clients {told.scheme}://, and they use {ours.scheme}://",
            f"Set `public_url` to {visit.wire.url}.",
        )
    _expect(
        visit.wire.send("GET", "/v2/", visit.headers), 200, "GET /v2/ with a password",
        "The proxy must pass the Authorization header on.",
    )  # fmt: skip
    if told.netloc != ours.netloc and not told.netloc.endswith(f".{ours.hostname}"):
        return f"login works; clients are told {told.netloc}, which `public_url` or `domain` says"
    return "login works"


def push(visit: Visit) -> str:
    """Upload a layer of one byte in the way that docker does: begun, streamed in chunks, finished."""
    made = visit.wire.call("ecr", "CreateRepository", {"repositoryName": visit.repository})
    _expect(made, 200, "CreateRepository", "The access key may not make repositories: use one that may.")
    visit.is_made = True
    _upload(visit, visit.layer, "a layer of one byte")
    return "a layer of one byte was pushed in chunks"


def push_more(visit: Visit) -> str:
    """Upload more than proxies take by themselves."""
    _upload(visit, uuid.uuid4().bytes * (_LARGE // 16), "a layer of 2 MiB")
    return "a layer of 2 MiB was pushed"


def _upload(visit: Visit, data: bytes, what: str) -> None:
    begun = visit.wire.send("POST", visit.blob("uploads/"), visit.headers)
    _expect(begun, 202, "POST …/blobs/uploads/", "The proxy must pass POST on, and keep the slash at the end.")
    place = _location(visit, begun)
    sent = visit.wire.send("PATCH", place, visit.headers, body=iter([data]))
    if sent.status == 413:  # noqa: PLR2004 (HTTP)
        raise Trouble(
            f"the proxy refuses {what}",
            "Lift its limit on bodies (nginx: `client_max_body_size 0`; layers have gigabytes).",
        )
    _expect(
        sent, 202, f"PATCH with {what}",
        "The proxy must pass PATCH on, and bodies in chunks "
        "(nginx: `proxy_http_version 1.1`, `proxy_request_buffering off`).",
    )  # fmt: skip
    place = _location(visit, sent)
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    joint = "&" if "?" in place else "?"
    done = visit.wire.send("PUT", f"{place}{joint}digest={digest}", visit.headers)
    _expect(done, 201, f"PUT of {what}", "The proxy must leave the query of an address as it is.")


def _location(visit: Visit, answer: Answer) -> str:
    place = urljoin(f"{visit.wire.url}/", answer.headers.get("Location", ""))
    if urlsplit(place)[:2] != urlsplit(visit.wire.url)[:2]:
        raise Trouble(
            f"uploads are sent on to {urlsplit(place).scheme}://{urlsplit(place).netloc}",
            "Moorage answers with paths alone: the proxy must not rewrite the Location header "
            "(nginx: `proxy_redirect off`).",
        )
    return place


def tag(visit: Visit) -> str:
    """Push a manifest and read it again by its tag."""
    _upload(visit, _EMPTY, "a config")
    body = json.dumps(_manifest(visit.layer)).encode()
    path = f"/v2/{visit.repository}/manifests/v1"
    put = visit.wire.send("PUT", path, visit.headers | {"Content-Type": _MANIFEST}, body)
    _expect(put, 201, "PUT of a manifest", "The proxy must pass the Content-Type header on.")
    got = visit.wire.send("GET", path, visit.headers | {"Accept": _MANIFEST})
    _expect(got, 200, "GET of a manifest", "The proxy must pass the Accept header on.")
    if got.body != body:
        raise Trouble("a manifest came back changed", "The proxy must not compress or rewrite what it passes on.")
    return "a manifest was pushed, and came back as it was"


def _manifest(layer: bytes) -> dict[str, Any]:
    def descriptor(data: bytes, media_type: str) -> dict[str, Any]:
        return {"mediaType": media_type, "digest": f"sha256:{hashlib.sha256(data).hexdigest()}", "size": len(data)}

    return {
        "schemaVersion": 2,
        "mediaType": _MANIFEST,
        "config": descriptor(_EMPTY, "application/vnd.oci.image.config.v1+json"),
        "layers": [descriptor(layer, "application/vnd.oci.image.layer.v1.tar")],
    }


def pull(visit: Visit) -> str:
    """Get the layer, from wherever it is served."""
    digest = f"sha256:{hashlib.sha256(visit.layer).hexdigest()}"
    answer, where = visit.wire.send("GET", visit.blob(digest), visit.headers), ""
    if answer.status == 307:  # noqa: PLR2004 (HTTP)
        place = answer.headers.get("Location", "")
        where = f", from {urlsplit(place).netloc}"
        try:
            answer = visit.wire.send("GET", place)
        except Trouble as trouble:
            raise Trouble(
                trouble.seen,
                "Layers are served by the object store: clients must reach it under the name in its URL "
                "(`public_endpoint`), or let Moorage pass them on (`--blob-delivery proxy`).",
            ) from None
    _expect(answer, 200, f"GET of the layer{where}", "The object store refuses the URL: do the clocks agree?")
    if answer.body != visit.layer:
        raise Trouble("the layer came back changed", "The proxy must not compress or rewrite what it passes on.")
    return f"the layer was pulled{where}"


def leave(visit: Visit) -> str:
    """Remove what was pushed."""
    if visit.is_made:
        gone = visit.wire.call("ecr", "DeleteRepository", {"repositoryName": visit.repository, "force": True})
        _expect(gone, 200, "DeleteRepository", f"Delete the repository {visit.repository} by hand.")
    return "what was pushed is removed"


CHECKS: Final = (
    Check("reach", reach),
    Check("clock", clock),
    Check("sign", sign),
    Check("login", login),
    Check("push", push),
    Check("push more", push_more),
    Check("tag", tag),
    Check("pull", pull),
)
"""In their order: each needs the ones before."""

LEAVE: Final = Check("leave", leave)
"""Whatever the others said."""

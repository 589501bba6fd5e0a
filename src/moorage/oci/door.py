"""From a row of the route table to an answer: credential, access, transaction, errors, headers."""

from __future__ import annotations

import base64
import binascii
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from moorage import bodies, logs
from moorage.domain.errors import (
    Failure,
    InvalidCredential,
    InvalidLayerPart,
    LayerDamaged,
    ManifestTooLarge,
    NotSupported,
    StoreUnavailable,
)
from moorage.domain.manifests import MAX_BYTES
from moorage.domain.names import RepositoryName, repository_arn
from moorage.oci import trail
from moorage.oci.paths import Paths
from moorage.registry import reserve
from moorage.registry.again import again
from moorage.registry.auth import Anonymous, Need, Password, SignedUrl, authorize
from moorage.registry.entrance import enter
from moorage.registry.secrets import Expired, Forged

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence

    from starlette.datastructures import Headers, QueryParams
    from starlette.routing import BaseRoute
    from starlette.types import Receive, Scope, Send

    from moorage.registry.audit import Entry
    from moorage.registry.auth import Credential
    from moorage.registry.core import Context, Registry
    from moorage.registry.repositories import Repository

_VERSION: Final = {"Docker-Distribution-Api-Version": "registry/2.0"}
_NO_OPERATION: Final = ("oci", "none")
_MAX_AUTHORIZATION: Final = 8192
_MAX_AGENT: Final = 512
"""Characters of a User-Agent that policies see: what a pattern is matched against is bounded."""


@dataclass(frozen=True, slots=True)
class Call:
    """A request whose caller may do what it asks, inside its unit of work."""

    ctx: Context
    params: Mapping[str, str]
    query: QueryParams
    headers: Headers
    target: Repository | None
    body: bytes = b""

    @property
    def repository(self) -> Repository:
        """The repository that the path names."""
        if self.target is None:  # pragma: no cover (a handler on the wrong row)
            raise TypeError("this route names no repository")
        return self.target


@dataclass(frozen=True, slots=True)
class Reading:
    """A handler that only reads: one unit of work, no body."""

    handler: Callable[[Call], Response]


@dataclass(frozen=True, slots=True)
class Repeating(Reading):
    """A handler that answers by rows, or with a file that they name: `Remembering` may give the answer again."""


@dataclass(frozen=True, slots=True)
class Writing:
    """A handler that writes: one unit of work over a body of at most a manifest's length."""

    handler: Callable[[Call], Response]


@dataclass(frozen=True, slots=True)
class Streaming:
    """A handler that takes in a body of any length, in several units of work."""

    handler: Callable[[Stream], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the protocol."""

    method: str
    path: str
    action: str
    """The IAM action that the caller must be allowed."""
    handler: Reading | Writing | Streaming

    @property
    def takes_space(self) -> bool:
        """Whether something is stored: by whatever writes and does not delete."""
        return isinstance(self.handler, Streaming) or (isinstance(self.handler, Writing) and self.method != "DELETE")

    @property
    def on_repository(self) -> bool:
        """Whether the action is asked of a repository."""
        return "{name:path}" in self.path


class Stream:
    """What a streaming handler works with: the request, and units of work for its caller."""

    def __init__(self, door: Door, row: Row, request: Request, credential: Credential) -> None:
        self.request = request
        self.registry = door.registry
        self._door = door
        self._row = row
        self._credential = credential

    @contextmanager
    def entered(self, *, also: Sequence[str] = (), push: bool = False, lasting: bool = True) -> Iterator[Call]:
        """Open a unit of work (a writing one with ``push``) in which the row's action is allowed, and others too."""
        state = self.request.state
        opened = partial(self.registry.write, lasting=lasting) if push else self.registry.read
        with opened(self._credential, request_id=state.request_id, facts=state.facts, entry=state.entry) as ctx:
            yield self._door.enter(ctx, self._row, self.request, b"", also=also, push=push)

    def enter(self, also: Sequence[str] = ()) -> Call:
        """Authenticate and authorise only; the call's own transaction has ended."""
        return again(partial(self._enter, also))

    def _enter(self, also: Sequence[str]) -> Call:
        with self.entered(also=also) as call:
            return call


class Door:
    """The distribution protocol over one registry."""

    def __init__(self, registry: Registry, rows: Sequence[Row]) -> None:
        self.registry = registry
        self._rows = rows

    def routes(self) -> list[BaseRoute]:
        """Return the paths of all rows; what no row names is refused in the protocol's words."""
        by_path: dict[str, dict[str, Row]] = defaultdict(dict)
        for row in self._rows:
            by_path[row.path][row.method] = row
        # GET rows answer HEAD too, where HEAD has no row of its own.
        return [Paths({path: _Endpoint(self, rows) for path, rows in by_path.items()})]

    async def answer(self, row: Row, request: Request) -> Response:
        """Answer a request, and record that in the audit trail, if there is one."""
        state = request.state
        state.facts = facts_of(request)
        entry: Entry | None = trail.begin(self.registry, row, request)
        state.entry = entry
        if entry is None:
            return await self._answer(row, request, self._credential(request))
        with entry:
            credential = self._credential(request)
            trail.presented(entry, credential)
            response = await self._answer(row, request, credential)
            trail.answered(entry, response)
            return response

    async def _answer(self, row: Row, request: Request, credential: Credential) -> Response:
        """Run the row's handler in the units of work that its kind needs."""
        match row.handler:
            case Streaming(streaming):
                return await streaming(Stream(self, row, request, credential))
            case Reading(handler):
                unit = partial(self._unit, row, handler, request, credential, b"")
                return await self.registry.perform(partial(again, unit), point_read=True)
            case Writing(handler):
                body = await bodies.whole(request, MAX_BYTES, _too_long)
                unit = partial(self._unit, row, handler, request, credential, body)
                return await self.registry.perform(partial(again, unit))

    def _unit(
        self, row: Row, handler: Callable[[Call], Response], request: Request, credential: Credential, body: bytes
    ) -> Response:
        opened = self.registry.write if isinstance(row.handler, Writing) else self.registry.read
        state = request.state
        with opened(credential, request_id=state.request_id, facts=state.facts, entry=state.entry) as ctx:
            response = handler(self.enter(ctx, row, request, body, push=row.method == "PUT"))
            if isinstance(row.handler, Repeating) and self._may_repeat(state.entry):
                state.notes = ctx.notes
            return response

    def _may_repeat(self, entry: Entry | None) -> bool:
        """Tell whether nothing is to be counted, written to the trail or logged of each request."""
        return entry is None and self.registry.buckets is None and not logs.debugging()

    def enter(
        self, ctx: Context, row: Row, request: Request, body: bytes, *, also: Sequence[str] = (), push: bool = False
    ) -> Call:
        """Decide access to what the row asks, and ``also`` to what else is done; this is where every route passes."""
        if "token" not in request.path_params:
            # A download URL was counted when it was asked for.
            ctx.throttle(row.action)
        ctx = self._addressed(ctx, request)
        target = None
        if row.on_repository:
            name = RepositoryName.parse(request.path_params["name"])
            target = enter(ctx, row.action, name, also=also, push=push)
            if row.takes_space:
                reserve.require(self.registry)
        elif "token" not in request.path_params:
            everything = repository_arn(ctx.region, ctx.registry_id, "*")
            authorize(ctx, Need(row.action, "*" if row.action == "ecr:GetAuthorizationToken" else everything))
        return Call(ctx, request.path_params, request.query_params, request.headers, target, body)

    def _addressed(self, ctx: Context, request: Request) -> Context:
        """Address the registry that the host name means, where it means one; else the one that the token names."""
        named = self.registry.settings.registry_of_host(request.headers.get("host", ""))
        if named is None:
            return ctx
        account, region = named
        if region != ctx.region:
            # A token is good in the region that gave it.
            raise InvalidCredential
        return ctx.at(account)

    def _credential(self, request: Request) -> Credential:
        credential = credential_of(request.headers)
        token = request.path_params.get("token")
        return credential if token is None else self._credential_of_url(token)

    def _credential_of_url(self, token: str) -> SignedUrl:
        try:
            return SignedUrl(self.registry.keyring.verify("download", token))
        except (Expired, Forged):
            raise InvalidCredential from None


class _Endpoint:
    """All methods of one path, as an ASGI application."""

    def __init__(self, door: Door, rows: Mapping[str, Row]) -> None:
        self._door = door
        self._rows = dict(rows)
        if "GET" in rows:
            self._rows.setdefault("HEAD", rows["GET"])
        # What requests are counted by: a row, and never what a client wrote.
        self._operations = {
            method: ("oci", f"{method} {row.path.replace(':path', '')}") for method, row in self._rows.items()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive, send)
        try:
            row = self._rows.get(request.method)
            request.state.operation = self._operations.get(request.method, _NO_OPERATION)
            if row is None:
                raise NotSupported(reason=f"The method {request.method} is not supported on this path")
            response = await self._door.answer(row, request)
        except Failure as failure:
            response = failed(self._door.registry, request, failure)
        except ClientDisconnect:
            # Nobody is left to answer; what had arrived does not count.
            response = Response(status_code=499)
        except Exception:  # noqa: BLE001 (the last resort: logged whole, answered without details)
            logs.exception("internal_error", request_id=request.state.request_id, path=request.url.path)
            body = {"errors": [{"code": "UNKNOWN", "message": "An internal error occurred"}]}
            response = JSONResponse(body, 500)
        response.headers.update(_VERSION)
        try:
            await response(scope, receive, send)
        except (LayerDamaged, StoreUnavailable) as failure:
            # A response that needs its store has sent nothing by then.
            response = failed(self._door.registry, request, failure)
            response.headers.update(_VERSION)
            await response(scope, receive, send)


def failed(registry: Registry, request: Request, failure: Failure) -> Response:
    """Return the distribution protocol's form of a failure: the only place where one is written."""
    body = {"errors": [{"code": failure.oci_code, "message": failure.message}]}
    response = JSONResponse(body, failure.oci_status, headers=failure.headers)
    if failure.oci_status == 401:  # noqa: PLR2004 (the status that carries a challenge)
        realm = registry.settings.base_url
        response.headers["WWW-Authenticate"] = f'Basic realm="{realm}/",service="ecr.amazonaws.com"'
    if isinstance(failure, InvalidLayerPart):
        response.headers["Location"] = request.url.path
        response.headers["Range"] = f"0-{max(failure.expected - 1, 0)}"
    return response


def _too_long() -> Failure:
    return ManifestTooLarge(reason=f"A manifest may have at most {MAX_BYTES} bytes")


def credential_of(headers: Headers) -> Credential:
    """Return what an Authorization header presents; raise `InvalidCredential` if it cannot be read."""
    values = headers.getlist("authorization")
    if not values:
        return Anonymous()
    if len(values) > 1 or len(values[0]) > _MAX_AUTHORIZATION:
        raise InvalidCredential
    scheme, _, rest = values[0].partition(" ")
    if scheme.lower() == "bearer":
        return Password("AWS", rest.strip())
    try:
        username, _, password = base64.b64decode(rest.strip(), validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        raise InvalidCredential from None
    if scheme.lower() != "basic":
        raise InvalidCredential
    return Password(username, password)


def facts_of(request: Request) -> dict[str, str]:
    """Return the condition keys that the request itself supplies."""
    facts = {"aws:SecureTransport": "true" if request.scope["scheme"] == "https" else "false"}
    if request.client is not None:
        facts["aws:SourceIp"] = request.client.host
    if agent := request.headers.get("user-agent"):
        facts["aws:UserAgent"] = agent[:_MAX_AGENT]
    return facts


async def not_found(request: Request, _error: Exception) -> Response:
    """Answer a path that no door knows."""
    status = _error.status_code if isinstance(_error, HTTPException) else 404
    body = {"errors": [{"code": "UNSUPPORTED", "message": f"no such route: {request.url.path[:256]}"}]}
    return JSONResponse(body, status, headers=_VERSION)

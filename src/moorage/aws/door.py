"""
The AWS door: ``POST /``, JSON 1.1 for ECR and the query protocol for STS.

One request is one unit of work in one thread: signature, arguments, access,
existence, operation. What can go wrong is written here and nowhere else.
"""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import orjson
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from moorage import bodies, logs
from moorage.aws import model, sigv4, sts
from moorage.aws.request import AwsRequest
from moorage.aws.table import OPERATIONS
from moorage.domain.errors import BodyTooLarge, Failure, UnknownOperation
from moorage.operations import LATER, Mode, invoke
from moorage.registry import audit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.types import Receive, Scope, Send

    from moorage.registry.core import Registry


_NO_ENTRY: Final = nullcontext()
CONTENT_TYPE: Final = "application/x-amz-json-1.1"
_SHORT: Final = 1024
"""Bytes of a request that may be answered without a hop to a thread."""
_MAX_BODY: Final = 28 * 1024 * 1024
"""Bytes: the longest layer part in base64, and its JSON around it."""


class Door:
    """The AWS door of a registry, as an ASGI application."""

    def __init__(self, registry: Registry, facts_of: Callable[[Request], dict[str, str]]) -> None:
        self._registry = registry
        self._facts_of = facts_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive, send)
        response = await _answer(self._registry, request, self._facts_of(request))
        await response(scope, receive, send)


async def _answer(registry: Registry, request: Request, facts: dict[str, str]) -> Response:
    request_id: str = request.state.request_id
    request.state.operation = ("aws", "none")
    try:
        body = await bodies.whole(request, _MAX_BODY, _too_long)
    except Failure as failure:
        return _failed(failure, request_id)
    except ClientDisconnect:
        return Response(status_code=499)
    pairs = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.scope["headers"]]
    signed = sigv4.SignedRequest(
        method=request.method,
        path=request.scope.get("raw_path", b"/").decode("latin-1"),
        query=request.scope["query_string"].decode("latin-1"),
        headers=pairs,
        body=body,
    )
    given = AwsRequest(signed, dict(pairs), body, request_id, facts)
    name = _operation_of(given)
    request.state.operation = ("aws", name)
    operation = OPERATIONS.get(name)
    moves_bytes = operation is not None and operation.mode is Mode.STEPS
    # A short request names few things.
    is_point = operation is not None and operation.is_point and len(body) <= _SHORT
    return await registry.perform(partial(answer, registry, given), point_read=is_point, moves_bytes=moves_bytes)


def _too_long() -> Failure:
    return BodyTooLarge(reason=f"The request is longer than {_MAX_BODY} bytes")


def _operation_of(request: AwsRequest) -> str:
    """Return the name that a request is counted by: one of ours, and never what a client wrote."""
    if request.is_sts:
        return sts.action_of(request) or "none"
    name = request.headers.get("x-amz-target", "").removeprefix(model.TARGET_PREFIX)
    return name if name in OPERATIONS else "none"


def answer(registry: Registry, request: AwsRequest) -> Response:
    """Run the operation that a request names; every way to fail is answered in its protocol."""
    if request.is_sts:
        return sts.answer(registry, request)
    try:
        return _json(run(registry, request), 200, request.request_id)
    except Failure as failure:
        return _failed(failure, request.request_id)
    except Exception:  # noqa: BLE001 (the last resort: logged whole, answered without details)
        logs.exception("internal_error", request_id=request.request_id, target=request.headers.get("x-amz-target"))
        body = {"__type": "ServerException", "message": "An internal error occurred"}
        return _json(body, 500, request.request_id, error="ServerException")


def run(registry: Registry, request: AwsRequest) -> dict[str, Any]:
    """Return the encoded answer of the operation that the target header names."""
    name = request.headers.get("x-amz-target", "")
    shape = model.load().get(name.removeprefix(model.TARGET_PREFIX)) if name.startswith(model.TARGET_PREFIX) else None
    if shape is None:
        raise UnknownOperation(reason=f"Unknown operation: {name[:128]!r}")
    request = request.recorded(registry, audit.ECR, shape.name)
    with request.entry or _NO_ENTRY:
        return _run(registry, request, shape)


def _run(registry: Registry, request: AwsRequest, shape: model.Operation) -> dict[str, Any]:
    operation, entry = OPERATIONS.get(shape.name), request.entry
    if operation is None:
        why = LATER[shape.name]
        raise UnknownOperation(reason=f"{shape.name} is not available in this version of Moorage: {why}")

    def arguments() -> dict[str, Any]:
        if request.claim is not None and request.claim.presigned:
            pairs = model.parse_query(request.signed.query)
            if entry is not None:
                entry.parameters = {name: value for name, value in pairs if not name.lower().startswith("x-amz-")}
            return shape.decode_query(pairs)
        document = model.parse_json(request.body)
        if entry is not None:
            entry.parameters = document
        return shape.decode(document)

    credential = request.credential(frozenset({"ecr"}))
    result = invoke(
        registry, operation, credential, arguments, request_id=request.request_id, facts=request.facts, entry=entry
    )
    answer = shape.encode(result)
    if entry is not None:
        entry.answer = answer
    return answer


def _failed(failure: Failure, request_id: str) -> Response:
    body = {"__type": failure.aws_code, "message": failure.message, **failure.members}
    response = _json(body, failure.aws_status, request_id, error=failure.aws_code)
    response.headers.update(failure.headers)
    return response


def _json(body: Mapping[str, Any], status: int, request_id: str, error: str | None = None) -> Response:
    headers = {"x-amzn-RequestId": request_id} | ({"x-amzn-ErrorType": error} if error else {})
    return Response(orjson.dumps(body), status, headers=headers, media_type=CONTENT_TYPE)

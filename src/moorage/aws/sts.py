"""STS GetCallerIdentity, on the same address: every login script asks it who it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

from starlette.responses import Response

from moorage import logs
from moorage.domain.errors import Failure, UnknownOperation

if TYPE_CHECKING:
    from moorage.aws.request import AwsRequest
    from moorage.registry.core import Registry

_NAMESPACE: Final = "https://sts.amazonaws.com/doc/2011-06-15/"
_MAX_FIELDS: Final = 64
_CODES: Final = {
    "UnrecognizedClientException": "InvalidClientTokenId",
    "InvalidSignatureException": "SignatureDoesNotMatch",
    "MissingAuthenticationTokenException": "MissingAuthenticationToken",
    "IncompleteSignatureException": "IncompleteSignature",
    "ExpiredTokenException": "ExpiredToken",
    "UnknownOperationException": "InvalidAction",
}
"""The names that the query protocol has for failures that JSON 1.1 names otherwise."""


def answer(registry: Registry, request: AwsRequest) -> Response:
    """Answer one request in the query protocol."""
    try:
        return _xml(_run(registry, request), 200)
    except Failure as failure:
        code = _CODES.get(failure.aws_code, failure.aws_code)
        status = 400 if isinstance(failure, UnknownOperation) else 403
        return _error(code, failure.message, status, request.request_id)
    except Exception:  # noqa: BLE001 (the last resort: logged whole, answered without details)
        logs.exception("internal_error", request_id=request.request_id, target="sts")
        return _error("InternalFailure", "An internal error occurred", 500, request.request_id)


def _run(registry: Registry, request: AwsRequest) -> str:
    try:
        fields = dict(parse_qsl(request.body.decode(), max_num_fields=_MAX_FIELDS))
    except ValueError:
        fields = {}
    if fields.get("Action") != "GetCallerIdentity":
        raise UnknownOperation(reason=f"Could not find operation {fields.get('Action', '')[:128]}")
    credential = request.credential(frozenset({"sts"}))
    with registry.read(credential, request_id=request.request_id, facts=request.facts) as ctx:
        principal = ctx.principal
    return (
        f'<GetCallerIdentityResponse xmlns="{_NAMESPACE}"><GetCallerIdentityResult>'
        f"<Arn>{escape(principal.arn)}</Arn><UserId>{escape(principal.user_id)}</UserId>"
        f"<Account>{escape(principal.account)}</Account></GetCallerIdentityResult>"
        f"<ResponseMetadata><RequestId>{request.request_id}</RequestId></ResponseMetadata>"
        "</GetCallerIdentityResponse>"
    )


def _error(code: str, message: str, status: int, request_id: str) -> Response:
    kind = "Sender" if status < 500 else "Receiver"  # noqa: PLR2004 (HTTP's classes)
    body = (
        f'<ErrorResponse xmlns="{_NAMESPACE}"><Error><Type>{kind}</Type><Code>{escape(code)}</Code>'
        f"<Message>{escape(message)}</Message></Error><RequestId>{request_id}</RequestId></ErrorResponse>"
    )
    return _xml(body, status)


def _xml(body: str, status: int) -> Response:
    return Response(body, status, media_type="text/xml")

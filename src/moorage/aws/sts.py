"""
STS, on the same address: who am I, and credentials for a while.

The query protocol of 2011: a form in, XML out. Only what boto3's own
credential providers and login scripts ask for.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

from starlette.responses import Response

from moorage import logs
from moorage.aws import tokens
from moorage.domain.errors import (
    Failure,
    IdentityProviderUnreachable,
    InvalidIdentityToken,
    InvalidParameter,
    MalformedPolicy,
    PackedPolicyTooLarge,
    TooManyAttempts,
    Unavailable,
    UnknownOperation,
)
from moorage.registry import audit
from moorage.registry.again import again

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from moorage.aws.request import AwsRequest
    from moorage.registry.core import Registry

    Action = Callable[[Registry, AwsRequest, Mapping[str, str]], dict[str, Any]]

_NAMESPACE: Final = "https://sts.amazonaws.com/doc/2011-06-15/"
_MAX_FIELDS: Final = 64
_NOT_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_CODES: Final = {
    "UnrecognizedClientException": "InvalidClientTokenId",
    "InvalidSignatureException": "SignatureDoesNotMatch",
    "MissingAuthenticationTokenException": "MissingAuthenticationToken",
    "IncompleteSignatureException": "IncompleteSignature",
    "ExpiredTokenException": "ExpiredToken",
    "UnknownOperationException": "InvalidAction",
    "AccessDeniedException": "AccessDenied",
    "InvalidParameterException": "ValidationError",
    "MalformedPolicyDocumentException": "MalformedPolicyDocument",
    "ThrottlingException": "Throttling",
}
"""The names that the query protocol has for failures that JSON 1.1 names otherwise."""

_BAD_REQUEST: Final = (
    UnknownOperation,
    InvalidParameter,
    MalformedPolicy,
    InvalidIdentityToken,
    TooManyAttempts,
    IdentityProviderUnreachable,
    PackedPolicyTooLarge,
)

ACTIONS: Final[Mapping[str, Action]] = {
    "GetCallerIdentity": tokens.get_caller_identity,
    "AssumeRole": tokens.assume_role,
    "AssumeRoleWithWebIdentity": tokens.assume_role_with_web_identity,
    "GetSessionToken": tokens.get_session_token,
}


def answer(registry: Registry, request: AwsRequest) -> Response:
    """Answer one request in the query protocol."""
    try:
        fields = _fields(request)
        name = fields.get("Action", "")
        if name not in ACTIONS:
            raise UnknownOperation(reason=f"Could not find operation {name[:128]}")
        result = _run(registry, request.recorded(registry, audit.STS, name), name, fields)
        metadata = {"RequestId": request.request_id}
        inner = _element(f"{name}Result", result) + _element("ResponseMetadata", metadata)
        return _xml(f'<{name}Response xmlns="{_NAMESPACE}">{inner}</{name}Response>', 200)
    except Failure as failure:
        code = _CODES.get(failure.aws_code, failure.aws_code)
        status = 400 if isinstance(failure, _BAD_REQUEST) else 403
        if isinstance(failure, Unavailable):
            status = failure.oci_status
        response = _error(code, failure.message, status, request.request_id)
        response.headers.update(failure.headers)
        return response
    except Exception:  # noqa: BLE001 (the last resort: logged whole, answered without details)
        logs.exception("internal_error", request_id=request.request_id, target="sts")
        return _error("InternalFailure", "An internal error occurred", 500, request.request_id)


def _run(registry: Registry, request: AwsRequest, name: str, fields: Mapping[str, str]) -> dict[str, Any]:
    """Run an action; it is an event of the audit trail, if there is one."""
    act, entry = partial(ACTIONS[name], registry, request, fields), request.entry
    if entry is None:
        return again(act)
    entry.parameters = _in_lower({key: value for key, value in fields.items() if key not in {"Action", "Version"}})
    entry.codes = _CODES
    with entry:
        result = again(act)
        entry.answer = _in_lower(result)
        return result


def _in_lower(value: Any) -> Any:
    """Return a value with the names as CloudTrail has them: ``roleArn`` for ``RoleArn``."""
    if not isinstance(value, dict):
        return value
    return {f"{key[:1].lower()}{key[1:]}": _in_lower(inner) for key, inner in value.items()}


def action_of(request: AwsRequest) -> str | None:
    """Return the action that a request names, None if there is no such action."""
    name = _fields(request).get("Action")
    return name if name in ACTIONS else None


def _fields(request: AwsRequest) -> dict[str, str]:
    try:
        return dict(parse_qsl(request.body.decode(), max_num_fields=_MAX_FIELDS))
    except ValueError:
        return {}


def _element(name: str, value: Any) -> str:
    inner = "".join(_element(*item) for item in value.items()) if isinstance(value, dict) else _text(str(value))
    return f"<{name}>{inner}</{name}>"


def _text(value: str) -> str:
    # XML has no way to write most control characters: not even as references.
    return escape(_NOT_XML.sub("\N{REPLACEMENT CHARACTER}", value))


def _error(code: str, message: str, status: int, request_id: str) -> Response:
    kind = "Sender" if status < 500 else "Receiver"  # noqa: PLR2004 (HTTP's classes)
    inner = _element("Error", {"Type": kind, "Code": code, "Message": message}) + _element("RequestId", request_id)
    return _xml(f'<ErrorResponse xmlns="{_NAMESPACE}">{inner}</ErrorResponse>', status)


def _xml(body: str, status: int) -> Response:
    return Response(body, status, media_type="text/xml")

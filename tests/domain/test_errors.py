"""Failures: each has codes that its door knows, a status that fits them, and a message that says what was wrong."""

from __future__ import annotations

import inspect
import re
import string
from typing import Any

import botocore.session
import pytest

from moorage.domain import errors
from moorage.domain.errors import Failure, InvalidLayerPart, InvalidParameter, requests

FAILURES: list[type[Failure]] = [
    value
    for value in vars(errors).values()
    if inspect.isclass(value) and issubclass(value, Failure) and value is not Failure
]
SPECIAL: dict[str, dict[str, Any]] = {
    "Throttled": {"retry_after": 2},
    "ImageNotFound": {"digest": None, "tag": "v1", "name": "a/b", "registry_id": "123456789012"},
    "InvalidLayerPart": {"given": 1, "expected": 2, "upload_id": "u", "name": "a/b", "registry_id": "123456789012"},
    "InvalidParameter": {"field": "imageTag", "constraint": "must be {good}"},
}

MODEL: Any = botocore.session.Session().get_service_model("ecr")
MODELLED = {shape.metadata.get("error", {}).get("code", shape.name): shape for shape in MODEL.error_shapes}

# The neighbours whose operations come with a registry: who asks (STS) and who may (IAM).
NEIGHBOURS = {
    code
    for service in ("sts", "iam")
    for shape in botocore.session.Session().get_service_model(service).error_shapes
    for code in (shape.name, shape.metadata.get("error", {}).get("code", shape.name))
}

# Codes that AWS's services share and their models do not list (botocore knows some of them by heart).
COMMON = {
    "AccessDeniedException",
    "ExpiredTokenException",
    "IncompleteSignatureException",
    "InvalidSignatureException",
    "MissingAuthenticationTokenException",
    "RequestEntityTooLargeException",
    "RequestTimeoutException",
    "SerializationException",
    "ThrottlingException",
    "UnknownOperationException",
    "UnrecognizedClientException",
    "ValidationException",
}

# distribution-spec 1.1, "Error Codes", with the status that the specification gives or that registries agree on;
# UNAVAILABLE and UNKNOWN are of Docker's original list.
OCI_CODES: dict[str, set[int]] = {
    "BLOB_UNKNOWN": {404},
    "BLOB_UPLOAD_INVALID": {400, 409, 416},
    "BLOB_UPLOAD_UNKNOWN": {404},
    "DIGEST_INVALID": {400},
    "MANIFEST_BLOB_UNKNOWN": {404},
    "MANIFEST_INVALID": {400, 409, 413},
    "MANIFEST_UNKNOWN": {404},
    "NAME_INVALID": {400},
    "NAME_UNKNOWN": {404},
    "SIZE_INVALID": {400, 413},
    "TAG_INVALID": {400},
    "UNAUTHORIZED": {401},
    "DENIED": {403, 409},
    "UNSUPPORTED": {400, 404, 405, 408},
    "TOOMANYREQUESTS": {429},
    "UNAVAILABLE": {503, 507},
    "UNKNOWN": {500},
}


def made(kind: type[Failure]) -> Failure:
    """Return a failure with something in every place of its text."""
    if kind.__name__ in SPECIAL:
        return kind(**SPECIAL[kind.__name__])
    places = {name for _, name, _, _ in string.Formatter().parse(kind.text) if name}
    return kind(**{name: f"<{name}>" for name in places})


def name_of(kind: type[Failure]) -> str:
    """Return a failure's name."""
    return kind.__name__


@pytest.mark.parametrize("kind", FAILURES, ids=name_of)
def test_the_aws_code_is_modelled(kind: type[Failure]) -> None:
    """A failure's AWS code is of ECR's service model, or STS's or IAM's, or one that all AWS services share."""
    assert kind.aws_code in {*MODELLED, *NEIGHBOURS, *COMMON}


@pytest.mark.parametrize("kind", FAILURES, ids=name_of)
def test_the_aws_status_is_modelled(kind: type[Failure]) -> None:
    """A modelled error has the status that the model gives it; a failure is the sender's (4xx), or an outage."""
    shape = MODELLED.get(kind.aws_code)
    modelled = shape.metadata.get("error", {}).get("httpStatusCode") if shape is not None else None

    assert modelled in {None, kind.aws_status}
    # 507 is what AWS's clients do not send again by themselves: space takes longer to come than they would wait.
    outages: dict[type[Failure], int] = {errors.Unavailable: 500, errors.StorageFull: 507}
    of_the_server = [status for outage, status in outages.items() if issubclass(kind, outage)]
    assert 400 <= kind.aws_status < 500 or [kind.aws_status] == of_the_server


@pytest.mark.parametrize("kind", FAILURES, ids=name_of)
def test_members_are_modelled(kind: type[Failure]) -> None:
    """What a failure tells beyond its message are members that its shape has, with the right types."""
    members = made(kind).members
    if not members:
        return
    shape = MODELLED[kind.aws_code].members
    types: dict[str, Any] = {"string": str, "long": int, "integer": int}

    assert set(members) <= set(shape) - {"message"}
    for name, value in members.items():
        assert isinstance(value, types[shape[name].type_name])
        allowed = getattr(shape[name], "enum", [])  # only a string's shape has one
        assert not allowed or value in allowed


@pytest.mark.parametrize("kind", FAILURES, ids=name_of)
def test_the_oci_code_is_the_specifications(kind: type[Failure]) -> None:
    """A failure's code at the distribution door is one of the specification's, with a status that goes with it."""
    failure = made(kind)

    assert failure.oci_code in OCI_CODES
    assert failure.oci_status in OCI_CODES[failure.oci_code]


@pytest.mark.parametrize("field", [*sorted(requests._OCI_CODE_OF_FIELD), "anything"])
def test_the_code_of_a_parameter_depends_on_it(field: str) -> None:
    """A parameter that breaks its constraint has a code of the specification, and its status, for each parameter."""
    failure = InvalidParameter(field, "must be good")

    assert failure.oci_status in OCI_CODES[failure.oci_code]
    assert failure.field == field


@pytest.mark.parametrize("kind", FAILURES, ids=name_of)
def test_a_message_says_it_all(kind: type[Failure]) -> None:
    """A message has every value, no place left open, no line break, and is the exception's own text."""
    failure = made(kind)
    values = SPECIAL.get(kind.__name__)

    assert failure.message
    assert str(failure) == failure.message
    assert failure.message.isprintable()
    if kind.__name__ == "InvalidParameter":
        assert failure.message.endswith("'must be {good}'")
    elif kind.__name__ == "ImageNotFound":
        assert "{imageDigest:'null', imageTag:'v1'}" in failure.message
    else:
        assert not re.search(r"[{}]", failure.message)
    if values is None:
        for name in re.findall(r"{(\w+)}", kind.text):
            assert f"<{name}>" in failure.message


def test_braces_of_a_client_are_only_text() -> None:
    """Braces within a value are not places: nobody reads our objects through a message."""
    failure = errors.RepositoryNotFound(name="{registry_id.__class__}", registry_id="1")

    assert "'{registry_id.__class__}'" in failure.message


def test_a_challenge_goes_with_401_alone() -> None:
    """UNAUTHORIZED is 401 and 401 is UNAUTHORIZED: that answer carries the challenge."""
    for kind in FAILURES:
        assert (kind.oci_status == 401) == (kind.oci_code == "UNAUTHORIZED")


def test_an_expired_token_is_no_challenge() -> None:
    """An expired token is 403 DENIED with ECR's text: docker prints it and asks for no password."""
    expired = errors.ExpiredCredential()

    assert (expired.oci_status, expired.oci_code) == (403, "DENIED")
    assert expired.message == "Your authorization token has expired. Reauthenticate and try again."


def test_where_an_upload_stands_is_never_before_its_beginning() -> None:
    """Before the first byte the last valid one is told as 0, as ECR does, not as -1."""
    failure = InvalidLayerPart(given=5, expected=0, upload_id="u", name="a/b", registry_id="1")

    assert failure.members["lastValidByteReceived"] == 0


def test_each_failure_is_explained() -> None:
    """Every failure has a docstring of its own: when it comes."""
    assert [kind.__name__ for kind in FAILURES if not kind.__dict__.get("__doc__")] == []

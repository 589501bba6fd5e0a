"""What the tests of ECR's operations share: refusals in their words, and pages to the last."""

from __future__ import annotations

from typing import Any

import pytest

CONSTRAINT = "Invalid parameter at '{}' failed to satisfy constraint: '{}'"


def refusal(client: Any, code: str, operation: str, **call: Any) -> str:
    """Assert that a call is refused with that code; return the message."""
    kind = getattr(client.exceptions, code, client.exceptions.ClientError)
    with pytest.raises(kind) as caught:
        getattr(client, operation)(**call)
    error = caught.value.response["Error"]
    assert error["Code"] == code
    return str(error["Message"])


def bare(answer: dict[str, Any]) -> dict[str, Any]:
    """Return an answer without botocore's metadata."""
    return {key: value for key, value in answer.items() if key != "ResponseMetadata"}


def pages(operation: Any, member: str, **call: Any) -> list[list[Any]]:
    """Return the pages of a list, to the last one."""
    found = []
    token: dict[str, str] = {}
    while True:
        answer = operation(**call, **token)
        found.append(answer[member])
        if "nextToken" not in answer:
            return found
        token = {"nextToken": answer["nextToken"]}

"""Requests to ECR's own operations, signed before the clock runs and sent again and again while it does."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from benchmarks.load import Ask
from tests.servers import REGION

if TYPE_CHECKING:
    from benchmarks.contenders.servers import Server

_TARGET: Final = "AmazonEC2ContainerRegistry_V20150921"


def signed(server: Server, operation: str, **members: Any) -> Ask:
    """Return a request of the workloads' user, with its signature."""
    body = json.dumps(members).encode()
    headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": f"{_TARGET}.{operation}"}
    request = AWSRequest("POST", f"{server.url}/", headers=headers, data=body)
    key = Credentials(server.facts["aws_access_key_id"], server.facts["aws_secret_access_key"])
    SigV4Auth(key, "ecr", REGION).add_auth(request)
    return Ask("POST", "/", dict(request.headers.items()), body)

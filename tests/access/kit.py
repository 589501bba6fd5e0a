"""What the tests of access share: commands over a server's data folder, and users and roles made by them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from typer.testing import CliRunner, Result

from moorage.cli.main import app
from tests.servers import ACCOUNT

if TYPE_CHECKING:
    import pytest
    from botocore.exceptions import ClientError

    from tests.servers import Server

READ_ONLY = "AmazonEC2ContainerRegistryReadOnly"
POWER_USER = "AmazonEC2ContainerRegistryPowerUser"


OTHER_ACCOUNT = "210987654321"
"""Another account of the same installation."""


def attempt(server: Server, *arguments: str, text: str | None = None, account: str = ACCOUNT) -> Result:
    """Run a command over the server's data folder, in this process: starting Python each time takes longer."""
    chosen = () if "--account-id" in arguments else ("--account-id", account)
    return CliRunner().invoke(app, [*arguments, "--data", str(server.data), *chosen], input=text, env=server.variables)


def moorage(server: Server, *arguments: str, text: str | None = None, account: str = ACCOUNT) -> str:
    """Run a command that must work; return what it printed."""
    done = attempt(server, *arguments, text=text, account=account)
    assert done.exit_code == 0, done.output
    return done.stdout


def credentials(server: Server, user: str, account: str = ACCOUNT) -> dict[str, str]:
    """Make a key for a user; return it as a client takes it."""
    key = json.loads(moorage(server, "key", "create", user, "--json", account=account))
    return {"aws_access_key_id": key["accessKeyId"], "aws_secret_access_key": key["secretAccessKey"]}


def document(*statements: dict[str, Any]) -> str:
    """Return a policy document."""
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def code_of(caught: pytest.ExceptionInfo[ClientError]) -> str:
    """Return the error code that a client got."""
    code: str = caught.value.response["Error"]["Code"]
    return code

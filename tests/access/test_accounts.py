"""Accounts, managed by commands beside a running server: what is one's, no other sees."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from tests.access.kit import READ_ONLY, attempt, code_of, credentials, document, moorage
from tests.servers import ACCOUNT, REGION

if TYPE_CHECKING:
    from tests.servers import Server


@pytest.fixture
def other() -> str:
    """An account id that no other test uses."""
    return f"{uuid.uuid4().int % 10**12:012}"


def created(server: Server, account: str, *flags: str) -> dict[str, str]:
    """Create an account; return its root key as a client takes it."""
    key = json.loads(moorage(server, "account", "create", account, "--json", *flags))
    assert key["accountId"] == account
    return {"aws_access_key_id": key["accessKeyId"], "aws_secret_access_key": key["secretAccessKey"]}


def test_the_served_account_is_there(server: Server) -> None:
    """The account that is served needs no command."""
    rows = json.loads(moorage(server, "account", "list", "--json"))
    assert ACCOUNT in {row["accountId"] for row in rows}


def test_accounts_do_not_see_each_other(server: Server, name: str, other: str) -> None:
    """Two accounts have repositories of the same name, and neither lists, reads nor changes the other's."""
    ours, theirs = server.client(), server.client(**created(server, other, "--name", "their team"))
    ours.create_repository(repositoryName=name)
    theirs.create_repository(repositoryName=name)
    theirs.create_repository(repositoryName=f"{name}/secret")

    assert {r["registryId"] for r in theirs.describe_repositories()["repositories"]} == {other}
    assert {r["registryId"] for r in ours.describe_repositories()["repositories"]} == {ACCOUNT}
    for client, registry in ((ours, other), (theirs, ACCOUNT)):
        for missing in (name, f"{name}/secret", f"{name}/none"):
            with pytest.raises(ClientError) as caught:
                client.list_images(registryId=registry, repositoryName=missing)
            assert code_of(caught) == "AccessDeniedException"


def test_users_belong_to_their_account(server: Server, other: str) -> None:
    """A user of one account is none of another, though its name is the same, and has its own policies."""
    created(server, other)
    name = f"user-{other}"
    for account in (ACCOUNT, other):
        moorage(server, "user", "create", name, "--account-id", account)
    moorage(server, "user", "attach", name, READ_ONLY, "--account-id", other)
    client = server.client(**credentials(server, name))

    with pytest.raises(ClientError):
        client.describe_repositories()
    assert json.loads(moorage(server, "user", "show", name, "--json"))["policies"] == []
    assert json.loads(moorage(server, "user", "list", "--account-id", other, "--json"))[0]["policies"] == [READ_ONLY]


def test_an_account_is_made_once(server: Server, other: str) -> None:
    """An id or name that cannot be, or an id that is taken, is refused, and nothing is made."""
    created(server, other)
    for account, flags, message in (
        (other, (), "There is already: account"),
        ("123", (), "twelve digits"),
        ("12345678901x", (), "twelve digits"),
        ("999999999998", ("--name", ""), "printable"),
    ):
        done = attempt(server, "account", "create", account, *flags)
        assert done.exit_code == 2
        assert message in done.stderr
    assert attempt(server, "account", "show", "999999999998").exit_code == 2


def test_an_account_that_nobody_made(server: Server, other: str) -> None:
    """Commands on an account that is not there say so, and make none."""
    for arguments in (["user", "create", "x"], ["user", "list"], ["account", "show", other], ["key", "list"]):
        done = attempt(server, *arguments, "--account-id", other)
        assert done.exit_code == 2
        assert done.stderr.startswith(f"moorage: There is no account {other}")
    assert other not in moorage(server, "account", "list")


def test_an_account_goes_when_it_is_empty(server: Server, name: str, other: str) -> None:
    """Deleting an account is refused while it has repositories or users, and ends its keys."""
    given = created(server, other)
    client: Any = server.client(**given)
    client.create_repository(repositoryName=name)
    moorage(server, "user", "create", "somebody", "--account-id", other)
    own = document({"Effect": "Allow", "Action": "ecr:*", "Resource": "*"})
    moorage(server, "policy", "put", "own", "-", "--account-id", other, text=own)

    done = attempt(server, "account", "delete", other)
    assert (done.exit_code, "1 repositories, 1 users" in done.stderr) == (2, True)
    client.delete_repository(repositoryName=name)
    moorage(server, "user", "delete", "somebody", "--account-id", other)
    moorage(server, "account", "delete", other)

    with pytest.raises(ClientError) as caught:
        client.describe_repositories()
    assert code_of(caught) == "UnrecognizedClientException"
    created(server, other)
    assert "own" not in moorage(server, "policy", "list", "--account-id", other)


def test_the_served_account_stays(server: Server) -> None:
    """The account that is served cannot be deleted."""
    done = attempt(server, "account", "delete", ACCOUNT)
    assert (done.exit_code, "is the one that is served" in done.stderr) == (2, True)
    assert server.client(region_name=REGION).describe_repositories()["repositories"] is not None

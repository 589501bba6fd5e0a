"""Commands that change an installation are events of the trail of the server that they work beside."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from moorage import Session
from tests import servers
from tests.access.kit import READ_ONLY, attempt, moorage
from tests.audit.kit import events

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers import Server


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the trail is."""
    return tmp_path_factory.mktemp("trail") / "audit.jsonl"


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory, path: Path) -> Iterator[Server]:
    """A server with a trail in a file."""
    with servers.running(tmp_path_factory.mktemp("data"), "--audit", str(path), workers=1) as server:
        yield server


def test_a_command_is_an_event(beside: Server, path: Path) -> None:
    """What was changed, by which user of the machine; the command was not told of the trail, the server was."""
    moorage(beside, "user", "create", "ci")
    moorage(beside, "user", "attach", "ci", READ_ONLY)
    attach = events(path)[-1]
    assert (attach["eventSource"], attach["eventName"], attach["readOnly"]) == ("moorage", "AttachUser", False)
    assert attach["requestParameters"] == {"name": "ci", "policy": READ_ONLY}
    assert (attach["userIdentity"]["type"], attach["userIdentity"]["accessKeyId"]) == ("Root", "cli")
    assert attach["additionalEventData"]["command"] == "moorage user attach"
    assert attach["additionalEventData"]["osUser"]


def test_a_command_that_fails_is_one_too(beside: Server, path: Path) -> None:
    """A refused command is told with its code; one that only reads is not told."""
    assert attempt(beside, "user", "delete", "nobody").exit_code == 2
    attempt(beside, "user", "list")
    last = events(path)[-1]
    assert (last["eventName"], last["errorCode"]) == ("DeleteUser", "NoSuchEntityException")


def test_a_new_key_is_told_without_its_secret(beside: Server, path: Path) -> None:
    """The event of a key's making has not its secret."""
    moorage(beside, "user", "create", "keyed")
    key = json.loads(moorage(beside, "key", "create", "keyed", "--json"))
    assert events(path)[-1]["eventName"] == "CreateKey"
    assert key["secretAccessKey"] not in path.read_text()


def test_what_a_file_changed(beside: Server, path: Path, tmp_path: Path) -> None:
    """``moorage apply`` is one event with its changes; a dry run, and one that changes nothing, are none."""
    file = tmp_path / "access.toml"
    file.write_text(f'[groups.team]\npolicies = ["{READ_ONLY}"]\n')
    before = len(events(path))
    attempt(beside, "apply", str(file), "--dry-run")
    assert len(events(path)) == before
    moorage(beside, "apply", str(file))
    moorage(beside, "apply", str(file))
    (event,) = events(path)[before:]
    assert event["eventName"] == "Apply"
    assert event["requestParameters"]["file"] == str(file)
    assert event["responseElements"]["changes"]


def test_a_client_in_process_is_told_too(tmp_path: Path) -> None:
    """What a `Session` does in its own process is in the trail when it is closed."""
    path = tmp_path / "audit.jsonl"
    with Session(tmp_path / "data", audit=str(path)) as session:
        client: Any = session.create_client("ecr")
        client.create_repository(repositoryName="app")
    (event,) = events(path)
    assert (event["eventName"], event["userIdentity"]["type"]) == ("CreateRepository", "Root")

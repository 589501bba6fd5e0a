"""Access keys over their life: how many, the next one, the end, and when each was last used."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from botocore.exceptions import ClientError
from sqlalchemy.exc import OperationalError

from moorage import app
from moorage.config import Settings
from moorage.registry.tables import access_keys
from moorage.registry.uses import Use, Uses
from tests import servers
from tests.access.kit import POWER_USER, attempt, code_of, credentials, moorage
from tests.servers import ACCOUNT, REGION

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from moorage.registry.core import Registry
    from tests.servers import Server

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def listed(server: Server, user: str) -> dict[str, dict[str, Any]]:
    """Return a user's keys as ``key list --json`` tells them, by their ids."""
    return {row["accessKeyId"]: row for row in json.loads(moorage(server, "key", "list", user, "--json"))}


def test_a_user_has_two_keys_that_work(server: Server, user: str) -> None:
    """A third active key is refused, however it would come about; one that is disabled makes room."""
    first, second = (credentials(server, user)["aws_access_key_id"] for _ in range(2))
    for arguments in (["create", user], ["rotate", user]):
        done = attempt(server, "key", *arguments)
        assert (done.exit_code, "has 2 active keys" in done.stderr) == (2, True)
        assert first in done.stderr
    moorage(server, "key", "disable", first)
    third = credentials(server, user)["aws_access_key_id"]
    assert attempt(server, "key", "enable", first).exit_code == 2
    assert {key: row["active"] for key, row in listed(server, user).items()} == {
        first: False,
        second: True,
        third: True,
    }


def test_rotation_leaves_the_old_key_until_told(server: Server, repository: str, user: str) -> None:
    """The old key works beside the new one, and ends with ``--disable-old``; so do the docker logins made with it."""
    moorage(server, "user", "attach", user, POWER_USER)
    old = credentials(server, user)
    token = server.token(**old)
    rotated = json.loads(moorage(server, "key", "rotate", user, "--json"))
    new = {"aws_access_key_id": rotated["accessKeyId"], "aws_secret_access_key": rotated["secretAccessKey"]}
    assert (rotated["oldAccessKeyIds"], rotated["oldDisabled"]) == ([old["aws_access_key_id"]], False)
    for given in (old, new):
        assert server.client(**given).list_images(repositoryName=repository)["imageIds"] == []

    last = json.loads(moorage(server, "key", "rotate", user, "--disable-old", "--days", "1", "--json"))

    for given in (old, new):
        with pytest.raises(ClientError) as caught:
            server.client(**given).list_images(repositoryName=repository)
        assert code_of(caught) == "UnrecognizedClientException"
    assert server.request("GET", f"/v2/{repository}/tags/list", token=token).status == 401
    assert [key for key, row in listed(server, user).items() if row["active"]] == [last["accessKeyId"]]
    assert listed(server, user)[last["accessKeyId"]]["expiresAt"] == last["expiresAt"]


def test_a_key_can_be_let_end(server: Server, user: str) -> None:
    """A key gets an end, or loses it."""
    key = credentials(server, user)["aws_access_key_id"]
    moorage(server, "key", "expire", key, "--days", "3")
    ends = datetime.fromisoformat(listed(server, user)[key]["expiresAt"])
    assert timedelta(days=2.9) < ends - datetime.now(UTC) < timedelta(days=3.1)
    moorage(server, "key", "expire", key, "--never")
    assert listed(server, user)[key]["expiresAt"] is None
    assert attempt(server, "key", "expire", key).exit_code == 2


def test_root_gets_another_key(server: Server) -> None:
    """A key of root's can be made where the first was lost."""
    made = json.loads(moorage(server, "key", "create", "--root", "--json"))
    given = {"aws_access_key_id": made["accessKeyId"], "aws_secret_access_key": made["secretAccessKey"]}
    assert server.client("sts", **given).get_caller_identity()["Arn"] == f"arn:aws:iam::{ACCOUNT}:root"
    moorage(server, "key", "delete", made["accessKeyId"])
    assert attempt(server, "key", "create").exit_code == 2


def test_last_use_is_known_of_both_doors(tmp_path: Path) -> None:
    """A signed request to either service and a docker login tell of their key, on every worker, when the server ends."""
    with servers.running(tmp_path, "--region", REGION) as server:
        keys = {}
        for use in ("ecr", "sts", "docker", "none"):
            moorage(server, "user", "create", use)
            moorage(server, "user", "attach", use, POWER_USER)
            keys[use] = credentials(server, use)
        token = server.token(**keys["docker"], region_name="us-west-2")
        before = datetime.now(UTC)
        server.client(**keys["ecr"], region_name="ap-south-1").describe_repositories()
        server.client("sts", **keys["sts"]).get_caller_identity()
        assert server.request("GET", "/v2/", token=token).status == 200
        after = datetime.now(UTC)
        assert server.stop() == 0

    told = {use: listed(server, use)[key["aws_access_key_id"]] for use, key in keys.items()}
    assert {use: (row["lastUsedService"], row["lastUsedRegion"]) for use, row in told.items()} == {
        "ecr": ("ecr", "ap-south-1"),
        "sts": ("sts", REGION),
        "docker": ("ecr", "us-west-2"),
        "none": (None, None),
    }
    for use in ("ecr", "sts", "docker"):
        assert before <= datetime.fromisoformat(told[use]["lastUsedAt"]) <= after
    assert json.loads(moorage(server, "user", "show", "ecr", "--json"))["keys"][0] == told["ecr"]


def test_last_use_is_written_while_the_server_runs(tmp_path: Path) -> None:
    """Uses reach the database now and then, without a request that waits for it."""
    file = tmp_path / "moorage.toml"
    file.write_text("last_used_seconds = 1\n")
    with servers.running(tmp_path / "data", "--config", str(file)) as server:
        server.client().describe_repositories()
        rows: list[dict[str, Any]] = [{"lastUsedAt": None}]
        while rows[0]["lastUsedAt"] is None:  # the test's own timeout ends it, should that never come
            rows = json.loads(moorage(server, "key", "list", "--json"))
        assert rows[0]["lastUsedService"] == "ecr"


# --- In memory ----------------------------------------------------------------------


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    """An open registry without a server."""
    settings = Settings(data=tmp_path)
    app.prepare(settings)
    opened = app.open_registry(settings)
    yield opened
    opened.close()


def stored(registry: Registry) -> Any:
    """Return what the database says of the one key's last use."""
    with registry.database.read() as tx:
        return tx.execute(sa.select(access_keys)).one()


def test_time_goes_on_only(registry: Registry) -> None:
    """A use that is written late does not hide a later one, whichever worker wrote it."""
    key, uses = stored(registry).id, Uses()
    for minute in (5, 3, 7, 6):
        uses.note(key, Use(NOW + timedelta(minutes=minute), f"service-{minute}", "us-east-1"))
        if minute != 7:
            uses.flush(registry.database)
    assert (stored(registry).last_used_at, stored(registry).last_used_service) == (
        NOW + timedelta(minutes=7),
        "service-7",
    )
    assert uses.flush(registry.database) == 0


def test_what_cannot_be_written_is_kept(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the database does not answer, uses are kept, and a later one is not lost to an earlier one."""
    key, uses = stored(registry).id, Uses()
    uses.note(key, Use(NOW, "sts", "us-east-1"))

    def fails() -> Any:
        uses.note(key, Use(NOW + timedelta(minutes=1), "ecr", "us-east-1"))
        raise OperationalError("", None, Exception("gone"))

    with monkeypatch.context() as patch:
        patch.setattr(registry.database, "write", fails)
        assert uses.flush(registry.database) == 0
    assert uses.flush(registry.database) == 1
    assert stored(registry).last_used_service == "ecr"


def test_a_key_that_is_gone_is_no_matter(registry: Registry) -> None:
    """A use of a key that was deleted meanwhile is written nowhere, and keeps no other from being written."""
    uses = Uses()
    uses.note("AKIAGONE", Use(NOW, "ecr", "us-east-1"))
    uses.note(stored(registry).id, Use(NOW, "ecr", "us-east-1"))
    uses.flush(registry.database)
    assert stored(registry).last_used_at == NOW

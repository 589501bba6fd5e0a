"""Another master key while servers run: nothing stops working, and no crash leaves what cannot be opened."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from typer.testing import CliRunner

from moorage import app, keyfile
from moorage.cli.main import app as command
from moorage.config import Settings, SettingsError
from moorage.installation import read_address, read_root_key
from moorage.registry import rewrap
from moorage.registry.secrets import MasterKey, encode_key
from tests import servers
from tests.access.kit import POWER_USER, code_of, credentials, moorage
from tests.servers import ACCOUNT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers import Server
    from tests.stacks import Stack

REQUESTS = 8
"""Enough that both workers answer some."""


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory, stack: Stack) -> Iterator[Server]:
    """A server of two workers whose master key these tests change."""
    data = tmp_path_factory.mktemp("own")
    with servers.running(data, *stack.flags(data)) as started:
        moorage(started, "user", "create", "ci")
        moorage(started, "user", "attach", "ci", POWER_USER)
        yield started


def works(server: Server, given: dict[str, str], token: str) -> None:
    """Claim that a key and a docker login are good on every worker."""
    for _ in range(REQUESTS):
        assert server.client(**given).describe_repositories()["repositories"] == []
        assert server.request("GET", "/v2/", token=token).status == 200


def beside(server: Server) -> Settings:
    """Return the settings that the server was started with, as far as a new process needs them."""
    address = read_address(server.data)
    assert address is not None
    return Settings.load({"data": server.data}, {}, defaults=address.defaults)


def masters(server: Server) -> list[MasterKey]:
    """Return what the key file holds."""
    return keyfile.read(Settings(data=server.data))


def rewrapped(server: Server) -> dict[str, Any]:
    """Change the key by a process of its own: in this one the command would change variables that clients read."""
    line = [*servers.MOORAGE, "master-key", "rewrap", "--json", "--data", str(server.data), "--account-id", ACCOUNT]
    done = subprocess.run(
        line, env=os.environ | server.variables, stdout=subprocess.PIPE, text=True, timeout=60, check=True
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_running_server_goes_on(own: Server) -> None:
    """Requests before, while and after the key is changed are all answered; logins made before are good to their end."""
    given = credentials(own, "ci")
    token, stop = own.token(**given), threading.Event()
    before = masters(own)[0]

    def ask() -> None:
        while not stop.is_set():
            works(own, given, token)
            works(own, given, own.token(**given))

    with ThreadPoolExecutor(1) as threads:
        asking = threads.submit(ask)
        try:
            told = [rewrapped(own) for _ in range(3)]
        finally:
            stop.set()
        asking.result()

    assert [one["secrets"] >= 2 for one in told] == [True] * 3
    works(own, given, token)
    found = masters(own)
    assert found[0].until is None
    assert found[0].key != before.key
    assert [key.key for key in found].count(before.key) == 1
    hours = timedelta(seconds=found[-1].until or 0) - timedelta(seconds=datetime.now(UTC).timestamp())
    assert timedelta(hours=11.9) < hours < timedelta(hours=12.1)
    keyfile.write(own.data / "master.key", found[:1])
    works(own, given, own.token(**given))


def test_a_key_that_is_forgotten_ends_its_logins(own: Server) -> None:
    """With ``--forget-old`` what the key before signed ends on every worker; keys go on, and make new logins."""
    moorage(own, "user", "create", "forgetful")
    moorage(own, "user", "attach", "forgetful", POWER_USER)
    given = credentials(own, "forgetful")
    token = own.token(**given)
    session = own.client("sts", **given).get_session_token()["Credentials"]
    works(own, given, token)

    moorage(own, "master-key", "rewrap", "--forget-old")

    assert len(masters(own)) == 1
    while own.request("GET", "/v2/", token=token).status == 200:
        pass  # a worker learns of it within a second; the test's own timeout ends it, should it not
    works(own, given, own.token(**given))
    assert {own.request("GET", "/v2/", token=token).status for _ in range(REQUESTS)} == {401}
    client = own.client(
        aws_access_key_id=session["AccessKeyId"],
        aws_secret_access_key=session["SecretAccessKey"],
        aws_session_token=session["SessionToken"],
    )
    with pytest.raises(ClientError) as caught:
        client.describe_repositories()
    assert code_of(caught) == "UnrecognizedClientException"


KILLED = """
import os, signal, sys
from moorage import keyfile
from moorage.registry import rewrap
from moorage.cli.main import app

step, written = sys.argv[1], []

def die(at):
    if at == step:
        os.kill(os.getpid(), signal.SIGKILL)

def write_private(path, text, write=keyfile.write_private):
    written.append(text)
    die(f"before write {len(written)}")
    write(path, text)
    die(f"after write {len(written)}")

class Dying:
    def __init__(self, database):
        self._database = database

    def write(self):
        return self._watched()

    from contextlib import contextmanager

    @contextmanager
    def _watched(self):
        with self._database.write() as tx:
            yield tx
            die("before commit")
        die("after commit")

def reseal(database, keyring, real=rewrap.reseal):
    return real(Dying(database), keyring)

keyfile.write_private = write_private
rewrap.reseal = reseal
app(["master-key", "rewrap", "--data", sys.argv[2]])
"""
STEPS = ["before write 1", "after write 1", "before commit", "after commit", "before write 2", "after write 2"]


@pytest.mark.parametrize("step", STEPS)
def test_a_killed_change_leaves_all_that_works(own: Server, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed at any step, the server, a new process and new keys work, and the command can be run again to its end."""
    for name, value in own.variables.items():
        # A bucket's credentials are nowhere else, and a registry is opened here.
        monkeypatch.setenv(name, value)
    moorage(own, "user", "delete", "ci")
    moorage(own, "user", "create", "ci")
    moorage(own, "user", "attach", "ci", POWER_USER)
    given = credentials(own, "ci")
    token, before = own.token(**given), masters(own)[0]

    environment = servers.clean_environment(**own.variables)
    arguments = [sys.executable, "-c", KILLED, step, str(own.data)]
    done = subprocess.run(arguments, env=environment, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == -9, done.stderr
    works(own, given, token)
    works(own, credentials(own, "ci"), own.token(**given))
    app.prepare(beside(own))
    unfinished = masters(own)
    assert len(unfinished) == (1 if step == "before write 1" else len(unfinished))
    moorage(own, "master-key", "rewrap")
    works(own, given, token)
    assert masters(own)[0].key != before.key
    assert [key.until is None for key in masters(own)][1:] == [False] * (len(masters(own)) - 1)
    if step not in {"before write 1", "after write 2"}:
        assert masters(own)[0].key == unfinished[0].key, "an unfinished change is finished, not begun anew"
    keyfile.write(own.data / "master.key", masters(own)[:1])
    works(own, given, own.token(**given))


# --- Where the command cannot change the key ------------------------------------------


def key_of(data: Path) -> Any:
    """Claim that the root key can be opened by a new process."""
    settings = Settings(data=data)
    registry = app.open_registry(settings)
    try:
        app.prepare(settings)
        return read_root_key(data, settings.account_id)
    finally:
        registry.close()


def run(*arguments: str, **environment: str) -> Any:
    """Run a command."""
    cleared: dict[str, str | None] = {name: None for name in os.environ if name.startswith("MOORAGE_")}
    return CliRunner().invoke(command, arguments, env=cleared | environment)


def test_a_key_in_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key in the environment is changed by hand, in steps that each work; ``rewrap`` says so, ``reseal`` does its part."""
    old, new = (encode_key(os.urandom(32)) for _ in range(2))
    data = ("--data", str(tmp_path))
    monkeypatch.setenv("MOORAGE_MASTER_KEY", old)
    app.prepare(Settings(data=tmp_path))
    key = None
    for keys in (old, f"{old},{new}", f"{new}\n{old}"):
        monkeypatch.setenv("MOORAGE_MASTER_KEY", keys)
        key = key_of(tmp_path)
        assert key is not None
    refused = run("master-key", "rewrap", *data, MOORAGE_MASTER_KEY=f"{new},{old}")
    assert (refused.exit_code, "reseal" in refused.stderr) == (2, True)
    assert run("master-key", "reseal", *data, MOORAGE_MASTER_KEY=f"{new},{old}").exit_code == 0
    monkeypatch.setenv("MOORAGE_MASTER_KEY", new)
    assert key_of(tmp_path) == key
    monkeypatch.setenv("MOORAGE_MASTER_KEY", old)
    with pytest.raises(SettingsError, match="the master key is not the one"):
        key_of(tmp_path)
    assert not (tmp_path / "master.key").exists()


def test_a_secret_that_does_not_open_stops_it(tmp_path: Path) -> None:
    """If a secret is sealed with a key that is not there, nothing is sealed anew, and the command says so."""
    app.prepare(Settings(data=tmp_path))
    (tmp_path / "master.key").write_text(encode_key(os.urandom(32)))
    other = (tmp_path / "master.key").read_text()
    for name in ("reseal", "rewrap"):
        done = run("master-key", name, "--data", str(tmp_path))
        assert done.exit_code == 2
        assert "nothing was changed" in done.stderr
    assert (tmp_path / "master.key").read_text() == other


def test_a_key_file_elsewhere(tmp_path: Path) -> None:
    """The file of the key can be elsewhere, for the server and for every command."""
    file, data = tmp_path / "secret" / "key", tmp_path / "data"
    file.parent.mkdir()
    app.prepare(Settings(data=data, master_key_file=file))
    flags = ("--data", str(data), "--master-key-file", str(file))
    assert not (data / "master.key").exists()
    assert run("user", "create", "ci", *flags).exit_code == 0
    assert run("key", "create", "ci", *flags).exit_code == 0
    assert run("master-key", "rewrap", *flags).exit_code == 0
    assert len(file.read_text().splitlines()) == 2
    assert file.stat().st_mode & 0o777 == 0o600
    assert run("user", "list", "--data", str(data)).exit_code == 2


@pytest.mark.parametrize("text", ["A" * 43 + "= until=tomorrow", "A" * 43 + "= \nx", "\n", "A" * 43 + "= until="])
def test_a_bad_line_of_the_key_file(tmp_path: Path, text: str) -> None:
    """A key file with a line that is none is refused by its name; a running process keeps the keys that it has."""
    app.prepare(Settings(data=tmp_path))
    registry = app.open_registry(Settings(data=tmp_path))
    before = registry.keyring.seal("secret", "row")
    (tmp_path / "master.key").write_text(text)
    with pytest.raises(SettingsError, match=r"master\.key must hold the base64 of 32 bytes"):
        keyfile.read(Settings(data=tmp_path))
    assert registry.keyring.unseal(before, "row") == "secret"
    assert registry.keyring.unseal(registry.keyring.seal("secret", "row"), "row") == "secret"
    assert rewrap.reseal(registry.database, registry.keyring) == 1
    registry.close()

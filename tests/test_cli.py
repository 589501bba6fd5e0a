"""The ``moorage`` command as a shell runs it: what it says, and how it ends."""

from __future__ import annotations

import os
import re
import shlex
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner, Result

import moorage
from moorage import app, installation
from moorage.cli.main import app as command
from moorage.config import Settings, SettingsError
from moorage.installation import read_root_key
from tests import servers
from tests.servers import ACCOUNT, MOORAGE, REGION

if TYPE_CHECKING:
    from tests.servers import Server

FLAGS = (
    *("--data", "--host", "--port", "--workers", "--database", "--storage", "--account-id", "--region", "--domain"),
    *("--dev", "--create-on-push", "--public-url", "--log-level", "--config"),
)
SECRET_ALPHABET = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run ``moorage`` and wait for its end."""
    environ = servers.clean_environment(COLUMNS="200", **environment)
    return subprocess.run([*MOORAGE, *arguments], env=environ, capture_output=True, text=True, timeout=60, check=False)


def run_here(*arguments: str, **environment: str) -> Result:
    """Run ``moorage`` in this process, which is quicker and the same for what reads and prints."""
    cleared: dict[str, str | None] = {name: None for name in os.environ if name.startswith("MOORAGE_")}
    return CliRunner().invoke(command, arguments, env=cleared | environment)


def prepare(data: Path, **given: str) -> Settings:
    """Make a data folder as a first start makes it."""
    settings = Settings.load({"data": data, **given}, {})
    app.prepare(settings)
    return settings


# --- Commands on what is not there, or does not work --------------------------------

EACH = (
    *(
        ["account", "list"],
        ["account", "create", ACCOUNT],
        ["user", "list"],
        ["user", "create", "x"],
        ["group", "list"],
    ),
    *(["key", "list"], ["policy", "list"], ["role", "list"], ["oidc", "list"]),
)


@pytest.mark.parametrize("arguments", EACH, ids=" ".join)
def test_a_command_makes_no_registry(tmp_path: Path, arguments: list[str]) -> None:
    """In a folder where nothing was ever started a command ends with status 2 and one line, and leaves nothing."""
    done = run_here(*arguments, "--data", str(tmp_path / "none"))
    assert done.exit_code == 2
    assert f"there is no registry in {tmp_path / 'none'}" in done.stderr
    assert (done.stderr.count("\n"), done.stdout) == (1, "")
    assert not (tmp_path / "none").exists()


def test_a_database_that_is_none(tmp_path: Path) -> None:
    """A file that is no database, or is gone, ends a command with status 2 and one line."""
    prepare(tmp_path)
    (tmp_path / "broken").write_text("x" * 5000)
    for url, message in (
        (f"sqlite:///{tmp_path / 'broken'}", "the database cannot be used: file is not a database"),
        (f"sqlite:///{tmp_path / 'missing'}", "there is no registry"),
        ("oracle://host/db", "database: "),
    ):
        done = run_here("user", "list", "--data", str(tmp_path), "--database", url)
        assert done.exit_code == 2
        assert done.stderr.startswith("moorage: ")
        assert message in done.stderr
        assert done.stderr.count("\n") == 1


def test_options_come_from_variables_and_files_too(tmp_path: Path) -> None:
    """A command finds the installation and the account by flags, by variables and by a file of settings."""
    data, database = tmp_path / "data", f"sqlite:///{tmp_path / 'other.sqlite'}"
    prepare(data, account_id=ACCOUNT, database=database)
    flags = ("--data", str(data), "--database", database, "--account-id", ACCOUNT)
    assert run_here("user", "create", "ci", *flags).exit_code == 0
    file = tmp_path / "moorage.toml"
    file.write_text(f'data = "{data}"\ndatabase = "{database}"\naccount_id = "{ACCOUNT}"\n')

    listed = [
        run_here("user", "list", *flags),
        run_here("user", "list", MOORAGE_DATA=str(data), MOORAGE_DATABASE=database, MOORAGE_ACCOUNT_ID=ACCOUNT),
        run_here("user", "list", "--config", str(file)),
        run_here("user", "list", MOORAGE_CONFIG=str(file)),
    ]

    assert [(done.exit_code, "ci" in done.stdout) for done in listed] == [(0, True)] * 4


def test_a_command_acts_where_the_server_was_started(tmp_path: Path) -> None:
    """What a server was started with stands beside its data: commands need not be told, and can be told otherwise."""
    database = f"sqlite:///{tmp_path / 'other.sqlite'}"
    for account in ("000000000000", ACCOUNT):
        settings = prepare(tmp_path, account_id=account, database=database)
    installation.write_address(tmp_path, installation.address_of(settings))
    run_here("user", "create", "builder", "--data", str(tmp_path))

    assert "builder" in run_here("user", "list", "--data", str(tmp_path), "--account-id", ACCOUNT).stdout
    assert "builder" not in run_here("user", "list", "--data", str(tmp_path), "--account-id", "0" * 12).stdout


@pytest.mark.parametrize(
    "text",
    ['{"url": "http://host", "region": "eu-west-1", "account_id": "%s", "future": 1}', '{"url": "x"}', "{", "[]"],
)
def test_an_address_of_another_version(tmp_path: Path, text: str) -> None:
    """A note of the address that another version left is read as far as it can be."""
    prepare(tmp_path)
    prepare(tmp_path, account_id=ACCOUNT)
    (tmp_path / "address.json").write_text(text.replace("%s", ACCOUNT))
    done = run_here("env", "--data", str(tmp_path))
    assert done.exit_code == 0
    assert ("eu-west-1" in done.stdout) == ("eu-west-1" in text)


def test_tables_of_another_version(tmp_path: Path) -> None:
    """Tables of another version are neither used nor changed by a command."""
    prepare(tmp_path)
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'moorage.sqlite'}")
    with engine.begin() as tx:
        tx.execute(sa.text("UPDATE alembic_version SET version_num = '0001'"))
    done = run_here("user", "list", "--data", str(tmp_path))
    assert (done.exit_code, "are another version's (0001" in done.stderr) == (2, True)
    engine.dispose()


def test_a_shell_completes_commands_and_names(tmp_path: Path) -> None:
    """A shell is offered commands, and the names that there are in the account; where there is no registry, nothing."""
    prepare(tmp_path, account_id=ACCOUNT)
    flags = ("--data", str(tmp_path), "--account-id", ACCOUNT)
    for name in ("alice", "alan", "bob"):
        assert run_here("user", "create", name, *flags).exit_code == 0
    completed = {
        "moorage us": ["user"],
        f"moorage user show {shlex.join(flags)} al": ["alan", "alice"],
        f"moorage user attach {shlex.join(flags)} bob AmazonEC2ContainerRegistryP": [
            "AmazonEC2ContainerRegistryPowerUser",
            "AmazonEC2ContainerRegistryPullOnly",
        ],
        f"moorage account show {shlex.join(flags)} ''": [ACCOUNT],
        f"moorage user show --data {tmp_path / 'none'} a": [],
    }
    for words, offered in completed.items():
        asked = {
            "_MOORAGE_COMPLETE": "complete_bash",
            "COMP_WORDS": words,
            "COMP_CWORD": str(len(shlex.split(words)) - 1),
        }
        script = f"import os, sys; sys.argv = ['moorage']; {MOORAGE[2]}"
        environ = servers.clean_environment(**asked)
        done = subprocess.run(
            [MOORAGE[0], "-c", script], env=environ, capture_output=True, text=True, timeout=60, check=False
        )
        assert (done.stdout.split(), done.stderr) == (offered, "")


# --- Help and version ------------------------------------------------------------


def test_the_installed_command_tells_its_version() -> None:
    """The command that the package installs prints name and version."""
    installed = Path(sys.executable).parent / "moorage"
    done = subprocess.run([installed, "--version"], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == f"moorage {moorage.__version__}\n"


@pytest.mark.parametrize("arguments", [["--help"], []])
def test_help_names_the_commands(arguments: list[str]) -> None:
    """Help, asked for or given because nothing was, names the commands."""
    done = run_here(*arguments)
    assert "serve" in done.stdout + done.stderr
    assert "env" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_help_of_serve_names_every_flag() -> None:
    """The help of ``serve`` names every flag of the contract."""
    done = run_here("serve", "--help", COLUMNS="200")
    assert done.exit_code == 0
    plain = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout)  # some environments ask for colours
    assert [flag for flag in FLAGS if flag not in plain] == []


@pytest.mark.parametrize("arguments", [["nonsense"], ["serve", "--nonsense"]])
def test_a_wrong_command_line_ends_with_two(arguments: list[str]) -> None:
    """A command or flag that does not exist ends with status 2 and no traceback."""
    done = run(*arguments)
    assert done.returncode == 2
    assert done.stderr
    assert "Traceback" not in done.stderr


BAD = {
    "workers must be at least 1": ["--workers", "0"],
    "database: this version knows": ["--database", "oracle://host/db"],
    "cannot listen on nowhere.invalid": ["--host", "nowhere.invalid"],
}


@pytest.mark.parametrize("message", BAD)
def test_a_setting_that_cannot_work_ends_with_two(tmp_path: Path, message: str) -> None:
    """A setting that cannot be used ends ``serve`` with status 2 and one line that says which."""
    done = run("serve", "--data", str(tmp_path), "--port", str(servers.free_port()), *BAD[message])
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.startswith("moorage: ")
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


@pytest.mark.parametrize("text", ["port = ", "unknown = 1"])
def test_a_bad_file_of_settings_ends_with_two(tmp_path: Path, text: str) -> None:
    """A file that is no TOML, or names what is no setting, ends ``serve`` with status 2."""
    file = tmp_path / "moorage.toml"
    file.write_text(text)
    done = run_here("serve", "--data", str(tmp_path), "--config", str(file))
    assert done.exit_code == 2
    assert done.stderr.startswith("moorage: ")


def test_a_data_folder_that_cannot_be_ends_with_two(tmp_path: Path) -> None:
    """A data folder that is a file ends ``serve`` with status 2 and its name."""
    file = tmp_path / "file"
    file.write_text("")
    done = run("serve", "--data", str(file), "--port", str(servers.free_port()))
    assert done.returncode == 2
    assert str(file) in done.stderr


def test_a_bad_master_key_ends_with_two(tmp_path: Path) -> None:
    """A master key that is none ends ``serve`` with status 2, and is not shown."""
    done = run("serve", "--data", str(tmp_path), "--port", str(servers.free_port()), MOORAGE_MASTER_KEY="QUFB")
    assert done.returncode == 2
    assert done.stderr == "moorage: MOORAGE_MASTER_KEY must hold the base64 of 32 bytes\n"


@pytest.mark.parametrize("key", ["", "not base64", "é", "QUFB", "QUFB" * 11])
def test_a_bad_file_of_the_master_key_is_named(tmp_path: Path, key: str) -> None:
    """A file that holds no master key is refused by its name, and never replaced."""
    file = tmp_path / "master.key"
    file.write_text(key)
    with pytest.raises(SettingsError, match=r"master\.key must hold the base64 of 32 bytes"):
        prepare(tmp_path)
    assert file.read_text() == key


def test_another_master_key_is_noticed(tmp_path: Path) -> None:
    """A data folder whose master key has been lost is not served with a new one: no key in it could be used."""
    prepare(tmp_path)
    (tmp_path / "master.key").unlink()
    for account in ("000000000000", ACCOUNT):
        with pytest.raises(SettingsError, match="the master key is not the one"):
            prepare(tmp_path, account_id=account)


# --- What a first start leaves ---------------------------------------------------


def mode(path: Path) -> int:
    """Return the permission bits of a file."""
    return stat.S_IMODE(path.stat().st_mode)


def test_the_data_folder_is_its_owners(tmp_path: Path) -> None:
    """A new data folder can be entered by its owner only, and the keys in it read by its owner only."""
    data = tmp_path / "new" / "data"
    before = os.umask(0)
    try:
        prepare(data, account_id=ACCOUNT)
    finally:
        os.umask(before)
    assert mode(data) == 0o700
    assert mode(data / "master.key") == 0o600
    assert mode(data / f"root-access-key-{ACCOUNT}.json") == 0o600


def test_a_root_key_has_the_form_of_awss(tmp_path: Path) -> None:
    """The root access key looks as AWS's keys look, so that tools that check the form take it."""
    prepare(tmp_path, account_id=ACCOUNT)
    key = read_root_key(tmp_path, ACCOUNT)
    assert key is not None
    assert key.access_key_id.startswith("AKIA")
    assert len(key.access_key_id) == 20
    assert key.access_key_id.isalnum()
    assert len(key.secret_access_key) == 40
    assert set(key.secret_access_key) <= SECRET_ALPHABET
    assert key.secret_access_key not in repr(key)


def test_a_second_start_keeps_the_key(tmp_path: Path) -> None:
    """A folder that is prepared again keeps its keys."""
    prepare(tmp_path, account_id=ACCOUNT)
    files = [tmp_path / "master.key", tmp_path / f"root-access-key-{ACCOUNT}.json"]
    before = [file.read_text() for file in files]
    prepare(tmp_path, account_id=ACCOUNT)
    assert [file.read_text() for file in files] == before


def test_no_secret_is_in_the_database(tmp_path: Path) -> None:
    """The secret of a key stands in no file of the data folder but the key's own."""
    prepare(tmp_path, account_id=ACCOUNT)
    key = read_root_key(tmp_path, ACCOUNT)
    assert key is not None
    secret = key.secret_access_key.encode()
    holding = [path.name for path in tmp_path.rglob("*") if path.is_file() and secret in path.read_bytes()]
    assert holding == [f"root-access-key-{ACCOUNT}.json"]


# --- moorage env -----------------------------------------------------------------

NAMES = [
    "AWS_ENDPOINT_URL_ECR",
    "AWS_ENDPOINT_URL_STS",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_REGION",
]


def in_bash(script: str, **environment: str) -> list[str]:
    """Run a script in a real bash; return the lines that it prints."""
    environ = servers.clean_environment(**environment)
    bash = ["bash", "--norc", "-euo", "pipefail", "-c", script]
    done = subprocess.run(bash, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def evaluated(data: Path, *flags: str) -> str:
    """Return the words of the README: eval of what ``moorage env`` prints."""
    return f'eval "$({shlex.join([*MOORAGE, "env", "--data", str(data), *flags])})"'


def test_env_sets_a_shell_up(server: Server) -> None:
    """After eval of ``moorage env``, a real bash has addresses, key and region of the running server."""
    show = "; ".join(f'echo "${name}"' for name in NAMES)
    lines = in_bash(f"{evaluated(server.data, '--account-id', ACCOUNT)}; {show}")
    assert lines == [server.url, server.url, server.key.access_key_id, server.key.secret_access_key, REGION]


def test_env_is_all_that_boto3_needs(server: Server) -> None:
    """After eval of ``moorage env``, boto3 speaks to the registry and to STS with nothing else set."""
    code = (
        "import boto3;"
        "print(boto3.client('ecr').describe_repositories()['ResponseMetadata']['HTTPStatusCode']);"
        "print(boto3.client('sts').get_caller_identity()['Arn'])"
    )
    script = f"{evaluated(server.data, '--account-id', ACCOUNT)}; {shlex.join([sys.executable, '-c', code])}"
    assert in_bash(script) == ["200", f"arn:aws:iam::{ACCOUNT}:root"]


def test_env_takes_away_what_would_be_in_the_way(tmp_path: Path) -> None:
    """What ``moorage env`` prints unsets a profile and a session token, which would be of another account."""
    prepare(tmp_path)
    script = f'{evaluated(tmp_path)}; echo "${{AWS_PROFILE-none}} ${{AWS_SESSION_TOKEN-none}}"'
    assert in_bash(script, AWS_PROFILE="work", AWS_SESSION_TOKEN="abc") == ["none none"]


def test_env_quotes_for_the_shell(tmp_path: Path) -> None:
    """What a setting holds reaches the shell as it is, and nothing in it is run."""
    prepare(tmp_path)
    url = "http://host/$(touch${IFS}pwned)`id`'\"; echo no"
    lines = in_bash(f'cd {tmp_path}; {evaluated(tmp_path)}; echo "$AWS_ENDPOINT_URL_ECR"; ls', MOORAGE_PUBLIC_URL=url)
    assert lines[0] == url
    assert "pwned" not in lines


def test_env_without_a_registry_says_so(tmp_path: Path) -> None:
    """Before the first start ``moorage env`` ends with status 2, names the folder, and prints nothing to evaluate."""
    done = run_here("env", "--data", str(tmp_path / "none"))
    assert done.exit_code == 2
    assert done.stdout == ""
    assert f"there is no registry in {tmp_path / 'none'}" in done.stderr
    assert not (tmp_path / "none").exists()


def test_env_of_another_account(tmp_path: Path) -> None:
    """A data folder holds a root key for each account that it was started with, and ``moorage env`` gives either."""
    keys = {}
    for account in (ACCOUNT, "210987654321"):
        prepare(tmp_path, account_id=account)
        done = run_here("env", "--data", str(tmp_path), "--account-id", account)
        keys[account] = [line for line in done.stdout.splitlines() if "AWS_ACCESS_KEY_ID" in line]
    assert len(keys[ACCOUNT]) == 1
    assert keys[ACCOUNT] != keys["210987654321"]


def test_env_reads_the_same_settings(tmp_path: Path) -> None:
    """``moorage env`` finds the registry by the variable and by the file of settings, as ``serve`` does."""
    data = tmp_path / "data"
    prepare(data, account_id=ACCOUNT)
    by_flags = run_here("env", "--data", str(data), "--account-id", ACCOUNT).stdout
    by_environment = run_here("env", MOORAGE_DATA=str(data), MOORAGE_ACCOUNT_ID=ACCOUNT).stdout
    file = tmp_path / "moorage.toml"
    file.write_text(f'data = "{data}"\naccount_id = "{ACCOUNT}"\n')
    by_file = run_here("env", "--config", str(file)).stdout

    assert "AWS_SECRET_ACCESS_KEY" in by_flags
    assert by_flags == by_environment == by_file

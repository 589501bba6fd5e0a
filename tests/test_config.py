"""Settings: where a value comes from, and which values are refused."""

from __future__ import annotations

import dataclasses
import inspect
import re
from pathlib import Path
from typing import Any

import pytest

from moorage.cli.serve import serve
from moorage.config import Settings, SettingsError, default_data, variable

FIELDS = {field.name: field for field in dataclasses.fields(Settings)}
BEHAVIOUR = Path(__file__).parent.parent / "docs" / "behaviour.md"


def test_the_defaults_are_those_of_a_registry_at_home() -> None:
    """Without any setting, a registry listens on the loopback's port 5100, and lets nobody in without a key."""
    settings = Settings.load({}, {})
    assert (settings.host, settings.port, settings.workers) == ("127.0.0.1", 5100, 1)
    assert (settings.account_id, settings.region) == ("000000000000", "us-east-1")
    assert settings.base_url == "http://localhost:5100"
    assert settings.registry_host("000000000000", "us-east-1") == "localhost:5100"
    assert not settings.dev
    assert not settings.creates_on_push


def test_a_flag_comes_before_the_environment(tmp_path: Path) -> None:
    """A flag wins over a variable, a variable over the file, and the file over the default."""
    file = tmp_path / "moorage.toml"
    file.write_text('port = 1\nworkers = 2\nregion = "eu-west-1"\n')
    environ = {"MOORAGE_PORT": "3", "MOORAGE_WORKERS": "4"}

    settings = Settings.load({"port": 5, "workers": None}, environ, file)

    assert (settings.port, settings.workers, settings.region, settings.log_level) == (5, 4, "eu-west-1", "info")


OTHER: dict[str, Any] = {
    "data": Path("there"),
    "host": "::1",
    "port": 6100,
    "workers": 3,
    "database": "sqlite:///there/db",
    "database_pool": 3,
    "database_wait_seconds": 4,
    "database_timeout_seconds": 5,
    "master_key_file": Path("key"),
    "storage": "there/layers",
    "blob_delivery": "proxy",
    "last_used_seconds": 3,
    "account_id": "123456789012",
    "region": "cn-north-1",
    "domain": "registry.example.com",
    "public_url": "https://registry.example.com",
    "tls_cert": Path("cert.pem"),
    "tls_key": Path("key.pem"),
    "tls": "self-signed",
    "trusted_proxies": "192.0.2.0/24",
    "dev": True,
    "create_on_push": True,
    "sparse_manifests": True,
    "lifecycle_interval_minutes": 5,
    "failed_attempts": 3,
    "registry_policy_scope": "V1",
    "log_level": "debug",
    "audit": "audit.jsonl",
    "upload_expiry_hours": 2,
    "jobs": False,
    "min_free_mib": 33,
    "verify_interval_days": 8,
    "verify_mib_per_second": 9,
    "gc_grace_minutes": 7,
    "gc_pace": 50,
    "undelete_hours": 7,
    "rate_limits": "ecr,PutImage=50",
    "repositories_per_registry": 77,
    "images_per_repository": 77,
    "tags_per_image": 77,
    "bytes_per_repository": 77,
    "bytes_per_account": 77,
    "log_requests": True,
    "metrics": "192.0.2.0/24",
    "jobs_poll_seconds": 7,
}
"""For each setting a value that is not its default."""

FOR_THE_FILE = {
    "min_free_mib",
    "verify_interval_days",
    "verify_mib_per_second",
    "gc_grace_minutes",
    "gc_pace",
    "undelete_hours",
    "rate_limits",
    "repositories_per_registry",
    "images_per_repository",
    "tags_per_image",
    "bytes_per_repository",
    "bytes_per_account",
    "log_requests",
    "database_pool",
    "database_wait_seconds",
    "database_timeout_seconds",
    "last_used_seconds",
    "upload_expiry_hours",
    "jobs_poll_seconds",
    "lifecycle_interval_minutes",
}
"""Settings without a flag."""

COMPANIONS = {"tls_cert": {"tls_key": "key.pem"}, "tls_key": {"tls_cert": "cert.pem"}}
"""What a setting cannot be without."""


@pytest.mark.parametrize("name", FIELDS)
def test_every_setting_can_come_from_the_environment(name: str) -> None:
    """Each setting is read from the variable of its name, and becomes the type it has."""
    text = str(OTHER[name]).lower() if isinstance(OTHER[name], bool) else str(OTHER[name])
    settings = Settings.load(COMPANIONS.get(name, {}), {variable(name): text})
    assert getattr(settings, name) == OTHER[name]
    assert getattr(settings, name) != getattr(Settings.load({}, {}), name)


@pytest.mark.parametrize("name", FIELDS)
def test_every_setting_can_come_from_a_file(tmp_path: Path, name: str) -> None:
    """Each setting is read from the TOML file by its name."""
    file = tmp_path / "moorage.toml"
    value = OTHER[name]
    written = str(value).lower() if isinstance(value, bool) else value if isinstance(value, int) else f'"{value}"'
    file.write_text(f"{name} = {written}\n")
    assert getattr(Settings.load(COMPANIONS.get(name, {}), {}, file), name) == value


@pytest.mark.parametrize("name", FIELDS)
def test_every_setting_has_a_flag_or_is_for_the_file(name: str) -> None:
    """Each setting has a flag of ``moorage serve``, but for a few that are for the environment or the file."""
    flags = inspect.signature(serve).parameters
    assert (name in flags) != (name in FOR_THE_FILE)


@pytest.mark.parametrize("name", FIELDS)
def test_every_setting_is_documented(name: str) -> None:
    """Each setting has a row in the table of settings, and a docstring at its definition."""
    rows = re.findall(r"^\| `(\w+)` \|", BEHAVIOUR.read_text(), re.MULTILINE)
    assert name in rows
    assert re.search(rf'^    {name}: .*\n    """', inspect.getsource(Settings), re.MULTILINE)


def test_the_table_of_settings_names_no_other() -> None:
    """What the documentation calls a setting is one."""
    table = BEHAVIOUR.read_text().partition("## Settings")[2]
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) <= FIELDS.keys()


BAD: list[tuple[str, Any]] = [
    ("port", "0"),
    ("port", "65536"),
    ("port", "-1"),
    ("port", "http"),
    ("port", ""),
    ("workers", "0"),
    ("workers", "two"),
    ("account_id", "1234"),
    ("account_id", "12345678901x"),
    ("account_id", "１２３４５６７８９０１２"),
    ("region", "Us-East-1"),
    ("region", ""),
    ("region", "a" * 33),
    ("domain", ""),
    ("domain", "Example.com"),
    ("domain", "example.com/path"),
    ("domain", "example..com"),
    ("domain", "-example.com"),
    ("domain", "example.com:5100"),
    ("domain", "a" * 64),
    ("public_url", "registry.example.com"),
    ("public_url", "ftp://registry.example.com"),
    ("dev", "perhaps"),
    ("create_on_push", "2"),
    ("log_level", "loud"),
    ("log_level", "INFO"),
    ("upload_expiry_hours", "0"),
]


@pytest.mark.parametrize(("name", "value"), BAD)
def test_a_value_that_cannot_work_is_refused_by_name(name: str, value: str) -> None:
    """A value that cannot be used raises SettingsError, whose message begins with the setting's name."""
    with pytest.raises(SettingsError) as caught:
        Settings.load({}, {variable(name): value})
    assert str(caught.value).startswith(name)


WRONG_TYPES = [
    "port = true",
    "port = 5100.5",
    "port = [5100]",
    "workers = 1979-05-27",
    "account_id = 123456789012",
    "region = 5",
    "domain = false",
    "database = {}",
    "storage = 1",
    "log_level = []",
    "dev = 1",
    "data = 1",
]


@pytest.mark.parametrize("line", WRONG_TYPES)
def test_a_value_of_another_type_is_refused_by_name(tmp_path: Path, line: str) -> None:
    """A value in the file that has another type than the setting raises SettingsError, and is not converted."""
    file = tmp_path / "moorage.toml"
    file.write_text(line)
    with pytest.raises(SettingsError) as caught:
        Settings.load({}, {}, file)
    assert str(caught.value).startswith(line.partition(" ")[0])


def test_an_unknown_setting_in_the_file_is_refused(tmp_path: Path) -> None:
    """A setting that does not exist, misspelled perhaps, is refused with its name and the file's."""
    file = tmp_path / "moorage.toml"
    file.write_text("ports = 5100\n[serve]\nhost = 'a'\n")
    with pytest.raises(SettingsError, match=r"moorage\.toml: unknown settings: ports, serve"):
        Settings.load({}, {}, file)


def test_variables_of_others_are_left_alone() -> None:
    """A variable that begins with MOORAGE_ and names no setting is no matter of the settings."""
    assert Settings.load({}, {"MOORAGE_MASTER_KEY": "x", "MOORAGE_": "y"}) == Settings.load({}, {})


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::", "registry.example.com", "127.0.0.1.example.com"])  # noqa: S104
def test_dev_listens_to_this_machine_only(host: str) -> None:
    """With ``dev``, where any credentials are accepted, an address that others can reach is refused."""
    with pytest.raises(SettingsError, match="loopback"):
        Settings.load({"dev": True, "host": host}, {})


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_dev_creates_on_push(host: str) -> None:
    """With ``dev``, a push creates its repository."""
    assert Settings.load({"dev": True, "host": host}, {}).creates_on_push


@pytest.mark.parametrize(
    ("given", "host", "url"),
    [
        ({}, "localhost:5100", "http://localhost:5100"),
        ({"port": 80}, "localhost:80", "http://localhost:80"),
        ({"public_url": "https://r.example.com/"}, "r.example.com", "https://r.example.com"),
        (
            {"domain": "example.com"},
            "123456789012.dkr.ecr.eu-west-1.example.com:5100",
            "http://123456789012.dkr.ecr.eu-west-1.example.com:5100",
        ),
        (
            {"domain": "example.com", "public_url": "https://r.example.com"},
            "123456789012.dkr.ecr.eu-west-1.example.com",
            "https://123456789012.dkr.ecr.eu-west-1.example.com",
        ),
        (
            {"domain": "example.com", "public_url": "https://r.example.com:8443"},
            "123456789012.dkr.ecr.eu-west-1.example.com:8443",
            "https://123456789012.dkr.ecr.eu-west-1.example.com:8443",
        ),
    ],
)
def test_the_names_of_a_registry(given: dict[str, Any], host: str, url: str) -> None:
    """A registry is named for its account and region if there is a domain, and plainly if there is none."""
    settings = Settings.load(given, {})
    assert settings.registry_host("123456789012", "eu-west-1") == host
    assert settings.registry_url("123456789012", "eu-west-1") == url


@pytest.mark.parametrize(
    ("host", "registry"),
    [
        ("123456789012.dkr.ecr.eu-west-1.example.com", ("123456789012", "eu-west-1")),
        ("123456789012.dkr.ecr.eu-west-1.example.com:5100", ("123456789012", "eu-west-1")),
        ("123456789012.DKR.ecr.eu-west-1.Example.COM", ("123456789012", "eu-west-1")),
        ("123456789012.dkr.ecr.eu-west-1.example.org", None),
        ("123456789012.dkr.ecr.eu-west-1.notexample.com", None),
        ("12345678901.dkr.ecr.eu-west-1.example.com", None),
        ("123456789012.dkr.ecr.eu_west_1.example.com", None),
        ("x.123456789012.dkr.ecr.eu-west-1.example.com", None),
        ("123456789012.dkr.ecr.example.com", None),
        ("example.com", None),
        ("localhost:5100", None),
        ("", None),
    ],
)
def test_the_registry_of_a_name(host: str, registry: tuple[str, str] | None) -> None:
    """A host name of the installation's domain means an account and a region, and any other means none."""
    assert Settings.load({"domain": "example.com"}, {}).registry_of_host(host) == registry


def test_the_data_folder_follows_xdg(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The data folder is in XDG_DATA_HOME, or where that is by default, and does not depend on the working folder."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert default_data() == tmp_path / "moorage"
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_data() == tmp_path / ".local" / "share" / "moorage"

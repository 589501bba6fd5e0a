"""Fixtures: the clients, logged in where they have to be, and images for them to carry."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.clients import engine, layouts
from tests.clients.tools import Tool, private_home, require
from tests.servers import MOORAGE, clean_environment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.clients.engine import Engine
    from tests.clients.layouts import Layout
    from tests.servers import Server

EVALUATE = 'exports=$("$@") && eval "$exports" && exec env -0'


# --- The AWS CLI ----------------------------------------------------------------


@pytest.fixture(scope="session")
def environment(server: Server) -> dict[str, str]:
    """What a shell has as its environment after ``eval "$(moorage env)"``."""
    command = ["sh", "-c", EVALUATE, "sh", *MOORAGE, "env", "--data", str(server.data)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=clean_environment())
    return dict(line.split("=", 1) for line in done.stdout.split("\0") if line)


@pytest.fixture(scope="session")
def aws(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Tool:
    """The AWS CLI, with nothing but what ``moorage env`` prints."""
    home = {"HOME": str(tmp_path_factory.mktemp("aws"))}
    return Tool((sys.executable, "-m", "awscli"), environment | home)


@pytest.fixture(scope="session")
def password(aws: Tool) -> str:
    """What ``aws ecr get-login-password`` prints."""
    return aws("ecr", "get-login-password")


# --- The clients of the distribution protocol -----------------------------------


@pytest.fixture(scope="session")
def skopeo_of_nobody(tmp_path_factory: pytest.TempPathFactory) -> Tool:
    """Skopeo, not logged in anywhere."""
    require("skopeo")
    return Tool(("skopeo", "--insecure-policy"), private_home(tmp_path_factory.mktemp("nobody")))


@pytest.fixture(scope="session")
def skopeo(skopeo_of_nobody: Tool, server: Server, password: str, tmp_path_factory: pytest.TempPathFactory) -> Tool:
    """Skopeo, logged in with the password that the AWS CLI gave."""
    logins = tmp_path_factory.mktemp("skopeo") / "auth.json"
    words = ("login", "--authfile", str(logins), "--tls-verify=false", "--username", "AWS", "--password-stdin")
    assert skopeo_of_nobody(*words, server.host, stdin=password) == "Login Succeeded!"
    return skopeo_of_nobody.with_environment(REGISTRY_AUTH_FILE=str(logins))


@pytest.fixture(scope="module")
def docker_engine() -> Iterator[Engine]:
    """A docker engine that nobody else uses."""
    with engine.running() as started:
        yield started


@pytest.fixture
def docker_of_nobody(docker_engine: Engine, tmp_path: Path) -> Tool:
    """The docker CLI, not logged in anywhere."""
    return docker_engine.client(tmp_path)


@pytest.fixture
def docker(docker_engine: Engine, server: Server, password: str, tmp_path: Path) -> Tool:
    """The docker CLI, logged in with the password that the AWS CLI gave."""
    client = docker_engine.client(tmp_path)
    said = client("login", "--username", "AWS", "--password-stdin", server.host, stdin=password)
    assert "Login Succeeded" in said
    return client


# --- What they carry ------------------------------------------------------------


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    """A small image of three layers (``v1``), another for arm64 (``arm``), and an index of both (``all``)."""
    return layouts.build_small(tmp_path_factory.mktemp("small"))


@pytest.fixture(scope="session")
def real(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    """A real image of four layers (``v1``), one of them of more than 30 MiB."""
    return layouts.build_real(tmp_path_factory.mktemp("real"))


@pytest.fixture
def context(tmp_path: Path) -> Path:
    """The folder of an image to be built: a busybox system in two layers, unlike any other."""
    return layouts.build_context(tmp_path / "context")

"""``moorage doctor``: a real nginx in front of a real server, right and wrong in the ways that users of registries report."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests import servers
from tests.clients.tools import require

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers import Server

RIGHT = """
    client_max_body_size 0;
    location / {
        proxy_pass http://127.0.0.1:%(upstream)d;
        proxy_http_version 1.1;
        proxy_set_header Host $http_host;
        proxy_request_buffering off;
        proxy_redirect off;
    }
"""
PATIENCE = 30


@contextlib.contextmanager
def nginx(folder: Path, server: str, upstream: int) -> Iterator[str]:
    """Run an nginx with one server block; yield its address."""
    port = servers.free_port()
    folder.mkdir(exist_ok=True)
    (folder / "nginx.conf").write_text(
        f"daemon off; pid {folder}/pid; error_log stderr; worker_processes 1;\n"
        "events {}\n"
        f"http {{ access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;\n"
        f"fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;\n"
        f"server {{ listen 127.0.0.1:{port}; {server % {'upstream': upstream}} }} }}\n"
    )
    process = subprocess.Popen(
        ["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _await(port)
        yield f"http://localhost:{port}"
    finally:
        process.terminate()
        process.wait(timeout=30)


def _await(port: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), contextlib.closing(socket.create_connection(("127.0.0.1", port))):
            return
        time.sleep(0.02)
    raise TimeoutError("nginx does not listen")


def doctor(server: Server, *arguments: str) -> tuple[int, list[dict[str, Any]]]:
    """Run the command; return its exit status and what it said."""
    done = subprocess.run(
        [*servers.MOORAGE, "doctor", *arguments, "--data", str(server.data), "--json"],
        capture_output=True,
        text=True,
        env=servers.clean_environment(),
        check=False,
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


@pytest.fixture(scope="module", autouse=True)
def program() -> None:
    """The proxy that most people have."""
    require("nginx")


def repositories(server: Server) -> list[str]:
    return [one["repositoryName"] for one in server.client().describe_repositories()["repositories"]]


def test_all_is_well_without_a_proxy(server: Server) -> None:
    """Every check passes at the address that clients are told, and nothing is left."""
    status, told = doctor(server)
    assert status == 0
    assert [one["check"] for one in told] == ["reach", "clock", "sign", "login", "push", "push more", "tag", "pull"]
    assert all(one["well"] for one in told)
    assert not [name for name in repositories(server) if name.startswith("moorage-doctor/")]


def test_all_is_well_behind_a_proxy_that_is_right(server: Server, tmp_path: Path) -> None:
    """The configuration of the docs."""
    with nginx(tmp_path / "nginx", RIGHT, server.port) as url:
        status, told = doctor(server, url)
    assert (status, [one for one in told if not one["well"]]) == (0, [])


WRONG = {
    "no host header": (RIGHT.replace("$http_host", "$proxy_host"), "sign", "proxy_set_header Host"),
    "a limit on bodies": (RIGHT.replace("client_max_body_size 0;", ""), "push more", "client_max_body_size"),
    "only /v2/": (RIGHT.replace("location /", "location /v2/"), "sign", "must pass `/` on"),
    "only /": (RIGHT.replace("location /", "location = /"), "reach", "must pass `/v2/` on"),
    "no authorization": (
        RIGHT.replace("proxy_redirect off;", 'set $a $http_authorization; if ($uri ~ "^/v2/") { set $a ""; } proxy_set_header Authorization $a;'),
        "login",
        "Authorization header",
    ),
    "nothing behind it": (RIGHT.replace("%(upstream)d", "9"), "reach", "/readyz"),
    "sent to https": ("return 301 https://registry.example$request_uri;", "reach", "public_url"),
    "another site": ("return 401;", "reach", "ask for a password itself"),
}  # fmt: skip


@pytest.mark.parametrize(("block", "check", "advice"), WRONG.values(), ids=WRONG)
def test_the_wrong_setting_is_named(server: Server, tmp_path: Path, block: str, check: str, advice: str) -> None:
    """Each common mistake ends at the check that it breaks, with what to do about it, and nothing is left behind."""
    with nginx(tmp_path / "nginx", block, server.port) as url:
        status, told = doctor(server, url)
    assert status == 1
    trouble = next(one for one in told if not one["well"])
    assert (trouble["check"], advice in trouble["advice"]) == (check, True), trouble
    if check not in {"reach", "sign", "login"}:
        assert not [name for name in repositories(server) if name.startswith("moorage-doctor/")]


def test_a_server_that_is_not_there(server: Server) -> None:
    """The first check says that nobody listens."""
    status, told = doctor(server, f"http://localhost:{servers.free_port()}")
    assert status == 1
    assert (told[0]["check"], told[0]["well"]) == ("reach", False)
    assert "public_url" in told[0]["advice"]


def test_what_people_read(server: Server) -> None:
    """A line a check."""
    done = subprocess.run(
        [*servers.MOORAGE, "doctor", "--data", str(server.data)],
        capture_output=True,
        text=True,
        env=servers.clean_environment(),
        check=True,
    )
    assert done.stdout.splitlines()[0] == f"ok  {server.url} answers"
    assert len(done.stdout.splitlines()) == 8

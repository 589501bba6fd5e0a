"""A new certificate in the files of a running server: shown to who comes, and unnoticed by who is there."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import IO, TYPE_CHECKING

import pytest

from tests import content, servers
from tests.clients.tools import require
from tests.tls import pki

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers import Server

MIB = 1024 * 1024
LAYER = 64 * MIB
"""Bytes: far more than what the sockets between server and client take in unread."""


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """The files of the certificate that the server starts with."""
    return pki.issue(tmp_path, "first")


@pytest.fixture
def server(tmp_path: Path, files: tuple[Path, Path]) -> Iterator[Server]:
    """A server of two workers with that certificate."""
    certificate, key = files
    with servers.running(tmp_path / "data", "--tls-cert", str(certificate), "--tls-key", str(key)) as started:
        yield started.trusting(certificate)


def replace(files: tuple[Path, Path], folder: Path) -> bytes:
    """Put another certificate and key into the files; return what connections should be shown now."""
    new = pki.issue(folder, "second")
    for source, target in zip(new, files, strict=True):
        source.replace(target)
    return pki.der(files[0])


def workers(server: Server) -> set[int]:
    """Return the worker processes of a server."""
    path = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children")
    return {int(pid) for pid in path.read_text().split()}


def is_logged(server: Server, event: str) -> bool:
    """Whether the server's log has an event."""
    return any(f'"{event}"' in line for line in server.log)


def test_sighup_shows_the_new_certificate(server: Server, files: tuple[Path, Path], tmp_path: Path) -> None:
    """After SIGHUP connections are shown the certificate that the files hold now."""
    old = pki.der(files[0])
    assert pki.shown(server.port) == old
    new = replace(files, tmp_path)
    server.process.send_signal(signal.SIGHUP)
    pki.until(lambda: pki.shown(server.port) == new)


def test_without_a_signal_the_files_are_noticed(server: Server, files: tuple[Path, Path], tmp_path: Path) -> None:
    """Files that have been replaced are noticed, and what they hold is shown."""
    new = replace(files, tmp_path)
    pki.until(lambda: pki.shown(server.port) == new)


def test_links_are_followed_again(tmp_path: Path) -> None:
    """Where the files are symbolic links, as certbot's are, SIGHUP follows them to where they lead now."""
    for name in ("cert", "key"):
        (tmp_path / name).symlink_to("nowhere")
    links = tmp_path / "cert", tmp_path / "key"

    def lead_to(name: str) -> bytes:
        found = pki.issue(tmp_path, name)
        for link, target in zip(links, found, strict=True):
            link.unlink()
            link.symlink_to(target)
        return pki.der(found[0])

    first = lead_to("first")
    with servers.running(tmp_path / "data", "--tls-cert", str(links[0]), "--tls-key", str(links[1])) as server:
        assert pki.shown(server.port) == first
        second = lead_to("second")
        server.process.send_signal(signal.SIGHUP)
        pki.until(lambda: pki.shown(server.port) == second)


@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
def test_a_running_download_ends_well(
    server: Server, files: tuple[Path, Path], tmp_path: Path, name: str, version: str
) -> None:
    """A download that has begun before the reload is the whole layer in the end."""
    require("curl")
    server.client().create_repository(repositoryName=name)
    data = os.urandom(LAYER)
    blob = f"{server.url}/v2/{name}/blobs/{content.push_blob(server, name, data)}"
    command = ["curl", "--silent", version, "--insecure", "--user", f"AWS:{server.password()}", blob]
    before = workers(server)
    with subprocess.Popen(command, stdout=subprocess.PIPE) as download:
        pipe = reading(download)
        received = pipe.read(MIB)
        new = replace(files, tmp_path)
        server.process.send_signal(signal.SIGHUP)
        pki.until(lambda: pki.shown(server.port) == new)
        assert before & workers(server), "the worker of the download has been ended"
        received += pipe.read()
    assert download.returncode == 0
    assert content.digest_of(received) == content.digest_of(data)
    pki.until(lambda: not before & workers(server))


def reading(process: subprocess.Popen[bytes]) -> IO[bytes]:
    """Return the pipe that a process writes to."""
    assert process.stdout is not None
    return process.stdout


def test_a_server_stops_while_old_workers_are_leaving(
    server: Server, files: tuple[Path, Path], tmp_path: Path, name: str
) -> None:
    """SIGTERM lets the requests of workers that have been replaced end too, and then ends with 0."""
    server.client().create_repository(repositoryName=name)
    data = os.urandom(LAYER)
    blob = f"/v2/{name}/blobs/{content.push_blob(server, name, data)}"
    headers = {"Authorization": f"Basic {server.token()}"}
    answer = server.http.request("GET", server.url + blob, headers=headers, preload_content=False)
    received = answer.read(MIB)
    new = replace(files, tmp_path)
    server.process.send_signal(signal.SIGHUP)
    pki.until(lambda: pki.shown(server.port) == new)
    server.process.send_signal(signal.SIGTERM)
    received += answer.read()
    assert content.digest_of(received) == content.digest_of(data)
    assert server.stop() == 0


def test_a_second_signal_cuts_nothing(server: Server, name: str) -> None:
    """Workers that are told to stop twice, as systemd and terminals do it, still end their requests."""
    server.client().create_repository(repositoryName=name)
    data = os.urandom(LAYER)
    blob = f"/v2/{name}/blobs/{content.push_blob(server, name, data)}"
    headers = {"Authorization": f"Basic {server.token()}"}
    answer = server.http.request("GET", server.url + blob, headers=headers, preload_content=False)
    received = answer.read(MIB)
    busy_or_not = workers(server)
    tell(server.process.pid, *busy_or_not, *busy_or_not)
    pki.until(lambda: not server.is_listening())
    tell(server.process.pid, *busy_or_not)
    received += answer.read()
    assert content.digest_of(received) == content.digest_of(data)
    assert server.stop() == 0


def tell(*pids: int) -> None:
    """Tell processes to stop, as far as they have not ended."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)


def test_a_certificate_that_does_not_serve_changes_nothing(
    server: Server, files: tuple[Path, Path], tmp_path: Path
) -> None:
    """A certificate without its key is refused with a line in the log, and the old one goes on being shown."""
    old, before = pki.der(files[0]), workers(server)
    shutil.copy(pki.issue(tmp_path, "second")[0], files[0])
    server.process.send_signal(signal.SIGHUP)
    pki.until(lambda: is_logged(server, "reload_refused"))
    assert pki.shown(server.port) == old
    assert workers(server) == before


def test_a_worker_that_dies_meanwhile_is_replaced(server: Server, files: tuple[Path, Path], tmp_path: Path) -> None:
    """Where the files do not serve any more, the next worker shows what the one before it did."""
    old, before = pki.der(files[0]), workers(server)
    shutil.copy(pki.issue(tmp_path, "second")[0], files[0])
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    pki.until(lambda: len(workers(server)) == 2 and not before & workers(server))
    assert pki.shown(server.port) == old


def test_many_signals_leave_one_set_of_workers(server: Server) -> None:
    """However often SIGHUP comes, two workers are there in the end."""
    before = workers(server)
    for _ in range(5):
        server.process.send_signal(signal.SIGHUP)
    pki.until(lambda: len(workers(server)) == 2 and not before & workers(server))
    assert server.http.request("GET", f"{server.url}/healthz").status == 200


def test_a_server_without_tls_replaces_its_workers(tmp_path: Path) -> None:
    """SIGHUP replaces the workers of a server without TLS as well, and it goes on answering."""
    with servers.running(tmp_path / "data") as server:
        before = workers(server)
        server.process.send_signal(signal.SIGHUP)
        pki.until(lambda: len(workers(server)) == 2 and not before & workers(server))
        assert server.http.request("GET", f"{server.url}/healthz").status == 200

"""``moorage serve`` as an operator runs it: ready, drained, restarted, killed, and told how to be."""

from __future__ import annotations

import base64
import contextlib
import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
import urllib3

import moorage
from moorage.installation import read_root_key
from tests import content, servers
from tests.servers import ACCOUNT, MOORAGE, REGION, Server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MIB = 1024 * 1024
OTHER_ACCOUNT = "210987654321"


def until(happened: Callable[[], bool]) -> None:
    """Ask again and again until it has happened."""
    deadline = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < deadline, f"{happened} never came true"


def children(server: Server) -> set[int]:
    """Return the worker processes of a server (Linux)."""
    path = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children")
    return {int(pid) for pid in path.read_text().split()}


def is_running(pid: int) -> bool:
    """Tell whether a process is there and not only waiting to be noticed."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def is_dead(pid: int) -> bool:
    """Tell whether a process has ended."""
    return not is_running(pid)


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Server]:
    """A server of two workers that the test may end as it likes."""
    with servers.running(tmp_path / "data") as server:
        yield server
        if server.process.poll() is not None:
            ended(server)


def ended(server: Server) -> int:
    """Wait for the end of a server that has been told to stop; return its status."""
    status = server.process.wait(timeout=60)
    server.reader.join(timeout=60)
    server.http.clear()
    if server.process.stdout is not None:
        server.process.stdout.close()
    return status


# --- Coming up -------------------------------------------------------------------


def test_there_is_one_ready_line(own: Server) -> None:
    """A start prints one line, with version, address and folder, and at that moment requests are answered."""
    assert own.ready_line == f"Moorage {moorage.__version__} is ready on {own.url} (data in {own.data})"
    assert own.anonymous("GET", "/healthz").status == 200
    assert own.anonymous("GET", "/readyz").status == 200
    assert own.client().describe_repositories()["repositories"] == []
    own.process.terminate()
    assert own.process.stdout is not None
    assert own.process.stdout.read() == ""
    assert ended(own) == 0
    assert own.log == []


def test_a_taken_port_is_named(server: Server, tmp_path: Path) -> None:
    """A port that somebody listens on ends the second server with status 2 and a message that names it."""
    command = [*MOORAGE, "serve", "--data", str(tmp_path / "second"), "--port", str(server.port)]
    done = subprocess.run(
        command, env=servers.clean_environment(), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == f"moorage: cannot listen on 127.0.0.1:{server.port}: Address already in use\n"
    assert not (tmp_path / "second").exists()


def test_only_the_loopback_is_listened_on(server: Server) -> None:
    """Without ``--host`` no other machine can reach the server."""
    listening = Path("/proc/net/tcp").read_text() + Path("/proc/net/tcp6").read_text()
    places = re.findall(rf"^\s*\d+: ([0-9A-F]+):{server.port:04X} \S+ 0A ", listening, re.MULTILINE)
    assert places
    assert set(places) == {"0100007F"}


def test_a_file_of_settings_is_enough(tmp_path: Path) -> None:
    """``--config`` alone starts a server, with all that the file says."""
    port = servers.free_port()
    file = tmp_path / "moorage.toml"
    file.write_text(
        f'data = "{tmp_path / "data"}"\nport = {port}\naccount_id = "{ACCOUNT}"\nregion = "cn-north-1"\n'
        'domain = "registry.example.com"\n'
    )
    with started(["--config", str(file)], {}) as line:
        assert f"http://localhost:{port}" in line
        client = client_of(port, read_key(tmp_path / "data"), region="cn-north-1")
        made = client.create_repository(repositoryName="ab")["repository"]
    assert made["repositoryArn"] == f"arn:aws-cn:ecr:cn-north-1:{ACCOUNT}:repository/ab"
    assert made["repositoryUri"] == f"{ACCOUNT}.dkr.ecr.cn-north-1.registry.example.com:{port}/ab"


def test_variables_are_enough(tmp_path: Path) -> None:
    """Variables alone start a server, and a flag beside them wins."""
    port = servers.free_port()
    environment = {
        "MOORAGE_DATA": str(tmp_path / "data"),
        "MOORAGE_PORT": "1",
        "MOORAGE_ACCOUNT_ID": ACCOUNT,
        "MOORAGE_PUBLIC_URL": "https://registry.example.com",
        "MOORAGE_STORAGE": str(tmp_path / "layers"),
        "MOORAGE_DATABASE": f"sqlite:///{tmp_path / 'rows.sqlite'}",
    }
    with started(["--port", str(port)], environment) as line:
        assert "ready on https://registry.example.com " in line
        client = client_of(port, read_key(tmp_path / "data"))
        assert client.create_repository(repositoryName="ab")["repository"]["repositoryUri"] == "registry.example.com/ab"
        data = client.get_authorization_token()["authorizationData"][0]
        assert data["proxyEndpoint"] == "https://registry.example.com"
        content.upload_layer(client, "ab", b"a layer")
    assert (tmp_path / "rows.sqlite").exists()
    assert [path.read_bytes() for path in (tmp_path / "layers").rglob("*") if path.is_file()] == [b"a layer"]


@contextlib.contextmanager
def started(flags: list[str], environment: dict[str, str]) -> Iterator[str]:
    """Start a server with these flags and no others; give its ready line, and see it end well."""
    environ = servers.clean_environment(**environment)
    process = subprocess.Popen([*MOORAGE, "serve", *flags], env=environ, stdout=subprocess.PIPE, text=True)
    with process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline()
        finally:
            process.terminate()
            status = process.wait(timeout=60)
    assert status == 0


def read_key(data: Path, account: str = ACCOUNT) -> Any:
    """Return the root key of an account."""
    key = read_root_key(data, account)
    assert key is not None
    return key


def client_of(port: int, key: Any, region: str = REGION) -> Any:
    """Return a boto3 client of a server at a port of this machine."""
    session: Any = boto3.session.Session()
    return session.client(
        "ecr",
        endpoint_url=f"http://localhost:{port}",
        region_name=region,
        aws_access_key_id=key.access_key_id,
        aws_secret_access_key=key.secret_access_key,
    )


# --- Going down ------------------------------------------------------------------


class SlowDownload:
    """A layer being downloaded by a client that reads when it likes."""

    def __init__(self, server: Server, repository: str, digest: str, token: str) -> None:
        self.socket = socket.socket()
        # A small window, so that most of the layer is still at the server while we do not read.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        self.socket.connect(("127.0.0.1", server.port))
        head = (
            f"GET /v2/{repository}/blobs/{digest} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic {token}\r\n\r\n"
        )
        self.socket.sendall(head.encode())
        self.answer = http.client.HTTPResponse(self.socket)
        self.answer.begin()
        self.first = self.answer.read(1024)

    def rest(self) -> bytes:
        """Read all that is left."""
        with self.socket:
            return self.first + self.answer.read()


def test_a_running_download_ends_whole(own: Server) -> None:
    """A download that runs when the server is told to stop ends whole, new connections are refused, the status is 0."""
    own.client().create_repository(repositoryName="ab")
    layer = os.urandom(MIB) * 48
    digest = content.push_blob(own, "ab", layer)
    download = SlowDownload(own, "ab", digest, own.token())
    assert download.answer.status == 200
    own.http.clear()

    own.process.terminate()
    until(lambda: not own.is_listening())
    assert own.process.poll() is None

    assert download.rest() == layer
    assert own.process.wait(timeout=60) == 0


def test_a_running_upload_ends_durable(own: Server) -> None:
    """An upload that runs when the server is told to stop is taken in whole, and is there after the next start."""
    own.client().create_repository(repositoryName="ab")
    layer = os.urandom(2 * MIB)
    token = own.token()
    begun = own.request("POST", "/v2/ab/blobs/uploads/", token=token)
    path = begun.headers["Location"].removeprefix(own.url)
    own.http.clear()
    with socket.create_connection(("127.0.0.1", own.port), timeout=60) as connection:
        head = f"PUT {path}?digest={content.digest_of(layer)} HTTP/1.1\r\nHost: localhost\r\n"
        head += f"Authorization: Basic {token}\r\nContent-Length: {len(layer)}\r\n\r\n"
        connection.sendall(head.encode() + layer[:MIB])
        # The request has been taken up when its bytes are in the file of the upload, or in memory: ask the server.
        until(
            lambda: sum(p.stat().st_size for p in own.data.rglob("*") if p.is_file() and "blobs" in p.parts) > MIB // 2
        )

        own.process.send_signal(signal.SIGTERM)
        until(lambda: not own.is_listening())
        connection.sendall(layer[MIB:])
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        assert answer.status == 201, answer.read()
    assert own.process.wait(timeout=60) == 0

    with servers.running(own.data) as again:
        pulled = again.request("GET", f"/v2/ab/blobs/{content.digest_of(layer)}")
        assert pulled.data == layer


def test_an_idle_connection_does_not_hold_the_server(tmp_path: Path) -> None:
    """Connections on which nothing runs, kept alive or never used, do not delay the end that Ctrl-C brings."""
    with servers.running(tmp_path, workers=1) as server, contextlib.ExitStack() as held:
        place = ("127.0.0.1", server.port)
        connections = [held.enter_context(socket.create_connection(place, timeout=60)) for _ in range(4)]
        # The last one's answer tells that the worker has taken up those before it: what comes in the moment
        # of the signal may hold a worker for its whole patience.
        connections[-1].sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert connections[-1].recv(4096).startswith(b"HTTP/1.1 200 ")
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(timeout=50) == 0
        ended(server)


def test_a_restart_keeps_all(own: Server) -> None:
    """After a restart the key, the docker password, the images and the half of an upload are as they were."""
    client = own.client()
    client.create_repository(repositoryName="ab")
    image = content.push(own, "ab", "v1")
    upload = client.initiate_layer_upload(repositoryName="ab")["uploadId"]
    part = {"repositoryName": "ab", "uploadId": upload}
    client.upload_layer_part(**part, partFirstByte=0, partLastByte=5 * MIB - 1, layerPartBlob=bytes(5 * MIB))
    token = own.token()
    own.process.terminate()
    assert ended(own) == 0

    with servers.running(own.data, port=own.port) as again:
        assert again.request("GET", "/v2/ab/manifests/v1", token=token).data == image.manifest
        # The same client, with the same key, goes on.
        client.upload_layer_part(**part, partFirstByte=5 * MIB, partLastByte=5 * MIB, layerPartBlob=b"x")
        whole = content.digest_of(bytes(5 * MIB) + b"x")
        done = client.complete_layer_upload(**part, layerDigests=[whole])
    assert done["layerDigest"] == whole


# --- Killed ----------------------------------------------------------------------


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs Linux's /proc")
def test_a_killed_worker_is_replaced(own: Server) -> None:
    """A worker that is killed is replaced by another, and what it was told is there."""
    client = own.client()
    client.create_repository(repositoryName="ab")
    before = children(own)
    assert len(before) == 2

    for victim in before:
        os.kill(victim, signal.SIGKILL)
    until(lambda: len(children(own) - before) == 2)
    until(own.is_listening)

    answered = client_of(own.port, own.key).describe_repositories()["repositories"]
    assert [repository["repositoryName"] for repository in answered] == ["ab"]
    assert not children(own) & before
    assert own.stop() == 0


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs Linux's /proc")
def test_workers_killed_again_and_again_are_replaced(own: Server) -> None:
    """A server whose workers are all killed, the next ones too as soon as they are there, goes on to answer."""
    own.client().create_repository(repositoryName="ab")
    for _ in range(6):
        until(lambda: len(children(own)) == 2)
        for victim in children(own):
            os.kill(victim, signal.SIGKILL)
    until(own.is_listening)

    answered = client_of(own.port, own.key).describe_repositories()["repositories"]
    assert [repository["repositoryName"] for repository in answered] == ["ab"]
    assert own.stop() == 0


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs Linux's /proc")
def test_one_worker_killed_again_and_again_costs_nobody_an_answer(own: Server) -> None:
    """While one worker is killed whenever it has come back, the other answers every request."""
    survivor = min(children(own))
    for _ in range(12):
        until(lambda: len(children(own)) == 2)
        (victim,) = children(own) - {survivor}
        os.kill(victim, signal.SIGKILL)
        until(partial(is_dead, victim))
        # Not on a connection that the dead one had.
        own.http.clear()
        assert own.anonymous("GET", "/healthz").status == 200
    assert survivor in children(own)
    assert own.stop() == 0


def test_a_server_whose_workers_never_come_up_ends(tmp_path: Path) -> None:
    """Workers that die at their start are not tried for ever: the server ends with status 1 and says why."""
    code = (
        "import os, pathlib, sys; from moorage.config import Settings; from moorage.workers import Workers;"
        "settings = Settings(data=pathlib.Path(sys.argv[1]), port=int(sys.argv[2]), workers=2);"
        "Workers(settings, None).serve(target_loader=lambda: os._exit(3), wrap_loader=False)"
    )
    command = [sys.executable, "-c", code, str(tmp_path), str(servers.free_port())]
    done = subprocess.run(
        command, env=servers.clean_environment(), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert "no_worker_comes_up" in done.stdout + done.stderr


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs Linux's /proc")
def test_workers_end_with_a_killed_parent(own: Server) -> None:
    """When the parent process is killed its workers end too, so that the next start finds the port free."""
    workers = children(own)
    own.process.kill()
    own.process.wait(timeout=60)
    until(lambda: not any(map(is_running, workers)))
    assert not own.is_listening()
    with servers.running(own.data, port=own.port) as again:
        assert again.client().describe_repositories()["repositories"] == []


# --- --dev -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server for development."""
    with servers.running(tmp_path_factory.mktemp("dev"), "--dev", workers=1) as server:
        yield server


def test_dev_says_so(dev: Server) -> None:
    """The ready line of a server that lets everybody in says that it does."""
    assert dev.ready_line.endswith(", any credentials accepted (--dev))")


def test_dev_takes_any_key(dev: Server) -> None:
    """With ``--dev`` any key and secret are the account's root, at both APIs."""
    given = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    assert dev.client(**given).create_repository(repositoryName="by-anybody")["repository"]["registryId"] == ACCOUNT
    assert dev.client("sts", **given).get_caller_identity()["Account"] == ACCOUNT


@pytest.mark.parametrize("credential", ["admin:admin", "AWS:nonsense", ":"])
def test_dev_takes_any_password(dev: Server, credential: str) -> None:
    """With ``--dev`` any user name and password are let in at the distribution door."""
    token = base64.b64encode(credential.encode()).decode()
    assert dev.request("GET", "/v2/", token=token).status == 200


def test_dev_takes_nobody_too(dev: Server) -> None:
    """With ``--dev`` a request without a credential is let in."""
    assert dev.anonymous("GET", "/v2/").status == 200


def test_dev_creates_on_push(dev: Server) -> None:
    """With ``--dev`` a push creates its repository, which ECR's API then shows."""
    image = content.push(dev, "made/by-push", "v1")
    (details,) = dev.client().describe_images(repositoryName="made/by-push")["imageDetails"]
    assert details["imageDigest"] == image.digest


def test_without_dev_a_push_creates_nothing(server: Server, name: str) -> None:
    """Without ``--dev`` a push to a repository that is not there is refused."""
    answer = server.request("POST", f"/v2/{name}/blobs/uploads/")
    assert (answer.status, answer.json()["errors"][0]["code"]) == (404, "NAME_UNKNOWN")


# --- --domain --------------------------------------------------------------------


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a domain."""
    with servers.running(tmp_path_factory.mktemp("named"), "--domain", "example.test", workers=1) as server:
        yield server


def host_of(server: Server, account: str, region: str) -> str:
    """Return the host name of a registry."""
    return f"{account}.dkr.ecr.{region}.example.test:{server.port}"


def test_a_domain_names_registries(named: Server) -> None:
    """With ``--domain`` the URIs of repositories and the address to log in to name account and region."""
    client = named.client(region_name="eu-north-1")
    host = host_of(named, ACCOUNT, "eu-north-1")
    assert client.create_repository(repositoryName="ab")["repository"]["repositoryUri"] == f"{host}/ab"
    data = client.get_authorization_token(registryIds=[ACCOUNT, OTHER_ACCOUNT])["authorizationData"]
    assert [one["proxyEndpoint"] for one in data] == [
        f"http://{host}",
        f"http://{host_of(named, OTHER_ACCOUNT, 'eu-north-1')}",
    ]


def test_a_host_name_selects_the_account(named: Server) -> None:
    """With ``--domain`` the host name selects the account, whichever account the password was asked for."""
    client = named.client(region_name="eu-south-1")
    client.create_repository(repositoryName="ab")
    data = client.get_authorization_token(registryIds=[OTHER_ACCOUNT])["authorizationData"][0]

    def tags(host: str) -> urllib3.BaseHTTPResponse:
        return named.request("GET", "/v2/ab/tags/list", token=data["authorizationToken"], headers={"Host": host})

    assert tags(host_of(named, ACCOUNT, "eu-south-1")).status == 200
    refused = tags(host_of(named, OTHER_ACCOUNT, "eu-south-1"))
    assert (refused.status, refused.json()["errors"][0]["code"]) == (403, "DENIED")
    assert OTHER_ACCOUNT in refused.json()["errors"][0]["message"]


def test_a_password_is_good_in_its_region(named: Server) -> None:
    """With ``--domain`` a password is refused at the host names of other regions."""
    token = named.token(region_name="eu-south-2")
    here = {"Host": host_of(named, ACCOUNT, "eu-south-2")}
    there = {"Host": host_of(named, ACCOUNT, "eu-west-3")}
    assert named.request("GET", "/v2/", token=token, headers=here).status == 200
    assert named.request("GET", "/v2/", token=token, headers=there).status == 401


# --- Accounts --------------------------------------------------------------------


def test_each_account_has_its_registry(tmp_path: Path) -> None:
    """A folder served for one account and then for another has both keys, each of its own registry."""
    with servers.running(tmp_path, workers=1) as first:
        first.client().create_repository(repositoryName="of/the-first")
    with servers.running(tmp_path, "--account-id", OTHER_ACCOUNT, workers=1) as second:
        keys = {account: read_key(tmp_path, account) for account in (ACCOUNT, OTHER_ACCOUNT)}
        clients = {account: client_of(second.port, key) for account, key in keys.items()}
        assert clients[OTHER_ACCOUNT].describe_repositories()["repositories"] == []
        made = clients[OTHER_ACCOUNT].create_repository(repositoryName="of/the-second")["repository"]
        seen = clients[ACCOUNT].describe_repositories()["repositories"]

        assert made["registryId"] == OTHER_ACCOUNT
        assert [repository["repositoryName"] for repository in seen] == ["of/the-first"]
        with pytest.raises(clients[ACCOUNT].exceptions.ClientError, match="AccessDenied"):
            clients[ACCOUNT].describe_repositories(registryId=OTHER_ACCOUNT)


# --- Health ----------------------------------------------------------------------


def test_health_needs_no_credential(server: Server) -> None:
    """Whether the process answers and whether its database does can be asked by anybody."""
    assert server.anonymous("GET", "/healthz").data == b"ok"
    assert server.anonymous("GET", "/readyz").json() == {"ready": True}


def test_every_answer_has_a_request_id(server: Server) -> None:
    """Each answer, whatever its path, carries an id of its own that the log has too."""
    ids = {server.anonymous("GET", path).headers["x-request-id"] for path in ("/healthz", "/v2/", "/nowhere", "/")}
    assert len(ids) == 4


def test_both_protocols_of_http_are_spoken(server: Server) -> None:
    """HTTP/1.0 is answered as HTTP/1.1 is."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        connection.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
        assert connection.makefile("rb").read().startswith(b"HTTP/1.0 200 ")


def test_the_pool_is_closed_by_nobody(server: Server) -> None:
    """A connection is kept for the next request, at both doors."""
    with urllib3.HTTPConnectionPool("localhost", server.port, maxsize=1, retries=False) as pool:
        for path in ("/healthz", "/v2/", "/nowhere", "/healthz"):
            pool.request("GET", path)
        pool.request("POST", "/", body=b"{}")
        assert pool.num_connections == 1

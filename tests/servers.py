"""A real server in a process of its own, for tests that speak to it over a socket."""

from __future__ import annotations

import base64
import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from itertools import pairwise
from typing import IO, TYPE_CHECKING, Any, Self

import boto3
import urllib3
from botocore.config import Config

from moorage.installation import read_root_key

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from moorage.registry.keys import AccessKey

ACCOUNT = "123456789012"
REGION = "eu-west-1"
_BOTO3: Any = boto3.session.Session()
"""One for all: each would read the service models anew, and making a client is not safe in threads."""
_ONE_AT_A_TIME = threading.Lock()
S3_CREDENTIALS = {"AWS_ACCESS_KEY_ID": "moorage-tests", "AWS_SECRET_ACCESS_KEY": "moorage-tests-secret"}
"""Of the S3 servers of `tests.objects`; a server that is to use one finds them in its environment."""
MOORAGE = [sys.executable, "-c", "from moorage.cli import main; main()"]


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def clean_environment(**extra: str) -> dict[str, str]:
    """Return the environment without anything that would configure Moorage or an AWS client."""
    # ... nor would make its commands print for a terminal.
    others = {"FORCE_COLOR", "PY_COLORS", "GITHUB_ACTIONS"}
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "MOORAGE_")) and k not in others}
    # Nothing here may ask a metadata service for credentials.
    return kept | {"AWS_EC2_METADATA_DISABLED": "true", **extra}


def variables_of(settings: dict[str, str]) -> dict[str, str]:
    """Return the environment variables in which settings are found, with the credentials of a bucket."""
    named = {f"MOORAGE_{name.upper()}": value for name, value in settings.items()}
    return named | (S3_CREDENTIALS if settings.get("storage", "").startswith("s3://") else {})


def flags_of(settings: dict[str, str]) -> list[str]:
    """Return settings as flags of ``moorage serve``."""
    return [word for name, value in settings.items() for word in (f"--{name.replace('_', '-')}", value)]


class Log(list[str]):
    """The lines that a process has logged so far, and a way to wait for one."""

    def __init__(self) -> None:
        super().__init__()
        self._more = threading.Condition()

    def drain(self, stream: IO[str]) -> None:
        """Take in lines until the stream ends."""
        with stream:
            for line in stream:
                with self._more:
                    self.append(line)
                    self._more.notify_all()

    def line_with(self, *texts: str) -> str:
        """Return the first line with all of these texts, when it comes."""

        def found() -> str | None:
            return next((line for line in self if all(text in line for text in texts)), None)

        with self._more:
            line = self._more.wait_for(found, timeout=30)
        assert line is not None, f"no line with {texts} in {self}"
        return line


@dataclass
class Server:
    """A running ``moorage serve``."""

    process: subprocess.Popen[str]
    port: int
    data: Path
    ready_line: str
    http: urllib3.PoolManager = field(default_factory=lambda: urllib3.PoolManager(maxsize=32, retries=False))
    log: Log = field(default_factory=Log)
    reader: threading.Thread = field(default_factory=threading.Thread)
    ca: Path | None = None
    """The CA that clients of a server with TLS trust."""
    flags: tuple[str, ...] = ()

    @property
    def database(self) -> str | None:
        """The URL of the database that it was started with, None for the file in the data folder."""
        return self.flags[self.flags.index("--database") + 1] if "--database" in self.flags else None

    @property
    def variables(self) -> dict[str, str]:
        """The environment in which a command finds what the server works on."""
        values = {flag.removeprefix("--"): value for flag, value in pairwise(self.flags)}
        return variables_of({name: values[name] for name in ("database", "storage") if name in values})

    def trusting(self, ca: Path) -> Self:
        """Let the clients that this makes trust a CA."""
        self.ca = ca
        self.http = urllib3.PoolManager(maxsize=32, retries=False, ca_certs=str(ca))
        return self

    @property
    def host(self) -> str:
        """Host and port, as docker names a registry."""
        return f"localhost:{self.port}"

    @property
    def url(self) -> str:
        """The server's address."""
        scheme = "https" if "https://" in self.ready_line else "http"
        return f"{scheme}://{self.host}"

    @property
    def key(self) -> AccessKey:
        """The root access key."""
        key = read_root_key(self.data, ACCOUNT)
        assert key is not None
        return key

    def client(self, service: str = "ecr", **options: Any) -> Any:
        """Return an unmodified boto3 client of this server."""
        given = {
            "endpoint_url": self.url,
            "region_name": REGION,
            "aws_access_key_id": self.key.access_key_id,
            "aws_secret_access_key": self.key.secret_access_key,
            "config": Config(retries={"total_max_attempts": 1}),
            "verify": str(self.ca) if self.ca else None,
        }
        with _ONE_AT_A_TIME:
            return _BOTO3.client(service, **(given | options))

    def is_listening(self) -> bool:
        """Tell whether somebody takes connections at the port."""
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=60).close()
        except ConnectionRefusedError:
            return False
        except ConnectionResetError:
            pass  # it was closed with this one in its queue
        return True

    def token(self, **options: Any) -> str:
        """Return the value that goes behind ``Basic``: base64 of ``AWS:<password>``."""
        data = self.client(**options).get_authorization_token()["authorizationData"]
        token: str = data[0]["authorizationToken"]
        return token

    def password(self) -> str:
        """Return the docker password."""
        return base64.b64decode(self.token()).decode().partition(":")[2]

    def request(
        self,
        method: str,
        path: str,
        *,
        token: str | None = None,
        headers: dict[str, str] | None = None,
        body: Any = None,
    ) -> urllib3.BaseHTTPResponse:
        """Send one request, by default with a good token."""
        given = {"Authorization": f"Basic {token or self.token()}"} | (headers or {})
        return self.http.request(method, self.url + path, headers=given, body=body, redirect=False)

    def anonymous(self, method: str, path: str, *, headers: dict[str, str] | None = None, body: Any = None) -> Any:
        """Send one request without a credential."""
        return self.http.request(method, self.url + path, headers=headers or {}, body=body, redirect=False)

    def environment(self) -> dict[str, str]:
        """Return the environment that ``eval "$(moorage env)"`` makes."""
        return clean_environment(
            AWS_ENDPOINT_URL_ECR=self.url,
            AWS_ENDPOINT_URL_STS=self.url,
            AWS_ACCESS_KEY_ID=self.key.access_key_id,
            AWS_SECRET_ACCESS_KEY=self.key.secret_access_key,
            AWS_REGION=REGION,
            AWS_DEFAULT_REGION=REGION,
        )

    def stop(self, sign: signal.Signals = signal.SIGTERM) -> int:
        """Signal the server and wait for its end."""
        self.process.send_signal(sign)
        status = self.process.wait(timeout=90)
        self.reader.join(timeout=30)
        if self.process.stdout is not None:
            self.process.stdout.close()
        self.http.clear()
        return status


def start(
    data: Path,
    *flags: str,
    port: int | None = None,
    workers: int = 2,
    program: Sequence[str] | None = None,
    variables: Mapping[str, str] | None = None,
) -> Server:
    """Start a server (of another ``program`` of ours, with further variables) and wait for its ready line."""
    port = port or free_port()
    command = [*(program or MOORAGE), "serve", "--data", str(data), "--port", str(port), "--workers", str(workers)]
    # The tests of refusals come from one address by the hundred: those of slowing give a flag of their own.
    command += ["--account-id", ACCOUNT, "--region", REGION, "--failed-attempts", "0", *flags]
    given = (S3_CREDENTIALS if any(flag.startswith("s3://") for flag in flags) else {}) | dict(variables or {})
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=clean_environment(**given)
    )
    log = Log()
    assert process.stdout is not None
    assert process.stderr is not None
    reader = threading.Thread(target=log.drain, args=(process.stderr,), daemon=True)
    reader.start()
    line = process.stdout.readline()
    if not line:
        process.wait(timeout=30)
        reader.join(timeout=30)
        process.stdout.close()
        raise RuntimeError(f"the server did not start: {''.join(log)}")
    return Server(process, port, data, line.strip(), log=log, reader=reader, flags=flags)


@contextlib.contextmanager
def running(data: Path, *flags: str, workers: int = 2, port: int | None = None) -> Iterator[Server]:
    """Run a server for the length of a block."""
    server = start(data, *flags, workers=workers, port=port)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.stop()

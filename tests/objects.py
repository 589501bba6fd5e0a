"""Real S3 servers, each in a folder of its own: started once, a bucket for whoever asks."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.config import Config

from tests import faults, servers

REGION = "us-east-1"
CREDENTIALS = servers.S3_CREDENTIALS
SERVERS = ("rclone", "versitygw")
"""rclone is a wheel; scripts/go-tools builds versitygw."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket on a running server."""

    name: str
    endpoint: str

    def url(self, prefix: str = "", endpoint: str | None = None, **options: str) -> str:
        """Return what ``--storage`` takes."""
        given = {"endpoint": endpoint or self.endpoint, "region": REGION, **options}
        query = "&".join(f"{name}={value}" for name, value in given.items())
        return f"s3://{self.name}/{prefix}?{query}"

    def client(self) -> Any:
        """Return an unmodified S3 client."""
        return client(self.endpoint)

    def keys(self) -> list[str]:
        """Return the keys of all objects."""
        with contextlib.closing(self.client()) as s3:
            pages = s3.get_paginator("list_objects_v2").paginate(Bucket=self.name)
            return [item["Key"] for page in pages for item in page.get("Contents", [])]

    def unfinished(self) -> list[str]:
        """Return the keys of multipart uploads that have neither been completed nor aborted."""
        with contextlib.closing(self.client()) as s3:
            return [one["Key"] for one in s3.list_multipart_uploads(Bucket=self.name).get("Uploads", [])]


@dataclass(frozen=True, slots=True)
class S3Server:
    """A running S3 server."""

    endpoint: str
    root: Path

    def bucket(self) -> Bucket:
        """Make a new bucket."""
        name = f"layers-{uuid.uuid4().hex[:12]}"
        with contextlib.closing(client(self.endpoint)) as s3:
            s3.create_bucket(Bucket=name)
        return Bucket(name, self.endpoint)


Starter = Callable[[str], S3Server]


def client(endpoint: str) -> Any:
    """Return an unmodified S3 client."""
    with servers._ONE_AT_A_TIME:
        return servers._BOTO3.client(
            "s3",
            endpoint_url=endpoint,
            region_name=REGION,
            aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
            config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
        )


def program(name: str) -> str | None:
    """Return where a server's program is, None if it is not installed."""
    here = [str(Path(sys.executable).parent), str(Path(sys.prefix) / "go-bin"), os.environ.get("PATH", "")]
    return shutil.which(name, path=os.pathsep.join(here))


def preferred() -> str:
    """Return the S3 server that tests of the whole use: the faster one where it is installed."""
    return "versitygw" if program("versitygw") else "rclone"


@contextlib.contextmanager
def running(name: str, folder: Path) -> Iterator[S3Server]:
    """Run a server for the length of a block."""
    command = program(name)
    if command is None:
        raise FileNotFoundError(f"{name} is not installed")
    port = servers.free_port()
    root = folder / name
    root.mkdir(parents=True)
    environment = servers.clean_environment()
    key, secret = CREDENTIALS.values()
    if name == "rclone":
        arguments = ["serve", "s3", "--addr", f"127.0.0.1:{port}", "--auth-key", f"{key},{secret}", str(root)]
        environment["RCLONE_CONFIG"] = os.devnull
    else:
        arguments = ["--port", f"127.0.0.1:{port}", "--quiet", "posix", str(root)]
        environment |= {"ROOT_ACCESS_KEY": key, "ROOT_SECRET_KEY": secret}
    with (folder / f"{name}.log").open("wb") as log, contextlib.ExitStack() as held:
        process = subprocess.Popen([command, *arguments], stdout=log, stderr=log, env=environment)
        held.callback(_end, process)
        _wait(process, port, folder / f"{name}.log")
        endpoint = f"http://127.0.0.1:{port}"
        if name == "rclone":
            # rclone answers a part of an object with status 200 and a Content-Range; clients want 206.
            endpoint = held.enter_context(faults.proxy(endpoint, mends_ranges=True)).endpoint
        yield S3Server(endpoint, root)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.wait(timeout=30)


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + 60
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5):
            return
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"the S3 server did not start: {log.read_text()}")
        time.sleep(0.05)

"""
The other registries, as their projects ship them, and nginx with nothing but files.

None of them asks for a credential or writes a line for each request, and Moorage
does the first: what differs, differs in their favour.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.contenders.servers import HOST, Contender, Role, Server, free_port, process, program

if TYPE_CHECKING:
    from collections.abc import Iterator

# distribution writes traces to a collector, unless told that there is none.
QUIET: Final = {"OTEL_TRACES_EXPORTER": "none"}

_DISTRIBUTION: Final = """\
version: 0.1
log: {{level: warn, accesslog: {{disabled: true}}}}
storage:
  cache: {{blobdescriptor: inmemory}}
  filesystem: {{rootdirectory: {root}}}
  delete: {{enabled: true}}
  tag: {{concurrencylimit: 8}}
http:
  addr: {host}:{port}
  headers: {{X-Content-Type-Options: [nosniff]}}
health:
  storagedriver: {{enabled: true, interval: 10s, threshold: 3}}
"""

_NGINX: Final = """\
daemon off;
user {user};
worker_processes 2;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    sendfile on;
    keepalive_requests 100000000;
    client_max_body_size 0;
    client_body_temp_path {folder}/bodies;
    proxy_temp_path {folder}/unused-proxy;
    fastcgi_temp_path {folder}/unused-fastcgi;
    uwsgi_temp_path {folder}/unused-uwsgi;
    scgi_temp_path {folder}/unused-scgi;
    default_type application/octet-stream;
    server {{
        listen {host}:{port} backlog=2048;
        root {folder}/files;
        location / {{
            dav_methods PUT DELETE;
            create_full_put_path on;
        }}
    }}
}}
"""


def peers() -> list[Contender]:
    """Return the registries that are installed."""
    return [*_distributions(), *_zots()]


def nginx() -> list[Contender]:
    """Return nginx, if it is installed."""
    command = program("nginx")
    if command is None:
        return []
    told = subprocess.run([command, "-v"], check=True, capture_output=True, text=True).stderr
    version = told.strip().rpartition("/")[2]
    words = "static files by sendfile, received by PUT, without a registry's rules and without fsync"
    return [Contender("nginx", Role.LIMIT, words, version, durable=False, start=_start_nginx)]


def _distributions() -> Iterator[Contender]:
    if command := distribution():
        told = subprocess.run([command, "--version"], check=True, capture_output=True, text=True).stdout
        words = "files, in-memory cache of blob descriptors, no access control, no log of requests"
        version = told.split()[-1].removesuffix("+unknown")
        yield Contender("distribution", Role.PEER, words, version, durable=True, start=_start_distribution)


def distribution() -> str | None:
    """Return distribution's command: built here, or Debian's."""
    return program("registry") or program("docker-registry")


def _version_built(name: str) -> str:
    """Return the version of what scripts/go-tools built: not every program knows its own."""
    made = Path(sys.prefix) / "go-bin" / ".made"
    found = re.search(rf"^{name} \S+@(\S+)", made.read_text() if made.exists() else "", re.MULTILINE)
    return found[1] if found else "of unknown version"


def _zots() -> Iterator[Contender]:
    if program("zot") is None:
        return
    version = _version_built("zot")
    words = "files, deduplicating, no access control, no log of requests"
    yield Contender("zot", Role.PEER, f"{words}, no fsync (as shipped)", version, durable=False, start=_start_zot)
    yield Contender("zot-commit", Role.PEER, f'{words}, `"commit": true`', version, durable=True, start=_start_zot)


@contextlib.contextmanager
def _start_distribution(contender: Contender, folder: Path) -> Iterator[Server]:
    port = free_port()
    config = folder / "config.yml"
    config.write_text(_DISTRIBUTION.format(root=folder / "files", host=HOST, port=port))
    command = [distribution() or "", "serve", str(config)]
    with process(command, port, folder / "distribution.log", QUIET) as (pid, ready):
        yield Server(contender, pid, port, folder, ready=ready)


@contextlib.contextmanager
def _start_zot(contender: Contender, folder: Path) -> Iterator[Server]:
    port = free_port()
    config = folder / "config.json"
    document = {
        "distSpecVersion": "1.1.0",
        "storage": {"rootDirectory": str(folder / "files"), "commit": contender.durable},
        "http": {"address": HOST, "port": str(port)},
        "log": {"level": "warn", "output": os.devnull},
    }
    config.write_text(json.dumps(document))
    with process([program("zot") or "", "serve", str(config)], port, folder / "zot.log") as (pid, ready):
        yield Server(contender, pid, port, folder, ready=ready)


@contextlib.contextmanager
def _start_nginx(contender: Contender, folder: Path) -> Iterator[Server]:
    port = free_port()
    (folder / "files").mkdir(exist_ok=True)
    config = folder / "nginx.conf"
    user = "root" if os.geteuid() == 0 else "nobody"
    config.write_text(_NGINX.format(folder=folder, host=HOST, port=port, user=user))
    command = [program("nginx") or "", "-c", str(config), "-e", str(folder / "nginx.log")]
    with process(command, port, folder / "nginx-start.log") as (pid, ready):
        yield Server(contender, pid, port, folder, ready=ready)

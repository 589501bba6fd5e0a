"""
Registries over servers: Moorage on PostgreSQL and S3, distribution on the same S3 server.

Both pass the bytes through, so that the client's calls are the same. PostgreSQL waits
for the disk as one that serves would; the S3 server keeps files.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final
from unittest import mock

from benchmarks.contenders import hardware, ours, peers
from benchmarks.contenders.servers import HOST, Contender, Role, Server, free_port, process
from tests import objects, postgres, servers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.objects import S3Server

_CONFIG: Final = """\
version: 0.1
log: {{level: warn, accesslog: {{disabled: true}}}}
storage:
  cache: {{blobdescriptor: inmemory}}
  redirect: {{disable: true}}
  delete: {{enabled: true}}
  s3:
    accesskey: {key}
    secretkey: {secret}
    region: {region}
    regionendpoint: {endpoint}
    bucket: {bucket}
    secure: false
    forcepathstyle: true
http:
  addr: {host}:{port}
"""


@contextlib.contextmanager
def contenders() -> Iterator[list[Contender]]:
    """Give who can stand on them, for the length of a block in which both servers run."""
    name = objects.preferred()
    with (
        tempfile.TemporaryDirectory(prefix="moorage-bench-s3-") as folder,
        mock.patch.dict(os.environ, servers.S3_CREDENTIALS),
        postgres.running() as cluster,
        objects.running(name, Path(folder)) as store,
    ):

        def flags(_folder: Path) -> list[str]:
            where = store.bucket().url("layers")
            return ["--database", cluster.migrated(), "--storage", where, "--blob-delivery", "proxy"]

        yield [
            ours.ours(words=f"PostgreSQL, S3 ({name}), bytes passed through", flags=flags),
            *_distribution(name, store),
            *hardware.tools(),
        ]


def _distribution(name: str, store: S3Server) -> Iterator[Contender]:
    for found in peers.peers():
        if found.name == "distribution":
            words = f"S3 ({name}), bytes passed through, in-memory cache of blob descriptors, no access control"
            start = partial(_start, store)
            yield Contender(found.name, Role.PEER, words, found.version, durable=True, start=start)


@contextlib.contextmanager
def _start(store: S3Server, contender: Contender, folder: Path) -> Iterator[Server]:
    port, config = free_port(), folder / "config.yml"
    key, secret = servers.S3_CREDENTIALS.values()
    bucket = store.bucket()
    config.write_text(
        _CONFIG.format(
            key=key,
            secret=secret,
            region=objects.REGION,
            endpoint=bucket.endpoint,
            bucket=bucket.name,
            host=HOST,
            port=port,
        )
    )
    command = [peers.distribution() or "", "serve", str(config)]
    with process(command, port, folder / "distribution.log", peers.QUIET) as (pid, ready):
        yield Server(contender, pid, port, folder, ready=ready)

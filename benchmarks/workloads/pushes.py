"""Pushes: layers from small to large, of new bytes and of bytes that are there already, and small images whole."""

from __future__ import annotations

import itertools
import subprocess
import time
from functools import partial
from typing import TYPE_CHECKING, Final

from benchmarks import registry
from benchmarks.blobs import Blob, image
from benchmarks.contenders.hardware import hashing, writing
from benchmarks.contenders.servers import Role
from benchmarks.crowd import Until, crowd
from benchmarks.results import Aim
from benchmarks.workloads import sizes
from benchmarks.workloads.placing import put
from benchmarks.workloads.work import (
    DURABLE,
    HARDWARE,
    MB,
    NORMAL,
    Sample,
    Workload,
    everyone,
    everything,
    latency,
    processor,
    requests,
    speed,
)

if TYPE_CHECKING:
    from benchmarks.client import Connection
    from benchmarks.contenders.servers import Server
    from benchmarks.workloads.work import Run, Scale

REPOSITORY: Final = "bench/pushes"
_KB: Final = 1000
_AT_MOST: Final = 300 * MB
"""Bytes of a round, where they are many layers."""
_CASES: Final = (
    (_KB, "unique", "monolithic"),
    (1 * MB, "unique", "monolithic"),
    (1 * MB, "unique", "streamed"),
    (10 * MB, "unique", "monolithic"),
    (10 * MB, "duplicate", "monolithic"),
    (100 * MB, "unique", "monolithic"),
    (100 * MB, "unique", "streamed"),
    (100 * MB, "duplicate", "monolithic"),
    (1000 * MB, "unique", "monolithic"),
    (1000 * MB, "unique", "streamed"),
)
_DURABLE: Final = Aim(1.5, DURABLE)
_HARDWARE: Final = Aim(0.7, HARDWARE, slowest=True)
_IMAGES: Final = 400


def workloads(scale: Scale) -> list[Workload]:
    """Return pushes of one client, and of images by one and by ten."""
    return [_layer(scale, *case) for case in _CASES if case[0] <= scale.largest] + [
        _images(scale, 1),
        _images(scale, 10),
    ]


def _layer(scale: Scale, size: int, content: str, way: str) -> Workload:
    alone = size >= 100 * MB and content == "unique"
    aims = (_DURABLE, _HARDWARE) if (size, content, way) == (100 * MB, "unique", "monolithic") else ()
    tells = requests() if size < MB else speed(*aims)
    return Workload(
        name=f"push-{sizes.short(size)}-{content}-{way}",
        title=f"push of a {sizes.words(size)} layer, {content}, {way}, 1 client",
        metrics=(tells, latency("p50"), latency("p99"), processor("push" if size < MB else "MB")),
        prepare=partial(_prepare, size=size, duplicate=content == "duplicate", streamed=way == "streamed", scale=scale),
        on=everything if alone else everyone,
        rounds=2 if size >= 1000 * MB and scale is NORMAL else None,
        fresh=size >= 1000 * MB,
    )


def _prepare(server: Server, *, size: int, duplicate: bool, streamed: bool, scale: Scale) -> Run:
    if server.contender.name in HARDWARE:
        return partial(_hardware, server, size)
    server.create(REPOSITORY)
    number, same = itertools.count(), Blob(size)

    def push(connection: Connection, _client: int) -> int:
        blob = same if duplicate else Blob(size)
        if server.contender.role is Role.LIMIT:
            put(connection, f"/{REPOSITORY}/{next(number)}", blob)
        else:
            registry.push_blob(connection, REPOSITORY, blob, streamed=streamed)
        return size

    with server.connect() as connection:
        push(connection, 0)
    times = _AT_MOST // size if size >= MB else float("inf")

    def run() -> Sample:
        found = crowd(server, 1, push, Until(scale.seconds, max(1, times)))
        return found.acts() if size < MB else found.transfers()

    return run


def _hardware(server: Server, size: int) -> Sample:
    """Hash the bytes, or write them to the disk and wait for it, by the system's own tools."""
    source, target = server.folder / "source", server.folder / "target"
    if not source.exists() or source.stat().st_size != size:
        with source.open("wb") as file:
            for piece in Blob(size).pieces():
                file.write(piece)
    command = hashing(str(source)) if server.name == "sha256" else writing(str(source), str(target))
    target.unlink(missing_ok=True)
    begun = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    seconds = time.perf_counter() - begun
    return Sample({"speed": size / MB / seconds, "rate": 1 / seconds})


def _images(scale: Scale, clients: int) -> Workload:
    return Workload(
        name=f"push-image-c{clients}",
        title=f"push of images of one 1 MB layer, {clients} client{'s' if clients > 1 else ''}",
        metrics=(
            requests(*([Aim(3, DURABLE)] if clients > 1 else [])),
            latency("p50"),
            latency("p99"),
            processor("image"),
        ),
        prepare=partial(_prepare_images, clients=clients, scale=scale),
    )


def _prepare_images(server: Server, *, clients: int, scale: Scale) -> Run:
    names = [f"{REPOSITORY}/{clients}/{number}" for number in range(clients)]
    for name in names:
        server.create(name)
    number = itertools.count()

    def push(connection: Connection, client: int) -> int:
        registry.push_image(connection, names[client], f"v{next(number)}", image(MB))
        return MB

    return lambda: crowd(server, clients, push, Until(scale.seconds, _IMAGES // clients)).acts()

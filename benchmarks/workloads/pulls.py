"""Pulls: layers from small to large, pieces of one, and a crowd that wants the same image at once."""

from __future__ import annotations

import random
from functools import partial
from typing import TYPE_CHECKING, Final

from benchmarks import registry
from benchmarks.blobs import Blob, image
from benchmarks.client import Refused
from benchmarks.crowd import Until, crowd
from benchmarks.load import Ask, load
from benchmarks.results import Aim
from benchmarks.workloads import sizes
from benchmarks.workloads.placing import place_blob, place_image
from benchmarks.workloads.work import MB, NGINX, Workload, everyone, latency, processor, requests, speed

if TYPE_CHECKING:
    from benchmarks.client import Connection
    from benchmarks.contenders.servers import Server
    from benchmarks.workloads.work import Run, Scale

REPOSITORY: Final = "bench/pulls"
_SIZES: Final = (1 * MB, 10 * MB, 100 * MB, 1000 * MB)
_AIMED: Final = 100 * MB
_PIECE: Final = 64 * 1024
_PIECES: Final = 256
_CLIENTS: Final = 100


def workloads(scale: Scale) -> list[Workload]:
    """Return pulls of one client, pieces, and the crowd."""
    whole = [_whole(scale, size) for size in _SIZES if size <= scale.largest]
    return [*whole, _ranges(scale), _herd(scale)]


def _whole(scale: Scale, size: int) -> Workload:
    aims = (Aim(0.9, NGINX),) if size >= _AIMED else ()
    return Workload(
        name=f"pull-{sizes.short(size)}",
        title=f"pull of a {sizes.words(size)} layer, 1 client",
        metrics=(speed(*aims), latency("p50"), processor("MB")),
        prepare=partial(_prepare_whole, size=size, seconds=scale.seconds),
        on=everyone,
    )


def _prepare_whole(server: Server, *, size: int, seconds: float) -> Run:
    digest = _placed(server, size)

    def pull(connection: Connection, _client: int) -> int:
        return registry.pull_blob(connection, REPOSITORY, digest)

    return lambda: crowd(server, 1, pull, Until(seconds)).transfers()


def _placed(server: Server, size: int) -> str:
    """Return the digest of a layer that is there and comes whole."""
    blob = Blob(size)
    server.create(REPOSITORY)
    with server.connect() as connection:
        place_blob(server, connection, REPOSITORY, blob, blob.digest)
        registry.verify_blob(connection, REPOSITORY, blob.digest)
    return blob.digest


def _ranges(scale: Scale) -> Workload:
    return Workload(
        name="pull-ranges",
        title="64 KiB at random from a 100 MB layer, 16 connections",
        metrics=(requests(), latency("p50"), latency("p99"), processor("request")),
        prepare=partial(_prepare_ranges, size=min(scale.largest, 100 * MB), seconds=scale.seconds),
        on=everyone,
    )


def _prepare_ranges(server: Server, *, size: int, seconds: float) -> Run:
    target = f"/v2/{REPOSITORY}/blobs/{_placed(server, size)}"
    draw = random.Random(2)  # noqa: S311 (the same places for everyone)
    starts = [draw.randrange(size - _PIECE) for _ in range(_PIECES)]
    asks = [Ask("GET", target, {"Range": f"bytes={start}-{start + _PIECE - 1}"}) for start in starts]
    with server.connect() as connection:
        answer = connection.request("GET", target, headers=asks[0].headers)
    if answer.status != 206 or answer.received != _PIECE:  # noqa: PLR2004 (Partial Content)
        raise Refused(f"no ranges: status {answer.status}, {answer.received} bytes")
    return partial(load, server, asks, 16, seconds)


def _herd(scale: Scale) -> Workload:
    layer = MB if scale.quick else 5 * MB
    return Workload(
        name="pull-herd",
        title=f"{_CLIENTS} clients pull one image of three {sizes.words(layer)} layers",
        metrics=(speed(), latency("p50"), latency("p99"), processor("MB")),
        prepare=partial(_prepare_herd, layer=layer),
        on=everyone,
    )


def _prepare_herd(server: Server, *, layer: int) -> Run:
    wanted = image(layer, layer, layer)
    with server.connect() as connection:
        place_image(server, connection, f"{REPOSITORY}/herd", "v1", wanted)

    def pull(connection: Connection, _client: int) -> int:
        return registry.pull_image(connection, f"{REPOSITORY}/herd", "v1")

    return lambda: crowd(server, _CLIENTS, pull, Until(0)).transfers()

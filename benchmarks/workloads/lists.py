"""
Pages of long lists: of tags, images and repositories.

The rows are made directly for Moorage, and zot's list of tags too. Other peers have no such
door: they take part where real pushes can make the list, at a thousand tags.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from benchmarks import blobs, filling, registry
from benchmarks.client import require
from benchmarks.contenders.servers import Role
from benchmarks.crowd import Until, crowd
from benchmarks.load import Ask, load
from benchmarks.results import Aim
from benchmarks.signing import signed
from benchmarks.workloads import sizes
from benchmarks.workloads.work import ZOTS, Workload, latency, only_ours, processor, registries

if TYPE_CHECKING:
    from benchmarks.client import Connection
    from benchmarks.contenders.servers import Server
    from benchmarks.workloads.work import Run, Scale

_PAGE: Final = 1000
_AIM: Final = Aim(10)
_THOUSAND: Final = 1000
_PUSHERS: Final = 8
"""Clients that push the tags of the peers."""
_IMAGES: Final = 100_000
"""At most in a repository: further tags are further names of these."""


def workloads(scale: Scale) -> list[Workload]:
    """Return pages of tags and images at each size, and of the catalog."""
    found = []
    for rows in scale.rows:
        found.append(_tags(scale, rows, last=False))
        if rows > _PAGE:
            found.append(_tags(scale, rows, last=True))
        found.append(_images(scale, "ListImages", rows, last=False))
    for rows in (one for one in scale.rows if one <= _IMAGES):
        found += [
            _images(scale, "DescribeImages", rows, last=last) for last in (False, True) if rows > _PAGE or not last
        ]
    return [*found, _catalog(scale, min(max(scale.rows), _IMAGES))]


def _workload(name: str, title: str, prepare: Any, *, peers: bool = False) -> Workload:
    return Workload(
        name=name,
        title=title,
        metrics=(latency("p50", _AIM), latency("p99"), processor("request")),
        prepare=prepare,
        on=registries if peers else only_ours,
    )


def _named(rows: int, *, last: bool) -> tuple[str, str]:
    size = sizes.short(rows).removesuffix("b")
    return f"{size}-{'last' if last else 'first'}", f"{'last' if last else 'first'} page of 1,000 of {rows:,}"


def _tags(scale: Scale, rows: int, *, last: bool) -> Workload:
    short, words = _named(rows, last=last)
    prepare = partial(_prepare_tags, rows=rows, last=last, seconds=scale.seconds)
    return _workload(f"list-tags-{short}", f"tags/list, {words}", prepare, peers=rows == _THOUSAND)


def _prepare_tags(server: Server, *, rows: int, last: bool, seconds: float) -> Run:
    target = f"/v2/{_filled(server, rows)}/tags/list?n={_PAGE}"
    if last:
        target += f"&last={filling.tag(rows - _PAGE - 1)}"
    with server.connect() as connection:
        answer = require(connection.request("GET", target), 200).json()
    if len(answer["tags"]) != min(rows, _PAGE):
        raise ValueError(f"{len(answer['tags'])} tags on a page")
    return partial(load, server, [Ask("GET", target)], 1, seconds)


def _filled(server: Server, rows: int) -> str:
    """Return the name of a repository of so many tags, made when it is first asked for."""
    name, marker = f"bench/lists-{rows}", server.folder / f"filled-{rows}"
    if marker.exists():
        return name
    server.create(name)
    if server.contender.role is Role.OURS:
        with filling.opened(server) as opened:
            count = min(rows, _IMAGES)
            filling.images(opened, name, count, rows // count)
    else:
        _push_tags(server, name, rows)
    marker.touch()
    return name


def _push_tags(server: Server, name: str, count: int) -> None:
    image = blobs.image(1000)
    with server.connect() as connection:
        registry.push_image(connection, name, filling.tag(0), image)
    if server.name in ZOTS:
        # Each push reads and writes the list of all tags: a thousand take minutes.
        filling.zots_tags(server.folder / "files" / name / "index.json", count)
        return

    def push(connection: Connection, client: int) -> int:
        for number in range(client + 1, count, _PUSHERS):
            registry.push_manifest(connection, name, filling.tag(number), image.manifest)
        return 0

    crowd(server, _PUSHERS, push, Until(0))


def _images(scale: Scale, operation: str, rows: int, *, last: bool) -> Workload:
    short, words = _named(rows, last=last)
    prepare = partial(_prepare_images, operation=operation, rows=rows, last=last, seconds=scale.seconds)
    return _workload(f"list-{operation.lower()}-{short}", f"{operation}, {words}", prepare)


def _prepare_images(server: Server, *, operation: str, rows: int, last: bool, seconds: float) -> Run:
    members: dict[str, Any] = {"repositoryName": _filled(server, rows), "maxResults": _PAGE}
    with server.connect() as connection:
        while last and (token := _next(server, connection, operation, members)):
            members["nextToken"] = token
    return lambda: load(server, [signed(server, operation, **members)], 1, seconds)


def _next(server: Server, connection: Connection, operation: str, members: dict[str, Any]) -> str | None:
    ask = signed(server, operation, **members)
    answer = require(connection.request("POST", "/", headers=ask.headers, body=ask.body), 200).json()
    token: str | None = answer.get("nextToken")
    return token


def _catalog(scale: Scale, count: int) -> Workload:
    prepare = partial(_prepare_catalog, count=count, seconds=scale.seconds)
    return _workload("list-catalog", f"catalog, page of 1,000 of {count:,} repositories", prepare)


def _prepare_catalog(server: Server, *, count: int, seconds: float) -> Run:
    marker = server.folder / "filled-catalog"
    if not marker.exists():
        with filling.opened(server) as opened:
            filling.many_repositories(opened, "catalog", count)
        marker.touch()
    target = f"/v2/_catalog?n={_PAGE}&last=catalog/{count // 2 - 1:07}"
    with server.connect() as connection:
        require(connection.request("GET", target), 200)
    return partial(load, server, [Ask("GET", target)], 1, seconds)

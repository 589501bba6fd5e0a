"""
Pages of long lists: ``python -m benchmarks.lists``, on SQLite, or with ``--postgres`` on PostgreSQL.

Rows are made directly: a repository with a million tags, one with 100,000 images, a registry with 100,000
repositories. Then the first, a middle and the last page of each list are asked for in this process. The times
should be the same wherever in a list a page is, and however long the list is (``--scale 0.01`` makes all of them
shorter). With ``--policies`` every repository has a policy of its own and the caller's permissions are not root's.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import sqlalchemy as sa

from benchmarks import filling
from benchmarks.calls import Calls, Request
from moorage import app
from moorage.config import Settings
from moorage.domain.names import RepositoryName
from moorage.registry import paging
from moorage.registry import repositories as core
from tests import postgres

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from moorage.registry.core import Registry

TAGS: Final = 1_000_000
IMAGES: Final = 100_000
REPOSITORIES: Final = 100_000
_TAGS_OF_ONE: Final = 10
_POLICY: Final = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"AWS": "210987654321"}, "Action": "ecr:BatchGetImage"}],
    }
)


class Sizes(NamedTuple):
    """How long the lists are."""

    tags: int
    images: int
    repositories: int


def fill(registry: Registry, sizes: Sizes, *, policies: bool = False) -> None:
    """Make the rows of all lists."""
    filling.images(registry, "manytags", sizes.tags // _TAGS_OF_ONE, _TAGS_OF_ONE)
    filling.images(registry, "manyimages", sizes.images, 1)
    filling.many_repositories(registry, "team", sizes.repositories, _POLICY if policies else None)
    analyze(registry)


def analyze(registry: Registry) -> None:
    """Let PostgreSQL know its rows, as it would know them by itself after a while."""
    with registry.database.write() as tx:
        if tx.dialect.name == "postgresql":
            tx.execute(sa.text("ANALYZE"))


def pages(calls: Calls, sizes: Sizes) -> Iterator[tuple[str, list[Callable[[], Request]]]]:
    """Yield each list with the requests of its first, a middle and its last page."""
    places = (0.0, 0.5, 0.99)

    def named(path: str, form: str, count: int) -> list[Callable[[], Request]]:
        firsts = [int(count * place) for place in places]
        return [
            lambda first=first: calls.at_v2(  # type: ignore[misc]  # (bound now, not when it is called)
                f"{path}?n=1000" + (f"&last={form.format(first)}" if first else "")
            )
            for first in firsts
        ]

    yield "GET /v2/NAME/tags/list?n=1000", named("/v2/manytags/tags/list", "v{:07}", sizes.tags)
    yield "GET /v2/_catalog?n=1000", named("/v2/_catalog", "team/{:07}", sizes.repositories)
    tagged, pushed = "images:{0}:None:ACTIVE", "details:{0}:None:ACTIVE"
    yield (
        "ListImages, 1000",
        [
            signed(calls, "ListImages", "manytags", listing=tagged, size=1000, key=_tag_key(sizes.tags, place))
            for place in places
        ],
    )
    for size in (1000, 100):
        requests = [
            signed(calls, "DescribeImages", "manyimages", listing=pushed, size=size, key=_push_key(sizes, place))
            for place in places
        ]
        yield f"DescribeImages, {size}", requests
    yield (
        "DescribeRepositories, 1000",
        [
            signed(calls, "DescribeRepositories", None, listing="repositories", size=1000, key=_name_key(sizes, place))
            for place in places
        ],
    )


def _tag_key(count: int, place: float) -> list[str] | None:
    return ["tagged", filling.tag(int(count * place))] if place else None


def _push_key(sizes: Sizes, place: float) -> list[str] | None:
    pushed = filling.pushed_at(int(sizes.images * place))
    return [str(int(pushed.timestamp()) * 1_000_000), ""] if place else None


def _name_key(sizes: Sizes, place: float) -> list[str] | None:
    return [filling.repository("team", int(sizes.repositories * place))] if place else None


def signed(
    calls: Calls, operation: str, name: str | None, *, listing: str, size: int, key: list[str] | None
) -> Callable[[], Request]:
    """Return what makes the request of the page that begins after a key."""
    registry = calls.registry
    members: dict[str, Any] = {"maxResults": size}
    if name is not None:
        members["repositoryName"] = name
    if key is not None:
        with registry.read(registry.system()) as ctx:
            found = core.get(ctx, RepositoryName(name)).id if name else ""
            members["nextToken"] = paging.token(ctx, listing.format(found), key)
    return lambda: calls.signed(operation, members)


@contextlib.contextmanager
def opened(data: Path | None, *, on_postgres: bool) -> Iterator[Registry]:
    """Open an installation for the length of a block: an empty one, or what is in a folder already."""
    with contextlib.ExitStack() as held:
        folder = data or Path(held.enter_context(tempfile.TemporaryDirectory()))
        url = None
        if on_postgres:
            large = {"shared_buffers": "256MB", "max_wal_size": "2GB"}
            url = held.enter_context(postgres.running(**postgres.FAST, **large)).migrated()
        settings = Settings(data=folder, database=url)
        app.prepare(settings)
        registry = app.open_registry(settings)
        held.callback(registry.close)
        yield registry


def is_filled(registry: Registry) -> bool:
    """Whether the rows were made by an earlier run over the same folder."""
    with registry.read(registry.system()) as ctx:
        return core.find(ctx, RepositoryName("manytags")) is not None


def main() -> None:
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.lists")
    parser.add_argument("--postgres", action="store_true")
    parser.add_argument("--policies", action="store_true", help="each repository has a policy")
    parser.add_argument("--scale", type=float, default=1.0, help="how long the lists are, in parts of the whole")
    parser.add_argument("--data", type=Path, help="folder to make the rows in, once, and to use again")
    given = parser.parse_args()
    sizes = Sizes(*(int(count * given.scale) for count in (TAGS, IMAGES, REPOSITORIES)))
    with opened(given.data, on_postgres=given.postgres) as registry, Calls(registry) as calls:
        if not is_filled(registry):
            fill(registry, sizes, policies=given.policies)
        where = "PostgreSQL" if given.postgres else "SQLite"
        counts = f"{sizes.tags:,} tags, {sizes.images:,} images, {sizes.repositories:,} repositories"
        print(f"{where}, {counts}; {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; ms of processor (elapsed)\n")
        print("| page | first | middle | last |\n|---|---|---|---|")
        for what, requests in pages(calls, sizes):
            costs = [calls.cost(make(), times=5) for make in requests]
            print(f"| {what} | " + " | ".join(f"{c.processor:.1f} ({c.elapsed:.1f})" for c in costs) + " |", flush=True)


if __name__ == "__main__":
    main()

"""Many rows, made directly: a repository of a million tags by pushes would take longer than all else."""

from __future__ import annotations

import contextlib
import json
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from moorage import app
from moorage.config import Settings
from moorage.domain import manifests as documents
from moorage.domain.names import Digest, RepositoryName
from moorage.registry import repositories, tables
from moorage.registry.tables import manifests, tags
from tests.servers import ACCOUNT, REGION

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.contenders.servers import Server
    from moorage.registry.core import Registry

BATCH: Final = 10_000
_BEGAN: Final = datetime(2026, 1, 1, tzinfo=UTC)
_BODY: Final = b"{}" * 700
"""As long as a manifest of an image of ten layers, so that rows lie as far from each other as they would."""


@contextlib.contextmanager
def opened(server: Server) -> Iterator[Registry]:
    """Open the registry of a running server of ours, beside it."""
    chosen: dict[str, Any] = {"data": Path(server.facts["data"]), "account_id": ACCOUNT, "region": REGION}
    if "database" in server.facts:
        chosen["database"] = server.facts["database"]
    registry = app.open_registry(Settings(**chosen))
    try:
        yield registry
    finally:
        registry.close()


def images(registry: Registry, name: str, count: int, tags_each: int) -> None:
    """Make images with tags, in the order of their names, in a repository: made too if it is not there."""
    with registry.write(registry.system()) as ctx:
        found = repositories.find(ctx, RepositoryName(name)) or repositories.create(ctx, RepositoryName(name))
    for start in range(0, count, BATCH):
        numbers = range(start, min(start + BATCH, count))
        digests = {n: Digest.of(f"{name}/{n}".encode()) for n in numbers}
        row = {"repository_id": found.id, "media_type": documents.OCI_IMAGE, "image_size": 1000, "size": len(_BODY)}
        rows = [row | {"digest": digests[n], "pushed_at": pushed_at(n), "tagged": True, "body": _BODY} for n in numbers]
        named = [
            {"repository_id": found.id, "name": tag(n * tags_each + m), "digest": digests[n], "tagged_at": _BEGAN}
            for n in numbers
            for m in range(tags_each)
        ]
        with registry.write(registry.system()) as ctx:
            ctx.tx.execute(sa.insert(manifests), rows)
            ctx.tx.execute(sa.insert(tags), named)


def pushed_at(number: int) -> datetime:
    """Return when an image was pushed: one after another."""
    return _BEGAN + timedelta(seconds=number)


def many_repositories(registry: Registry, prefix: str, count: int, policy: str | None = None) -> None:
    """Make empty repositories, in the order of their names."""
    for start in range(0, count, BATCH):
        with registry.write(registry.system()) as ctx:
            row = {"account_id": ctx.registry_id, "region": ctx.region, "created_at": ctx.now}
            row |= {"tag_mutability": repositories.MUTABLE, "mutability_filters": [], "resource_tags": {}}
            row |= {"policy": policy}
            rows = [
                row | {"id": uuid.uuid4().hex, "name": repository(prefix, number)}
                for number in range(start, min(start + BATCH, count))
            ]
            ctx.tx.execute(sa.insert(tables.repositories), rows)


def zots_tags(index: Path, count: int) -> None:
    """Name the one image of a repository of zot so often; zot reads the file anew with each request."""
    document = json.loads(index.read_text())
    (one,) = document["manifests"]
    document["manifests"] = [
        one | {"annotations": {"org.opencontainers.image.ref.name": tag(number)}} for number in range(count)
    ]
    index.write_text(json.dumps(document))


def repository(prefix: str, number: int) -> str:
    """Return the name of a repository."""
    return f"{prefix}/{number:07}"


def tag(number: int) -> str:
    """Return the name of a tag: names are in the order of their numbers."""
    return f"v{number:07}"

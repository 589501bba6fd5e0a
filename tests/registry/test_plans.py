"""How SQLite looks for what a large repository has: by an index, and not in all of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from moorage.registry import images, sharing
from moorage.registry.tables import edges
from tests.registry.kit import statements

if TYPE_CHECKING:
    from collections.abc import Callable

    from moorage.registry.core import Context
    from tests.registry.kit import Bench

LAYER = "sha256:" + "0" * 64


def plans(bench: Bench, work: Callable[[Context], object]) -> list[str]:
    """Return how SQLite finds what each statement of some work asks for (none on another database)."""
    told: list[str] = []
    with bench.read() as ctx:
        driver: Any = ctx.tx.connection.driver_connection
        with statements(ctx.tx, told.append):
            work(ctx)
        if ctx.tx.dialect.name != "sqlite":
            return []
        return [row[3] for text in told for row in driver.execute(f"EXPLAIN QUERY PLAN {text}")]


def require_by_child(found: list[str]) -> None:
    """Fail where edges are looked for by less than their child."""
    of_edges = [plan for plan in found if "edges" in plan]
    assert of_edges or not found
    assert all("child=?" in plan for plan in of_edges), of_edges


def test_who_needs_a_layer_is_known_by_the_layer(bench: Bench) -> None:
    """To find the images that need a layer takes no look at the other images of their repositories."""
    bench.image("v1")
    with bench.read() as ctx:
        some = ctx.tx.execute(sa.select(edges.c.parent)).scalars().all()
    needing = {bench.first.id: list(some)}
    found = plans(bench, lambda ctx: sharing.only_of(ctx, needing))
    require_by_child([plan for plan in found if "parent=?" not in plan])


def test_which_index_names_an_image_is_known_by_the_image(bench: Bench) -> None:
    """The same of an image and the indexes that name it."""
    require_by_child(plans(bench, lambda ctx: images.parents(ctx, bench.first, LAYER)))

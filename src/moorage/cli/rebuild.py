"""``moorage rebuild``: layers whose rows are lost, found again by their bytes."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from moorage.cli.opened import opened
from moorage.cli.output import say
from moorage.domain.names import RepositoryName

if TYPE_CHECKING:
    from moorage.registry.core import Registry
    from moorage.registry.repositories import Repository


def rebuild(
    into: Annotated[
        str, typer.Option("--into", metavar="NAME", help="The repository that gets the layers; made if it is missing.")
    ] = "recovered",
    keep_days: Annotated[
        int, typer.Option("--keep-days", min=1, help="Days for which they stay, though no image needs them.")
    ] = 30,
) -> None:
    """
    Read the bytes that no row names, after the database was lost or an older copy restored, and make them layers again.

    Tags, manifests and repositories are in the database alone: what brings them back is a copy of it, or a push.
    """
    from rich.console import Console  # noqa: PLC0415 (slow to import)
    from rich.progress import Progress  # noqa: PLC0415

    from moorage.registry import rebuild as rebuilding  # noqa: PLC0415 (as in `opened`)

    counts = {"layers": 0, "bytes": 0, "storedBefore": 0}
    with opened() as registry, Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("rebuild", total=None)
        for found in rebuilding.rebuild(
            registry, _repository(registry, into), timedelta(days=keep_days), lambda count: bar.advance(task, count)
        ):
            counts["layers" if found.is_new else "storedBefore"] += 1
            counts["bytes"] += found.size if found.is_new else 0
    say(
        f"{counts['layers']} layers found again, {counts['bytes']} bytes, in the repository {into};"
        f" {counts['storedBefore']} more were stored twice",
        {"repository": into, **counts},
    )


def _repository(registry: Registry, name: str) -> Repository:
    from moorage.registry import repositories  # noqa: PLC0415 (as in `opened`)

    wanted = RepositoryName.parse(name)
    with registry.write(registry.system()) as ctx:
        return repositories.find(ctx, wanted) or repositories.create(ctx, wanted)

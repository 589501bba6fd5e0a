"""``moorage import``: images from an OCI layout, a folder or a tarball, whoever made it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from moorage.cli.opened import opened, root_of
from moorage.cli.options import fail
from moorage.cli.output import counted, say
from moorage.cli.progress import bar
from moorage.cli.recorded import recorded
from moorage.domain.errors import RepositoryNotFound
from moorage.domain.names import RepositoryName
from moorage.layouts import LayoutError
from moorage.registry import repositories
from moorage.registry.entrance import enter

if TYPE_CHECKING:
    from moorage.layouts.importing import Root
    from moorage.registry.core import Context, Registry
    from moorage.registry.repositories import Repository

Layout = Annotated[Path, typer.Argument(help="A folder or a tar file with an OCI layout.", metavar="DIR|FILE.tar")]
_PUSHING = (
    "ecr:BatchCheckLayerAvailability",
    "ecr:InitiateLayerUpload",
    "ecr:UploadLayerPart",
    "ecr:CompleteLayerUpload",
)


def import_(
    layout: Layout,
    *,
    repository: Annotated[str | None, typer.Option(help="Where to. [default: as the layout says]")] = None,
    create: Annotated[bool, typer.Option("--create", help="Create repositories that are missing.")] = False,
) -> None:
    """Import the images of an OCI layout; what is there already is left, and what was cut short goes on."""
    from moorage.layouts import importing, sources  # noqa: PLC0415 (as in `opened`)

    done: Counter[str] = Counter()
    try:
        with sources.opened(layout) as source, opened() as registry, recorded(registry):
            goals = _goals(importing.roots(source), repository)
            with bar(layout.name, None, in_bytes=True) as advance:
                for name, roots in goals.items():
                    ctx, goal = _entered(registry, name, create=create)
                    work = importing.Import(ctx, goal, source, advance)
                    for root in roots:
                        work.take(root)
                    done += work.done
    except LayoutError as problem:
        fail(str(problem))
    told = {"repositories": list(goals), **{key: done[key] for key in ("images", "unchanged", "layers")}}
    text = f"{counted(done['images'], 'manifest')} put into {', '.join(goals)}, {done['unchanged']} were there"
    say(f"{text}; {counted(done['layers'], 'layer')} uploaded", told)


def _goals(roots: list[Root], repository: str | None) -> dict[RepositoryName, list[Root]]:
    """Return which of the images go where."""
    sources = {root.repository for root in roots}
    if repository is not None:
        if len(sources) > 1:
            fail("the layout has images of several repositories, and --repository is one")
        return {RepositoryName.parse(repository): roots}
    if None in sources:
        fail("the layout does not say which repository: say --repository")
    goals: dict[RepositoryName, list[Root]] = {}
    for root in roots:
        goals.setdefault(RepositoryName(root.repository), []).append(root)
    return goals


def _entered(registry: Registry, name: RepositoryName, *, create: bool) -> tuple[Context, Repository]:
    """Return a context for pushes to a repository, and the repository; it may have to be created."""
    with registry.write(root_of(registry.settings)) as ctx:
        try:
            return ctx, enter(ctx, "ecr:PutImage", name, also=_PUSHING, push=True)
        except RepositoryNotFound:
            if not create:
                raise
            return ctx, repositories.create(ctx, name)

"""``moorage image``: deleted images, listed and restored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import typer

from moorage.cli.managing import Commands
from moorage.cli.opened import reading, writing
from moorage.cli.output import print_json, show, wants_json
from moorage.domain.names import Digest, RepositoryName

if TYPE_CHECKING:
    from collections.abc import Iterator

    from moorage.registry.core import Context
    from moorage.registry.deleted import DeletedImage
    from moorage.registry.repositories import Repository

app = Commands(help="Images of a repository.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(help="The repository's name.", metavar="REPOSITORY")]
Digests = Annotated[list[str], typer.Argument(help="Digests of deleted images.", metavar="DIGEST...")]
_PAGE: Final = 1000


@app.command()
def deleted(repository: Name) -> None:
    """List deleted images that can still be restored."""
    from moorage.registry import repositories  # noqa: PLC0415 (as in `opened`)

    with reading() as ctx:
        found = list(_deleted(ctx, repositories.get(ctx, RepositoryName.parse(repository))))
    rows = [
        {
            "digest": one.digest,
            "tags": list(one.tags),
            "pushedAt": one.pushed_at,
            "deletedAt": one.deleted_at,
            "deletedBy": one.deleted_by,
            "until": one.expires_at,
        }
        for one in sorted(found, key=lambda one: one.deleted_at, reverse=True)
    ]
    show(rows, ["digest", "tags", "deletedAt", "deletedBy", "until"])


def _deleted(ctx: Context, repository: Repository) -> Iterator[DeletedImage]:
    from moorage.registry import deleted as images  # noqa: PLC0415 (as in `opened`)

    page = images.page(ctx, repository, limit=_PAGE)
    while page:
        yield from page
        page = images.page(ctx, repository, after=page[-1].digest, limit=_PAGE)


@app.command()
def restore(repository: Name, digests: Digests) -> None:
    """Bring deleted images back, with their tags and what went with them; all of them or none."""
    from moorage.registry import deleted as images  # noqa: PLC0415 (as in `opened`)
    from moorage.registry import repositories  # noqa: PLC0415 (as in `opened`)

    wanted = [Digest.parse(digest, field="imageDigest") for digest in digests]
    with writing() as ctx:
        named = repositories.get(ctx, RepositoryName.parse(repository))
        restored = [one for digest in wanted for one in images.restore(ctx, named, digest)]
    if wants_json.get():
        print_json([{"digest": one.digest, "tags": one.tags, "tagsElsewhere": one.taken} for one in restored])
        return
    for one in restored:
        taken = f"; on other images by now: {', '.join(one.taken)}" if one.taken else ""
        typer.echo(f"{one.digest} restored, tags: {', '.join(one.tags) or 'none'}{taken}")

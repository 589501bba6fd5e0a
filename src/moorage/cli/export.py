"""``moorage export``: images into an OCI layout, a folder or a tarball."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from moorage.cli.opened import opened, root_of
from moorage.cli.options import fail
from moorage.cli.output import counted, say, size_text
from moorage.cli.progress import bar
from moorage.cli.references import argument, digest_of, parse
from moorage.layouts import LayoutError
from moorage.registry.entrance import enter

if TYPE_CHECKING:
    from moorage.cli.references import Named
    from moorage.domain.names import Digest, RepositoryName, Tag
    from moorage.layouts.exporting import Plan
    from moorage.layouts.sinks import Sink
    from moorage.registry.core import Context

Wanted = Annotated[list[str], argument("Repositories whole, or images.", "REPOSITORY[:TAG|@DIGEST]...")]
Target = Annotated[Path, typer.Option("--to", help="A folder, or a file whose name ends with .tar.")]


def export(wanted: Wanted, *, to: Target) -> None:
    """Export images with all that belongs to them as an OCI layout; what an earlier attempt has written stays."""
    from moorage.layouts.exporting import export as write  # noqa: PLC0415 (as in `opened`)

    names = [parse(text) for text in wanted]
    try:
        with opened() as registry:
            with registry.read(root_of(registry.settings)) as ctx:
                plan = planned(ctx, names)
            sink = _sink(to)
            with bar(to.name, plan.bytes, in_bytes=True) as advance:
                written = write(ctx, plan, sink, advance)
    except LayoutError as problem:
        fail(str(problem))
    told = {"to": str(to), "manifests": len(plan.bodies), "layers": len(plan.blobs), "bytes": plan.bytes}
    told |= {"blobsWritten": written, "archivedLeftOut": plan.archived}
    left = f"; {counted(plan.archived, 'archived image')} left out" if plan.archived else ""
    say(f"{counted(len(plan.bodies), 'manifest')} and {size_text(plan.bytes)} in {to}{left}", told)


def planned(ctx: Context, names: list[Named]) -> Plan:
    """Return what an export of what was named holds."""
    from moorage.layouts.exporting import Plan  # noqa: PLC0415 (as in `opened`)

    plan = Plan()
    by_repository: dict[RepositoryName, list[Named]] = {}
    for name in names:
        by_repository.setdefault(name.repository, []).append(name)
    for repository_name, wanted in by_repository.items():
        repository = enter(ctx, "ecr:BatchGetImage", repository_name, also=["ecr:GetDownloadUrlForLayer"])
        chosen: list[tuple[Digest, Tag | None]] | None = None
        if all(name.tag or name.digest for name in wanted):
            chosen = list(dict.fromkeys((digest_of(ctx, repository, name), name.tag) for name in wanted))
        plan.add(ctx, repository, chosen)
    return plan


def _sink(to: Path) -> Sink:
    from moorage.layouts import sinks  # noqa: PLC0415 (as in `opened`)

    if to.name.endswith((".tar.gz", ".tgz")):
        fail("layers are compressed already: say a file that ends with .tar")
    if to.name.endswith(".tar"):
        return sinks.Tar(to)
    if (to / "index.json").exists() and not (to / "blobs").exists():
        fail(f"{to} holds something else")
    return sinks.Folder(to)

"""``moorage verify``: whether stored bytes are what they should be, and which images are hit where they are not."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated, Any

import typer

from moorage.cli import jobs
from moorage.cli.opened import opened
from moorage.cli.options import fail
from moorage.cli.output import print_json, show, wants_json
from moorage.domain.names import RepositoryName

if TYPE_CHECKING:
    from moorage.registry.core import Registry

_COLUMNS = ["account", "region", "repository", "digest", "tags", "damaged"]


def verify(
    *,
    rate: Annotated[
        int | None, typer.Option("--rate", min=0, help="MiB a second to read at most; 0: no limit.")
    ] = None,
    repository: Annotated[
        str | None, typer.Option("--repository", metavar="NAME", help="Only what this repository has.")
    ] = None,
) -> None:
    """
    Read all stored bytes again, beside running servers, and name the images that need what is damaged.

    What is damaged counts as missing from then on, until it is pushed again. An interrupted run is gone on with
    by the next. Ends with status 1 if anything is damaged.
    """
    with opened() as registry:
        if rate is not None:
            registry.settings = dataclasses.replace(registry.settings, verify_mib_per_second=rate)
        outcome, error, state = jobs.carried_out(registry, "verify", _argument(registry, repository))
        damaged, images = _damage(registry)
    if wants_json.get():
        print_json({"outcome": outcome, "error": error, **state, "layers": damaged, "images": images})
    else:
        _say(state, damaged, images)
    if error is not None:
        fail(error)
    raise typer.Exit(1 if damaged or images or outcome != "ok" else 0)


def _argument(registry: Registry, name: str | None) -> str:
    from moorage.registry import repositories  # noqa: PLC0415 (as in `opened`)

    if name is None:
        return ""
    with registry.read(registry.system()) as ctx:
        return repositories.get(ctx, RepositoryName.parse(name)).id


def _damage(registry: Registry) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return all that counts as missing, and the images that need it."""
    from moorage.registry import damage  # noqa: PLC0415 (as in `opened`)

    with registry.read(registry.system()) as ctx:
        layers = [
            {"digest": one.digest, "size": one.size, "damagedAt": one.damaged_at} for one in damage.damaged_blobs(ctx)
        ]
        images = [
            {
                "account": hit.account_id,
                "region": hit.region,
                "repository": hit.repository,
                "digest": hit.digest,
                "tags": list(hit.tags),
                "damaged": list(hit.damaged),
            }
            for hit in damage.images_hit(ctx)
        ]
    return layers, images


def _say(state: dict[str, Any], damaged: list[dict[str, Any]], images: list[dict[str, Any]]) -> None:
    typer.echo(
        f"{state.get('blobs', 0)} layers and {state.get('manifests', 0)} manifests read, {state['done']} bytes:"
        f" {state.get('damaged', 0)} newly damaged, {state.get('whole', 0)} whole again,"
        f" {len(damaged)} layers damaged in all"
    )
    if damaged:
        show(damaged, ["digest", "size", "damagedAt"])
    if images:
        typer.echo("\nimages that cannot be pulled whole until that is pushed again")
        show(images, _COLUMNS)

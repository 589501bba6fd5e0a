"""``moorage repo``: repositories, what they hold, their settings and policies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from moorage.cli.asking import asking
from moorage.cli.completing import named
from moorage.cli.managing import Commands
from moorage.cli.opened import reading
from moorage.cli.output import confirm, counted, print_json, say, show, show_one, size_text, wants_json
from moorage.cli.references import Yes
from moorage.domain import policies
from moorage.domain.errors import Failure
from moorage.domain.names import RepositoryName
from moorage.registry import catalog, lifecycle, repositories, usage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from moorage.registry.core import Context
    from moorage.registry.repositories import Repository

app = Commands(help="Repositories.", no_args_is_help=True)
policy = Commands(help="The policy of a repository: who else may use it.", no_args_is_help=True)
app.add_typer(policy, name="policy")
Name = Annotated[str, named("repository", "The repository's name.")]
_PAGE: Final = 1000


@app.command("list")
def list_(prefix: Annotated[str, typer.Argument(help="Only names that begin so.")] = "") -> None:
    """List the repositories: what each holds, and whether its tags may move."""
    with reading() as ctx:
        rows = [_row(ctx, one) for one in _all(ctx) if one.name.startswith(prefix)]
    if wants_json.get():
        print_json(rows)
        return
    shown = [{**row, "size": size_text(row["bytes"]), "tags": _mutability(row)} for row in rows]
    show(shown, ["name", "images", "size", "tags", "createdAt"], right=["images", "size"])


def _all(ctx: Context) -> Iterator[Repository]:
    found = catalog.following(ctx, limit=_PAGE, after="")
    while found:
        yield from found
        found = catalog.following(ctx, limit=_PAGE, after=found[-1].name)


def _row(ctx: Context, repository: Repository) -> dict[str, Any]:
    used = usage.counted(ctx.tx, repository.id) or usage.truth(ctx.tx, repository.id)
    return {
        "name": repository.name,
        "uri": f"{ctx.settings.registry_host(repository.registry_id, repository.region)}/{repository.name}",
        "images": used.images,
        "bytes": used.bytes,
        "tagMutability": repository.tag_mutability,
        "mutabilityFilters": list(repository.mutability_filters),
        "createdAt": repository.created_at,
    }


def _mutability(row: dict[str, Any]) -> str:
    mode, but = row["tagMutability"].lower().replace("_with_exclusion", ""), ", ".join(row["mutabilityFilters"])
    return f"{mode}, but {but}" if but else mode


@app.command("show")
def show_(name: Name) -> None:
    """Tell everything about a repository."""
    with reading() as ctx:
        repository = repositories.get(ctx, RepositoryName.parse(name))
        row = _row(ctx, repository)
        told = {
            **row,
            "size": size_text(row["bytes"]),
            "arn": repository.arn,
            "resourceTags": dict(repository.tags),
            "scanOnPush": repository.scan_on_push,
            "policy": repository.policy_text is not None,
            "lifecyclePolicy": _has_lifecycle(ctx, repository),
        }
    if wants_json.get():
        del told["size"]
    else:
        del told["bytes"], told["mutabilityFilters"]
        told["tagMutability"] = _mutability(row)
    show_one(told)


def _has_lifecycle(ctx: Context, repository: Repository) -> bool:
    try:
        lifecycle.get(ctx, repository)
    except Failure:
        return False
    return True


@app.command()
def create(
    name: Name,
    *,
    immutable: Annotated[bool, typer.Option("--immutable", help="Tags stay where they are.")] = False,
    but: Annotated[list[str] | None, typer.Option(help="Tags to which the opposite applies (* for any).")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="A resource tag, KEY=VALUE.")] = None,
    scan_on_push: Annotated[bool, typer.Option("--scan-on-push", help="Images are to be scanned.")] = False,
) -> None:
    """Create a repository."""
    from moorage.operations.repositories import create_repository  # noqa: PLC0415 (as in `opened`)

    mode = ("IMMUTABLE" if immutable else "MUTABLE") + ("_WITH_EXCLUSION" if but else "")
    given: dict[str, Any] = {"repository_name": name, "image_tag_mutability": mode}
    if but:
        given["image_tag_mutability_exclusion_filters"] = [{"filterType": "WILDCARD", "filter": one} for one in but]
    if tag:
        pairs = [one.partition("=") for one in tag]
        given["tags"] = [{"Key": key, "Value": value} for key, _, value in pairs]
    given["image_scanning_configuration"] = {"scanOnPush": scan_on_push}
    with asking() as ask:
        made = ask(create_repository, **given)["repository"]
    say(f"repository {name} created: {made['repositoryUri']}", made)


Force = Annotated[bool, typer.Option("--force", help="Its images too.")]


@app.command()
def delete(name: Name, *, force: Force = False, yes: Yes = False) -> None:
    """Delete a repository, with --force also its images; they cannot be restored then."""
    from moorage.operations.repositories import delete_repository  # noqa: PLC0415 (as in `opened`)

    with reading() as ctx:
        row = _row(ctx, repositories.get(ctx, RepositoryName.parse(name)))
    holds = f"{counted(row['images'], 'image')}, {size_text(row['bytes'])}"
    if not yes and force and row["images"]:
        typer.echo(
            f"{name} holds {holds}. They cannot be restored without it: `moorage export` keeps a copy.", err=True
        )
    confirm(f"Delete repository {name}?", yes=yes)
    with asking() as ask:
        ask(delete_repository, repository_name=name, force=force)
    say(f"repository {name} deleted ({holds})", row)


@policy.command("show")
def show_policy(name: Name) -> None:
    """Print the policy of a repository."""
    from moorage.operations.policies import get_repository_policy  # noqa: PLC0415 (as in `opened`)

    with asking() as ask:
        told = ask(get_repository_policy, repository_name=name)
    say(told["policyText"], told)


@policy.command("set")
def set_policy(
    name: Name,
    document: Annotated[typer.FileText, typer.Argument(help="File with the policy (JSON), or - for standard input.")],
    *,
    force: Annotated[bool, typer.Option("--force", help="Also one that would lock you out.")] = False,
) -> None:
    """Set the policy of a repository; it takes effect at once."""
    from moorage.operations.policies import set_repository_policy  # noqa: PLC0415 (as in `opened`)

    text = document.read(policies.MAX_LENGTH + 1)
    with asking() as ask:
        told = ask(set_repository_policy, repository_name=name, policy_text=text, force=force)
    say(f"policy of {name} set", told)


@policy.command("delete")
def delete_policy(name: Name) -> None:
    """Remove the policy of a repository."""
    from moorage.operations.policies import delete_repository_policy  # noqa: PLC0415 (as in `opened`)

    with asking() as ask:
        told = ask(delete_repository_policy, repository_name=name)
    say(f"policy of {name} removed", told)

"""``moorage lifecycle``: policies by which images expire or are archived; what they would do, and doing it now."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Final

import typer

from moorage.cli import jobs
from moorage.cli.asking import asking
from moorage.cli.completing import named
from moorage.cli.managing import Commands
from moorage.cli.opened import opened, reading, root_of
from moorage.cli.options import fail
from moorage.cli.output import confirm, counted, print_json, say, show, wants_json
from moorage.cli.progress import bar
from moorage.cli.references import Yes
from moorage.domain import lifecycle as rules
from moorage.domain.errors import LifecyclePolicyNotFound
from moorage.domain.names import RepositoryName
from moorage.registry import catalog, foresight, lifecycle, removal
from moorage.registry.entrance import enter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from moorage.domain.lifecycle import Rule
    from moorage.registry.core import Context
    from moorage.registry.foresight import Outlook
    from moorage.registry.repositories import Repository

app = Commands(help="Lifecycle policies: images that expire or are archived.", no_args_is_help=True)
Name = Annotated[str, named("repository", "The repository's name.")]
Some = Annotated[str, named("repository", "A repository.")]
Document = Annotated[typer.FileText, typer.Argument(help="File with the policy (JSON), or - for standard input.")]
_LONGEST: Final = 30_720
_PAGE: Final = 1000


@app.command("show")
def show_(name: Name) -> None:
    """Tell the rules of a repository in their order, and when they were last carried out."""
    from moorage.operations.lifecycle import get_lifecycle_policy  # noqa: PLC0415 (as in `opened`)

    with asking() as ask:
        told = ask(get_lifecycle_policy, repository_name=name)
    if wants_json.get():
        print_json(told)
        return
    policy = rules.parse(told["lifecyclePolicyText"])
    rows = [{"rule": rule.priority, "what": in_words(rule), "description": rule.description} for rule in policy]
    show(rows, ["rule", "what", "description"], right=["rule"])
    last = told["lastEvaluatedAt"]
    typer.echo(f"\nlast carried out: {f'{last:%Y-%m-%d %H:%M}' if last.year > 1970 else 'not yet'}")  # noqa: PLR2004


def in_words(rule: Rule) -> str:
    """Return what a rule does, as a sentence."""
    which = {"any": "images", "untagged": "untagged images", "tagged": "images tagged "}[rule.status]
    which += " and ".join([*(f"{prefix}*" for prefix in rule.prefixes), *rule.patterns])
    which = f"archived {which}" if rule.storage is rules.StorageClass.ARCHIVE else which
    does = "expire" if rule.action is rules.Action.EXPIRE else "archive"
    since = {
        rules.CountType.SINCE_PUSHED: "pushed",
        rules.CountType.SINCE_PULLED: "last pulled",
        rules.CountType.SINCE_TRANSITIONED: "archived",
    }
    if rule.count is rules.CountType.IMAGES:
        return f"{does} {which} but the newest {rule.number}"
    return f"{does} {which} {since[rule.count]} more than {counted(rule.number, 'day')} ago"


@app.command("set")
def set_(name: Name, document: Document) -> None:
    """Set the policy of a repository; it is first carried out some minutes later."""
    from moorage.operations.lifecycle import put_lifecycle_policy  # noqa: PLC0415 (as in `opened`)

    text = document.read(_LONGEST + 1)
    with asking() as ask:
        told = ask(put_lifecycle_policy, repository_name=name, lifecycle_policy_text=text)
    say(f"lifecycle policy of {name} set; `moorage lifecycle preview {name}` tells what it will do", told)


@app.command()
def delete(name: Name, *, yes: Yes = False) -> None:
    """Remove the policy of a repository: nothing more expires there."""
    from moorage.operations.lifecycle import delete_lifecycle_policy  # noqa: PLC0415 (as in `opened`)

    confirm(f"Remove the lifecycle policy of {name}?", yes=yes)
    with asking() as ask:
        told = ask(delete_lifecycle_policy, repository_name=name)
    say(f"lifecycle policy of {name} removed", told)


@app.command()
def preview(
    name: Some = "",
    *,
    everywhere: Annotated[bool, typer.Option("--all", help="All repositories of the registry.")] = False,
    policy: Annotated[typer.FileText | None, typer.Option(help="A policy that is not set (file, or -).")] = None,
    at: Annotated[datetime | None, typer.Option(help="As if it were this day (UTC).")] = None,
    lines: Annotated[int, typer.Option("--lines", help="Images to show; 0 for all.", min=0)] = 50,
) -> None:
    """Tell what a policy would do: which rule takes or keeps each image and why, and how many bytes come back."""
    if bool(name) == everywhere:
        fail("say which repository, or --all")
    text = None if policy is None else policy.read(_LONGEST + 1)
    with reading() as ctx:
        kept = None if text is None else lifecycle.checked(text)
        moment = ctx.now if at is None else at.replace(tzinfo=UTC)
        if everywhere:
            _preview_all(ctx, kept, moment)
        else:
            repository = enter(ctx, "ecr:StartLifecyclePolicyPreview", RepositoryName.parse(name))
            found = foresight.outlook(ctx, repository, kept or lifecycle.get(ctx, repository).text, moment)
            _preview_one(ctx, found, lines)


def _preview_one(ctx: Context, found: Outlook, lines: int) -> None:
    from moorage.cli import outlook  # noqa: PLC0415 (as in `opened`)

    freed = sum(foresight.freed(ctx, [found]).values())
    if wants_json.get():
        print_json(outlook.described(found, freed))
    else:
        outlook.draw(found, freed, int(removal.window(ctx).total_seconds() // 3600), lines)


def _preview_all(ctx: Context, text: str | None, moment: datetime) -> None:
    from moorage.cli import outlook  # noqa: PLC0415 (as in `opened`)

    chosen = list(_with_policy(ctx, text))
    found = []
    with bar("repositories", len(chosen)) as advance:
        for repository, policy in chosen:
            found.append(foresight.outlook(ctx, repository, policy, moment))
            advance(1)
    freed = sum(foresight.freed(ctx, found).values())
    rows = [outlook.summary(one, sum(foresight.freed(ctx, [one]).values())) for one in found]
    if wants_json.get():
        print_json({"repositories": rows, "bytesFreed": freed})
    else:
        outlook.draw_all(rows, freed)


def _with_policy(ctx: Context, text: str | None) -> Iterator[tuple[Repository, str]]:
    """Yield repositories with the policy to apply: the given one, else their own; those without one are left out."""
    page = catalog.following(ctx, limit=_PAGE, after="")
    while page:
        for one in page:
            try:
                yield one, text or lifecycle.get(ctx, one).text
            except LifecyclePolicyNotFound:
                continue
        page = catalog.following(ctx, limit=_PAGE, after=page[-1].name)


@app.command()
def run(name: Some = "", *, yes: Yes = False) -> None:
    """Carry out now what is due in all repositories, or the policy of one, due or not."""
    from moorage.jobs import Run  # noqa: PLC0415 (as in `opened`)
    from moorage.jobs.lifecycle import carry_out  # noqa: PLC0415

    if not name:
        jobs.run("lifecycle")
        return
    with opened() as registry:
        with registry.read(root_of(registry.settings)) as ctx:
            repository = enter(ctx, "ecr:PutLifecyclePolicy", RepositoryName.parse(name))
            due = lifecycle.due_now(ctx, repository)
            found = foresight.outlook(ctx, repository, due.text, ctx.now)
        acting = found.counts["expire"] + found.counts["transition"]
        if acting:
            what = f"Expire {found.counts['expire']} and archive {found.counts['transition']} images of {name}?"
            confirm(what, yes=yes)
        with bar(name, acting) as advance:
            acted = carry_out(registry, due, Run(), advance)
    done = {"repository": name, "expired": acted[rules.Action.EXPIRE], "archived": acted[rules.Action.TRANSITION]}
    say(f"{name}: {done['expired']} expired, {done['archived']} archived", done)

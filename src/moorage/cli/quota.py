"""``moorage quota``: what repositories and accounts hold, and how much they may hold."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from moorage.cli.managing import Commands
from moorage.cli.opened import reading, writing
from moorage.cli.options import fail
from moorage.cli.output import say
from moorage.domain.names import RepositoryName
from moorage.registry import repositories, usage

if TYPE_CHECKING:
    from moorage.registry.core import Context

app = Commands(help="What repositories and accounts hold and may hold.", no_args_is_help=True)
Repository = Annotated[str | None, typer.Argument(help="A repository. [default: the account]")]
_UNITS: Final = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12} | {
    f"{unit}I": 1 << (10 * power) for power, unit in enumerate("KMGT", 1)
}
_SIZE: Final = re.compile(r"(\d{1,15})\s*([KMGT]?I?)B?", re.IGNORECASE)
_HELP: Final = "or `none` for no limit, or `default` for the setting's."


@app.command("show")
def show_(repository: Repository = None) -> None:
    """Tell what a repository, or the account, holds and may hold."""
    with reading() as ctx:
        told = _of_account(ctx) if repository is None else _of_repository(ctx, RepositoryName.parse(repository))
    limits = {name: "no limit" if value is None else value for name, value in told["limits"].items()}
    lines = [f"{name}: {used} of {limits[name]}" for name, used in told["used"].items()]
    say("\n".join(lines), told)


@app.command("set")
def set_(
    repository: Repository = None,
    size: Annotated[str | None, typer.Option("--bytes", help=f"Bytes (10GiB, 500MB, 1000), {_HELP}")] = None,
    images: Annotated[str | None, typer.Option("--images", help=f"Images, {_HELP}")] = None,
    count: Annotated[str | None, typer.Option("--repositories", help=f"Repositories in each region, {_HELP}")] = None,
) -> None:
    """Give a repository, or the account, quotas of its own. What is there already stays, also beyond them."""
    given = {"max_bytes": size, "max_images": images, "max_repositories": count}
    quotas = {name: _amount(text) for name, text in given.items() if text is not None}
    if not quotas:
        fail("say which quota: --bytes, --images or --repositories")
    if repository is not None and "max_repositories" in quotas:
        fail("--repositories is a quota of the account, and not of a repository")
    with writing() as ctx:
        if repository is None:
            usage.set_account_quotas(ctx, **quotas)
        else:
            found = repositories.get(ctx, RepositoryName.parse(repository))
            usage.set_repository_quotas(ctx, found, **quotas)
    say(f"quota of {repository or 'the account'} set", quotas)


def _amount(text: str) -> int | None:
    """Return an amount as it is stored."""
    if text.lower() in {"none", "default"}:
        return usage.UNLIMITED if text.lower() == "none" else None
    match = _SIZE.fullmatch(text.strip())
    if match is None or match[2].upper() not in _UNITS:
        fail(f"{text!r} is not an amount: say 1000, 500MB, 10GiB, none or default")
    return int(match[1]) * _UNITS[match[2].upper()]


def _of_account(ctx: Context) -> dict[str, Any]:
    own = usage.quotas_of_account(ctx.tx, ctx.registry_id)
    limits = usage.limits_of_account(ctx, own["max_images"], own["max_bytes"])._asdict()
    used = {"repositories": usage.count_repositories(ctx), **usage.of_account(ctx.tx, ctx.registry_id)._asdict()}
    return {"used": used, "limits": {"repositories": usage.limit_of_repositories(ctx), **limits}}


def _of_repository(ctx: Context, name: RepositoryName) -> dict[str, Any]:
    found = repositories.get(ctx, name)
    own = usage.quotas_of_repository(ctx.tx, found.id)
    limits = usage.limits_of_repository(ctx, own["max_images"], own["max_bytes"])._asdict()
    used = usage.counted(ctx.tx, found.id) or usage.truth(ctx.tx, found.id)
    return {"used": used._asdict(), "limits": limits}

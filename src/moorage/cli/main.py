"""The ``moorage`` command and what all its parts share."""

from __future__ import annotations

from typing import Annotated

import typer

from moorage import __version__
from moorage.cli import (
    access,
    account,
    collector,
    group,
    image,
    jobs,
    key,
    lifecycle,
    managing,
    master_key,
    oidc,
    policy,
    quota,
    repo,
    role,
    user,
)
from moorage.cli.apply import apply
from moorage.cli.doctor import doctor
from moorage.cli.env import env
from moorage.cli.export import export
from moorage.cli.import_ import import_
from moorage.cli.migrate import migrate
from moorage.cli.rebuild import rebuild
from moorage.cli.serve import serve
from moorage.cli.verify import verify

app = typer.Typer(
    name="moorage",
    help="A container registry that anyone can run and that behaves as Amazon ECR does.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command()(serve)
app.command()(env)
app.command()(migrate)
app.command(name="doctor")(managing.managed(doctor))
app.command(name="verify")(managing.managed(verify))
app.command(name="rebuild")(managing.managed(rebuild))
app.command(name="apply")(managing.managed(apply))
app.command(name="export")(managing.managed(export))
app.command(name="import")(managing.managed(import_))
app.add_typer(access.app, name="access")
app.add_typer(account.app, name="account")
app.add_typer(user.app, name="user")
app.add_typer(group.app, name="group")
app.add_typer(key.app, name="key")
app.add_typer(master_key.app, name="master-key")
app.add_typer(policy.app, name="policy")
app.add_typer(role.app, name="role")
app.add_typer(oidc.app, name="oidc")
app.add_typer(jobs.app, name="jobs")
app.add_typer(collector.app, name="gc")
app.add_typer(repo.app, name="repo")
app.add_typer(image.app, name="image")
app.add_typer(lifecycle.app, name="lifecycle")
app.add_typer(quota.app, name="quota")


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"moorage {__version__}")
        raise typer.Exit


@app.callback()
def root(
    _version: Annotated[
        bool, typer.Option("--version", help="Print the version and stop.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """A container registry that anyone can run and that behaves as Amazon ECR does."""

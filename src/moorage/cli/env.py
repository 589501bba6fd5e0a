"""``moorage env``: what a shell needs to talk to this registry."""

from __future__ import annotations

import shlex
from typing import Annotated

import typer

from moorage import installation
from moorage.cli.options import Config, Data, fail, settings_of


def env(
    data: Data = None,
    config: Config = None,
    account_id: Annotated[
        str | None,
        typer.Option(
            "--account-id",
            help="The account whose root key to use. [default: the one that is served]",
            envvar="MOORAGE_ACCOUNT_ID",
        ),
    ] = None,
) -> None:
    """
    Print shell exports for the AWS CLI and SDKs, with the root access key.

    Use it as: eval "$(moorage env)"
    """
    settings = settings_of(config, data=data, account_id=account_id)
    serving = installation.read_address(settings.data) or installation.Address(
        settings.base_url, settings.region, settings.account_id
    )
    key = installation.read_root_key(settings.data, account_id or serving.account_id)
    if key is None:
        fail(f"there is no registry in {settings.data} yet: start it with `moorage serve`")
    exports = {
        "AWS_ENDPOINT_URL_ECR": serving.url,
        "AWS_ENDPOINT_URL_STS": serving.url,
        "AWS_ACCESS_KEY_ID": key.access_key_id,
        "AWS_SECRET_ACCESS_KEY": key.secret_access_key,
        "AWS_REGION": serving.region,
        "AWS_DEFAULT_REGION": serving.region,
    }
    if serving.ca:
        exports["AWS_CA_BUNDLE"] = serving.ca
    for name, value in exports.items():
        typer.echo(f"export {name}={shlex.quote(value)}")
    # A session token of another account would be sent along and refused.
    typer.echo("unset AWS_SESSION_TOKEN AWS_PROFILE")

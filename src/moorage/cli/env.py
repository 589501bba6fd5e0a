"""``moorage env``: what a shell needs to talk to this registry."""

from __future__ import annotations

import shlex

import typer

from moorage import installation, keyfile
from moorage.cli.options import Account, Config, Data, fail, settings_of


def env(
    data: Data = None,
    config: Config = None,
    account_id: Account = None,
) -> None:
    """
    Print shell exports for the AWS CLI and SDKs, with the root access key.

    Use it as: eval "$(moorage env)"
    """
    settings = settings_of(config, data=data, account_id=account_id)
    serving = installation.read_address(settings.data) or installation.address_of(settings)
    account = account_id or serving.account_id
    key = installation.read_root_key(settings.data, account)
    if key is None and keyfile.is_there(settings):
        fail(f"the root key of account {account} is not kept in {settings.data}: it was shown when it was made")
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

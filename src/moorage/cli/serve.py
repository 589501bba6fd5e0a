"""``moorage serve``: run the registry."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from moorage.cli.managing import in_one_line
from moorage.cli.options import Config, Data, MasterKeyFile, settings_of


def serve(
    data: Data = None,
    config: Config = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on. \\[default: 127.0.0.1]")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on. \\[default: 5100]")] = None,
    workers: Annotated[int | None, typer.Option(help="Server processes. \\[default: 1]")] = None,
    database: Annotated[str | None, typer.Option(help="Database URL. \\[default: SQLite in the data folder]")] = None,
    master_key_file: MasterKeyFile = None,
    storage: Annotated[
        str | None, typer.Option(help="Folder of layers, or s3://bucket/prefix. \\[default: blobs in the data folder]")
    ] = None,
    blob_delivery: Annotated[
        str | None, typer.Option(help="Layers in a bucket: redirect to it, or proxy. \\[default: redirect]")
    ] = None,
    account_id: Annotated[str | None, typer.Option(help="Twelve digits. \\[default: 000000000000]")] = None,
    region: Annotated[str | None, typer.Option(help="The default region. \\[default: us-east-1]")] = None,
    domain: Annotated[str | None, typer.Option(help="Name registries <account>.dkr.ecr.<region>.<domain>.")] = None,
    public_url: Annotated[str | None, typer.Option(help="The address that clients use, if it is another.")] = None,
    tls_cert: Annotated[Path | None, typer.Option(help="Certificate and chain (PEM): serve HTTPS.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Key of --tls-cert (PEM).")] = None,
    tls: Annotated[str | None, typer.Option(help="self-signed: HTTPS with a CA made in the data folder.")] = None,
    trusted_proxies: Annotated[
        str | None, typer.Option(help="Addresses of proxies whose X-Forwarded-For and -Proto are believed.")
    ] = None,
    dev: Annotated[
        bool | None, typer.Option("--dev", help="Accept any credentials, create repositories on push. Loopback only.")
    ] = None,
    create_on_push: Annotated[
        bool | None, typer.Option("--create-on-push", help="Create missing repositories on push.")
    ] = None,
    sparse_manifests: Annotated[
        bool | None, typer.Option("--sparse-manifests", help="Accept manifests whose content is not here.")
    ] = None,
    jobs: Annotated[
        bool | None, typer.Option("--jobs/--no-jobs", help="Do the registry's own work here. \\[default: --jobs]")
    ] = None,
    failed_attempts: Annotated[
        int | None, typer.Option(help="Failed logins of one key and address before it is slowed. \\[default: 10]")
    ] = None,
    registry_policy_scope: Annotated[
        str | None, typer.Option(help="V1: registry policies as in old accounts of ECR. \\[default: V2]")
    ] = None,
    audit: Annotated[str | None, typer.Option(help="File of the audit trail, or - for standard output.")] = None,
    metrics: Annotated[
        str | None, typer.Option(help="Addresses that may read /metrics. \\[default: 127.0.0.0/8,::1]")
    ] = None,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning or error. \\[default: info]")] = None,
) -> None:
    """
    Run the registry.

    Every option can also be given as an environment variable (MOORAGE_PORT, …)
    or in the file named by --config.
    """
    given = {name: value for name, value in locals().items() if name != "config"}
    settings = settings_of(config, **given)
    from moorage import server  # noqa: PLC0415 (only this command needs all of it)

    with in_one_line():
        server.run(settings)

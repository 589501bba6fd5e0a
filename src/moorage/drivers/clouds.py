"""The clients of the three clouds, as obstore makes them, and what S3 needs beside."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from obstore.store import AzureStore, GCSStore, S3Store

from moorage.domain.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from obstore.store import (
        AzureConfig,
        BackoffConfig,
        ClientConfig,
        GCSConfig,
        ObjectStore,
        RetryConfig,
        S3Config,
        S3Credential,
    )

    from moorage.drivers.object_urls import Target

_BACKOFF: Final[BackoffConfig] = {
    "init_backoff": timedelta(milliseconds=100),
    "max_backoff": timedelta(seconds=8),
    "base": 2,
}
# Once more, for a kept connection that the other side has closed.
_HASTY: Final[RetryConfig] = {"max_retries": 1, "retry_timeout": timedelta(seconds=3)}
_JOINING: Final = timedelta(minutes=10)
_CREDENTIALS_KEPT: Final = timedelta(minutes=5)


class Cloud:
    """How one bucket is reached."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._session = botocore.session.get_session() if target.scheme == "s3" else None
        self._credentials = self._session.get_credentials() if self._session else None
        if target.scheme == "s3" and self._credentials is None:
            raise ValueError("there are no AWS credentials in the environment")

    def client(self, *, joins: bool = False) -> ObjectStore:
        """
        Return the client for everything that moves bytes: it asks again for a while.

        The one that ``joins`` parts waits long for an answer. Some servers copy all
        parts before they say a word, and of two requests for the same one ruins the other's work.
        """
        # A timeout over the whole of a request would cut a slow pull; what stalls is cut by the other.
        options: ClientConfig = {
            "timeout": timedelta(minutes=15),
            "read_timeout": _JOINING if joins else self._target.seconds("stall_seconds"),
        }
        patient: RetryConfig = {
            "max_retries": 20,
            "retry_timeout": self._target.seconds("retry_seconds"),
            "backoff": _BACKOFF,
        }
        return self._made(self._target.endpoint, options, patient)

    def hasty_client(self) -> ObjectStore:
        """Return a client that finds out quickly whether the store answers."""
        return self._made(self._target.endpoint, {"timeout": timedelta(seconds=3)}, _HASTY)

    def signer(self) -> ObjectStore:
        """Return the client that signs URLs for others: of the address under which they reach the store."""
        return self._made(self._target.public_endpoint or self._target.endpoint, {}, _HASTY)

    def _made(self, endpoint: str | None, options: ClientConfig, retry: RetryConfig) -> ObjectStore:
        target = self._target
        options = {"connect_timeout": timedelta(seconds=3), "user_agent": "moorage", **options}
        options["allow_http"] = (endpoint or "").startswith("http://")
        if target.ca is not None:
            options["root_certificate"] = target.ca
        prefix = target.prefix or None
        if target.scheme == "gs":
            gcs: GCSConfig = {"base_url": endpoint} if endpoint else {}
            return GCSStore(target.bucket, prefix=prefix, config=gcs, client_options=options, retry_config=retry)
        if target.scheme == "az":
            azure: AzureConfig = {"endpoint": endpoint} if endpoint else {}
            if "account" in target.options:
                azure["account_name"] = target.options["account"]
            return AzureStore(target.bucket, prefix=prefix, config=azure, client_options=options, retry_config=retry)
        s3: S3Config = {"region": target.region, "virtual_hosted_style_request": target.is_virtual}
        if endpoint:
            s3["endpoint"] = endpoint
        return S3Store(
            target.bucket,
            prefix=prefix,
            config=s3,
            client_options=options,
            retry_config=retry,
            credential_provider=self._credential,
        )

    def _credential(self) -> S3Credential:
        """Return what botocore finds in the environment: keys, a profile, a web identity, the machine's role."""
        assert self._credentials is not None  # noqa: S101 (made for s3 alone)
        frozen = self._credentials.get_frozen_credentials()
        return {
            "access_key_id": frozen.access_key or "",
            "secret_access_key": frozen.secret_key or "",
            "token": frozen.token,
            # botocore renews them; ask it again soon.
            "expires_at": datetime.now(UTC) + _CREDENTIALS_KEPT,
        }

    def abort_unfinished(self, when: datetime, is_ours: Callable[[str], bool]) -> int:
        """
        Abort multipart uploads of ours that were begun before ``when``; return how many.

        S3 alone has to be told: Azure forgets blocks of its own accord, GCS by a
        rule of the bucket's.
        """
        if self._session is None:
            return 0
        prefix = f"{self._target.prefix}/" if self._target.prefix else ""
        aborted = 0
        try:
            client = self._s3()
            for page in client.get_paginator("list_multipart_uploads").paginate(
                Bucket=self._target.bucket, Prefix=prefix
            ):
                for upload in page.get("Uploads", []):
                    if upload["Initiated"] < when and is_ours(upload["Key"].removeprefix(prefix)):
                        client.abort_multipart_upload(
                            Bucket=self._target.bucket, Key=upload["Key"], UploadId=upload["UploadId"]
                        )
                        aborted += 1
        except (BotoCoreError, ClientError) as problem:
            raise StoreUnavailable from problem
        return aborted

    def _s3(self) -> Any:
        assert self._session is not None  # noqa: S101 (asked for s3 alone)
        style: Literal["path", "virtual"] = "virtual" if self._target.is_virtual else "path"
        return self._session.create_client(
            "s3",
            region_name=self._target.region,
            endpoint_url=self._target.options.get("endpoint"),
            verify=self._target.options.get("ca"),
            config=Config(s3={"addressing_style": style}, retries={"mode": "standard", "max_attempts": 5}),
        )

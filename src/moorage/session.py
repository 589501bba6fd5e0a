"""
The embedded client: a real botocore client, answered in this process.

No server and no socket: the request that botocore has built and signed goes
to the AWS door directly, over the same data folder that ``moorage serve``
serves.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, cast

import botocore.session
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders

from moorage import app, installation
from moorage.config import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from os import PathLike
    from types import TracebackType

    from botocore.awsrequest import AWSPreparedRequest
    from botocore.client import BaseClient


_SERVICES = ("ecr", "sts")


class Session:
    """
    Makes clients of one registry: in process over a data folder, or of a server.

    Usable as a context manager; `close` lets go of the data folder.
    """

    def __init__(
        self, data_dir: str | PathLike[str] | None = None, *, endpoint_url: str | None = None, **settings: Any
    ) -> None:
        """
        Open a data folder, made if it is not there yet; or, with ``endpoint_url``, only speak to a server.

        Clients of a server sign with the root key of ``data_dir``, or without
        one with what botocore finds (environment, profile). Further keyword
        arguments are `Settings` (``account_id``, ``region``, ``dev``, …).
        """
        given = {**settings, "data": Path(data_dir) if data_dir is not None else None}
        self.settings = Settings.load(given)
        self._endpoint_url = endpoint_url
        self._has_key = endpoint_url is None or data_dir is not None
        self._registry = None
        if endpoint_url is None:
            app.prepare(self.settings)
            self._registry = app.open_registry(self.settings)
        self._botocore = botocore.session.Session()

    def __enter__(self) -> Self:
        """Return the session."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the session."""
        self.close()

    def create_client(self, service_name: str, **options: Any) -> BaseClient:
        """
        Return botocore's own client for ``ecr`` (or ``sts``).

        ``options`` go to botocore; region, address and, where the data folder
        is at hand, the root access key are filled in. Raises `ValueError` for a
        service that is not here.
        """
        if service_name not in _SERVICES:
            raise ValueError(f"a registry has clients for {' and '.join(_SERVICES)}, not for {service_name!r}")
        options.setdefault("region_name", self.settings.region)
        options.setdefault("endpoint_url", self._endpoint_url or self.settings.base_url)
        key = installation.read_root_key(self.settings.data, self.settings.account_id) if self._has_key else None
        if key is not None and "aws_access_key_id" not in options:
            options["aws_access_key_id"] = key.access_key_id
            options["aws_secret_access_key"] = key.secret_access_key
        client = self._botocore.create_client(service_name, **options)
        if self._registry is not None:
            # The stubs know only hooks that answer nothing; this one may answer (botocore.endpoint).
            client.meta.events.register(f"before-send.{service_name}", cast("Any", self._answer))
        return client

    def _answer(self, request: AWSPreparedRequest, **_named: Any) -> AWSResponse:
        """Answer botocore's request instead of its HTTP session (the ``before-send`` hook)."""
        if self._registry is None:
            raise RuntimeError("this session has been closed")
        headers = _texts(cast("Mapping[str, str | bytes]", request.headers))
        answer = app.answer_in_process(self._registry, str(request.method), request.url, headers, _body(request.body))
        received = HTTPHeaders.from_pairs(answer.headers.items())
        return AWSResponse(request.url, answer.status_code, received, _Raw(bytes(answer.body)))

    def close(self) -> None:
        """Let go of the data folder."""
        if self._registry is not None:
            self._registry.close()
            self._registry = None


def _body(body: Any) -> bytes:
    """Return the body that botocore would send: of this API always text or bytes."""
    return body.encode() if isinstance(body, str) else bytes(body or b"")


def _texts(headers: Mapping[str, str | bytes]) -> list[tuple[str, str]]:
    return [
        (name.lower(), value.decode("latin-1") if isinstance(value, bytes) else str(value))
        for name, value in headers.items()
    ]


class _Raw(io.BytesIO):
    """A body as urllib3 would hand it to botocore."""

    def stream(self, **_named: Any) -> Any:
        """Yield the body."""
        yield self.read()

"""``--storage`` URLs: which bucket, where, and what a URL must not hold."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, urlsplit

_OPTIONS: Final = {
    "s3": {"endpoint", "public_endpoint", "region", "addressing"},
    "gs": {"endpoint"},
    "az": {"account", "endpoint"},
}
_COMMON: Final = {"ca", "retry_seconds", "stall_seconds"}
_SECONDS: Final = {"retry_seconds": 45, "stall_seconds": 30}
_MOST_SECONDS: Final = 300
_SECRETS: Final = re.compile(r"key|secret|token|password|credential|sas|signature", re.IGNORECASE)
_BUCKET_RE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]")
_PREFIX_RE: Final = re.compile(r"[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*")


@dataclass(frozen=True, slots=True)
class Target:
    """Where layers go."""

    scheme: str
    """``s3``, ``gs`` or ``az``."""
    bucket: str
    prefix: str
    """What all keys begin with; empty for none."""
    options: dict[str, str]

    @classmethod
    def parse(cls, url: str) -> Target:
        """Read a storage URL; raise ValueError, in words that do not repeat what may be a secret."""
        parts = urlsplit(url)
        if parts.scheme not in _OPTIONS:
            raise ValueError(f"the scheme {parts.scheme!r} is none of {', '.join(sorted(_OPTIONS))}")
        options = dict(parse_qsl(parts.query, keep_blank_values=True, max_num_fields=20))
        if "@" in parts.netloc or any(_SECRETS.search(name) for name in options):
            raise ValueError("credentials are taken from the environment, never from the URL")
        if unknown := sorted(set(options) - _OPTIONS[parts.scheme] - _COMMON):
            raise ValueError(f"{parts.scheme}:// knows no option {', '.join(unknown)}")
        prefix = parts.path.strip("/")
        if _BUCKET_RE.fullmatch(parts.netloc) is None:
            raise ValueError("the URL must name a bucket, as in s3://bucket/prefix")
        if (prefix and _PREFIX_RE.fullmatch(prefix) is None) or {".", ".."} & set(prefix.split("/")):
            raise ValueError("the prefix may have letters, digits, '.', '_', '-' and single slashes")
        target = cls(parts.scheme, parts.netloc, prefix, options)
        target.check()
        return target

    def check(self) -> None:
        """Raise ValueError for an option whose value cannot be used."""
        for name in {"endpoint", "public_endpoint"} & set(self.options):
            parts = urlsplit(self.options[name])
            if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username or parts.query:
                raise ValueError(f"{name} must be http(s)://host")
        if self.options.get("addressing", "path") not in {"path", "virtual"}:
            raise ValueError("addressing must be path or virtual")
        for name in _SECONDS:
            text = self.options.get(name, "1")
            if not (text.isascii() and text.isdigit() and 1 <= int(text) <= _MOST_SECONDS):
                raise ValueError(f"{name} must be a number from 1 to {_MOST_SECONDS}")

    @property
    def endpoint(self) -> str | None:
        """The address of the store, None for the provider's own."""
        return self._addressed(self.options.get("endpoint"))

    @property
    def public_endpoint(self) -> str | None:
        """The address that clients reach the store under, where it is another."""
        return self._addressed(self.options.get("public_endpoint"))

    @property
    def is_virtual(self) -> bool:
        """Whether the bucket is part of the host's name: AWS's habit, and seldom that of others."""
        return self.options.get("addressing", "path" if "endpoint" in self.options else "virtual") == "virtual"

    @property
    def region(self) -> str:
        """The region that requests are signed for."""
        given = self.options.get("region") or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
        return given or "us-east-1"

    def seconds(self, name: str) -> timedelta:
        """Return ``retry_seconds`` (how long it is asked again) or ``stall_seconds`` (how long it may be silent)."""
        return timedelta(seconds=int(self.options.get(name, _SECONDS[name])))

    @property
    def ca(self) -> bytes | None:
        """The certificates of CAs that are trusted besides the system's; raises OSError."""
        return Path(self.options["ca"]).read_bytes() if "ca" in self.options else None

    def _addressed(self, endpoint: str | None) -> str | None:
        if endpoint is None:
            return None
        endpoint = endpoint.rstrip("/")
        if not self.is_virtual:
            return endpoint
        scheme, _, host = endpoint.partition("://")
        return f"{scheme}://{self.bucket}.{host}"

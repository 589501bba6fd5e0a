"""
Settings: every choice an installation can make, in one place.

A value comes from the command line, else from a ``MOORAGE_*`` environment
variable, else from a TOML file, else from the default that stands here.
"""

from __future__ import annotations

import dataclasses
import os
import re
import tomllib
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from moorage.domain import rates
from moorage.domain.names import is_region, is_registry_id

if TYPE_CHECKING:
    from collections.abc import Mapping

_LABELS = 4
"""``<account>.dkr.ecr.<region>``"""
_DOMAIN_RE = re.compile(r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")
_SHORTEST_TIMEOUT = 3
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
SELF_SIGNED = "self-signed"
Network = IPv4Network | IPv6Network


class SettingsError(ValueError):
    """A setting has a value that cannot be used; the message names the setting."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What one installation of Moorage is told."""

    data: Path = dataclasses.field(default_factory=lambda: default_data())  # noqa: PLW0108 (defined below)
    """Folder of the database, the layers, the master key and the root access key."""

    host: str = "127.0.0.1"
    """Address to listen on."""

    port: int = 5100
    """Port to listen on."""

    workers: int = 1
    """Server processes. Any of them serves any request."""

    database: str | None = None
    """Database URL; a SQLite file in the data folder if not given."""

    master_key_file: Path | None = None
    """File of the master key; ``master.key`` in the data folder if not given."""

    database_pool: int = 8
    """Connections that each worker may have to a PostgreSQL server: nodes times workers times this, at most."""

    database_wait_seconds: int = 10
    """Seconds that a request waits for one of them to be free before it is refused."""

    database_timeout_seconds: int = 30
    """Seconds that one statement may take on a PostgreSQL server; a lock is waited for a third of that."""

    storage: str | None = None
    """
    Where layers are kept: a folder (``blobs`` in the data folder if not given), or a bucket:
    ``s3://BUCKET/PREFIX?endpoint=…&region=…``, ``gs://…``, ``az://…`` (docs/operating.md).
    """

    blob_delivery: str = "redirect"
    """
    How layers in a bucket reach clients: ``redirect`` sends them to the bucket with a signed address,
    ``proxy`` passes the bytes through. Layers in a folder are always sent by the server.
    """

    account_id: str = "000000000000"
    """The account that the root access key belongs to, and the registry that a plain host name means: twelve digits."""

    region: str = "us-east-1"
    """The region that a plain host name means, and that `moorage env` exports."""

    domain: str | None = None
    """With a domain, registries are named ``<account>.dkr.ecr.<region>.<domain>``."""

    public_url: str | None = None
    """The address that clients use, where it differs from ``localhost:<port>`` (a proxy, another name)."""

    tls_cert: Path | None = None
    """PEM file with the server's certificate and its chain: the server speaks HTTPS. With ``tls_key``."""

    tls_key: Path | None = None
    """PEM file with the key of ``tls_cert``, without a passphrase."""

    tls: str | None = None
    """``self-signed``: HTTPS with a certificate of a CA that is made in the data folder."""

    trusted_proxies: str = ""
    """
    Addresses and networks, with commas between, of the proxies whose
    ``X-Forwarded-For`` and ``X-Forwarded-Proto`` are believed. From anybody else those headers mean nothing.
    """

    dev: bool = False
    """Accept any credentials and create repositories on push. Loopback only."""

    create_on_push: bool = False
    """Create a missing repository when somebody who may do so pushes to it. On with ``dev``."""

    sparse_manifests: bool = False
    """Accept manifests whose layers or images are not here (sparse indexes, mirrors of parts)."""

    failed_attempts: int = 10
    """Failed authentications with one key from one address after which the next ones are slowed; 0: never."""

    registry_policy_scope: str = "V2"
    """``V1``: registry policies decide about replication, caching and creation alone, as in old accounts of ECR."""

    log_level: str = "info"
    """``debug``, ``info``, ``warning`` or ``error``."""

    last_used_seconds: int = 60
    """Seconds between two writings of when keys were last used and images last pulled."""

    audit: str | None = None
    """File of the audit trail (JSON lines), or ``-`` for standard output; without it there is no trail."""

    log_requests: bool = False
    """Log a line for each request."""

    metrics: str = "127.0.0.0/8,::1"
    """Addresses and networks, with commas between, that may read ``/metrics``; empty for nobody."""

    upload_expiry_hours: int = 24
    """Hours after which an upload that nobody continued is forgotten."""

    repositories_per_registry: int = 100_000
    """How many repositories each account may have in each region; 0 for no limit. As ECR's default."""

    images_per_repository: int = 100_000
    """How many images a repository may have; 0 for no limit. As ECR's default."""

    tags_per_image: int = 1000
    """How many tags an image may have; 0 for no limit. As ECR's default."""

    bytes_per_repository: int = 0
    """How many bytes a repository may hold, layers and manifests; 0 for no limit."""

    bytes_per_account: int = 0
    """How many bytes the repositories of an account may hold together; 0 for no limit."""

    rate_limits: str = ""
    """
    Requests a second that a caller may make, by worker: ``ecr`` for ECR's rates, ``PutImage=50``, ``*=100`` for
    all other operations, with commas between. Empty for no limits.
    """

    jobs: bool = True
    """Run the registry's own work (expired uploads and the like) in the background. Any node may, one should."""

    jobs_poll_seconds: int = 5
    """About how often a worker looks for jobs that are due, in seconds."""

    gc_grace_minutes: int = 24 * 60
    """Minutes that a layer may wait in a repository for the image that needs it."""

    gc_pace: int = 25
    """
    Percent of their time in which garbage collection and lifecycle runs work.

    In the rest of it, others find disk and database free. A server that alone has its database does not rest while
    nobody asks it anything.
    """

    undelete_hours: int = 24
    """Hours in which a deleted image can be restored. Its layers are kept, and count, as long; 0 keeps nothing."""

    min_free_mib: int = 512
    """MiB that stay free on the disks of layers and database: with less, what takes space is refused. 0: nothing is."""

    verify_interval_days: int = 0
    """Days between two verifications of all stored bytes (the job ``verify``); 0: only when it is asked for."""

    verify_mib_per_second: int = 50
    """MiB a second that a verification reads at most; 0 for no limit."""

    lifecycle_interval_minutes: int = 60
    """Minutes between two runs of a repository's lifecycle policy. A new policy is first run after five, or sooner."""

    def __post_init__(self) -> None:
        """Refuse what cannot work, naming the setting."""
        checks = {
            "account_id must be twelve digits": is_registry_id(self.account_id),
            "region must look like us-east-1": is_region(self.region),
            "port must be between 1 and 65535": 1 <= self.port <= 65535,  # noqa: PLR2004 (TCP)
            "workers must be at least 1": self.workers >= 1,
            "last_used_seconds must be at least 1": self.last_used_seconds >= 1,
            "database_pool must be at least 1": self.database_pool >= 1,
            "database_wait_seconds must be at least 1": self.database_wait_seconds >= 1,
            "database_timeout_seconds must be at least 3": self.database_timeout_seconds >= _SHORTEST_TIMEOUT,
            "upload_expiry_hours must be at least 1": self.upload_expiry_hours >= 1,
            "gc_grace_minutes must be at least 1": self.gc_grace_minutes >= 1,
            "gc_pace must be between 1 and 100": 1 <= self.gc_pace <= 100,  # noqa: PLR2004 (percent)
            "undelete_hours must be 0 or more": self.undelete_hours >= 0,
            "min_free_mib must be 0 or more": self.min_free_mib >= 0,
            "verify_interval_days must be 0 or more": self.verify_interval_days >= 0,
            "verify_mib_per_second must be 0 or more": self.verify_mib_per_second >= 0,
            "lifecycle_interval_minutes must be at least 1": self.lifecycle_interval_minutes >= 1,
            "limits must not be negative": self._smallest_limit >= 0,
            "jobs_poll_seconds must be at least 1": self.jobs_poll_seconds >= 1,
            "log_level must be debug, info, warning or error": self.log_level in {"debug", "info", "warning", "error"},
            "dev accepts any credentials, so host must be a loopback address": not self.dev or self.host in LOOPBACK,
            "domain must be a host name in lower case": self.domain is None or _DOMAIN_RE.fullmatch(self.domain),
            "public_url must begin with http:// or https://": self.public_url is None
            or self.public_url.startswith(("http://", "https://")),
            "tls_cert and tls_key go together": (self.tls_cert is None) == (self.tls_key is None),
            "failed_attempts must not be negative": self.failed_attempts >= 0,
            "registry_policy_scope must be V1 or V2": self.registry_policy_scope in {"V1", "V2"},
            "blob_delivery must be redirect or proxy": self.blob_delivery in {"redirect", "proxy"},
            "tls must be self-signed": self.tls in {None, SELF_SIGNED},
            "tls and tls_cert exclude each other": self.tls is None or self.tls_cert is None,
        }
        for problem, fine in checks.items():
            if not fine:
                raise SettingsError(problem)
        _ = self.proxies, self.metrics_readers, self.rates

    @classmethod
    def load(
        cls,
        given: Mapping[str, Any],
        environ: Mapping[str, str] | None = None,
        file: Path | None = None,
        defaults: Mapping[str, Any] | None = None,
    ) -> Self:
        """
        Gather settings from flags (``given``; None means not given), environment, TOML file and other ``defaults``.

        Raises `SettingsError` for an unknown name or an unusable value.
        """
        environ = os.environ if environ is None else environ
        values: dict[str, Any] = dict(defaults or {})
        names = {field.name: field for field in dataclasses.fields(cls)}
        if unknown := sorted(set(given) - set(names)):
            raise SettingsError(f"unknown settings: {', '.join(unknown)}")
        if file is not None:
            table = tomllib.loads(file.read_text())
            if unknown := sorted(set(table) - set(names)):
                raise SettingsError(f"{file}: unknown settings: {', '.join(unknown)}")
            values.update(table)
        values.update({name: environ[key] for name in names if (key := variable(name)) in environ})
        values.update({name: value for name, value in given.items() if value is not None})
        return cls(**{name: _convert(names[name], value) for name, value in values.items()})

    @property
    def database_is_shared(self) -> bool:
        """Whether other nodes may be at work on the same database: it is not a file beside this one."""
        return self.database is not None and not self.database.startswith("sqlite")

    @property
    def _smallest_limit(self) -> int:
        counts = min(self.repositories_per_registry, self.images_per_repository, self.tags_per_image)
        return min(counts, self.bytes_per_repository, self.bytes_per_account)

    @property
    def base_url(self) -> str:
        """The address that clients are told: scheme, host and port, no trailing slash."""
        scheme = "https" if self.serves_tls else "http"
        return (self.public_url or f"{scheme}://localhost:{self.port}").rstrip("/")

    @property
    def serves_tls(self) -> bool:
        """Whether the server itself speaks TLS."""
        return self.tls is not None or self.tls_cert is not None

    @property
    def proxies(self) -> tuple[Network, ...]:
        """The networks of ``trusted_proxies``."""
        return _networks("trusted_proxies", self.trusted_proxies)

    @property
    def metrics_readers(self) -> tuple[Network, ...]:
        """The networks of ``metrics``."""
        return _networks("metrics", self.metrics)

    @property
    def rates(self) -> dict[str, float]:
        """The requests a second of ``rate_limits``, by operation."""
        try:
            return rates.parse(self.rate_limits)
        except ValueError as problem:
            raise SettingsError(f"rate_limits: {problem}") from None

    @property
    def creates_on_push(self) -> bool:
        """Whether a push may create its repository."""
        return self.create_on_push or self.dev

    def registry_host(self, registry_id: str, region: str) -> str:
        """Return the host (and port) that docker clients use for one registry."""
        host = self.base_url.partition("://")[2]
        if self.domain is None:
            return host
        _, colon, port = host.rpartition(":")
        return f"{registry_id}.dkr.ecr.{region}.{self.domain}" + (f":{port}" if colon and port.isdigit() else "")

    def registry_of_host(self, host: str) -> tuple[str, str] | None:
        """Return the account and region that a host name of the installation's domain means, None for any other."""
        bare, suffix = host.lower().partition(":")[0], f".{self.domain}"
        labels = bare.removesuffix(suffix).split(".")
        if self.domain is None or not bare.endswith(suffix) or labels[1:3] != ["dkr", "ecr"] or len(labels) != _LABELS:
            return None
        account, region = labels[0], labels[3]
        return (account, region) if is_registry_id(account) and is_region(region) else None

    def registry_url(self, registry_id: str, region: str) -> str:
        """Return the ``proxyEndpoint`` of one registry."""
        return f"{self.base_url.partition('://')[0]}://{self.registry_host(registry_id, region)}"


@lru_cache(maxsize=16)
def _networks(name: str, text: str) -> tuple[Network, ...]:
    try:
        return tuple(ip_network(one.strip()) for one in text.split(",") if one.strip())
    except ValueError as problem:
        raise SettingsError(f"{name}: {problem}") from None


def default_data() -> Path:
    """Return the data folder of this user (XDG base directories), the same from wherever a command is run."""
    home = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(home) / "moorage"


def variable(name: str) -> str:
    """Return the environment variable of a setting."""
    return f"MOORAGE_{name.upper()}"


_BOOLS = dict.fromkeys(("1", "true", "yes", "on"), True) | dict.fromkeys(("0", "false", "no", "off", ""), False)


def _convert(field: dataclasses.Field[Any], value: Any) -> Any:
    """Return a value as its setting's type: from text, which is all that an environment has, or as TOML types it."""
    kind = str(field.type)
    try:
        if kind.startswith("Path"):
            return Path(value)
        if kind == "int" and isinstance(value, str):
            return int(value)
        if kind == "bool" and isinstance(value, str):
            return _BOOLS[value.lower()]
    except (KeyError, TypeError, ValueError):
        raise SettingsError(f"{field.name}: {value!r} is not a usable value") from None
    if type(value) is not {"int": int, "bool": bool}.get(kind, str):
        raise SettingsError(f"{field.name}: {value!r} is not a usable value")
    return value

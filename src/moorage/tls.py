"""The certificate that the server shows: given by files, or made by the installation's own authority."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NoReturn

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from moorage import authority, logs
from moorage.config import Settings, SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

_LOOK: Final = 5.0
"""Seconds between two looks at the files."""
_CURVES: Final = (ec.SECP256R1, ec.SECP384R1)
"""What Granian's TLS signs with (rustls with ring); a worker with another key would not start."""
_RSA_BITS: Final = 2048


@dataclass(frozen=True, slots=True)
class Checked:
    """What the files of a certificate held when they were found to be good."""

    chain: bytes
    key: bytes
    ends: datetime


@dataclass(slots=True)
class Certificate:
    """The files of the certificate that a server shows, with its chain, and of its key."""

    file: Path
    key: Path
    own: Settings | None = None
    """The installation whose authority made it, where one did."""
    _checked: object = None
    """What the files were when they were last checked."""

    def check(self, now: datetime | None = None) -> Checked:
        """
        Return what the files hold, warning if the certificate is not valid now.

        Raises `SettingsError` if a file cannot be read, is not what it should be, or
        the two do not belong together.
        """
        self._checked = self._state()
        chain, sealed = _read("tls_cert", self.file), _read("tls_key", self.key)
        certificate = _certificate(self.file, chain)
        if _key(self.key, sealed).public_key() != certificate.public_key():
            raise SettingsError(f"tls_key: {self.key} is not the key of the first certificate in {self.file}")
        now, begins, ends = now or datetime.now(UTC), certificate.not_valid_before_utc, certificate.not_valid_after_utc
        if not begins <= now <= ends:
            period = {"begins": begins.isoformat(), "ends": ends.isoformat()}
            logs.warning("tls_certificate_not_valid_now", file=str(self.file), **period)
        return Checked(chain, sealed, ends)

    @property
    def ca(self) -> Path | None:
        """The file of the CA that clients must be made to trust, where it is the installation's own."""
        return authority.ca_file(self.own.data).resolve() if self.own else None

    def trust(self) -> str | None:
        """Return how clients are made to trust the CA, None where that is not our affair."""
        return _trust(self.ca, self.own.base_url.partition("://")[2]) if self.own and self.ca else None

    def watch(self, reload: Callable[[], None]) -> NoReturn:
        """
        Renew a certificate of our own in time, and call ``reload``, which checks, whenever the files have changed.

        Never returns: for a thread.
        """
        while True:
            time.sleep(_LOOK)
            self.renew()
            if self._state() != self._checked:
                reload()

    def renew(self, now: datetime | None = None) -> None:
        """Renew a certificate of our own where it is time to; one that cannot be renewed goes on being shown."""
        try:
            if self.own is not None and authority.is_due(self.own.data, now):
                authority.ensure(self.own, now)
        except (OSError, SettingsError) as problem:
            logs.warning("tls_certificate_not_renewed", reason=str(problem))

    def _state(self) -> tuple[object, ...]:
        """Return what differs after either file has been replaced."""
        return (_stat(self.file), _stat(self.key))


def prepare(settings: Settings) -> Certificate | None:
    """
    Return the certificate to serve with, made where it is ours to make; None for a server without TLS.

    Raises `SettingsError` if it will not serve.
    """
    if settings.tls is not None:
        if authority.ensure(settings):
            logs.warning("tls_ca_made", file=str(authority.ca_file(settings.data)))
        made = authority.server_file(settings.data)
        certificate = Certificate(made, made, own=settings)
    elif settings.tls_cert is not None and settings.tls_key is not None:
        certificate = Certificate(settings.tls_cert, settings.tls_key)
    else:
        return None
    certificate.check()
    return certificate


def _trust(ca: Path, host: str) -> str:
    return f"""\
Its certificate is signed by a CA of its own, {ca}. To trust it:
  docker            install -D -m 644 {ca} /etc/docker/certs.d/{host}/ca.crt
  podman, skopeo    install -D -m 644 {ca} /etc/containers/certs.d/{host}/ca.crt
                    (or --cert-dir {ca.parent})
  containerd        in /etc/containerd/certs.d/{host}/hosts.toml:
                    [host."https://{host}"]
                      ca = "{ca}"
  AWS CLI and SDKs  export AWS_CA_BUNDLE={ca} (moorage env does)
  curl              --cacert {ca}"""


def _stat(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_ino, found.st_mtime_ns, found.st_size)


def _read(setting: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as problem:
        raise SettingsError(f"{setting}: cannot read {path}: {problem.strerror}") from None


def _certificate(path: Path, data: bytes) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificates(data)[0]
    except ValueError:
        raise SettingsError(f"tls_cert: {path} holds no certificate in PEM form") from None


def _key(path: Path, data: bytes) -> PrivateKeyTypes:
    try:
        key = serialization.load_pem_private_key(data, None)
    except TypeError:
        raise SettingsError(f"tls_key: {path} wants a passphrase; give a key without one") from None
    except (ValueError, UnsupportedAlgorithm):
        raise SettingsError(f"tls_key: {path} holds no private key in PEM form") from None
    if not _is_served(key):
        raise SettingsError(f"tls_key: {path} must be of RSA (2048 bits or more), ECDSA (P-256, P-384) or Ed25519")
    return key


def _is_served(key: PrivateKeyTypes) -> bool:
    match key:
        case rsa.RSAPrivateKey():
            return key.key_size >= _RSA_BITS
        case ec.EllipticCurvePrivateKey():
            return isinstance(key.curve, _CURVES)
        case _:
            return isinstance(key, ed25519.Ed25519PrivateKey)

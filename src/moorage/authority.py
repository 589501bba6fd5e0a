"""
A certificate authority of the installation's own, for ``--tls self-signed``.

It lives in the data folder and signs one server certificate. Its name
constraints (RFC 5280, 4.2.1.10) hold it to the names of this installation:
who trusts it trusts it for this registry, and for nothing else.
"""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from moorage import installation, keyfile
from moorage.config import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from moorage.config import Settings

_CA_LIFETIME: Final = timedelta(days=3653)
_LIFETIME: Final = timedelta(days=397)
"""What clients take at most: 398 days (CA/Browser Forum, baseline requirements 6.3.2)."""
_RENEWAL: Final = timedelta(days=30)
_SKEW: Final = timedelta(hours=1)
"""A client's clock may be behind ours."""
_LOOPBACK: Final = ("127.0.0.1", "::1")
_UNSPECIFIED: Final = ("0.0.0.0", "::")  # noqa: S104 (compared, not bound)
_HOST_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,62}")

Name = x509.DNSName | x509.IPAddress


@dataclass(frozen=True, slots=True)
class Signer:
    """A CA's certificate and key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def folder(data: Path) -> Path:
    """Return where it all is: also what skopeo and podman take as ``--cert-dir``."""
    return data / "tls"


def ca_file(data: Path) -> Path:
    """Return the file of the CA's certificate, which clients trust."""
    return folder(data) / "ca.crt"


def server_file(data: Path) -> Path:
    """Return the file of the server's certificate and key, in one so that they change together."""
    return folder(data) / "server.pem"


def ensure(settings: Settings, now: datetime | None = None) -> bool:
    """
    See that there is a certificate for the installation's names that lasts a while; tell whether the CA is a new one.

    The CA is kept as long as it lasts and its constraints allow the names.
    Raises `SettingsError` if its files cannot be read: making another one
    unasked would leave clients with a CA that signs nothing any more.
    """
    now = now or datetime.now(UTC)
    data = settings.data
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder(data).mkdir(mode=0o700, exist_ok=True)
    with installation.locked(data):
        signer = _read_signer(data)
        renewed = signer is None or _ends_soon(signer.certificate, now) or not _allows(signer, required(settings))
        if signer is None or renewed:
            signer = _make_signer(settings, now)
        wanted = [name for name in names(settings) if _allows(signer, [name])]
        if renewed or not _serves(data, signer, wanted, now):
            _issue(data, signer, wanted, now)
    return renewed


def is_due(data: Path, now: datetime | None = None) -> bool:
    """Whether the server's certificate should be renewed."""
    certificate = _read_certificate(server_file(data))
    return certificate is None or _ends_soon(certificate, now or datetime.now(UTC))


def required(settings: Settings) -> list[Name]:
    """Return the names that settings ask for; the CA must be able to sign them."""
    found = ["localhost", "*.localhost", *_LOOPBACK]
    if settings.host not in _UNSPECIFIED:
        found.append(settings.host)
    if settings.public_url is not None:
        found.append(urlsplit(settings.public_url).hostname or "localhost")
    if settings.domain is not None:
        found.append(f"*.dkr.ecr.{settings.region}.{settings.domain}")
    return list(dict.fromkeys(map(_name, found)))


def names(settings: Settings) -> list[Name]:
    """Return all names of the server: those that are required, and what the machine calls itself today."""
    own = socket.gethostname()
    return list(dict.fromkeys([*required(settings), *([_name(own)] if _HOST_NAME.fullmatch(own) else [])]))


def _name(text: str) -> Name:
    try:
        return x509.IPAddress(ip_address(text))
    except ValueError:
        pass
    try:
        return x509.DNSName(text.lower() if text.isascii() else text.encode("idna").decode())
    except ValueError as problem:
        raise SettingsError(f"tls: {text!r} cannot be in a certificate: {problem}") from None


def _permitted(settings: Settings) -> list[Name]:
    """Return the constraints of a new CA: the names themselves, whole for a wildcard, and all loopback addresses."""
    found: list[Name] = [x509.IPAddress(ip_network("127.0.0.0/8"))]
    for name in names(settings):
        if isinstance(name, x509.IPAddress):
            if not name.value.is_loopback or name.value.version == 6:  # noqa: PLR2004 (IP's versions)
                found.append(x509.IPAddress(ip_network(str(name.value))))
        elif name.value.endswith(f".{settings.domain}"):
            found.append(x509.DNSName(str(settings.domain)))
        else:
            found.append(x509.DNSName(name.value.removeprefix("*.")))
    return list(dict.fromkeys(found))


def _allows(signer: Signer, wanted: Iterable[Name]) -> bool:
    """Whether the CA's name constraints allow all the names."""
    permitted = signer.certificate.extensions.get_extension_for_class(x509.NameConstraints).value.permitted_subtrees
    return all(any(_within(name, one) for one in permitted or ()) for name in wanted)


def _within(name: Name, subtree: x509.GeneralName) -> bool:
    if isinstance(name, x509.IPAddress):
        alike = isinstance(subtree, x509.IPAddress) and isinstance(name.value, IPv4Address | IPv6Address)
        return alike and name.value in subtree.value
    bare = name.value.removeprefix("*.")
    return isinstance(subtree, x509.DNSName) and (bare == subtree.value or bare.endswith(f".{subtree.value}"))


def _ends_soon(certificate: x509.Certificate, now: datetime) -> bool:
    return certificate.not_valid_after_utc - now < _RENEWAL


def _serves(data: Path, signer: Signer, wanted: list[Name], now: datetime) -> bool:
    """Whether the server's certificate is the CA's, for these names, and good for a while."""
    certificate = _read_certificate(server_file(data))
    if certificate is None or _ends_soon(certificate, now):
        return False
    present = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return certificate.issuer == signer.certificate.subject and set(present) == set(wanted)


def _read_certificate(path: Path) -> x509.Certificate | None:
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return None


def _read_signer(data: Path) -> Signer | None:
    key_file = folder(data) / "ca-key.pem"
    if not key_file.exists() or not ca_file(data).exists():
        return None
    try:
        certificate = x509.load_pem_x509_certificate(ca_file(data).read_bytes())
        key = serialization.load_pem_private_key(key_file.read_bytes(), None)
    except (OSError, ValueError) as problem:
        raise SettingsError(
            f"tls: the CA in {folder(data)} cannot be read ({problem}); remove it for a new one"
        ) from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        raise SettingsError(f"tls: certificate and key of the CA in {folder(data)} differ; remove both for a new CA")
    return Signer(certificate, key)


def _subject(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _make_signer(settings: Settings, now: datetime) -> Signer:
    key, serial = ec.generate_private_key(ec.SECP256R1()), x509.random_serial_number()
    subject = _subject(f"Moorage CA {serial:x}"[:24])
    builder = (
        _builder(subject, subject, key.public_key(), key.public_key(), now)
        .serial_number(serial)
        .not_valid_after(now + _CA_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(sign_certificates=True), critical=True)
        .add_extension(x509.NameConstraints(_permitted(settings), None), critical=True)
    )
    signer = Signer(builder.sign(key, hashes.SHA256()), key)
    # The key first: a certificate without a key would look like a CA.
    ca_file(settings.data).unlink(missing_ok=True)
    keyfile.write_private(folder(settings.data) / "ca-key.pem", _pem(key))
    keyfile.write_private(ca_file(settings.data), _pem(signer.certificate))
    ca_file(settings.data).chmod(0o644)
    return signer


def _issue(data: Path, signer: Signer, wanted: list[Name], now: datetime) -> None:
    """Write a new server certificate, with a new key."""
    key, issuer = ec.generate_private_key(ec.SECP256R1()), signer.certificate
    builder = (
        _builder(_subject("Moorage"), issuer.subject, key.public_key(), signer.key.public_key(), now)
        .serial_number(x509.random_serial_number())
        .not_valid_after(min(now + _LIFETIME, issuer.not_valid_after_utc))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(sign_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(wanted), critical=False)
    )
    certificate = builder.sign(signer.key, hashes.SHA256())
    keyfile.write_private(server_file(data), _pem(certificate) + _pem(key))


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    issuer_key: ec.EllipticCurvePublicKey,
    now: datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .not_valid_before(now - _SKEW)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key), critical=False)
    )


def _usage(*, sign_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not sign_certificates,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(item: x509.Certificate | ec.EllipticCurvePrivateKey) -> str:
    encoding = serialization.Encoding.PEM
    if isinstance(item, x509.Certificate):
        return item.public_bytes(encoding).decode()
    return item.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()

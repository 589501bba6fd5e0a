"""Certificates of a small authority of the tests' own, and what a server shows to those who connect."""

from __future__ import annotations

import ipaddress
import socket
import ssl
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

    Key = ec.EllipticCurvePrivateKey | RSAPrivateKey | ed25519.Ed25519PrivateKey

NOW = datetime.now(UTC)
PEM = serialization.Encoding.PEM


def key_text(key: Key, password: bytes | None = None) -> bytes:
    """Return a key as a PEM file holds it."""
    sealed = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, sealed)


def issue(
    folder: Path,
    name: str,
    *,
    ends: datetime | None = None,
    key: Key | None = None,
) -> tuple[Path, Path]:
    """Write a certificate for localhost that is its own authority, and its key; return both files."""
    key, ends = key or ec.generate_private_key(ec.SECP256R1()), ends or NOW + timedelta(days=90)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(min(NOW, ends) - timedelta(days=1))
        .not_valid_after(ends)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256())
    )
    files = folder / f"{name}.crt", folder / f"{name}.key"
    files[0].write_bytes(certificate.public_bytes(PEM))
    files[1].write_bytes(key_text(key))
    return files


def shown(port: int) -> bytes:
    """Return the certificate (DER) that a new connection is shown."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with (
        socket.create_connection(("127.0.0.1", port), timeout=60) as plain,
        context.wrap_socket(plain) as secured,
    ):
        der = secured.getpeercert(binary_form=True)
    assert der is not None
    return der


def der(file: Path) -> bytes:
    """Return the first certificate of a PEM file as connections show it."""
    return x509.load_pem_x509_certificate(file.read_bytes()).public_bytes(serialization.Encoding.DER)


def until(happened: Callable[[], bool]) -> None:
    """Ask again and again until it has happened; a connection that ends with its worker is asked again too."""
    deadline = time.monotonic() + 60
    while True:
        try:
            if happened():
                return
        except OSError:
            pass
        assert time.monotonic() < deadline, f"{happened} never came true"

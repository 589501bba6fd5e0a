"""The files of a certificate: what is wrong with them is said before anything is served."""

from __future__ import annotations

import subprocess
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from moorage import tls
from moorage.config import Settings, SettingsError
from tests import servers
from tests.servers import MOORAGE, clean_environment
from tests.tls import pki

if TYPE_CHECKING:
    from pathlib import Path

WEAK = rsa.generate_private_key(65537, 1024)  # noqa: S505 (so that it is refused)


def refusal(**given: Any) -> str:
    """Return why settings, or the files that they name, are refused."""
    with pytest.raises(SettingsError) as refused:
        tls.prepare(Settings(**given))
    return str(refused.value)


def test_one_without_the_other_is_refused(tmp_path: Path) -> None:
    """A certificate without a key, or a key without a certificate, is refused."""
    assert refusal(tls_cert=tmp_path) == refusal(tls_key=tmp_path) == "tls_cert and tls_key go together"


def test_both_ways_at_once_are_refused(tmp_path: Path) -> None:
    """A certificate beside ``--tls self-signed`` is refused."""
    assert refusal(tls_cert=tmp_path, tls_key=tmp_path, tls="self-signed") == "tls and tls_cert exclude each other"


def test_another_word_is_refused() -> None:
    """There is one word for ``--tls``."""
    assert refusal(tls="on") == "tls must be self-signed"


def test_files_come_from_the_environment(tmp_path: Path) -> None:
    """The variables are named as all settings' are."""
    loaded = Settings.load({}, {"MOORAGE_TLS_CERT": str(tmp_path / "c"), "MOORAGE_TLS_KEY": str(tmp_path / "k")})
    assert (loaded.tls_cert, loaded.tls_key) == (tmp_path / "c", tmp_path / "k")


def test_with_tls_the_address_is_https() -> None:
    """The address that clients are told begins with https."""
    assert Settings(tls="self-signed", port=5443).base_url == "https://localhost:5443"


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """A file that cannot be read is refused with its name and the reason."""
    certificate, key = pki.issue(tmp_path, "one")
    absent = tmp_path / "absent"
    reason = "No such file or directory"
    assert refusal(tls_cert=absent, tls_key=key) == f"tls_cert: cannot read {absent}: {reason}"
    assert refusal(tls_cert=certificate, tls_key=absent) == f"tls_key: cannot read {absent}: {reason}"


def test_what_is_not_pem_is_refused(tmp_path: Path) -> None:
    """A file that holds something else is refused."""
    certificate, key = pki.issue(tmp_path, "one")
    assert "holds no certificate" in refusal(tls_cert=key, tls_key=key)
    assert "holds no private key" in refusal(tls_cert=certificate, tls_key=certificate)


def test_the_key_of_another_is_refused(tmp_path: Path) -> None:
    """A key that is not the certificate's is refused."""
    (certificate, _), (_, key) = pki.issue(tmp_path, "one"), pki.issue(tmp_path, "two")
    assert "is not the key of" in refusal(tls_cert=certificate, tls_key=key)


def test_a_key_with_a_passphrase_is_refused(tmp_path: Path) -> None:
    """A key that asks for a passphrase is refused: nobody will be there to type it."""
    private = ec.generate_private_key(ec.SECP256R1())
    certificate, key = pki.issue(tmp_path, "one", key=private)
    key.write_bytes(pki.key_text(private, b"secret"))
    assert "passphrase" in refusal(tls_cert=certificate, tls_key=key)


@pytest.mark.parametrize("weak", [WEAK, ec.generate_private_key(ec.SECP521R1())])
def test_a_key_that_cannot_serve_is_refused(tmp_path: Path, weak: Any) -> None:
    """A key of a kind that the TLS library does not serve with is refused."""
    certificate, key = pki.issue(tmp_path, "one", key=weak)
    assert "must be of RSA" in refusal(tls_cert=certificate, tls_key=key)


@pytest.mark.parametrize(
    "strong",
    [
        rsa.generate_private_key(65537, 2048),
        ec.generate_private_key(ec.SECP384R1()),
        ed25519.Ed25519PrivateKey.generate(),
    ],
    ids=["rsa", "p-384", "ed25519"],
)
def test_the_keys_that_are_allowed_serve(tmp_path: Path, strong: Any) -> None:
    """Every kind of key that is allowed is one that the server shows a certificate with."""
    certificate, key = pki.issue(tmp_path, "one", key=strong)
    flags = "--tls-cert", str(certificate), "--tls-key", str(key)
    with servers.running(tmp_path / "data", *flags, workers=1) as server:
        assert pki.shown(server.port) == pki.der(certificate)


def test_an_expired_certificate_is_warned_of(tmp_path: Path) -> None:
    """A certificate that has expired is served, with a warning in the log."""
    certificate, key = pki.issue(tmp_path, "old", ends=pki.NOW - timedelta(days=1))
    flags = "--tls-cert", str(certificate), "--tls-key", str(key)
    with servers.running(tmp_path / "data", *flags, workers=1) as server:
        assert pki.shown(server.port) == pki.der(certificate)
        pki.until(lambda: any("tls_certificate_not_valid_now" in line for line in server.log))


def test_serve_ends_with_the_reason(tmp_path: Path) -> None:
    """``moorage serve`` ends with status 2 and the reason before it makes anything."""
    (certificate, _), (_, key) = pki.issue(tmp_path, "one"), pki.issue(tmp_path, "two")
    data, port = tmp_path / "data", str(servers.free_port())
    command = [*MOORAGE, "serve", "--data", str(data), "--port", port]
    command += ["--tls-cert", str(certificate), "--tls-key", str(key)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=clean_environment(), timeout=120)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("moorage: tls_key: ")
    assert not data.exists()

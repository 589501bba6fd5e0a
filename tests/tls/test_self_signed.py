"""The installation's own authority: made once, kept, and held to the installation's names."""

from __future__ import annotations

import socket
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from moorage import authority, tls
from moorage.config import Settings, SettingsError
from tests import servers
from tests.tls import pki

NOW = datetime.now(UTC)


def settings(data: Path, **given: Any) -> Settings:
    """Return settings of an installation with its own authority."""
    return Settings(data=data, tls="self-signed", **given)


def certificate(data: Path) -> x509.Certificate:
    """Return the server's certificate."""
    return x509.load_pem_x509_certificate(authority.server_file(data).read_bytes())


def ca(data: Path) -> bytes:
    """Return the file of the CA."""
    return authority.ca_file(data).read_bytes()


def names(data: Path) -> set[str]:
    """Return the names of the server's certificate."""
    found = certificate(data).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {str(name.value) for name in found}


def is_trusted(data: Path, name: str, serving: Path | None = None) -> bool:
    """Whether a client that trusts the CA goes on when it is shown a certificate for a name."""
    sides = ssl.MemoryBIO(), ssl.MemoryBIO()
    serve, trust = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context(cafile=authority.ca_file(data))
    serve.load_cert_chain(serving or authority.server_file(data))
    client = trust.wrap_bio(sides[0], sides[1], server_hostname=name)
    server = serve.wrap_bio(sides[1], sides[0], server_side=True)
    for _ in range(3):
        for side in (client, server):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLCertVerificationError:
                return False
    return client.version() is not None


def test_a_restart_keeps_everything(tmp_path: Path) -> None:
    """A server that is started again shows the certificate that it had."""
    shown = []
    for _ in range(2):
        with servers.running(tmp_path, "--tls", "self-signed", workers=1) as server:
            shown.append((pki.shown(server.port), ca(tmp_path)))
    assert shown[0] == shown[1]


def test_only_the_owner_reads_the_keys(tmp_path: Path) -> None:
    """The files with keys are their owner's only, and the CA's certificate is everybody's."""
    authority.ensure(settings(tmp_path))
    modes = {file.name: file.stat().st_mode & 0o777 for file in authority.folder(tmp_path).iterdir()}
    assert modes == {"ca-key.pem": 0o600, "ca.crt": 0o644, "server.pem": 0o600}


def test_the_names_are_those_of_the_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The certificate names this machine, the public address, and the registries of the domain."""
    monkeypatch.setattr(socket, "gethostname", lambda: "Harbour")
    given = {"host": "192.0.2.7", "public_url": "https://registry.example:8443", "domain": "ecr.example"}
    authority.ensure(settings(tmp_path, region="eu-west-1", **given))
    local = {"localhost", "*.localhost", "127.0.0.1", "::1", "harbour"}
    assert names(tmp_path) == local | {"192.0.2.7", "registry.example", "*.dkr.ecr.eu-west-1.ecr.example"}
    assert is_trusted(tmp_path, "123456789012.dkr.ecr.eu-west-1.ecr.example")
    assert is_trusted(tmp_path, "192.0.2.7")


def test_it_lasts_as_long_as_clients_allow(tmp_path: Path) -> None:
    """The server's certificate lasts 397 days, and the CA's ten years."""
    authority.ensure(settings(tmp_path), NOW)
    ends = x509.load_pem_x509_certificate(ca(tmp_path)).not_valid_after_utc
    assert (certificate(tmp_path).not_valid_after_utc - NOW + timedelta(seconds=1)).days == 397
    assert (ends - NOW).days in {3652, 3653}


@pytest.mark.parametrize(("days", "renewed"), [(366, False), (368, True), (500, True)])
def test_it_is_renewed_in_time(tmp_path: Path, days: int, renewed: bool) -> None:
    """Thirty days before its end, or later, the certificate is renewed by the same CA."""
    made = settings(tmp_path)
    authority.ensure(made, NOW)
    before = certificate(tmp_path), ca(tmp_path)
    tls.Certificate(authority.server_file(tmp_path), authority.server_file(tmp_path), own=made).renew(
        NOW + timedelta(days=days)
    )
    assert (certificate(tmp_path) != before[0]) is renewed
    assert ca(tmp_path) == before[1]


def test_another_host_name_keeps_the_ca(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that calls itself otherwise today, as every new container does, costs nobody's trust."""
    authority.ensure(settings(tmp_path))
    before = ca(tmp_path)
    monkeypatch.setattr(socket, "gethostname", lambda: "another")
    assert not authority.ensure(settings(tmp_path))
    assert ca(tmp_path) == before
    assert "another" not in names(tmp_path)


def test_another_region_keeps_the_ca(tmp_path: Path) -> None:
    """A new name within the constraints is signed by the same CA."""
    authority.ensure(settings(tmp_path, domain="ecr.example", region="eu-west-1"))
    assert not authority.ensure(settings(tmp_path, domain="ecr.example", region="us-east-1"))
    assert is_trusted(tmp_path, "123456789012.dkr.ecr.us-east-1.ecr.example")


def test_a_name_outside_makes_a_new_ca(tmp_path: Path) -> None:
    """A public address that the CA's constraints do not allow makes a new CA."""
    authority.ensure(settings(tmp_path))
    before = ca(tmp_path)
    assert authority.ensure(settings(tmp_path, public_url="https://registry.example"))
    assert ca(tmp_path) != before
    assert is_trusted(tmp_path, "registry.example")


def test_the_ca_is_good_for_nothing_else(tmp_path: Path) -> None:
    """Clients refuse what the CA's key might sign for a name of somebody else's."""
    authority.ensure(settings(tmp_path))
    signer = authority._read_signer(tmp_path)
    assert signer is not None
    assert is_trusted(tmp_path, "localhost")
    authority._issue(tmp_path, signer, [x509.DNSName("bank.example")], NOW)
    assert not is_trusted(tmp_path, "bank.example")


def test_a_damaged_ca_is_not_replaced_unasked(tmp_path: Path) -> None:
    """A CA that cannot be read is a mistake that the operator hears of."""
    authority.ensure(settings(tmp_path))
    authority.ca_file(tmp_path).write_text("nothing")
    with pytest.raises(SettingsError, match="cannot be read"):
        authority.ensure(settings(tmp_path))


def test_a_ca_with_another_key_is_not_replaced_unasked(tmp_path: Path) -> None:
    """A CA whose key is of another is a mistake that the operator hears of."""
    for name in ("one", "two"):
        authority.ensure(settings(tmp_path / name))
    key = Path("tls", "ca-key.pem")
    (tmp_path / "two" / key).replace(tmp_path / "one" / key)
    with pytest.raises(SettingsError, match="differ"):
        authority.ensure(settings(tmp_path / "one"))


def test_a_damaged_certificate_is_made_again(tmp_path: Path) -> None:
    """The server's own certificate is made again where it cannot be read: nobody trusts it by itself."""
    authority.ensure(settings(tmp_path))
    authority.server_file(tmp_path).write_text("nothing")
    authority.ensure(settings(tmp_path))
    assert is_trusted(tmp_path, "localhost")


def test_the_start_says_how_to_trust_it(tmp_path: Path) -> None:
    """After the ready line comes, for each client, how it is made to trust the CA."""
    made = settings(tmp_path, port=5443)
    certificate = tls.prepare(made)
    assert certificate is not None
    said = certificate.trust() or ""
    file = authority.ca_file(tmp_path)
    for words in (
        f"{file} /etc/docker/certs.d/localhost:5443/ca.crt",
        f"{file} /etc/containers/certs.d/localhost:5443/ca.crt",
        f"--cert-dir {file.parent}",
        "/etc/containerd/certs.d/localhost:5443/hosts.toml",
        f'ca = "{file}"',
        f"AWS_CA_BUNDLE={file}",
        f"--cacert {file}",
    ):
        assert words in said

"""What is made once for an installation: its master key, its tables, its root access key."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa
from cryptography.exceptions import InvalidTag

from moorage import migrations
from moorage.config import SettingsError
from moorage.registry.identities import AccessKey, new_access_key, store_key
from moorage.registry.secrets import KEY_BYTES, decode_key, encode_key
from moorage.registry.tables import access_keys

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from moorage.registry.core import Registry

MASTER_KEY_VARIABLE: Final = "MOORAGE_MASTER_KEY"


@contextmanager
def locked(data: Path) -> Iterator[None]:
    """Let one process at a time prepare the data folder."""
    with (data / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def ensure_master_key(data: Path) -> None:
    """Make a master key, unless there is one in its file or in the environment."""
    if MASTER_KEY_VARIABLE not in os.environ and not (data / "master.key").exists():
        write_private(data / "master.key", encode_key(secrets.token_bytes(KEY_BYTES)) + "\n")


def master_key(data: Path) -> bytes:
    """Return the master key: from ``MOORAGE_MASTER_KEY``, else from its file; raises `SettingsError`."""
    text, source = os.environ.get(MASTER_KEY_VARIABLE), MASTER_KEY_VARIABLE
    if text is None:
        source = str(data / "master.key")
        text = (data / "master.key").read_text()
    try:
        return decode_key(text)
    except ValueError:
        raise SettingsError(f"{source} must hold the base64 of {KEY_BYTES} bytes") from None


def migrate(engine: sa.Engine) -> None:
    """Bring the tables to this version's; quick where they are."""
    if migrations.current(engine) != migrations.HEAD:
        migrations.upgrade(engine)


def root_key_file(data: Path, account_id: str) -> Path:
    """Return the file of an account's root access key."""
    return data / f"root-access-key-{account_id}.json"


def read_root_key(data: Path, account_id: str) -> AccessKey | None:
    """Return the account's root access key, None before the first start."""
    try:
        return AccessKey(**json.loads(root_key_file(data, account_id).read_text()))
    except FileNotFoundError:
        return None


def ensure_root_key(registry: Registry) -> None:
    """
    Make the root access key of the installation's account, stored readable by its owner only.

    Raises `SettingsError` if the master key is not the one that the keys here are sealed with.
    """
    account_id, data = registry.settings.account_id, registry.settings.data
    key = read_root_key(data, account_id) or new_access_key(account_id)
    with registry.database.write() as tx:
        _check_master_key(registry, tx)
        if tx.execute(sa.select(access_keys.c.id).where(access_keys.c.id == key.access_key_id)).first():
            return
        # The file first: a key that nobody knows would be of no use.
        write_private(root_key_file(data, account_id), json.dumps(asdict(key), indent=2) + "\n")
        store_key(tx, registry.keyring, key, user=None, now=registry.clock())


def _check_master_key(registry: Registry, tx: sa.Connection) -> None:
    sealed = tx.execute(sa.select(access_keys.c.id, access_keys.c.secret).limit(1)).first()
    try:
        if sealed is not None:
            registry.keyring.unseal(sealed.secret, sealed.id)
    except InvalidTag:
        data = registry.settings.data
        raise SettingsError(f"the master key is not the one that the data in {data} was made with") from None


@dataclass(frozen=True, slots=True)
class Address:
    """Where the server of a data folder was last started, and for whom."""

    url: str
    region: str
    account_id: str
    ca: str | None = None
    """File of the CA that clients must trust, where it is one of our own."""


def write_address(data: Path, address: Address) -> None:
    """Note the address for commands that run beside the server."""
    write_private(data / "address.json", json.dumps(asdict(address)) + "\n")


def read_address(data: Path) -> Address | None:
    """Return the address of the last start, None before the first."""
    try:
        return Address(**json.loads((data / "address.json").read_text()))
    except FileNotFoundError:
        return None


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, whole and durable or not at all."""
    temporary = path.with_suffix(".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)

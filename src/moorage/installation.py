"""What is made once for an installation: its master key, its tables, its root access key."""

from __future__ import annotations

import fcntl
import json
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa
from cryptography.exceptions import InvalidTag
from sqlalchemy.exc import DBAPIError

from moorage import keyfile, migrations
from moorage.config import SettingsError
from moorage.keyfile import write_private
from moorage.registry import accounts
from moorage.registry.keys import AccessKey, new_access_key, store
from moorage.registry.rewrap import MASTER_KEY_CHECK
from moorage.registry.secrets import Forged
from moorage.registry.tables import access_keys, facts
from moorage.registry.upsert import insert_if_absent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from moorage.config import Settings
    from moorage.registry.core import Registry


@contextmanager
def locked(data: Path) -> Iterator[None]:
    """Let one process at a time prepare the data folder."""
    with (data / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def migrate(engine: sa.Engine, settings: Settings) -> None:
    """Bring the tables to this version's; quick where they are. Raises `SettingsError` for those of a newer one."""
    found = _tables(engine)
    if found.revision is None:
        migrations.create(engine)
    elif found.is_behind:
        migrations.upgrade(engine)
    elif not found.serves:
        raise SettingsError(_other_tables(found, settings))


def require_tables(engine: sa.Engine, settings: Settings) -> None:
    """Raise `SettingsError` unless this version can work on the tables as they are."""
    found = _tables(engine)
    if not found.serves:
        raise SettingsError(_other_tables(found, settings))


def _other_tables(found: migrations.Found, settings: Settings) -> str:
    # Not the URL, which may hold a password.
    where = "the database" if settings.database is not None else settings.data
    command = "moorage migrate" if settings.database_is_shared else "moorage serve"
    if found.revision is None:
        return f"there is no registry in {where} yet: `{command}` makes its tables"
    problem = f"the tables in {where} are another version's ({found.revision}, not {migrations.HEAD})"
    if not found.is_behind:
        return f"{problem}, with which this one cannot share them"
    return f"{problem}: `{command}` brings them up to date"


def _tables(engine: sa.Engine) -> migrations.Found:
    try:
        return migrations.look(engine)
    except DBAPIError as problem:
        reason = " ".join(str(problem.orig).split())
        raise SettingsError(f"the database cannot be used: {reason}") from None


def require(settings: Settings) -> None:
    """Raise `SettingsError` if nothing was ever started with these settings. Looks at files only."""
    file = settings.data / "moorage.sqlite"
    if settings.database is not None:
        scheme, _, path = settings.database.partition(":///")
        file = Path(path) if scheme == "sqlite" else settings.data
    if not keyfile.is_there(settings) or not file.exists():
        raise SettingsError(f"there is no registry in {settings.data} yet: start it with `moorage serve`")


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
    Make the installation's account and its root access key, stored readable by its owner only.

    Raises `SettingsError` if the master key is not the one that the keys here are sealed with.
    """
    account_id, data = registry.settings.account_id, registry.settings.data
    known = read_root_key(data, account_id)
    key = known or new_access_key(account_id)
    with registry.database.write() as tx:
        _check_master_key(registry, tx)
        accounts.ensure(tx, account_id, registry.clock())
        accounts.require(tx, account_id, lock=True)
        if known is None and registry.settings.database_is_shared and _has_root_key(tx, account_id):
            # Another node made it, and has its file.
            return
        if tx.execute(sa.select(access_keys.c.id).where(access_keys.c.id == key.access_key_id)).first():
            return
        # The file first: a key that nobody knows would be of no use.
        write_private(root_key_file(data, account_id), json.dumps(asdict(key), indent=2) + "\n")
        store(tx, registry.keyring, key, user=None, now=registry.clock())


def _has_root_key(tx: sa.Connection, account_id: str) -> bool:
    of_root = sa.select(access_keys.c.id).where(
        access_keys.c.account_id == account_id, access_keys.c.user_name.is_(None), access_keys.c.active
    )
    return tx.execute(of_root.limit(1)).first() is not None


def _check_master_key(registry: Registry, tx: sa.Connection) -> None:
    """Raise `SettingsError` if other data is sealed with another key. Nodes that start at once pass here in turn."""
    keyring, check = registry.keyring, facts.c.name == MASTER_KEY_CHECK
    sealed = tx.execute(sa.select(access_keys.c.id, access_keys.c.secret).limit(1)).first()
    insert_if_absent(
        tx, facts, {"name": MASTER_KEY_CHECK, "value": keyring.seal_text("the master key", MASTER_KEY_CHECK)}
    )
    try:
        keyring.unseal_text(
            tx.execute(sa.select(facts.c.value).where(check).with_for_update()).scalar_one(), MASTER_KEY_CHECK
        )
        if sealed is not None:
            keyring.unseal(sealed.secret, sealed.id)
    except (InvalidTag, Forged):
        settings = registry.settings
        where = "the database" if settings.database_is_shared else f"the data in {settings.data}"
        raise SettingsError(f"the master key is not the one that {where} was made with") from None


@dataclass(frozen=True, slots=True)
class Address:
    """Where the server of a data folder was last started, and for whom."""

    url: str
    region: str
    account_id: str
    ca: str | None = None
    """File of the CA that clients must trust, where it is one of our own."""
    database: str | None = None
    """The database that it was started with, without the password."""
    audit: str | None = None
    """The file of its audit trail, where it has one."""
    storage: str | None = None
    """Where its layers are, if not in the data folder. A bucket's URL has no secrets in it."""

    @property
    def defaults(self) -> dict[str, str]:
        """The settings that commands beside the server take from it where they are told no others."""
        told = {"database": self.database, "audit": self.audit, "storage": self.storage}
        return {"region": self.region, "account_id": self.account_id} | {k: v for k, v in told.items() if v is not None}


def address_of(settings: Settings, ca: Path | None = None) -> Address:
    """Return the address that settings describe."""
    database = None if settings.database is None else sa.make_url(settings.database).set(password=None)
    return Address(
        settings.base_url,
        settings.region,
        settings.account_id,
        None if ca is None else str(ca),
        None if database is None else database.render_as_string(),
        None if settings.audit in {None, "-"} else str(Path(str(settings.audit)).absolute()),
        _absolute(settings.storage),
    )


def _absolute(storage: str | None) -> str | None:
    return storage if storage is None or "://" in storage else str(Path(storage).absolute())


def write_address(data: Path, address: Address) -> None:
    """Note the address for commands that run beside the server."""
    write_private(data / "address.json", json.dumps(asdict(address)) + "\n")


def read_address(data: Path) -> Address | None:
    """Return the address of the last start, None before the first, or if another version wrote what is not one."""
    try:
        given = json.loads((data / "address.json").read_text())
        return Address(**{field.name: given[field.name] for field in fields(Address) if field.name in given})
    except (FileNotFoundError, NotADirectoryError, ValueError, TypeError):
        return None

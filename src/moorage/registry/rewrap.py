"""Sealing all that is sealed in the database anew, under the master key that is in use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from moorage.registry.tables import access_keys, accounts, facts

if TYPE_CHECKING:
    from moorage.registry.secrets import Keyring
    from moorage.registry.storage import Database

MASTER_KEY_CHECK: Final = "master_key_check"
"""Name of the fact that only the right master key opens."""


def reseal(database: Database, keyring: Keyring) -> int:
    """
    Seal every secret under the key in use, in one transaction; return how many there are.

    Raises ``cryptography.exceptions.InvalidTag`` if one is sealed with a key
    that the keyring has not; then nothing is changed.
    """
    with database.write() as tx:
        # Whoever stores a secret holds one of these. Waiting for it here means
        # that nothing sealed with the key before comes afterwards.
        check = facts.c.name == MASTER_KEY_CHECK
        value = tx.execute(sa.select(facts.c.value).where(check).with_for_update()).scalar()
        tx.execute(sa.select(accounts.c.id).order_by(accounts.c.id).with_for_update()).all()
        if value is not None:
            known = keyring.unseal_text(value, MASTER_KEY_CHECK)
            tx.execute(sa.update(facts).where(check).values(value=keyring.seal_text(known, MASTER_KEY_CHECK)))
        rows = tx.execute(sa.select(access_keys.c.id, access_keys.c.secret)).all()
        sealed = [{"key": row.id, "sealed": keyring.seal(keyring.unseal(row.secret, row.id), row.id)} for row in rows]
        if sealed:
            tx.execute(_SEALED, sealed)
        return len(sealed)


def check(database: Database, keyring: Keyring) -> None:
    """Raise ``cryptography.exceptions.InvalidTag`` if a secret in the database does not open."""
    with database.read() as tx:
        for row in tx.execute(sa.select(access_keys.c.id, access_keys.c.secret)).all():
            keyring.unseal(row.secret, row.id)


_SEALED = sa.update(access_keys).where(access_keys.c.id == sa.bindparam("key")).values(secret=sa.bindparam("sealed"))

"""
SQLite's write-ahead log, after a transaction that has changed much: on the disk, and back into the file.

Both take about as long as the transaction did, and neither needs the turn of a writer: others write meanwhile.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

_PAGE: Final = 4096
PAGES: Final = 32_000
"""How long the log may be before the next writer, whoever that is, writes it back at its commit."""
BYTES: Final = PAGES * _PAGE
_OWN: Final = BYTES // 4 * 3
"""How long it may be before who has made it so long writes it back: so that no other writer has to."""


def settle(database: Path, connection: sqlite3.Connection) -> None:
    """Wait until all that was committed is on the disk, and do not leave a long log to others."""
    with database.with_name(f"{database.name}-wal").open("rb") as log:
        os.fdatasync(log.fileno())
        # The file is as long as the log has ever been since it was cut (see `journal_size_limit`).
        is_long = os.fstat(log.fileno()).st_size > _OWN
    if is_long:
        # PASSIVE waits for nobody, and nobody for it; where another one is at it, it does nothing.
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)").close()

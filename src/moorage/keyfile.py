"""
The master key's file (or variable): one key a line, the one in use first.

A key behind it is one that was in use: everything opens with it still, and
nothing is made with it any more. One with an end (``until=``) stands for what
was handed out before, no longer for what is in the database.
"""

from __future__ import annotations

import os
import re
import secrets
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from moorage import logs
from moorage.config import SettingsError
from moorage.registry.secrets import KEY_BYTES, MasterKey, decode_key, encode_key

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from moorage.config import Settings

VARIABLE: Final = "MOORAGE_MASTER_KEY"
_UNTIL: Final = "until="
_TIME: Final = "%Y-%m-%dT%H:%M:%SZ"
_MAX_BYTES: Final = 4096


def path_of(settings: Settings) -> Path:
    """Return the file of the master key."""
    return settings.master_key_file or settings.data / "master.key"


def is_there(settings: Settings) -> bool:
    """Whether there is a master key, in its file or in the environment."""
    return VARIABLE in os.environ or path_of(settings).exists()


def ensure(settings: Settings) -> None:
    """Make a master key, unless there is one."""
    if not is_there(settings):
        write(path_of(settings), [new_key()])


def new_key() -> MasterKey:
    """Return a new master key."""
    return MasterKey(secrets.token_bytes(KEY_BYTES))


def read(settings: Settings) -> list[MasterKey]:
    """Return the master keys: of ``MOORAGE_MASTER_KEY``, else of the file; raises `SettingsError`."""
    text, source = os.environ.get(VARIABLE), VARIABLE
    try:
        if text is None:
            source = str(path_of(settings))
            with path_of(settings).open(encoding="utf-8") as file:
                text = file.read(_MAX_BYTES)
        return [_parse(line) for line in re.split(r"[\n,]+", text.strip())]
    except ValueError:
        raise SettingsError(f"{source} must hold the base64 of {KEY_BYTES} bytes") from None


def _parse(line: str) -> MasterKey:
    text, _, rest = line.strip().partition(" ")
    if not rest:
        return MasterKey(decode_key(text))
    ends = datetime.strptime(rest.strip().removeprefix(_UNTIL), _TIME).replace(tzinfo=UTC)
    return MasterKey(decode_key(text), ends.timestamp())


def write(path: Path, keys: Sequence[MasterKey]) -> None:
    """Write the file, whole and durable or not at all."""
    lines = []
    for key in keys:
        ends = "" if key.until is None else f" {_UNTIL}{datetime.fromtimestamp(key.until, UTC):{_TIME}}"
        lines.append(f"{encode_key(key.key)}{ends}\n")
    write_private(path, "".join(lines))


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, whole and durable or not at all."""
    temporary = path.with_suffix(".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


class Watched:
    """The keys of a file that may change while a process runs."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._seen = self._look()

    def __call__(self) -> list[MasterKey] | None:
        """Return the keys if the file is another than at the last look, else None. A bad file changes nothing."""
        found = self._look()
        if found is None or found == self._seen:
            return None
        self._seen = found
        try:
            return read(self._settings)
        except (OSError, SettingsError) as problem:
            logs.warning("master_key_not_read", reason=str(problem))
            return None

    def _look(self) -> tuple[int, int, int] | None:
        if VARIABLE in os.environ:
            return None
        try:
            status = path_of(self._settings).stat()
        except OSError:
            return None
        return status.st_ino, status.st_mtime_ns, status.st_size

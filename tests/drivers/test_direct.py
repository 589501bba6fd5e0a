"""Long files written past the cache hold what was written, wherever it began, and where there is no way past too."""

from __future__ import annotations

import errno
import fcntl
import os
from typing import TYPE_CHECKING, Any

import pytest

from moorage.drivers import direct

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

DATA = os.urandom(3 * direct.BLOCK + 4097)


@pytest.fixture
def descriptor(tmp_path: Path) -> Iterator[int]:
    """Give an open file."""
    opened = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT, 0o600)
    yield opened
    os.close(opened)


def write(descriptor: int, before: int, piece: int) -> None:
    """Write the data from an offset on, in pieces, after what comes before it."""
    direct.put(descriptor, DATA[:before], 0)
    blocks = direct.Blocks(descriptor, before)
    for first in range(before, len(DATA), piece):
        blocks.write(DATA[first : first + piece])
    blocks.end()


def content(descriptor: int) -> bytes:
    """Return what the file has."""
    return os.pread(descriptor, 2 * len(DATA), 0)


@pytest.mark.parametrize("piece", [70_001, direct.BLOCK, len(DATA)])
@pytest.mark.parametrize("before", [0, 1, 4095, 4096, 5000, direct.BLOCK + 1])
def test_every_beginning_and_every_length(descriptor: int, before: int, piece: int) -> None:
    """The file is the bytes, and is left as it was opened."""
    flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)

    write(descriptor, before, piece)

    assert content(descriptor) == DATA
    assert fcntl.fcntl(descriptor, fcntl.F_GETFL) == flags


def test_without_a_way_past(descriptor: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system may refuse the flag."""
    monkeypatch.setattr(fcntl, "fcntl", refusing(fcntl.fcntl, lambda _file, command, *_: command == fcntl.F_SETFL))

    write(descriptor, 0, direct.BLOCK)

    assert content(descriptor) == DATA


def test_with_an_idea_of_its_own(descriptor: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system may take the flag and refuse the writes."""
    refused = list[int]()

    def is_direct(file: int, _data: Any, offset: int) -> bool:
        if not fcntl.fcntl(file, fcntl.F_GETFL) & os.O_DIRECT:
            return False
        refused.append(offset)
        return True

    monkeypatch.setattr(os, "pwrite", refusing(os.pwrite, is_direct))

    write(descriptor, 0, direct.BLOCK)

    assert content(descriptor) == DATA
    assert refused == [0, direct.BLOCK, 2 * direct.BLOCK]


def refusing(call: Callable[..., Any], is_refused: Callable[..., bool]) -> Callable[..., Any]:
    """Return a call that a file system refuses where it does not know how."""

    def called(*given: Any) -> Any:
        if is_refused(*given):
            raise OSError(errno.EINVAL, "not here")
        return call(*given)

    return called


def test_a_full_disk_is_not_hidden(descriptor: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what another way of writing mends is tried again, and only the flag that may not be there may fail."""

    def full(*_given: Any) -> int:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(OSError, match="full"):
        direct.Blocks(descriptor, 0).write(DATA)

    monkeypatch.setattr(fcntl, "fcntl", full)
    with pytest.raises(OSError, match="full"):
        direct.Blocks(descriptor, 0).write(DATA)

"""A short range is the same bytes by each of the ways in which they can be read."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from moorage.oci import ranges

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.types import Message, Scope

BODY = bytes(range(256)) * 16


def answered(file: Path, asked: str) -> list[Message]:
    """Return what is sent for a range of a file."""
    headers = {"content-length": str(len(BODY)), "etag": '"x"'}
    response = ranges.RangedResponse(file, headers=headers, stat_result=file.stat())
    scope: Scope = {"type": "http", "method": "GET", "headers": [(b"range", f"bytes={asked}".encode())]}
    sent: list[Message] = []

    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(response(scope, receive, send))
    return sent


@pytest.mark.parametrize("way", ["in memory", "from the disk", "piece by piece"])
@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [("0-0", 0, 0), ("5-99", 5, 99), ("4000-", 4000, 4095), ("-7", 4089, 4095), ("1-9999", 1, 4095)],
)
def test_a_range_is_its_bytes(
    way: str, asked: str, first: int, last: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bytes and headers are the same, whether the system has them in memory, must read them, or they are too many."""
    if way == "from the disk":
        monkeypatch.setattr(ranges, "_in_memory", lambda *_: None)
    if way == "piece by piece":
        monkeypatch.setattr(ranges.RangedResponse, "_send_short", _never)
        monkeypatch.setattr(ranges.RangedResponse, "chunk_size", 64)
    file = tmp_path / "layer"
    file.write_bytes(BODY)
    start, *pieces = answered(file, asked)
    headers = dict(start["headers"])
    assert start["status"] == 206
    assert headers[b"content-range"] == f"bytes {first}-{last}/{len(BODY)}".encode()
    assert headers[b"content-length"] == str(last - first + 1).encode()
    assert b"".join(piece["body"] for piece in pieces) == BODY[first : last + 1]


async def _never(*_: object) -> bool:
    return False

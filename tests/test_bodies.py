"""Request bodies that are taken as a whole: every byte, in its order, no more than may come and than it takes."""

from __future__ import annotations

import asyncio
import tracemalloc
from typing import TYPE_CHECKING

import pytest
from starlette.requests import ClientDisconnect, Request

from moorage import bodies
from moorage.domain.errors import BodyTooLarge

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.types import Message

KIB = 1024


def too_long() -> BodyTooLarge:
    """Make the failure of a body that is longer than it may be."""
    return BodyTooLarge(reason="too long")


def taken(pieces: Iterable[bytes], limit: int, end: str = "http.request") -> bytes:
    """Return a body that comes in these pieces."""
    coming = iter(pieces)

    async def receive() -> Message:
        await asyncio.sleep(0)  # as a message would
        piece = next(coming, None)
        return {"type": end} if piece is None else {"type": "http.request", "body": piece, "more_body": True}

    return asyncio.run(bodies.whole(Request({"type": "http"}, receive), limit, too_long))


@pytest.mark.parametrize(
    "sizes", [[], [0], [7], [1000 * KIB], [1] * 1000, [100 * KIB, 1, 1, 100 * KIB, 0, 1], [1, 90 * KIB]]
)
def test_a_body_is_all_of_its_pieces(sizes: list[int]) -> None:
    """However long they are, and as long as it may be."""
    pieces = [bytes([number % 256]) * size for number, size in enumerate(sizes)]
    assert taken(pieces, sum(sizes)) == b"".join(pieces)


@pytest.mark.parametrize("sizes", [[8], [1] * 8, [4, 4], [90 * KIB]])
def test_a_body_that_is_too_long_is_not_waited_for(sizes: list[int]) -> None:
    """It is refused with the byte that is too much, and what would come then is not asked for."""

    def endless() -> Iterable[bytes]:
        yield from (bytes(size) for size in sizes)
        raise AssertionError("more was asked for")

    with pytest.raises(BodyTooLarge):
        taken(endless(), 7)


def test_a_client_that_goes_away_has_sent_nothing() -> None:
    """Half a body is none."""
    with pytest.raises(ClientDisconnect):
        taken([b"half"], 100, end="http.disconnect")


def test_many_short_pieces_take_no_more_than_a_long_one() -> None:
    """A body of single bytes does not take sixty times its length."""
    length = 40 * KIB
    tracemalloc.start()
    try:
        taken((b"x" for _ in range(length)), length)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 10 * length

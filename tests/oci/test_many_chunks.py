"""Bodies in very many pieces, several at once: read ahead, and still every byte in its place."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tests import content

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.oci.wire import Door

KIB = 1024


def pieces(seed: int, *, count: int, longest: int) -> list[bytes]:
    """Return pieces of a body: most are short, and some are so long that they come in several messages."""
    dice = random.Random(seed)  # noqa: S311 (test data)
    return [dice.randbytes(dice.choice([1, dice.randint(1, 200), dice.randint(1, longest)])) for _ in range(count)]


@pytest.mark.parametrize(
    ("count", "longest"), [(20_000, 64), (2_000, 32 * KIB), (150, 700 * KIB)], ids=["short", "middling", "long"]
)
def test_a_body_in_many_chunks(door: Door, repository: str, count: int, longest: int) -> None:
    """What is pushed in chunks of any lengths, by four clients at once, is stored as it was sent."""

    def pushed(seed: int) -> bool:
        sent = pieces(seed, count=count, longest=longest)
        whole = b"".join(sent)
        upload = door.begin(repository)
        assert door("PATCH", upload, body=_joined(seed, sent)).status == 202
        done = door.finish(upload, content.digest_of(whole))
        return done.status == 201 and door("GET", done.location).data == whole

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(pushed, range(4))) == [True] * 4


def _joined(seed: int, sent: list[bytes]) -> Iterator[bytes]:
    """Yield pieces, some of them joined: what arrives together is up to the network, and to the sender's mood."""
    dice = random.Random(-seed - 1)  # noqa: S311 (as above)
    at = 0
    while at < len(sent):
        together = dice.choice([1, 1, 1, 40])
        yield b"".join(sent[at : at + together])
        at += together

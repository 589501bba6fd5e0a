"""Bodies read ahead, over a ``receive`` that starts when it is called and answers in order, as Granian's does."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections import deque
from typing import TYPE_CHECKING, Any

import pytest

from moorage.readahead import ReadAhead, around

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.types import Message, Receive, Scope, Send

KIB = 1024


def body(*pieces: bytes) -> list[Message]:
    """Return the messages of a body: each piece, and the end."""
    sent: list[Message] = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    return [*sent, {"type": "http.request", "body": b"", "more_body": False}]


class Sender:
    """Has messages arrive, and answers whoever has asked first."""

    def __init__(self, messages: Sequence[Message] = ()) -> None:
        self.asked: list[asyncio.Future[Message]] = []
        self._arrived = deque(messages)

    def receive(self) -> asyncio.Future[Message]:
        """Ask for the next message."""
        self.asked.append(asyncio.get_running_loop().create_future())
        self._answer()
        return self.asked[-1]

    def arrive(self, *messages: Message) -> None:
        """Have more messages arrive."""
        self._arrived.extend(messages)
        self._answer()

    def _answer(self) -> None:
        for future in self.asked:
            if self._arrived and not future.done():
                future.set_result(self._arrived.popleft())

    @property
    def waiting(self) -> int:
        """How many that asked have no answer."""
        return sum(not future.done() for future in self.asked)


async def unsent(_message: Message) -> None:
    """Take the messages of an application that answers nothing."""
    raise AssertionError("nothing is sent")


async def received(ahead: ReadAhead) -> list[bytes]:
    """Return the bodies of all messages up to the last."""
    found, more = list[bytes](), True
    while more:
        message = await ahead()
        assert message["type"] == "http.request"
        found.append(message["body"])
        more = message["more_body"]
    return found


@pytest.mark.parametrize("size", [1, 1000, 32 * KIB, 417 * KIB, 2048 * KIB])
def test_a_body_comes_whole_and_in_order(size: int) -> None:
    """Whatever its messages are like, and in fewer of them where they are short."""
    pieces = [bytes([number % 256]) * size for number in range(60)]

    async def run() -> list[bytes]:
        return await received(ReadAhead(Sender(body(*pieces)).receive, unsent))

    found = asyncio.run(run())

    assert b"".join(found) == b"".join(pieces)
    assert len(found) < 20 or size > 128 * KIB


def test_a_short_body_is_asked_for_once() -> None:
    """One message that says that it is all: nothing is asked for ahead."""

    async def run() -> tuple[Message, int]:
        sender = Sender([{"type": "http.request", "body": b"short", "more_body": False}])
        return await ReadAhead(sender.receive, unsent)(), len(sender.asked)

    assert asyncio.run(run()) == ({"type": "http.request", "body": b"short", "more_body": False}, 1)


@pytest.mark.parametrize(("size", "waiting"), [(1024 * KIB, [1, 2, 2, 2, 2, 2]), (1, [1, 2, 4, 8, 16, 32])])
def test_no_more_is_asked_for_than_is_to_be_held(size: int, waiting: list[int]) -> None:
    """Of long messages two are asked for ahead, of short ones 32 at most, and few at first."""

    async def run() -> list[int]:
        sender, found = Sender(), list[int]()
        ahead = ReadAhead(sender.receive, unsent)
        for _ in waiting:
            # Long ones arrive one by one, short ones as many as are asked for.
            sender.arrive(*body(bytes(size))[:1] * (max(1, sender.waiting) if size == 1 else 1))
            await ahead()
            found.append(sender.waiting)
        return found

    assert asyncio.run(run()) == waiting


def test_a_client_that_goes_away_is_told_of_at_once() -> None:
    """What came before does not count."""

    async def run() -> Message:
        sender = Sender(body(b"first", b"second")[:2])
        ahead = ReadAhead(sender.receive, unsent)
        assert [(await ahead())["body"] for _ in range(2)] == [b"first", b"second"]
        sender.arrive(*body(b"third")[:1], {"type": "http.disconnect"})
        return await ahead()

    assert asyncio.run(run()) == {"type": "http.disconnect"}


def test_what_nobody_wants_is_taken_back() -> None:
    """An application that has answered before the end leaves nothing that waits."""

    async def answers_early(_scope: Scope, receive: Receive, _send: Send) -> None:
        await receive()

    async def run() -> tuple[int, int]:
        sender = Sender(body(b"first")[:1])
        await around(answers_early)({"type": "http", "method": "PUT"}, sender.receive, unsent)
        return len(sender.asked), sender.waiting

    assert asyncio.run(run()) == (2, 0)


def test_requests_without_a_body_are_left_alone() -> None:
    """And so is what is no request."""
    given: list[Receive] = []

    async def noting(_scope: Scope, receive: Receive, _send: Send) -> None:
        given.append(receive)

    async def run() -> Sender:
        sender = Sender()
        for scope in ({"type": "http", "method": "GET"}, {"type": "lifespan"}):
            await around(noting)(scope, sender.receive, unsent)
        return sender

    sender = asyncio.run(run())

    assert given == [sender.receive, sender.receive]


def test_an_exchange_that_has_ended_is_let_go_of() -> None:
    """A failure that is held by its own traceback, and holds the exchange, does not hold what the server gave."""

    async def fails(_scope: Scope, receive: Receive, send: Send) -> None:
        await send(await receive())
        try:
            raise ValueError("too long") from None
        except ValueError as error:
            held.append(error)

    async def run() -> list[object]:
        server = Sender(body(b"first"))
        sent: list[Message] = []

        async def send(message: Message) -> None:
            sent.append(message)

        await around(fails)({"type": "http", "method": "POST"}, server.receive, send)
        assert [message["body"] for message in sent] == [b"first"]
        watched: list[weakref.ref[Any]] = [weakref.ref(server), weakref.ref(send)]
        del server, send
        return [reference() for reference in watched]

    held = list[BaseException]()
    gc.disable()
    try:
        assert asyncio.run(run()) == [None, None]
    finally:
        gc.enable()
    assert held[0].__traceback__ is not None

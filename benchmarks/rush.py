"""
Small requests as fast as one Python process can send them: over so many connections, each waiting for its answer.

The requests are bytes that were made before; of an answer only its status and its end are looked for.
"""

from __future__ import annotations

import contextlib
import re
import select
import socket
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from benchmarks.client import Refused

if TYPE_CHECKING:
    from collections.abc import Sequence

_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CHUNKED: Final = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)
_MOST: Final = 256 * 1024
_PATIENCE: Final = 30.0


@dataclass(slots=True)
class Rush:
    """What came of it."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    """Of each request, in seconds."""

    @property
    def rate(self) -> float:
        """Requests a second."""
        return len(self.latencies) / self.seconds


def complete(data: bytes, *, head: bool) -> bool:
    """Tell whether an answer has come whole."""
    end = data.find(b"\r\n\r\n")
    if end < 0 or head:
        return end >= 0
    if found := _LENGTH.search(data, 0, end + 2):
        return len(data) >= end + 4 + int(found[1])
    return not _CHUNKED.search(data, 0, end + 2) or data.endswith(b"0\r\n\r\n")


class _Asking:
    """One connection, and the answer that it waits for."""

    def __init__(self, address: tuple[str, int], requests: Sequence[bytes], number: int) -> None:
        self.socket = socket.create_connection(address, timeout=_PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._requests = requests
        self._next = number
        self._data = b""
        self.begun = 0.0

    def ask(self) -> None:
        request = self._requests[self._next % len(self._requests)]
        self._next += 1
        self._data = b""
        self.begun = time.perf_counter()
        self.socket.sendall(request)

    def answered(self, *, head: bool) -> bool:
        piece = self.socket.recv(_MOST)
        if not piece:
            raise ConnectionError("the server closed the connection")
        self._data = self._data + piece if self._data else piece
        if not complete(self._data, head=head):
            return False
        if self._data[9:10] != b"2":
            raise Refused(f"refused: {self._data[:500]!r}")
        return True


def rush(
    address: tuple[str, int], requests: Sequence[bytes], connections: int, seconds: float, *, head: bool = False
) -> Rush:
    """
    Send the requests in turn, again and again, until the time is over.

    :raises Refused: an answer is not of success
    """
    with contextlib.ExitStack() as held:
        every = [_Asking(address, requests, number) for number in range(connections)]
        for one in every:
            held.callback(one.socket.close)
        return _run(every, seconds, head=head)


def _run(every: Sequence[_Asking], seconds: float, *, head: bool) -> Rush:
    asking = {one.socket.fileno(): one for one in every}
    poll = select.epoll()
    with poll:
        found, clock = Rush(), time.perf_counter
        begun = clock()
        for number, one in asking.items():
            poll.register(number, select.EPOLLIN)
            one.ask()
        while asking:
            ready = poll.poll(_PATIENCE)
            if not ready:
                raise Refused(f"no answer in {_PATIENCE:.0f} s")
            for number, _ in ready:
                one = asking[number]
                if not one.answered(head=head):
                    continue
                now = clock()
                found.latencies.append(now - one.begun)
                if now - begun < seconds:
                    one.ask()
                else:
                    poll.unregister(number)
                    del asking[number]
        found.seconds = clock() - begun
        return found

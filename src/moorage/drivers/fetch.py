"""Small documents from addresses that the operator gave: an issuer's keys."""

from __future__ import annotations

import contextlib
import socket
import threading
from http.client import HTTPException
from typing import TYPE_CHECKING, Final

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError
from urllib3.util import parse_url

if TYPE_CHECKING:
    from collections.abc import Iterator

_MAX: Final = 1024 * 1024
_CONNECT: Final = 3
PATIENCE: Final = 10
"""Seconds in which the whole answer must have come, however many pieces it comes in."""


def fetch(url: str, patience: float = PATIENCE) -> bytes:
    """
    Return the document at an http(s) URL, at most 1 MiB; raise OSError if it cannot be had.

    Redirects are not followed: who answers for an address is who was named.
    """
    try:
        with _connected(url, patience) as connection:
            connection.request("GET", parse_url(url).request_uri, preload_content=False)
            answer = connection.getresponse()
            body = answer.read(_MAX + 1)
    except (HTTPError, HTTPException) as problem:
        raise OSError(f"{url}: {problem}") from None
    if answer.status != 200 or len(body) > _MAX:  # noqa: PLR2004 (HTTP)
        raise OSError(f"{url}: answered {answer.status} with {len(body)} bytes")
    return body


@contextlib.contextmanager
def _connected(url: str, patience: float) -> Iterator[HTTPConnection]:
    """Connect to a URL's host; the connection is cut when patience ends, in the middle of whatever comes."""
    parts = parse_url(url)
    kinds = {"http": HTTPConnection, "https": HTTPSConnection}
    if parts.scheme not in kinds or not parts.host:
        raise OSError(f"{url}: not an http(s) URL")
    connection = kinds[parts.scheme](parts.host, parts.port, timeout=_CONNECT)
    with contextlib.closing(connection):
        connection.connect()
        connection.sock.settimeout(patience)
        ended = threading.Event()
        # The socket itself: the connection lets go of it while an answer is read.
        timer = threading.Timer(patience, _cut, [connection.sock, ended])
        timer.daemon = True
        timer.start()
        try:
            yield connection
        finally:
            timer.cancel()
        if ended.is_set():
            raise OSError(f"{url}: no whole answer within {patience} seconds")


def _cut(connected: socket.socket, ended: threading.Event) -> None:
    ended.set()
    with contextlib.suppress(OSError):  # it may have been closed just now
        connected.shutdown(socket.SHUT_RDWR)

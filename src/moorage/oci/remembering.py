"""
The same answer to the same request, while nothing has been committed since: docs/adr/0011.

Many clients ask for one manifest, again and again. What the door answers is a function of the request, the rows and
the time. So an answer can be given again, without being worked out again, as long as all three are
the same: the request to the byte, the rows by the database's own version of them, which is asked each time,
and the time to the second, in which policies see it. What an answer leaves behind besides (that a key was used, an
image pulled) is left behind each time.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from moorage.oci.ranges import RangedResponse
    from moorage.registry.core import Registry

_METHODS: Final = frozenset({"GET", "HEAD"})
_MANIFEST: Final = "/manifests/"
_BLOB: Final = "/blobs/sha"
_ANSWERED: Final = frozenset({200, 304})
_MOST: Final = 16 * 1024 * 1024
"""Bytes of requests and answers that one worker holds."""
_LONGEST: Final = 256 * 1024
"""Bytes of one of them."""
_MESSAGES: Final = 2

Key = tuple[object, ...]


class _Answer(NamedTuple):
    start: Message
    body: Message
    operation: tuple[str, str]
    notes: Sequence[Callable[[datetime], object]]

    def stands(self) -> bool:
        """Tell whether the file that is sent, if it is one, is still there and as long."""
        if "path" not in self.body:
            return True
        return _is_as_long(self.body["path"], int(dict(self.start["headers"])[b"content-length"]))

    async def give(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Say it again."""
        await send(self.start.copy())  # type: ignore[attr-defined]  # (a dictionary, which those around change)
        await send(self.body)

    @property
    def size(self) -> int:
        """Bytes of headers and body."""
        return _size(self.start["headers"]) + len(self.body.get("body", b""))


class _File(NamedTuple):
    """A file of which many pieces are asked for: which one is up to each request."""

    whole: RangedResponse
    operation: tuple[str, str]
    notes: Sequence[Callable[[datetime], object]]

    def stands(self) -> bool:
        """Tell whether the file is still there and as long."""
        return _is_as_long(self.whole.path, self.whole.length)

    async def give(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the piece that is asked for now."""
        await self.whole(scope, receive, send)

    @property
    def size(self) -> int:
        """Bytes of headers."""
        return _size(self.whole.raw_headers)


def _is_as_long(path: str | os.PathLike[str], length: int) -> bool:
    try:
        return os.stat(path).st_size == length  # noqa: PTH116 (this is what each pull waits for)
    except OSError:
        return False


class Remembering:
    """An application that gives an answer again where the door has said that it may (``scope["state"]["notes"]``)."""

    def __init__(self, registry: Registry, app: ASGIApp) -> None:
        self._registry = registry
        self._app = app
        self._answers: dict[Key, _Answer | _File] = {}
        self._moment: tuple[int, int] | None = None
        self._held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, from memory if it can be."""
        if scope["type"] != "http" or scope["method"] not in _METHODS or not _may_repeat(scope):
            await self._app(scope, receive, send)
            return
        now = self._registry.clock()
        moment = self._look(now)
        if moment is None:
            await self._app(scope, receive, send)
            return
        key = _key(scope)
        answer = self._answers.get(key)
        if answer is None or not answer.stands() or self._registry.attempts.knows(_address(scope)):
            await self._ask(key, moment, scope, receive, send)
        else:
            scope["state"]["operation"] = answer.operation
            for note in answer.notes:
                note(now)
            await answer.give(scope, receive, send)

    def _look(self, now: datetime) -> tuple[int, int] | None:
        """Return which rows there are and which second it is, None if that is not to be known; forget what was."""
        version = self._registry.database.version()
        if version is None:
            return None
        moment = (version, int(now.timestamp()))
        if moment != self._moment:
            self._answers.clear()
            self._moment, self._held = moment, 0
        return moment

    async def _ask(self, key: Key, moment: tuple[int, int], scope: Scope, receive: Receive, send: Send) -> None:
        """Let the door answer, and keep what it says if nothing was committed meanwhile."""
        sent: list[Message] = []

        async def send_kept(message: Message) -> None:
            if len(sent) <= _MESSAGES:
                sent.append(dict(message))
            await send(message)

        await self._app(scope, receive, send_kept)
        answer = _kept(scope, sent)
        if answer is None:
            return
        size = _size(scope["headers"]) + answer.size
        if size <= _LONGEST and self._held + size <= _MOST and self._look(self._registry.clock()) == moment:
            self._held += size
            self._answers[key] = answer


def _kept(scope: Scope, sent: Sequence[Message]) -> _Answer | _File | None:
    """Return what is to be kept of an answer, None of one that is not to be given again."""
    state = scope["state"]
    notes = state.get("notes")
    if notes is None or len(sent) != _MESSAGES:
        return None
    if _asks_for_pieces(scope):
        whole: RangedResponse | None = state.get("ranged")
        return None if whole is None else _File(whole, state["operation"], tuple(notes))
    # Bytes that are neither rows nor a file could not be looked at again.
    if sent[0]["status"] not in _ANSWERED or (_MANIFEST not in scope["path"] and "path" not in sent[1]):
        return None
    return _Answer(sent[0], sent[1], state["operation"], tuple(notes))


def _may_repeat(scope: Scope) -> bool:
    """Tell whether many ask the same: for a manifest, or for a blob."""
    path: str = scope["path"]
    return _MANIFEST in path or (_BLOB in path and (scope["method"] == "GET" or not _has_range(scope)))


def _asks_for_pieces(scope: Scope) -> bool:
    return _MANIFEST not in scope["path"] and _has_range(scope)


def _has_range(scope: Scope) -> bool:
    return any(name == b"range" for name, _ in scope["headers"])


def _key(scope: Scope) -> Key:
    """Return all that an answer can depend on, but for which pieces of a file are asked for."""
    pieces = _asks_for_pieces(scope)
    return (
        scope["method"],
        scope["path"],
        scope["query_string"],
        scope["scheme"],
        _address(scope),
        pieces,
        *([pair for pair in scope["headers"] if pair[0] != b"range"] if pieces else scope["headers"]),
    )


def _address(scope: Scope) -> str:
    client: Any = scope.get("client")
    return client[0] if client else ""


def _size(headers: Any) -> int:
    return sum(len(name) + len(value) for name, value in headers)

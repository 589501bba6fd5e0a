"""
Digests of uploads, computed while the bytes arrive.

Python's hash objects cannot be stored, so the running state of an upload is
kept in the memory of the worker that saw its bytes. It is a cache of
something immutable (the hash of the first N bytes of one upload): a worker
that does not have it reads those bytes again when the upload is completed,
once, and no answer depends on which worker it was.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from hashlib import _Hash

_KEPT: Final = 4096


class HashState(NamedTuple):
    """The SHA-256 of the first ``offset`` bytes."""

    offset: int
    sha256: _Hash


class HashStates:
    """The latest state of each upload that this worker has seen, the oldest forgotten first."""

    def __init__(self) -> None:
        self._states: OrderedDict[str, HashState] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, upload_id: str, offset: int) -> HashState:
        """Return a state at or before ``offset``; the caller may update it."""
        with self._lock:
            state = self._states.get(upload_id)
        if state is None or state.offset > offset:
            return HashState(0, hashlib.sha256())
        return HashState(state.offset, state.sha256.copy())

    def put(self, upload_id: str, state: HashState) -> None:
        """Remember a state; its hash object must not be updated afterwards."""
        with self._lock:
            self._states[upload_id] = state
            self._states.move_to_end(upload_id)
            while len(self._states) > _KEPT:
                self._states.popitem(last=False)

    def forget(self, upload_id: str) -> None:
        """Drop the state of an upload that has ended."""
        with self._lock:
            self._states.pop(upload_id, None)

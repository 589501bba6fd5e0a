"""
Long files written past the system's cache.

Through the cache each byte is copied to a page that has to be found first, and the disk is given it all in the end,
by the sync. Past it the disk gets to work at once, and the processor has time for hashing meanwhile.
"""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
from typing import Final

BLOCK: Final = 1024 * 1024
"""Bytes written at once, and held."""
_PAGE: Final = 4096
"""What places in a file must be a multiple of."""
_DIRECT: Final = getattr(os, "O_DIRECT", 0)


def put(descriptor: int, data: bytes | bytearray | memoryview, offset: int) -> None:
    """Write bytes at a place in a file, all of them."""
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, offset)
        offset += written
        view = view[written:]


class Blocks:
    """The bytes of a file from an offset on, written in blocks; the last of them by `end`."""

    def __init__(self, descriptor: int, offset: int) -> None:
        self._descriptor = descriptor
        self._offset = offset
        # Anonymous memory begins with a page, as the disk wants it.
        self._block = mmap.mmap(-1, BLOCK)
        self._filled = 0
        # What an upload goes on from may end anywhere: the first block ends with a page.
        self._wanted = BLOCK - offset % _PAGE
        self._is_direct = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Append."""
        view = memoryview(data)
        while view:
            count = min(len(view), self._wanted - self._filled)
            self._block[self._filled : self._filled + count] = view[:count]
            self._filled += count
            view = view[count:]
            if self._filled == self._wanted:
                self._put(direct=self._offset % _PAGE == 0)
                self._wanted = BLOCK

    def end(self) -> None:
        """Write what is left over."""
        self._put(direct=False)

    def _put(self, *, direct: bool) -> None:
        self._turn(direct=direct)
        with memoryview(self._block) as whole, whole[: self._filled] as block:
            try:
                put(self._descriptor, block, self._offset)
            except OSError as problem:
                # A file system may have its own idea of what a place must be a multiple of; so has the rest of a block
                # of which a full disk took a part.
                if problem.errno != errno.EINVAL or not self._is_direct:
                    raise
                self._turn(direct=False)
                put(self._descriptor, block, self._offset)
        self._offset += self._filled
        self._filled = 0

    def _turn(self, *, direct: bool) -> None:
        """Go past the cache from now on, or through it. Not every file system has a way past."""
        if direct == self._is_direct or not _DIRECT:
            return
        flags = fcntl.fcntl(self._descriptor, fcntl.F_GETFL)
        try:
            fcntl.fcntl(self._descriptor, fcntl.F_SETFL, flags | _DIRECT if direct else flags & ~_DIRECT)
        except OSError as problem:
            if problem.errno != errno.EINVAL:
                raise
        else:
            self._is_direct = direct

"""``moorage serve`` for servers that are killed: workers that die often are replaced, and a fail point can be set."""

from __future__ import annotations

import os
from typing import Any, Final

from moorage.cli import main
from moorage.workers import Workers
from tests.crashing import points

POINT: Final = "CRASHING_AT"
"""Variable with a fail point: ``NUMBER POINT``."""


def _respawn(self: Any, *given: Any, **named: Any) -> Any:
    _RESPAWN(self, *given, **named)
    # A server gives up whose worker dies twice in some seconds, which is what is done to it here.
    self.respawned_wrks.clear()


_RESPAWN: Final[Any] = Workers._respawn_workers

if __name__ == "__main__":
    setattr(Workers, "_respawn_workers", _respawn)  # noqa: B010 (a method that is replaced)
    if told := os.environ.get(POINT):
        number, _, point = told.partition(" ")
        points.arm(points.Hit(point, int(number)))
    main()

"""``moorage serve`` for servers that are killed: a fail point can be set."""

from __future__ import annotations

import os
from typing import Final

from moorage.cli import main
from tests.crashing import points

POINT: Final = "CRASHING_AT"
"""Variable with a fail point: ``NUMBER POINT``."""

if __name__ == "__main__":
    if told := os.environ.get(POINT):
        number, _, point = told.partition(" ")
        points.arm(points.Hit(point, int(number)))
    main()

"""A process is killed at a durable step; the next one finds every image whole that was acknowledged, and no half one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.crashing.killing import opened
from tests.crashing.points import FUNCTIONS, TRANSACTIONS
from tests.crashing.stepping import Stepper, chosen

if TYPE_CHECKING:
    from pathlib import Path

SOME = 13
"""Of the fail points, one in so many dies here; ``python -m tests.crashing points`` takes all."""


@pytest.mark.parametrize("name", ["sqlite", "production"])
def test_a_process_killed_at_a_durable_step(name: str, tmp_path: Path) -> None:
    """Nothing acknowledged is lost or half there, and when all has been collected the store has the bytes of the rows."""
    with opened(name) as stack:
        stepper = Stepper(tmp_path, stack)
        found = stepper.record()
        driver = "drivers.disk" if name == "sqlite" else "drivers.object"
        wanted = {point for point in (*FUNCTIONS, *TRANSACTIONS) if not point.startswith("drivers.")}
        wanted |= {point for point in FUNCTIONS if point.startswith(driver)}
        assert wanted <= {hit.point.partition(" ")[2] for hit in found}
        for hit in chosen(found, every=False)[::SOME]:
            stepper.die(hit)
        assert stepper.finish()

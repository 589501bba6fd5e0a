"""Workers and servers are killed at random while clients work; what was answered to them holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.clients import tools
from tests.crashing.killing import Killing, opened

if TYPE_CHECKING:
    from pathlib import Path

KILLS = 12
"""``python -m tests.crashing kills`` kills a thousand times."""


@pytest.mark.parametrize("name", ["sqlite", "production"])
def test_kills_at_random_under_load(name: str, tmp_path: Path) -> None:
    """All that clients were told is so after each kill, they go on, and in the end the store has the bytes of the rows."""
    tools.require("skopeo")
    with opened(name) as stack:
        killing = Killing(tmp_path, stack, seed=1, clients=3, workers=2)
        try:
            told = killing.run(KILLS)
        finally:
            killing.close()
    assert told.kills == KILLS
    assert told.done["push"]
    assert told.pulled

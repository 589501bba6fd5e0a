"""Several at once, many times over, and what came of each."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from moorage.domain.errors import Failure
from moorage.registry.again import again

if TYPE_CHECKING:
    from collections.abc import Callable

TURNS: Final = 25
"""How often each race is run."""


def race(*units: Callable[[], object]) -> list[str]:
    """Run units of work at once, as a door runs them; return for each ``ok``, or the name of its failure."""
    start = threading.Barrier(len(units))
    outcomes = [""] * len(units)
    errors: list[BaseException] = []

    def run(number: int, unit: Callable[[], object]) -> None:
        start.wait()
        try:
            again(unit)
            outcomes[number] = "ok"
        except Failure as failure:
            outcomes[number] = type(failure).__name__
        except BaseException as error:  # noqa: BLE001 (raised below)
            errors.append(error)

    threads = [threading.Thread(target=run, args=item) for item in enumerate(units)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return outcomes

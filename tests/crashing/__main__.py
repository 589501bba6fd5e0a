"""The long runs of what ``make test`` does in short; see the package."""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

from tests import stacks
from tests.crashing.killing import Killing, opened
from tests.crashing.stepping import Stepper, chosen


def kills(given: argparse.Namespace) -> None:
    """Kill at random, and print what came of it."""
    with opened(given.stack) as stack, tempfile.TemporaryDirectory() as folder:
        killing = Killing(Path(folder), stack, seed=given.seed)
        try:
            told = killing.run(given.kills, say=_say)
        finally:
            killing.close()
    done = ", ".join(f"{name} {count:,}" for name, count in sorted(told.done.items()))
    _say(f"{told.kills} kills ({told.servers} of whole servers) in {told.seconds:.0f} s, {told.checks} checks between")
    _say(
        f"done and acknowledged: {done}; {told.images} images in the end, each whole, {told.pulled} pulled by skopeo, not a byte too many"
    )


def points(given: argparse.Namespace) -> None:
    """Die at each fail point in turn, and print where."""
    began = time.monotonic()
    with opened(given.stack) as stack, tempfile.TemporaryDirectory() as folder:
        stepper = Stepper(Path(folder), stack)
        found = chosen(stepper.record(), every=given.every_hit)[:: given.stride]
        for number, hit in enumerate(found, 1):
            stepper.die(hit)
            if number % 20 == 0:
                _say(f"{number} of {len(found)}: {hit.point}, time {hit.number}")
        images = stepper.finish()
    _say(f"killed at {len(found)} moments in {time.monotonic() - began:.0f} s; {images} images in the end, each whole")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> None:
    """Do as told."""
    parser = argparse.ArgumentParser(prog="python -m tests.crashing")
    commands = parser.add_subparsers(required=True)
    killing = commands.add_parser("kills", help="kill at random under load")
    killing.add_argument("--kills", type=int, default=1000)
    killing.add_argument("--seed", type=int, default=random.randrange(10_000))  # noqa: S311 (reproducible, hides nothing)
    killing.set_defaults(function=kills)
    stepping = commands.add_parser("points", help="kill at each durable step")
    stepping.add_argument(
        "--every-hit", action="store_true", help="each time that a step is come by, not only the first"
    )
    stepping.add_argument("--stride", type=int, default=1, help="only every so many of them")
    stepping.set_defaults(function=points)
    for parsed in (killing, stepping):
        parsed.add_argument("--stack", default="sqlite", choices=list(stacks.STACKS))
    given = parser.parse_args()
    given.function(given)


if __name__ == "__main__":
    main()

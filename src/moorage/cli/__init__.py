"""The command line: one file a noun."""

from __future__ import annotations

import gc


def main() -> None:
    """Run the ``moorage`` command."""
    # Nothing of what is imported now is garbage, and looking for some would
    # take a fifth of a server's start. The server turns it on again.
    gc.disable()
    from moorage.cli.main import app  # noqa: PLC0415 (so that importing the package costs nothing)

    app()

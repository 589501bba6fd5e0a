"""The command line: one file a noun."""

from __future__ import annotations


def main() -> None:
    """Run the ``moorage`` command."""
    from moorage.cli.main import app  # noqa: PLC0415 (so that importing the package costs nothing)

    app()

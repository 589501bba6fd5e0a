"""
The log: JSON lines on standard error.

structlog is imported with the first line and not before: its import takes
a third of a server's start-up, and a server that starts well logs nothing.
"""

from __future__ import annotations

import logging
import sys
from functools import cache
from typing import Any

_level = logging.INFO


def configure(level: str) -> None:
    """Log from this level up: ``debug``, ``info``, ``warning`` or ``error``."""
    global _level  # noqa: PLW0603 (one process, one log)
    _level = logging.getLevelNamesMapping()[level.upper()]
    _logger.cache_clear()


@cache
def _logger() -> Any:
    import structlog  # noqa: PLC0415 (see above)

    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_level),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
    )
    return structlog.get_logger()


def debugging() -> bool:
    """Whether the log takes what only somebody who looks for a fault wants to know."""
    return _level <= logging.DEBUG


def debug(event: str, **values: Any) -> None:
    """Log something for somebody who looks for a fault; ask `debugging` first where requests pass."""
    _logger().debug(event, **values)


def info(event: str, **values: Any) -> None:
    """Log something that an operator may want to know."""
    _logger().info(event, **values)


def warning(event: str, **values: Any) -> None:
    """Log something that an operator should look at."""
    _logger().warning(event, **values)


def exception(event: str, **values: Any) -> None:
    """Log the exception being handled, whole: an internal fault, of which the client sees no details."""
    _logger().exception(event, **values)

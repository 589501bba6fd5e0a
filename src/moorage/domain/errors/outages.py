"""Failures of the installation and not of a request: it may be sent again, as it is, a little later."""

from __future__ import annotations

from typing import ClassVar

from moorage.domain.errors.failure import Failure


class Unavailable(
    Failure,
    aws="ServerException",
    aws_status=500,
    oci=(503, "UNAVAILABLE"),
    text="The registry cannot reach its database at the moment. Try again.",
):
    """The database cannot be reached, or went away before it said whether the work is done."""

    retry_after: ClassVar[int] = 1
    """Seconds after which a client should try again (``Retry-After``)."""


class Undone(Unavailable):
    """
    The database has undone a unit of work for reasons of its own: another one was in the way, or the connection broke.

    Nothing of it is left, and it may be run anew.
    """


class Overloaded(
    Unavailable, aws="ThrottlingException", aws_status=400, text="The registry is busy. Try again in a moment."
):
    """A connection, or a lock, was not free in time."""


class StoreUnavailable(Unavailable, text="The registry cannot reach its storage at the moment. Try again."):
    """The object store does not answer, or not as it should, however often it is asked. Details are in the log."""

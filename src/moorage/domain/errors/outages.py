"""Failures of the installation and not of a request: it may be sent again, as it is, a little later."""

from __future__ import annotations

from moorage.domain.errors.failure import Failure


class Unavailable(
    Failure,
    aws="ServerException",
    aws_status=500,
    oci=(503, "UNAVAILABLE"),
    text="The database of the registry is not available at the moment. Try again.",
):
    """The database cannot be reached, or went away before it said whether the work is done."""

    @property
    def headers(self) -> dict[str, str]:
        """After how many seconds to come again."""
        return {"Retry-After": "1"}


class Undone(Unavailable, text="Another request was in the way of this one. Try again."):
    """
    The database has undone a unit of work for reasons of its own: another one was in the way, or the connection broke.

    Nothing of it is left, and it may be run anew.
    """


class Overloaded(
    Unavailable, aws="ThrottlingException", aws_status=400, text="The registry is busy. Try again in a moment."
):
    """A connection, or a lock, was not free in time."""


class StorageFull(
    Failure,
    aws="ServerException",
    aws_status=507,
    oci=(507, "UNAVAILABLE"),
    text="The registry has no space left for what is pushed. What is here can be pulled and deleted.",
):
    """A disk is full, or nearly. Nothing of the request was kept; it may be sent again when there is space."""


class StoreUnavailable(Unavailable, text="The registry cannot reach its storage at the moment. Try again."):
    """The object store does not answer, or not as it should, however often it is asked. Details are in the log."""

"""The reference of the operations is what the code says."""

from __future__ import annotations

from moorage.aws import model
from moorage.aws.table import OPERATIONS
from moorage.operations import LATER, NOTES
from tests.operations import reference


def test_every_operation_is_accounted_for() -> None:
    """Each of ECR's operations works or has a reason why not, and notes are about those that work."""
    assert sorted([*OPERATIONS, *LATER]) == sorted(model.load())
    assert set(NOTES) <= set(OPERATIONS)


def test_the_page_is_up_to_date() -> None:
    """``docs/reference/operations.md`` is what ``scripts/operations-reference`` writes."""
    assert reference.PAGE.read_text() == reference.text()

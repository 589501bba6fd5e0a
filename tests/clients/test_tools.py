"""What happens where a client is missing."""

from __future__ import annotations

import pytest

from tests.clients import tools


@pytest.mark.parametrize(
    ("variables", "outcome"),
    [
        ({}, pytest.skip.Exception),
        ({"CI": "false"}, pytest.skip.Exception),
        ({"CI": "true"}, pytest.fail.Exception),
    ],
)
def test_a_missing_client_is_skipped_but_not_in_ci(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], outcome: type[BaseException]
) -> None:
    """A test whose client is missing skips and names it, and with CI=true fails instead."""
    monkeypatch.delenv("CI", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(outcome, match="not installed: no-such-client"):
        tools.require("sh", "no-such-client")

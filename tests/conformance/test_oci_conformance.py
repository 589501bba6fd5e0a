"""The official conformance suite of the OCI distribution specification, with all that is optional switched on."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests import servers
from tests.clients.go import ROOT, require, wanted
from tests.conformance import suite

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers import Server

PAGE = ROOT / "docs" / "conformance.md"
ROW = re.compile(r"^\| (\S+) \| (\d) \| (\d+) \| (\d+) \| (\d+) \| (\d+) \| (\d+) \|$", re.MULTILINE)
"""Version, workers; then how many passed, failed, were in error, were skipped, were disabled."""


@pytest.fixture(scope="module", params=suite.WORKERS, ids=lambda workers: f"{workers}-workers")
def sparse(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of its own, with as many workers as asked, that takes manifests before what they name."""
    with servers.running(tmp_path_factory.mktemp("conformance"), *suite.SERVER, workers=request.param) as started:
        yield started


@pytest.mark.parametrize("version", suite.VERSIONS)
def test_the_suite_passes(sparse: Server, version: str, tmp_path: Path) -> None:
    """Every test of the suite passes: none fails, none is skipped, none is disabled."""
    report = suite.run(require("conformance"), sparse, version, tmp_path)

    assert not report.wrong, "\n".join(report.wrong)
    assert (report.failures, report.errors, report.skipped, report.disabled) == (0, 0, 0, 0)
    assert report.status == 0
    assert report.passed > 1000
    assert {name: verdict for name, verdict in report.all_rows.items() if verdict != "Pass"} == {}


def test_the_page_is_about_this_suite() -> None:
    """The published figures come from the version of the suite that runs here."""
    assert wanted()["conformance"] in PAGE.read_text()


def test_the_page_has_no_failure() -> None:
    """The published table shows every pair of version and workers, each without a failure or an omission."""
    rows = ROW.findall(PAGE.read_text())

    assert {(version, int(workers)) for version, workers, *_ in rows} == {
        (version, workers) for version in suite.VERSIONS for workers in suite.WORKERS
    }
    assert {tuple(row[3:]) for row in rows} == {("0", "0", "0", "0")}

"""The OCI conformance suite: run against a server with everything switched on, and what it says."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as ET

from tests import servers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from tests.servers import Server

VERSIONS: Final = ("1.1", "dev")
"""The specification as released, and its main branch."""
WORKERS: Final = (1, 2)
SERVER: Final = ("--sparse-manifests",)
"""What the server must be told: that manifests may come before what they name is not everybody's wish."""

# Each switch of the suite by name, so that no default of a later version turns one off.
APIS: Final = (
    "PULL",
    "PUSH",
    "BLOBS_ATOMIC",
    "BLOBS_DELETE",
    "BLOBS_DIGEST_HEADER",
    "BLOBS_MOUNT_ANONYMOUS",
    "BLOBS_UPLOAD_CANCEL",
    "MANIFESTS_ATOMIC",
    "MANIFESTS_DELETE",
    "MANIFESTS_DIGEST_HEADER",
    "MANIFESTS_TAG_PARAM",
    "TAGS_ATOMIC",
    "TAGS_DELETE",
    "TAGS_LIST",
    "REFERRER",
)
DATA: Final = (
    "IMAGE",
    "INDEX",
    "INDEX_LIST",
    "SPARSE",
    "ARTIFACT",
    "SUBJECT",
    "SUBJECT_MISSING",
    "ARTIFACT_LIST",
    "SUBJECT_LIST",
    "DATA_FIELD",
    "NONDISTRIBUTABLE",
    "CUSTOM_FIELDS",
    "NO_LAYERS",
    "EMPTY_BLOB",
    "SHA512",
)
SWITCHES: Final = tuple([f"OCI_API_{name}" for name in APIS] + [f"OCI_DATA_{name}" for name in DATA])


@dataclass(frozen=True, slots=True)
class Report:
    """What the suite says of a server."""

    status: int
    tests: int
    failures: int
    errors: int
    skipped: int
    disabled: int
    wrong: Sequence[str]
    """The tests that did not pass, by name, with what was amiss."""
    apis: Mapping[str, str]
    data: Mapping[str, str]

    @property
    def passed(self) -> int:
        """The number of tests that passed."""
        return self.tests - self.failures - self.errors - self.skipped - self.disabled

    @property
    def all_rows(self) -> dict[str, str]:
        """The verdict on every API and every kind of data."""
        return {**self.apis, **self.data}


def run(suite: str, server: Server, version: str, folder: Path) -> Report:
    """Run the suite, as the root of the account, in repositories made for it; its own reports go to ``folder``."""
    repositories = {f"OCI_REPO{n}": f"conformance/{version}/repo{n}" for n in (1, 2)}
    for name in repositories.values():
        server.client().create_repository(repositoryName=name)
    environment = {k: v for k, v in servers.clean_environment().items() if not k.startswith("OCI_")} | {
        "OCI_VERSION": version,
        "OCI_REGISTRY": server.host,
        "OCI_TLS": "disabled",
        "OCI_USERNAME": "AWS",
        "OCI_PASSWORD": server.password(),
        "OCI_RESULTS_DIR": str(folder),
        **repositories,
        **dict.fromkeys(SWITCHES, "true"),
    }
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [suite], cwd=folder, env=environment, capture_output=True, text=True, timeout=240, check=False
    )
    assert (folder / "junit.xml").exists(), done.stdout + done.stderr
    return read(folder, done.returncode)


def read(folder: Path, status: int) -> Report:
    """Return what the suite wrote down."""
    top = ET.parse(folder / "junit.xml").getroot()  # noqa: S314 (the suite wrote it a moment ago)
    count = {name: int(top.get(name, 0)) for name in ("tests", "failures", "errors", "skipped", "disabled")}
    wrong = [
        f"{case.get('name')}: {case.get('status')} {case.findtext('system-out', '')}".strip()
        for case in top.iter("testcase")
        if case.get("status") != "passed"
    ]
    sections = _sections((folder / "results.yaml").read_text())
    return Report(status=status, wrong=wrong, apis=sections["apis"], data=sections["data"], **count)


def _sections(text: str) -> dict[str, dict[str, str]]:
    """Return the plain ``name: value`` lines of a YAML file's sections."""
    found: dict[str, dict[str, str]] = {}
    section = ""
    for line in text.splitlines():
        name, _, value = line.partition(": ")
        if not line.startswith(" "):
            section = line.rstrip(":")
            found[section] = {}
        elif value:
            found[section][name.strip()] = value.strip()
    return found

"""Writes docs/conformance.md: runs the conformance suite in every way, and asks the clients for their versions."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests import servers
from tests.clients.go import ROOT, find, wanted
from tests.conformance import suite

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = ROOT / "docs" / "conformance.md"

HEAD = """\
# Conformance

Written by `scripts/conformance-report`. Do not edit: run it again.

## The OCI distribution specification

The official suite with every API and every kind of data switched on, logged in as the account's root, against
`moorage serve {flags}`:

    {module}

`1.1` is the specification as released, `dev` its main branch. `make test` runs all of it and fails where a test fails,
is skipped, or is disabled.

| version | workers | passed | failed | errors | skipped | disabled |
|---|---|---|---|---|---|---|
"""

SKIPPED = """
{sentence} The suite skips a test where a server answers that it does not know an interface, and
disables one that its settings switch off. Of its settings, these are off by default and on here: the digest header of
blobs and of manifests, the cancelling of uploads, tags as parameters of a push, sparse manifests. The last is off by
default in Moorage too, hence `--sparse-manifests`: ECR refuses a manifest whose layers it does not have.
"""

CLIENTS = """
## Clients

Each is run by `make test`, as its makers release it, against a server on a real socket.

| client | version | what is tested | where |
|---|---|---|---|
"""

TAIL = """
Notation is not among them: the public module proxy refuses to list the versions of its module, so that it cannot be
installed. What it stores is tested by oras, as a referrer of the type `application/vnd.cncf.notary.signature`.
"""


@dataclass(frozen=True, slots=True)
class Client:
    """A row of the matrix of clients."""

    name: str
    command: str
    """What prints a version, its first word being the program."""
    what: str
    where: str

    def version(self) -> str | None:
        """Return the version: as the table of Go's tools pins it, else as the program says."""
        program, *arguments = self.command.split()
        found = find(program)
        if found is None:
            return None
        if program in wanted():
            return wanted()[program].partition("@")[2].removeprefix("v")
        done = subprocess.run([found, *arguments], capture_output=True, text=True, timeout=60, check=False)
        version = re.search(r"\d+\.\d+[\w.+~-]*", done.stdout + done.stderr)
        return version.group() if version else None


MATRIX = (
    Client(
        "docker engine",
        "dockerd --version",
        "login, build, push, pull by tag and digest, re-push, index, layers mounted",
        "test_docker",
    ),
    Client("podman", "podman --version", "login, build, push, pull, re-push, index, both formats", "test_podman"),
    Client("buildah", "buildah --version", "login, build, push, pull, re-push, index, both formats", "test_podman"),
    Client("skopeo", "skopeo --version", "login, push, pull, inspect, index, formats, copy, delete", "test_skopeo"),
    Client(
        "containerd", "containerd --version", "login, push, pull, re-push, index, one platform of it", "test_containerd"
    ),
    Client("crane", "crane version", "login, push, pull, re-push, copy, index, mutate, validate, delete", "test_crane"),
    Client(
        "oras",
        "oras version",
        "login, push, pull, attach, discover, fallback tags, recursive copy, index, blobs, delete",
        "test_oras",
    ),
    Client(
        "regctl",
        "regctl version",
        "login, push, pull, chunks, referrers, index, tags and blobs deleted, a push that outlives the server",
        "test_regctl",
    ),
    Client(
        "cosign",
        "cosign version",
        "login, sign, attach, verify, attest, copy, save, clean; bundles and tags, with a key",
        "test_cosign",
    ),
    Client("helm", "helm version", "login, push, pull, re-push, ranges of versions, template", "test_helm"),
    Client(
        "amazon-ecr-credential-helper",
        "docker-credential-ecr-login -v",
        "get, list, its cache until half of a token's life",
        "test_credential_helper",
    ),
    Client(
        "AWS CLI",
        f"{sys.executable} -m awscli --version",
        "the commands for repositories, images, layers, policies and logins",
        "test_aws_cli",
    ),
)


def write() -> None:
    """Run everything and write the page."""
    command = find("conformance")
    if command is None:
        sys.exit("the conformance suite is missing; scripts/go-tools builds it")
    reports = dict(_reports(command))
    PAGE.write_text("".join((_suite(reports), _matrix())))


def _reports(command: str) -> Iterator[tuple[tuple[str, int], suite.Report]]:
    for workers in suite.WORKERS:
        with tempfile.TemporaryDirectory() as made:
            folder = Path(made)
            with servers.running(folder / "data", *suite.SERVER, workers=workers) as server:
                for version in suite.VERSIONS:
                    yield (version, workers), suite.run(command, server, version, folder / version)


def _suite(reports: dict[tuple[str, int], suite.Report]) -> str:
    text = HEAD.format(module=wanted()["conformance"], flags=" ".join(suite.SERVER))
    for (version, workers), one in sorted(reports.items()):
        counts = (one.passed, one.failures, one.errors, one.skipped, one.disabled)
        text += f"| {version} | {workers} | {' | '.join(map(str, counts))} |\n"
    text += SKIPPED.format(sentence=_sentence(reports))
    for title, rows in (("API", "apis"), ("data", "data")):
        text += f"\n| {title} | {' | '.join(f'{version}, {workers}' for version, workers in sorted(reports))} |\n"
        text += "|---" * (len(reports) + 1) + "|\n"
        for name in sorted({name for one in reports.values() for name in getattr(one, rows)}):
            verdicts = [getattr(reports[key], rows).get(name, "") for key in sorted(reports)]
            text += f"| {name} | {' | '.join(verdicts)} |\n"
    return text


def _sentence(reports: dict[tuple[str, int], suite.Report]) -> str:
    wrong = sorted({line.splitlines()[0] for one in reports.values() for line in one.wrong})
    return "No test is skipped or disabled." if not wrong else f"Not passed: {'; '.join(wrong)}."


def _matrix() -> str:
    rows = [(one, one.version()) for one in MATRIX]
    lines = [
        f"| {one.name} | {version or 'not here'} | {one.what} | `tests/clients/{one.where}.py` |"
        for one, version in rows
    ]
    return CLIENTS + "\n".join(lines) + "\n" + TAIL


if __name__ == "__main__":
    write()

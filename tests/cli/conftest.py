"""Fixtures: an installation, and its commands run as a person runs them, in this process."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner, Result

from moorage.cli.main import app as command
from moorage.domain import manifests
from tests import content
from tests.registry.kit import ACCOUNT, REGION, Bench

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.stacks import Stack


@pytest.fixture
def bench(tmp_path: Path, stack: Stack) -> Iterator[Bench]:
    """A registry with a repository."""
    data = tmp_path / "data"
    with stack.opened_here(data) as settings, Bench.opened(data, **settings) as opened:
        yield opened


@dataclass
class Shell:
    """``moorage`` of an installation."""

    bench: Bench

    def run(self, *arguments: str, stdin: str = "", columns: int = 120) -> Result:
        """Run a command, whatever comes of it."""
        settings = self.bench.settings
        environ: dict[str, str | None] = {name: None for name in os.environ if name.startswith("MOORAGE_")}
        environ |= {"COLUMNS": str(columns), "MOORAGE_DATA": str(settings.data), "MOORAGE_ACCOUNT_ID": ACCOUNT}
        environ |= {"MOORAGE_REGION": REGION}
        environ |= {"MOORAGE_STORAGE": settings.storage} if settings.storage else {}
        environ |= {"MOORAGE_DATABASE": settings.database} if settings.database else {}
        return CliRunner().invoke(command, arguments, input=stdin, env=environ)

    def __call__(self, *arguments: str, stdin: str = "", columns: int = 120) -> str:
        """Run a command that succeeds; return what it prints."""
        done = self.run(*arguments, stdin=stdin, columns=columns)
        assert done.exit_code == 0, done.output
        return done.stdout

    def read(self, *arguments: str) -> Any:
        """Run a command that succeeds; return what it prints as JSON."""
        return json.loads(self(*arguments, "--json"))

    def refused(self, *arguments: str, stdin: str = "") -> str:
        """Run a command that ends with status 2 and one line; return the line."""
        done = self.run(*arguments, stdin=stdin)
        assert (done.exit_code, done.stdout) == (2, ""), done.output
        assert done.stderr.count("\n") == 1
        return done.stderr


@pytest.fixture
def shell(bench: Bench) -> Shell:
    """The installation's commands."""
    return Shell(bench)


@dataclass
class Tree:
    """An index of two images with a base layer in common, a signature of it, and an image beside them."""

    index: str
    images: list[content.Image]
    base: bytes
    signature: content.Image


@pytest.fixture
def tree(bench: Bench) -> Tree:
    """The tree as ``first:v1``, and beside it ``first:other`` on the same base layer."""
    base = content.layer()
    images = [bench.image(pushed=content.image(base, content.layer())) for _ in range(2)]
    kids = [
        content.descriptor(image.manifest, image.media_type, platform={"os": "linux", "architecture": architecture})
        for image, architecture in zip(images, ("amd64", "arm64"), strict=True)
    ]
    body = json.dumps({"schemaVersion": 2, "mediaType": manifests.OCI_INDEX, "manifests": kids}).encode()
    bench.put(body, "v1", "latest")
    bench.image("other", pushed=content.image(base))
    subject = content.descriptor(body, manifests.OCI_INDEX)
    signature = bench.image(pushed=content.image(subject=subject, artifactType="application/vnd.example.signature"))
    return Tree(content.digest_of(body), images, base, signature)

"""Helm: charts in a registry."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.clients import go

if TYPE_CHECKING:
    from pathlib import Path

    from tests.clients.tools import Tool
    from tests.servers import Server

CONFIG = "application/vnd.cncf.helm.config.v1+json"
CHART = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
TEMPLATE = (
    "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Release.Name }}\ndata:\n  version: {{ .Chart.Version }}\n"
)


def package(helm: Tool, folder: Path, version: str) -> Path:
    """Make a chart of one template, and pack it."""
    source = folder / version / "harbour"
    (source / "templates").mkdir(parents=True)
    (source / "Chart.yaml").write_text(f"apiVersion: v2\nname: harbour\nversion: {version}\n")
    (source / "templates" / "map.yaml").write_text(TEMPLATE)
    helm("package", source, "--destination", folder)
    return folder / f"harbour-{version}.tgz"


@pytest.fixture(scope="module")
def helm(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Tool:
    """Helm, logged in with a password from standard input."""
    command = go.tool("helm", tmp_path_factory.mktemp("helm"))
    words = ["registry", "login", server.host, "--plain-http", "--username", "AWS", "--password-stdin"]
    command(*words, stdin=server.password())
    return command


@pytest.fixture
def charts(server: Server, ecr: Any, name: str) -> str:
    """The address of charts, in which there is a repository for ours."""
    ecr.create_repository(repositoryName=f"{name}/harbour")
    return f"oci://{server.host}/{name}"


def test_a_wrong_password_is_refused(server: Server, tmp_path: Path) -> None:
    """A login with a password that nobody was given fails."""
    words = ["registry", "login", server.host, "--plain-http", "--username", "AWS", "--password-stdin"]

    assert "unauthorized" in go.tool("helm", tmp_path / "home").refused(*words, stdin="wrong")


def test_a_pull_gives_what_was_pushed(helm: Tool, ecr: Any, name: str, charts: str, tmp_path: Path) -> None:
    """A chart comes back byte for byte."""
    chart = package(helm, tmp_path, "1.2.3")

    helm("push", chart, charts, "--plain-http")
    helm("pull", f"{charts}/harbour", "--version", "1.2.3", "--plain-http", "--destination", tmp_path / "1.2.3")

    assert (tmp_path / "1.2.3" / "harbour-1.2.3.tgz").read_bytes() == chart.read_bytes()
    (detail,) = ecr.describe_images(repositoryName=f"{name}/harbour")["imageDetails"]
    assert (detail["imageTags"], detail["artifactMediaType"]) == (["1.2.3"], CONFIG)


def test_a_chart_is_stored_as_it_is(helm: Tool, ecr: Any, name: str, charts: str, tmp_path: Path) -> None:
    """The manifest's one layer is the packed chart."""
    chart = package(helm, tmp_path, "1.2.3")
    helm("push", chart, charts, "--plain-http")

    (image,) = ecr.batch_get_image(repositoryName=f"{name}/harbour", imageIds=[{"imageTag": "1.2.3"}])["images"]

    (layer,) = json.loads(image["imageManifest"])["layers"]
    assert (layer["mediaType"], layer["size"]) == (CHART, chart.stat().st_size)


def test_pushing_again_changes_nothing(helm: Tool, charts: str, tmp_path: Path) -> None:
    """The same chart can be pushed again; it can be pulled as before."""
    chart = package(helm, tmp_path, "1.2.3")
    for _ in range(2):
        helm("push", chart, charts, "--plain-http")

    helm("pull", f"{charts}/harbour", "--version", "1.2.3", "--plain-http", "--destination", tmp_path / "1.2.3")

    assert (tmp_path / "1.2.3" / "harbour-1.2.3.tgz").read_bytes() == chart.read_bytes()


def test_the_newest_that_fits_is_found(helm: Tool, charts: str, tmp_path: Path) -> None:
    """Of several versions, a range finds the newest in it, from the list of tags."""
    for version in ("1.2.3", "1.10.0", "2.0.0+build.7"):
        helm("push", package(helm, tmp_path, version), charts, "--plain-http")

    assert "version: 1.10.0" in helm("show", "chart", f"{charts}/harbour", "--version", "^1", "--plain-http")
    assert "version: 2.0.0+build.7" in helm("show", "chart", f"{charts}/harbour", "--plain-http")


def test_a_chart_is_rendered_from_the_registry(helm: Tool, charts: str, tmp_path: Path) -> None:
    """A chart can be used where it is."""
    helm("push", package(helm, tmp_path, "1.2.3"), charts, "--plain-http")

    rendered = helm("template", "ours", f"{charts}/harbour", "--version", "1.2.3", "--plain-http")

    assert "name: ours" in rendered
    assert "version: 1.2.3" in rendered


def test_a_missing_repository_is_named(helm: Tool, server: Server, name: str, tmp_path: Path) -> None:
    """A push into a repository that was not created says so in ECR's words."""
    refusal = helm.refused("push", package(helm, tmp_path, "1.2.3"), f"oci://{server.host}/{name}", "--plain-http")

    assert f"The repository with name '{name}/harbour' does not exist in the registry" in refusal

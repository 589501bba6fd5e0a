"""The files of `deploy/`: read by the tools that they are for, as far as those are here, and held to what the server does."""

from __future__ import annotations

import dataclasses
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml  # type: ignore[import-untyped]  # (its stubs are a package of their own)

from moorage import __version__, workers
from moorage.config import Settings, variable
from tests.clients import go
from tests.clients.tools import require
from tests.test_shape import locked

if TYPE_CHECKING:
    from collections.abc import Iterator

DEPLOY = Path(__file__).parents[2] / "deploy"
USER = "10001"
PAUSE = 5
"""Seconds that a pod goes on before it is told to end."""
OTHERS = {"MOORAGE_MASTER_KEY"}
"""Variables that are no settings."""


# --- The image ------------------------------------------------------------------


def instructions() -> list[tuple[str, str]]:
    """The instructions of the Containerfile, each on a line."""
    text = re.sub(r"^#.*\n", "", (DEPLOY / "Containerfile").read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in text.splitlines()) if word]


def test_the_image_is_installed_from_the_lock_alone() -> None:
    """Nothing gets into the image but what a lock names with its hash, and our own source."""
    installs = [one for _, rest in instructions() for one in re.findall(r"pip install ([^&]+)", rest)]
    assert len(installs) == 2
    assert "--require-hashes -r requirements/server.txt" in installs[0]
    assert {"--no-deps", "--no-build-isolation", "."} <= set(installs[1].split())


def test_the_image_runs_as_nobody_special() -> None:
    """The last user of the image is a number, as Kubernetes wants it, and not root's."""
    assert [rest for word, rest in instructions() if word == "USER"][-1] == f"{USER}:{USER}"


def test_the_image_has_all_that_nodes_need() -> None:
    """The lock of the image has the drivers of PostgreSQL and of buckets, in the versions that are tested."""
    server, dev = ({line.split(" ")[0] for line in locked(name)} for name in ("server", "dev"))
    names = {line.partition("==")[0].partition("[")[0] for line in server}
    assert {"psycopg", "psycopg-binary", "psycopg-pool", "obstore", "granian"} <= names
    assert server <= dev


# --- systemd --------------------------------------------------------------------


def unit() -> dict[str, list[str]]:
    """The settings of the unit."""
    found: dict[str, list[str]] = {}
    for line in (DEPLOY / "moorage.service").read_text().splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(name, []).append(value)
    return found


def test_systemd_takes_the_unit() -> None:
    """`systemd-analyze verify` has nothing against the unit but that its program is not installed here."""
    require("systemd-analyze")
    command = ["systemd-analyze", "verify", "--man=no", str(DEPLOY / "moorage.service")]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = [line for line in said.stderr.splitlines() if "moorage.service" in line]
    assert [line for line in lines if "is not executable: No such file" not in line] == []


def test_systemd_has_the_patience_of_the_server() -> None:
    """Who runs the server waits for longer than it gives its requests."""
    assert int(unit()["TimeoutStopSec"][0]) > workers._STOP


# --- Compose --------------------------------------------------------------------


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """The compose file."""
    loaded: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    return loaded


# Of the compose specification, what is used here: a word that is not in it is a slip.
SERVICE = {
    "build", "cap_drop", "command", "depends_on", "entrypoint", "environment", "healthcheck", "image", "networks", "network_mode",
    "ports", "read_only", "restart", "security_opt", "stop_grace_period", "tmpfs", "user", "volumes",
}  # fmt: skip
CONDITIONS = {"service_started", "service_healthy", "service_completed_successfully"}


def test_the_compose_file_holds_together(compose: dict[str, Any]) -> None:
    """Every word is one of the specification's; every service, volume and condition that is named exists."""
    services = compose["services"]
    for name, service in services.items():
        assert set(service) <= SERVICE, name
        for other, wanted in service.get("depends_on", {}).items():
            assert other in services
            assert wanted["condition"] in CONDITIONS
            if wanted["condition"] == "service_healthy":
                assert "test" in services[other]["healthcheck"]
        for volume in service.get("volumes", []):
            source = volume.partition(":")[0]
            assert source in compose["volumes"] or (DEPLOY / source).exists(), volume


def test_the_nodes_of_the_compose_file_are_alike(compose: dict[str, Any]) -> None:
    """Two nodes differ in their address alone, may write to nothing that lasts, and have a minute and more to end in."""
    one, two = ({k: v for k, v in compose["services"][name].items() if k != "networks"} for name in ("node1", "node2"))
    assert one == two
    assert one["read_only"]
    assert one["cap_drop"] == ["ALL"]
    assert "volumes" not in one
    assert f"uid={USER}" in one["tmpfs"][0]
    assert int(one["stop_grace_period"].removesuffix("s")) > workers._STOP


def test_the_proxy_of_the_compose_file_knows_the_nodes(compose: dict[str, Any]) -> None:
    """What is put into nginx's configuration are the addresses of the nodes, and they believe that proxy alone."""
    services = compose["services"]
    addresses = {services[name]["networks"]["default"]["ipv4_address"] for name in ("node1", "node2")}
    edits = re.findall(r"s/(127[.:\d]+)/([.\d]+):5100/", services["proxy"]["command"][0])
    assert {there for _, there in edits} == addresses
    assert {here for here, _ in edits} == set(re.findall(r"server (127[.:\d]+)", (DEPLOY / "nginx.conf").read_text()))
    proxy = services["proxy"]["networks"]["default"]["ipv4_address"]
    assert services["node1"]["environment"]["MOORAGE_TRUSTED_PROXIES"] == proxy


def test_secrets_have_no_defaults(compose: dict[str, Any]) -> None:
    """The compose file does not start without secrets, and the example names each and holds none."""
    needed = set(re.findall(r"\$\{(\w+):\?\}", yaml.safe_dump(compose)))
    assert needed == {"MOORAGE_MASTER_KEY", "POSTGRES_PASSWORD", "STORE_SECRET"}
    lines = (DEPLOY / "environment.example").read_text().splitlines()
    assert {f"{name}=" for name in needed} <= set(lines)


# --- Kubernetes -----------------------------------------------------------------


@pytest.fixture(scope="module")
def rendered() -> dict[str, dict[str, Any]]:
    """What helm makes of the chart with nothing set, by kind."""
    return template()


def template(*settings: str) -> dict[str, dict[str, Any]]:
    """Render the chart; return its objects by kind."""
    command = [go.require("helm"), "template", "moorage", str(DEPLOY / "chart")]
    command += [word for one in settings for word in ("--set", one)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return {one["kind"]: one for one in yaml.safe_load_all(done.stdout) if one}


def pods(rendered: dict[str, dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """What runs in the pods of the chart."""
    for kind in ("Deployment", "Job"):
        yield rendered[kind]["spec"]["template"]["spec"]


def test_helm_has_nothing_against_the_chart() -> None:
    """`helm lint --strict` passes, and the chart is of this version."""
    command = [go.require("helm"), "lint", "--strict", str(DEPLOY / "chart")]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert yaml.safe_load((DEPLOY / "chart" / "Chart.yaml").read_text())["appVersion"] == __version__


def test_the_chart_makes_all_its_parts(rendered: dict[str, dict[str, Any]]) -> None:
    """Nodes, who may be away, how to reach them, and the migration before them; without an ingress if so told."""
    parts = {"Deployment", "PodDisruptionBudget", "Service", "ServiceAccount", "Job"}
    assert set(rendered) == parts | {"Ingress"}
    assert set(template("ingress.enabled=false")) == parts
    assert rendered["Job"]["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"


def test_pods_may_do_nothing_that_they_need_not(rendered: dict[str, dict[str, Any]]) -> None:
    """No root, no writing to the image, no capability, no token of the cluster, no variables of its services."""
    for pod in pods(rendered):
        assert pod["securityContext"]["runAsNonRoot"]
        assert str(pod["securityContext"]["runAsUser"]) == USER
        assert not pod["automountServiceAccountToken"]
        assert not pod["enableServiceLinks"]
        (container,) = pod["containers"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }


def test_a_pod_has_the_time_that_the_server_takes(rendered: dict[str, dict[str, Any]]) -> None:
    """A pod is killed no sooner than after its pause and the server's patience."""
    pod = rendered["Deployment"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["lifecycle"]["preStop"]["exec"]["command"] == ["sleep", str(PAUSE)]
    assert pod["terminationGracePeriodSeconds"] > workers._STOP + PAUSE
    assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"


def test_an_ingress_lets_layers_through(rendered: dict[str, dict[str, Any]]) -> None:
    """The ingress is for the host of the public URL, and limits no body."""
    ingress = rendered["Ingress"]
    assert ingress["metadata"]["annotations"]["nginx.ingress.kubernetes.io/proxy-body-size"] == "0"
    assert ingress["spec"]["rules"][0]["host"] == "registry.example.com"
    assert ingress["spec"]["tls"][0]["hosts"] == ["registry.example.com"]


def test_every_setting_in_the_files_is_one() -> None:
    """No file of `deploy/` gives a variable of a setting that Moorage does not have."""
    known = {variable(field.name) for field in dataclasses.fields(Settings)} | OTHERS
    files = [path for path in DEPLOY.rglob("*") if path.is_file()]
    named = {(path.name, name) for path in files for name in re.findall(r"\bMOORAGE_[A-Z_]+\b", path.read_text())}
    assert named
    assert {(file, name) for file, name in named if name not in known} == set()

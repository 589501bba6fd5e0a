"""containerd: what Kubernetes nodes pull through, as a daemon of its own on private folders."""

from __future__ import annotations

import subprocess
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from tests import servers
from tests.clients import copies
from tests.clients.tools import Tool, require, require_root
from tests.oci.wire import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.clients.layouts import Layout
    from tests.servers import Server

CONFIGURATION = """
version = 2
root = "{folder}/root"
state = "{folder}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]

[grpc]
  address = "{folder}/socket"
[ttrpc]
  address = "{folder}/socket.ttrpc"
"""


@pytest.fixture(scope="module")
def socket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The socket of a containerd that serves us alone."""
    require("containerd", "ctr")
    require_root("containerd unpacks images as their owners")
    folder = tmp_path_factory.mktemp("containerd")
    (folder / "config.toml").write_text(CONFIGURATION.format(folder=folder))
    command = ["containerd", "--config", str(folder / "config.toml"), "--log-level", "warn"]
    with (folder / "log").open("wb") as log:
        daemon = subprocess.Popen(command, stdout=log, stderr=log, env=servers.clean_environment())
    ask = ["ctr", "--address", str(folder / "socket"), "version"]
    try:
        until(
            lambda: daemon.poll() is not None or subprocess.run(ask, check=False, capture_output=True).returncode == 0
        )
        assert daemon.poll() is None, (folder / "log").read_text()
        yield folder / "socket"
    finally:
        daemon.terminate()
        daemon.wait(timeout=60)


@pytest.fixture
def ctr(socket: Path) -> Callable[[], Tool]:
    """What makes a containerd that has no images yet: a namespace of its own, whose content no other sees."""
    return lambda: Tool(("ctr", "--address", str(socket), "--namespace", uuid.uuid4().hex))


@pytest.fixture
def login(server: Server) -> list[str]:
    """How every pull and push is told who we are."""
    return ["--plain-http", "--user", f"AWS:{server.password()}"]


def load(ctr: Tool, small: Layout, tag: str, name: str, tmp_path: Path) -> None:
    """Bring an image or an index from a layout into containerd, under a name."""
    folder = copies.only(small, tag, tmp_path / f"load-{tag}").folder
    subprocess.run(["tar", "-C", str(folder), "-cf", str(tmp_path / "load.tar"), "."], check=True)
    prefix = name.rpartition(":")[0]
    ctr("images", "import", "--no-unpack", "--all-platforms", "--base-name", prefix, tmp_path / "load.tar")


def held(ctr: Tool) -> dict[str, str]:
    """Return the digest of every image that containerd has, by name."""
    lines = [line.split() for line in ctr("images", "list").splitlines()[1:]]
    return {words[0]: words[2] for words in lines}


def test_a_stranger_is_refused(ctr: Callable[[], Tool], server: Server, repository: str) -> None:
    """Without a password containerd is told that it is not authorised."""
    refusal = ctr().refused("images", "pull", "--plain-http", f"{server.host}/{repository}:v1")

    assert "authorization failed" in refusal or "401" in refusal


@pytest.mark.parametrize("tag", ["v1", "all"])
def test_a_pull_gives_what_was_pushed(
    *,
    ctr: Callable[[], Tool],
    login: list[str],
    server: Server,
    repository: str,
    small: Layout,
    tag: str,
    tmp_path: Path,
) -> None:
    """An image, or an index of two, goes from one containerd through the registry to another byte for byte."""
    name = f"{server.host}/{repository}:{tag}"
    first, second = ctr(), ctr()
    load(first, small, tag, name, tmp_path)

    first("images", "push", *login, name)
    second("images", "pull", *login, "--snapshotter", "native", "--all-platforms", name)
    second("images", "export", "--all-platforms", tmp_path / "pulled.tar", name)

    assert copies.is_held(server, repository, small, tag)
    assert held(first)[name] == held(second)[name] == small.digest(tag)
    (tmp_path / "pulled").mkdir()
    subprocess.run(["tar", "-C", str(tmp_path / "pulled"), "-xf", str(tmp_path / "pulled.tar")], check=True)
    pulled = copies.bytes_of(tmp_path / "pulled")
    assert all(pulled[one] == small.path(one).read_bytes() for one in copies.under(small, small.digest(tag)))


def test_only_this_machine_s_image_is_pulled(
    *, ctr: Callable[[], Tool], login: list[str], server: Server, repository: str, small: Layout, tmp_path: Path
) -> None:
    """Of an index, containerd fetches the image for a platform, and not the other's."""
    name = f"{server.host}/{repository}:all"
    first, second = ctr(), ctr()
    load(first, small, "all", name, tmp_path)
    first("images", "push", *login, name)

    second("images", "pull", *login, "--snapshotter", "native", "--platform", "linux/arm64", name)

    content = second("content", "list", "--quiet").split()
    config = {tag: small.parts(tag)[0]["digest"] for tag in ("v1", "arm")}
    assert config["arm"] in content
    assert config["v1"] not in content


def test_pushing_again_changes_nothing(
    *, ctr: Callable[[], Tool], login: list[str], server: Server, ecr: Any, name: str, small: Layout, tmp_path: Path
) -> None:
    """The same image can be pushed again to its tag, though tags are immutable."""
    ecr.create_repository(repositoryName=name, imageTagMutability="IMMUTABLE")
    target = f"{server.host}/{name}:v1"
    client = ctr()
    load(client, small, "v1", target, tmp_path)

    client("images", "push", *login, target)
    client("images", "push", *login, target)

    (image,) = ecr.list_images(repositoryName=name)["imageIds"]
    assert image == {"imageTag": "v1", "imageDigest": small.digest("v1")}


def test_a_missing_tag_is_named(ctr: Callable[[], Tool], login: list[str], server: Server, repository: str) -> None:
    """What is not there is not found."""
    assert "not found" in ctr().refused("images", "pull", *login, f"{server.host}/{repository}:absent")

"""Pushes that outlive their server: killed as a whole, and started again on the same port over the same data."""

from __future__ import annotations

import os
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests import content, servers
from tests.clients import copies, go
from tests.clients.layouts import Layout
from tests.oci.wire import MIB, Door, connect_to_each, until, workers

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.clients.tools import Tool
    from tests.servers import Server

CHUNK = 256 * 1024
DATA = os.urandom(20 * CHUNK + 1)
DIGEST = content.digest_of(DATA)


class Mortal:
    """A server that can be killed, and comes back where it was."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.server: Server = servers.start(data)
        self.server.client().create_repository(repositoryName="some/app")

    @property
    def place(self) -> str:
        """Its repository, as clients name it."""
        return f"{self.server.host}/some/app"

    def kill(self) -> None:
        """Kill every process of the server at once, as a power cut would."""
        doomed = [self.server.process.pid, *workers(self.server)]
        for pid in doomed:
            os.kill(pid, signal.SIGKILL)
        self.server.stop(signal.SIGKILL)

    def revive(self) -> None:
        """Start the server again on its port and its data."""
        self.server = servers.start(self.data, port=self.server.port)

    def received(self) -> int:
        """The bytes of the longest upload that is on the disk."""
        return max((path.stat().st_size for path in self.data.glob("blobs/*/*")), default=0)


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[Mortal]:
    """A server that a test may kill."""
    made = Mortal(tmp_path / "data")
    yield made
    if made.server.process.poll() is None:
        made.server.stop()


def login(command: str, mortal: Mortal, home: Path) -> Tool:
    """Return a client that has logged in."""
    tool = go.tool(command, home)
    host, password = mortal.server.host, mortal.server.password()
    if command == "crane":
        tool("auth", "login", host, "--username", "AWS", "--password-stdin", stdin=password)
        return tool
    sizes = ["--blob-chunk", str(CHUNK), "--blob-max", str(CHUNK)]
    tool("registry", "set", host, "--tls", "disabled", "--skip-check", *sizes)
    tool("registry", "login", host, "--user", "AWS", "--pass-stdin", stdin=password)
    return tool


def test_regctl_goes_on_where_it_was(mortal: Mortal, tmp_path: Path) -> None:
    """A chunked push whose server is killed between two chunks, and comes back, is completed by the same regctl."""
    tool = login("regctl", mortal, tmp_path / "home")
    command = [*tool.command, "blob", "put", mortal.place]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=tool.environment
    ) as pushing:
        assert pushing.stdin is not None
        pushing.stdin.write(DATA[: 10 * CHUNK])
        pushing.stdin.flush()
        until(lambda: mortal.received() >= 8 * CHUNK)

        mortal.kill()
        mortal.revive()

        printed, said = pushing.communicate(DATA[10 * CHUNK :], timeout=120)

    assert pushing.returncode == 0, said.decode()
    assert printed.decode().strip() == DIGEST
    read = mortal.server.request("GET", f"/v2/some/app/blobs/{DIGEST}")
    assert read.data == DATA


def test_an_upload_s_address_outlives_the_server(mortal: Mortal) -> None:
    """The address, the offset and the bytes of an upload are as before, and either of the new workers goes on."""
    door = Door(mortal.server.port, f"Basic {mortal.server.token()}")
    upload = door.begin("some/app")
    assert door.patch(upload, DATA[:MIB], Content_Range=f"0-{MIB - 1}").status == 202

    mortal.kill()
    mortal.revive()

    first, second = connect_to_each(mortal.server, door).values()
    assert door("GET", upload, on=first).headers["Range"] == f"0-{MIB - 1}"
    middle = {"Content-Range": f"{MIB}-{2 * MIB - 1}"}
    assert door("PATCH", upload, headers=middle, body=DATA[MIB : 2 * MIB], on=second).status == 202
    done = door("PUT", f"{upload}?digest={DIGEST}", body=DATA[2 * MIB :], on=first)
    assert (done.status, done.headers["Docker-Content-Digest"]) == (201, DIGEST)
    assert door("GET", done.location, on=second).data == DATA
    first.close()
    second.close()


def test_an_upload_dies_with_no_half_blob(mortal: Mortal) -> None:
    """What was not completed before the death is no blob after it, by whatever digest."""
    door = Door(mortal.server.port, f"Basic {mortal.server.token()}")
    upload = door.begin("some/app")
    door.patch(upload, DATA)

    mortal.kill()
    mortal.revive()

    assert door("HEAD", f"/v2/some/app/blobs/{DIGEST}").status == 404
    assert door.finish(upload, DIGEST).status == 201


def test_a_push_is_made_again(mortal: Mortal, tmp_path: Path) -> None:
    """An image whose push was cut by the server's death is pushed again from the start, and is whole."""
    image = content.image(content.layer(os.urandom(64 * MIB)), content.layer(), count=2)
    folder = write(image, tmp_path / "image")
    crane = login("crane", mortal, tmp_path / "home")
    command = [*crane.command, "push", str(folder), f"{mortal.place}:v1"]
    pushing = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=crane.environment)
    until(lambda: mortal.received() >= MIB)

    mortal.kill()
    pushing.kill()
    pushing.wait()
    mortal.revive()

    crane("push", folder, f"{mortal.place}:v1")
    assert copies.is_held(mortal.server, "some/app", Layout(folder), "v1")


def write(image: content.Image, folder: Path) -> Path:
    """Write an image as a layout with the tag ``v1``."""
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    for part in (image.manifest, image.config, *image.layers):
        (blobs / content.digest_of(part).partition(":")[2]).write_bytes(part)
    tag = {"org.opencontainers.image.ref.name": "v1"}
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    (folder / "index.json").write_bytes(content.index(image, manifests=[described(image, tag)]))
    return folder


def described(image: content.Image, annotations: dict[str, str]) -> dict[str, object]:
    """Return the descriptor of an image, with annotations."""
    return content.descriptor(image.manifest, image.media_type, annotations=annotations)

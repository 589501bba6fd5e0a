"""
A layer of 2 GiB, both ways and through both doors: the memory of the workers does not grow with it.

``MOORAGE_TEST_LAYER_GIB=10 pytest --stack sqlite-s3 tests/clients/test_large.py`` does it with another length on another stack.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from moorage.domain import manifests
from tests import content, servers, stacks
from tests.clients import memory, tools

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tests.servers import Server

pytestmark = pytest.mark.large

MIB = 1024 * 1024
GIB = 1024 * MIB
LAYER = int(os.environ.get("MOORAGE_TEST_LAYER_GIB", "2")) * GIB
PARTS = 300 * MIB
MOST = 150 * MIB
"""By how much a worker may grow while layers of gigabytes pass through it."""


class Content:
    """Bytes that nobody has to hold: made while they are sent, hashed on the way."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.sha256 = hashlib.sha256()
        self.block = os.urandom(MIB - 8)

    def __iter__(self) -> Iterator[bytes]:
        """Yield blocks of 1 MiB, none like another."""
        for number in range(self.size // MIB):
            block = number.to_bytes(8, "big") + self.block
            self.sha256.update(block)
            yield block

    @property
    def digest(self) -> str:
        """The digest of what was sent."""
        return f"sha256:{self.sha256.hexdigest()}"


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory, stack: stacks.Stack) -> Iterator[Server]:
    """A server of its own, whose folder goes away at once."""
    if not memory.supported():
        tools.missing("the memory of a process is read from Linux's /proc")
    folder = tmp_path_factory.mktemp("large")
    free, needed = shutil.disk_usage(folder).free, LAYER + PARTS + GIB
    if free < needed:
        pytest.fail(f"{folder} has {free // MIB} MiB free, and {needed // MIB} MiB are needed", pytrace=False)
    with servers.running(folder / "data", *stack.flags(folder / "data")) as started:
        started.client().create_repository(repositoryName="large")
        yield started
    shutil.rmtree(folder)


@pytest.fixture
def watch(
    large: Server, record_property: Callable[[str, object], None], capsys: pytest.CaptureFixture[str]
) -> Iterator[memory.Watch]:
    """A watch over the workers, which tells at the end what it saw."""
    begun = memory.Watch(large)
    yield begun
    figures = [f"{begun.before[pid] / MIB:.0f} + {more / MIB:.1f} MiB" for pid, more in begun.growth().items()]
    record_property("worker_memory", figures)
    with capsys.disabled():
        print(f"\nmemory of the workers, and their growth at its largest: {', '.join(figures)}")  # noqa: T201 (a figure)


def received(pieces: Iterable[bytes]) -> tuple[str, int]:
    """Take what comes, and forget it; return its digest and length."""
    sha256, length = hashlib.sha256(), 0
    for piece in pieces:
        sha256.update(piece)
        length += len(piece)
    return f"sha256:{sha256.hexdigest()}", length


def get(server: Server, url: str, token: str | None = None) -> tuple[str, int]:
    """Get a layer; return its digest and length."""
    headers = {"Authorization": f"Basic {token}"} if token else {}
    answer = server.http.request("GET", url, headers=headers, preload_content=False)
    if answer.status == 307:
        # The layer is in a bucket.
        answer = server.http.request("GET", answer.headers["Location"], preload_content=False)
    assert answer.status == 200, server.log[-5:]
    return received(answer.stream(MIB))


def test_a_layer_of_2_gib_goes_in_and_out_of_the_distribution_door(large: Server, watch: memory.Watch) -> None:
    """A layer of 2 GiB is sent in one stream, got back byte for byte, and no worker grows by more than a little."""
    sent, token = Content(LAYER), large.token()
    begun = large.request("POST", "/v2/large/blobs/uploads/", token=token)
    patched = large.request("PATCH", begun.headers["Location"], token=token, body=iter(sent))
    assert (patched.status, patched.headers["Range"]) == (202, f"0-{LAYER - 1}")
    done = large.request("PUT", f"{patched.headers['Location']}?digest={sent.digest}", token=token)
    assert done.status == 201

    assert get(large, f"{large.url}/v2/large/blobs/{sent.digest}", token) == (sent.digest, LAYER)

    assert len(watch.before) == 2
    assert max(watch.growth().values()) < MOST


def test_a_large_layer_goes_in_and_out_of_the_aws_door(large: Server, watch: memory.Watch) -> None:
    """A layer of 300 MiB is uploaded in parts, downloaded byte for byte, and no worker grows by more than a little."""
    ecr, sent = large.client(), Content(PARTS)
    upload(ecr, sent)
    image(ecr, sent)

    url = ecr.get_download_url_for_layer(repositoryName="large", layerDigest=sent.digest)["downloadUrl"]
    assert get(large, url) == (sent.digest, PARTS)

    assert max(watch.growth().values()) < MOST


def upload(ecr: Any, sent: Content) -> None:
    """Upload a layer in parts of the size that the server asks for."""
    begun = ecr.initiate_layer_upload(repositoryName="large")
    named = {"repositoryName": "large", "uploadId": begun["uploadId"]}
    blocks, first = iter(sent), 0
    while part := b"".join(itertools.islice(blocks, begun["partSize"] // MIB)):
        last = first + len(part) - 1
        ecr.upload_layer_part(**named, partFirstByte=first, partLastByte=last, layerPartBlob=part)
        first = last + 1
    ecr.complete_layer_upload(**named, layerDigests=[sent.digest])


def image(ecr: Any, layer: Content) -> None:
    """Put an image of a layer, without which it has no download URL."""
    config = b"{}"
    content.upload_layer(ecr, "large", config)
    described = {"mediaType": content.LAYER, "digest": layer.digest, "size": layer.size}
    document = {
        "schemaVersion": 2,
        "mediaType": manifests.OCI_IMAGE,
        "config": content.descriptor(config, content.CONFIG),
        "layers": [described],
    }
    ecr.put_image(repositoryName="large", imageManifest=json.dumps(document))

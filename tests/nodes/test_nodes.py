"""Three nodes on one PostgreSQL and one bucket behind the nginx of `deploy/`: any of them serves any request."""

from __future__ import annotations

import itertools
import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from urllib3.exceptions import HTTPError

from tests import content
from tests.clients.tools import Tool, missing, private_home, require
from tests.nodes import fleet as fleets
from tests.nodes.load import Load
from tests.servers import ACCOUNT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.clients.layouts import Layout
    from tests.nodes.fleet import Fleet
    from tests.postgres import Cluster

MIB = 1024 * 1024
PIECE = 6 * MIB


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory, cluster: Cluster) -> Iterator[Fleet]:
    """Three nodes, none of which has a file of another's."""
    require("nginx")
    if not os.path.exists("/proc/self/task"):
        missing("the workers of a node are found in Linux's /proc")
    with fleets.running(tmp_path_factory.mktemp("fleet"), cluster, 3) as started:
        yield started


@pytest.fixture
def ours(fleet: Fleet, name: str) -> str:
    """A new repository."""
    fleet.front.client().create_repository(repositoryName=name)
    return name


def pull(fleet: Fleet, repository: str, digest: str, token: str) -> list[Any]:
    """Pull a blob from each node."""
    path = f"/v2/{repository}/blobs/{digest}"
    return [node.request("GET", path, token=token).data for node in fleet.nodes]


def test_what_one_node_begins_others_end(fleet: Fleet, ours: str) -> None:
    """An upload is begun on one node, goes on at the second and the third, ends at the first, and is read from all."""
    pieces, token = [os.urandom(PIECE) for _ in range(3)], fleet.front.token()
    path, offset = fleet.nodes[0].request("POST", f"/v2/{ours}/blobs/uploads/", token=token).headers["Location"], 0
    for piece, node in zip(pieces, itertools.cycle(fleet.nodes[1:])):
        headers = {"Content-Range": f"{offset}-{offset + len(piece) - 1}", "Content-Type": "application/octet-stream"}
        sent = node.request("PATCH", path, token=token, headers=headers, body=piece)
        assert sent.status == 202, sent.data
        path, offset = sent.headers["Location"], offset + len(piece)
    whole = b"".join(pieces)
    digest = content.digest_of(whole)

    assert fleet.nodes[0].request("PUT", f"{path}?digest={digest}", token=token).status == 201

    assert pull(fleet, ours, digest, token) == [whole] * 3


def test_ecrs_own_upload_goes_from_node_to_node(fleet: Fleet, ours: str) -> None:
    """InitiateLayerUpload, UploadLayerPart and CompleteLayerUpload may each reach another node."""
    first, second, third = (node.client() for node in fleet.nodes)
    parts = [os.urandom(10 * MIB), os.urandom(MIB)]
    upload = first.initiate_layer_upload(repositoryName=ours)["uploadId"]
    named = {"repositoryName": ours, "uploadId": upload}
    second.upload_layer_part(**named, partFirstByte=0, partLastByte=10 * MIB - 1, layerPartBlob=parts[0])
    third.upload_layer_part(**named, partFirstByte=10 * MIB, partLastByte=11 * MIB - 1, layerPartBlob=parts[1])
    digest = content.digest_of(b"".join(parts))

    assert first.complete_layer_upload(**named, layerDigests=[digest])["layerDigest"] == digest

    assert pull(fleet, ours, digest, fleet.front.token()) == [b"".join(parts)] * 3


def test_a_token_and_a_session_are_good_everywhere(fleet: Fleet, ours: str) -> None:
    """What one node or the proxy hands out, a docker password or a role's session, every node takes."""
    fleet.moorage("user", "create", "anybody")
    user = {"Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:user/anybody"}, "Effect": "Allow", "Action": "sts:AssumeRole"}
    document = fleet.folder / "trust.json"
    document.write_text(json.dumps({"Version": "2012-10-17", "Statement": [user]}))
    arn = fleet.moorage("role", "create", "everywhere", "--trust", str(document)).split()[0]
    fleet.moorage("role", "attach", "everywhere", "AmazonEC2ContainerRegistryReadOnly")
    given = (
        fleet.nodes[0]
        .client("sts", **_key(fleet, "anybody"))
        .assume_role(RoleArn=arn, RoleSessionName="one")["Credentials"]
    )
    session = {
        "aws_access_key_id": given["AccessKeyId"],
        "aws_secret_access_key": given["SecretAccessKey"],
        "aws_session_token": given["SessionToken"],
    }
    tokens = [one.token(**session) for one in (*fleet.nodes, fleet.front)]

    for node in (*fleet.nodes, fleet.front):
        assert node.client(**session).list_images(repositoryName=ours)["imageIds"] == []
        assert {node.request("GET", f"/v2/{ours}/tags/list", token=token).status for token in tokens} == {200}


def _key(fleet: Fleet, user: str) -> dict[str, str]:
    key = json.loads(fleet.moorage("key", "create", user, "--json"))
    return {"aws_access_key_id": key["accessKeyId"], "aws_secret_access_key": key["secretAccessKey"]}


def test_a_disabled_key_is_refused_everywhere_at_once(fleet: Fleet, ours: str) -> None:
    """From the moment that the command has ended, no node takes the key, or a docker password made with it."""
    fleet.moorage("user", "create", "leaver")
    fleet.moorage("user", "attach", "leaver", "AmazonEC2ContainerRegistryFullAccess")
    key = _key(fleet, "leaver")
    token, clients = fleet.nodes[0].token(**key), [node.client(**key) for node in fleet.nodes]
    path = f"/v2/{ours}/tags/list"
    assert [node.request("GET", path, token=token).status for node in fleet.nodes] == [200] * 3
    assert [client.describe_repositories()["repositories"] != [] for client in clients] == [True] * 3

    fleet.moorage("key", "disable", key["aws_access_key_id"])

    assert [node.request("GET", path, token=token).status for node in fleet.nodes] == [401] * 3
    for client in clients:
        with pytest.raises(ClientError, match=r"InvalidClientTokenId|UnrecognizedClientException"):
            client.describe_repositories()


def test_the_way_through_the_proxy_is_right(fleet: Fleet) -> None:
    """`moorage doctor` has nothing against the configuration of `deploy/`."""
    told = json.loads(fleet.moorage("doctor", fleet.front.url, "--json"))

    assert [one["check"] for one in told if not one["well"]] == []
    assert len(told) == 8


def test_skopeo_and_other_clients_at_once(fleet: Fleet, ours: str, small: Layout, tmp_path: Path) -> None:
    """Six copies by skopeo, in and out again, among pushes and pulls of others: every byte, and nobody has to try twice."""
    require("skopeo")
    skopeo = _logged_in(fleet, tmp_path)

    def there_and_back(number: int) -> bytes:
        image, back = f"docker://{fleet.front.host}/{ours}:v{number}", tmp_path / f"back{number}"
        skopeo("copy", "-q", "--dest-tls-verify=false", small.at("v1"), image)
        skopeo("copy", "-q", "--src-tls-verify=false", image, f"dir:{back}")
        return (back / "manifest.json").read_bytes()

    with Load(fleet.front, ours, 1, 1) as load, ThreadPoolExecutor(2) as pool:
        copied = list(pool.map(there_and_back, range(6)))
        load.wait_for(3)

    assert copied == [small.path(small.digest("v1")).read_bytes()] * 6
    assert (load.met.most, load.met.answers) == (0, {})


def _logged_in(fleet: Fleet, folder: Path) -> Tool:
    skopeo = Tool(("skopeo", "--insecure-policy"), private_home(folder)).with_environment(
        REGISTRY_AUTH_FILE=str(folder / "auth.json")
    )
    words = ("login", "--tls-verify=false", "--username", "AWS", "--password-stdin", fleet.front.host)
    skopeo(*words, stdin=fleet.front.password())
    return skopeo


class Body:
    """A body that stops in its middle until it is told to go on."""

    def __init__(self, whole: bytes) -> None:
        self.whole = whole
        self.halfway = threading.Event()
        self.go_on = threading.Event()

    def __iter__(self) -> Iterator[bytes]:
        """Yield the pieces."""
        middle = len(self.whole) // 2
        for first in range(0, len(self.whole), MIB):
            if first >= middle and not self.halfway.is_set():
                self.halfway.set()
                assert self.go_on.wait(60)
            yield self.whole[first : first + MIB]


def test_a_node_dies_in_the_middle_of_a_push(fleet: Fleet, ours: str) -> None:
    """The upload whose node was killed goes on at another one where it stands, and the layer is whole."""
    token, body = fleet.front.token(), Body(os.urandom(24 * MIB))
    path = fleet.front.request("POST", f"/v2/{ours}/blobs/uploads/", token=token).headers["Location"]
    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(_status, lambda: fleet.front.request("PATCH", path, token=token, body=iter(body)))
        assert body.halfway.wait(60)
        dead = fleet.busy()
        fleet.kill(dead)
        body.go_on.set()
        assert sending.result() != 202

    stands = fleet.front.request("GET", path, token=token)
    assert stands.status == 204
    offset = int(stands.headers["Range"].partition("-")[2]) + 1
    rest = body.whole[offset:] if offset > 1 else body.whole
    sent = fleet.front.request("PATCH", stands.headers["Location"], token=token, body=rest)
    digest = content.digest_of(body.whole)
    done = fleet.front.request("PUT", f"{sent.headers['Location']}?digest={digest}", token=token)

    assert (sent.status, done.status) == (202, 201)
    fleet.replace(dead)
    assert pull(fleet, ours, digest, token) == [body.whole] * 3


def _status(request: Callable[[], Any]) -> int | None:
    try:
        status: int = request().status
    except HTTPError:
        return None
    return status


def test_a_node_dies_in_the_middle_of_a_pull(fleet: Fleet, ours: str) -> None:
    """The pull breaks off, the client sees that it did, and the rest comes from another node."""
    token, whole = fleet.front.token(), os.urandom(48 * MIB)
    digest = content.push_blob(fleet.front, ours, whole, token)
    path, headers = f"/v2/{ours}/blobs/{digest}", {"Authorization": f"Basic {token}"}
    answer = fleet.front.http.request("GET", fleet.front.url + path, headers=headers, preload_content=False)
    got = answer.read(MIB)
    dead = fleet.busy()
    fleet.kill(dead)
    with pytest.raises(HTTPError):
        while piece := answer.read(MIB):
            got += piece
    answer.release_conn()

    rest = fleet.front.request("GET", path, token=token, headers={"Range": f"bytes={len(got)}-"})

    assert (rest.status, got + rest.data) == (206, whole)
    fleet.replace(dead)


def test_a_node_dies_under_load(fleet: Fleet, ours: str) -> None:
    """No client notices more than that a request had to be sent again, and nothing that was acknowledged is lost."""
    with Load(fleet.front, ours) as load:
        fleet.kill(1)
        load.wait_for(5)
        fleet.replace(1)
        load.wait_for(5)

    for image in load.acknowledged:
        load.client.pull(ours, image)


def test_a_rolling_restart(
    fleet: Fleet, ours: str, record_property: Callable[[str, object], None], capsys: pytest.CaptureFixture[str]
) -> None:
    """Each node is ended with SIGTERM and started again under load: nobody fails, and nobody tries an operation thrice."""
    with Load(fleet.front, ours) as load:
        for number in range(len(fleet.nodes)):
            assert fleet.restart(number) == 0
            load.wait_for(3)

    told = f"{load.met.operations} operations, tried again: {dict(load.met.answers)}, failed: 0"
    record_property("rolling_restart", told)
    with capsys.disabled():
        print(f"\nrolling restart of {len(fleet.nodes)} nodes: {told}")  # noqa: T201 (a figure)
    assert load.met.most <= 1
    for image in load.acknowledged:
        load.client.pull(ours, image)

"""The boto3 of 2017, unmodified, in an environment of its own."""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.clients.tools import Tool, missing
from tests.servers import clean_environment

if TYPE_CHECKING:
    from tests.servers import Server

FOLDER = Path(__file__).parent / "seed_era"
LOCK = Path(__file__).parents[2] / "requirements" / "seed-client.txt"
NAME = "seed/era"


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python with the packages of 2017, exactly as locked."""
    folder = tmp_path_factory.mktemp("seed") / "venv"
    Tool((sys.executable, "-m", "venv"))(folder)
    pip = Tool((str(folder / "bin" / "python"), "-m", "pip", "--disable-pip-version-check"))
    done = pip.call("install", "--quiet", "--require-hashes", "-r", LOCK)
    if done.returncode != 0:
        missing(f"cannot install {LOCK.name}: {done.stderr.strip()[-500:]}")
    return folder / "bin" / "python"


@pytest.fixture(scope="module")
def seen(python: Path, server: Server) -> Any:
    """What the script saw."""
    environment = clean_environment(
        PYTHONPATH=str(FOLDER),
        AWS_ACCESS_KEY_ID=server.key.access_key_id,
        AWS_SECRET_ACCESS_KEY=server.key.secret_access_key,
        AWS_DEFAULT_REGION="eu-west-1",
    )
    return json.loads(Tool((str(python),), environment)(FOLDER / "script.py", server.url, NAME))


def test_it_is_the_client_of_that_time(seen: Any) -> None:
    """The client is the one that the seed document describes."""
    assert seen["versions"] == ["1.4.4", "1.5.95"]


def test_its_login_is_good_for_the_distribution_door(server: Server, seen: Any) -> None:
    """GetAuthorizationToken gives it the address to log in at, and what to say there."""
    token = base64.b64encode(f"AWS:{seen['password']}".encode()).decode()

    assert (seen["endpoint"], seen["user"]) == (server.url, "AWS")
    assert server.request("GET", "/v2/", token=token).status == 200


def test_it_creates_a_repository(server: Server, seen: Any) -> None:
    """CreateRepository answers with an address to push to."""
    assert seen["uri"] == f"{server.host}/{NAME}"


def test_it_puts_an_image(seen: Any) -> None:
    """Every PutImage of the same manifest names the same digest, under its own tag."""
    digest = seen["details"]["imageDigest"]

    assert seen["put"] == [{"imageDigest": digest, "imageTag": tag} for tag in ("v1", "v2", "v3")]


def test_it_gets_the_manifest_as_it_put_it(seen: Any) -> None:
    """BatchGetImage gives back what PutImage took."""
    assert seen["same"] == [True]


def test_it_describes_an_image(seen: Any) -> None:
    """DescribeImages shows what that time's client knew of an image, and nothing else."""
    details = seen["details"]

    assert details.keys() == {
        "registryId",
        "repositoryName",
        "imageDigest",
        "imageTags",
        "imageSizeInBytes",
        "imagePushedAt",
    }
    assert sorted(details["imageTags"]) == ["v1", "v2", "v3"]
    assert details["imageSizeInBytes"] == sum(size for _, size in seen["sizes"])


def test_it_finds_a_layer(seen: Any) -> None:
    """BatchCheckLayerAvailability finds the layer that was uploaded, with its size."""
    (_, (digest, size)) = seen["sizes"]

    (layer,) = seen["layers"]
    assert (layer["layerDigest"], layer["layerSize"]) == (digest, size)
    assert layer["layerAvailability"] == "AVAILABLE"


def test_it_downloads_a_layer(seen: Any) -> None:
    """What GetDownloadUrlForLayer points to is the layer."""
    (_, (digest, _)) = seen["sizes"]

    assert seen["downloaded"] == digest


def test_it_pages(seen: Any) -> None:
    """The paginator of ListImages goes through all the pages."""
    assert [len(page) for page in seen["pages"]] == [2, 1]
    assert sorted(tag for page in seen["pages"] for tag in page) == ["v1", "v2", "v3"]


def test_it_deletes(seen: Any) -> None:
    """BatchDeleteImage untags the image until it is gone, so that DeleteRepository needs no force."""
    assert seen["deleted"] == ["v1", "v2", "v3"]
    assert seen["repository"] == NAME


def test_it_knows_the_refusal(seen: Any) -> None:
    """An error that it models is raised as that error."""
    assert seen["refused"] == "RepositoryNotFoundException"

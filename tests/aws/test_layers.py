"""Layers at the AWS door: uploaded in parts, checked, downloaded."""

from __future__ import annotations

import os
import uuid
from typing import Any

import pytest
import urllib3
from botocore.exceptions import ClientError

from tests import content
from tests.servers import ACCOUNT, Server

MIB = 1024 * 1024


def upload_parts(ecr: Any, repository: str, *parts: bytes) -> str:
    """Begin an upload and append the parts; return its id."""
    upload_id = ecr.initiate_layer_upload(repositoryName=repository)["uploadId"]
    first = 0
    for part in parts:
        answer = ecr.upload_layer_part(
            repositoryName=repository,
            uploadId=upload_id,
            partFirstByte=first,
            partLastByte=first + len(part) - 1,
            layerPartBlob=part,
        )
        first += len(part)
        assert answer["lastByteReceived"] == first - 1
    return str(upload_id)


def test_a_layer_in_parts_is_whole(server: Server, ecr: Any, repository: str) -> None:
    """Parts of the smallest and the largest size make one layer, whichever worker took which."""
    parts = [os.urandom(5 * MIB), os.urandom(20 * MIB), os.urandom(3)]
    whole = b"".join(parts)
    upload_id = upload_parts(ecr, repository, *parts)

    done = ecr.complete_layer_upload(
        repositoryName=repository, uploadId=upload_id, layerDigests=["tarsum+sha256:abc", content.digest_of(whole)]
    )

    assert done["layerDigest"] == content.digest_of(whole)
    assert server.request("GET", f"/v2/{repository}/blobs/{done['layerDigest']}").data == whole


def test_availability_is_told_for_each_digest(server: Server, ecr: Any, repository: str) -> None:
    """A layer is AVAILABLE with size and type, or UNAVAILABLE; only unusable digests are failures."""
    image = content.push(server, repository, "v1")
    digest, absent = content.digest_of(image.layers[0]), "sha256:" + "0" * 64

    answer = ecr.batch_check_layer_availability(
        repositoryName=repository, layerDigests=[digest, absent, "no digest", ""]
    )

    assert answer["layers"] == [
        {
            "layerDigest": digest,
            "layerAvailability": "AVAILABLE",
            "layerSize": len(image.layers[0]),
            "mediaType": content.LAYER,
        },
        {"layerDigest": absent, "layerAvailability": "UNAVAILABLE"},
    ]
    assert [f["failureCode"] for f in answer["failures"]] == ["InvalidLayerDigest", "MissingLayerDigest"]


def test_layers_do_not_leak_between_repositories(server: Server, ecr: Any, repository: str) -> None:
    """A layer of one repository is not available in another one."""
    ecr.create_repository(repositoryName=f"{repository}/other")
    image = content.push(server, repository, "v1")
    digest = content.digest_of(image.layers[0])

    answer = ecr.batch_check_layer_availability(repositoryName=f"{repository}/other", layerDigests=[digest])

    assert answer["layers"][0]["layerAvailability"] == "UNAVAILABLE"
    assert server.request("GET", f"/v2/{repository}/other/blobs/{digest}".replace("//", "/")).status == 404


def test_parts_must_follow_each_other(ecr: Any, repository: str) -> None:
    """A part that does not begin where the last one ended is refused and says where the upload stands."""
    part = os.urandom(5 * MIB)
    upload_id = upload_parts(ecr, repository, part)

    for first in (0, 5 * MIB + 1):
        with pytest.raises(ecr.exceptions.InvalidLayerPartException) as caught:
            ecr.upload_layer_part(
                repositoryName=repository,
                uploadId=upload_id,
                partFirstByte=first,
                partLastByte=first,
                layerPartBlob=b"x",
            )
        assert caught.value.response["Error"]["Message"] == (
            f"First byte of the layer part is {first} instead of {5 * MIB}"
        )
        assert caught.value.response["lastValidByteReceived"] == 5 * MIB - 1
        assert caught.value.response["uploadId"] == upload_id
    with pytest.raises(ecr.exceptions.InvalidLayerPartException):
        ecr.upload_layer_part(
            repositoryName=repository,
            uploadId=upload_id,
            partFirstByte=5 * MIB,
            partLastByte=5 * MIB + 5,
            layerPartBlob=b"too short",
        )

    done = ecr.complete_layer_upload(
        repositoryName=repository, uploadId=upload_id, layerDigests=[content.digest_of(part)]
    )
    assert done["layerDigest"] == content.digest_of(part)


def test_small_parts_are_refused_at_completion(ecr: Any, repository: str) -> None:
    """Only the last part may be under 5 MiB, and only completion can tell."""
    parts = [b"small", os.urandom(5 * MIB)]
    upload_id = upload_parts(ecr, repository, *parts)

    with pytest.raises(ecr.exceptions.LayerPartTooSmallException, match="at least 5MB"):
        ecr.complete_layer_upload(
            repositoryName=repository, uploadId=upload_id, layerDigests=[content.digest_of(b"".join(parts))]
        )


def test_completion_verifies_and_happens_once(ecr: Any, repository: str) -> None:
    """A wrong digest, an empty upload, a second completion and a known layer each have their own failure."""
    data = os.urandom(1000)
    empty = ecr.initiate_layer_upload(repositoryName=repository)["uploadId"]
    upload_id = upload_parts(ecr, repository, data)
    named = {"repositoryName": repository, "layerDigests": [content.digest_of(data)]}

    with pytest.raises(ecr.exceptions.EmptyUploadException, match="does not have any parts"):
        ecr.complete_layer_upload(uploadId=empty, **named)
    with pytest.raises(ecr.exceptions.InvalidLayerException, match="None of the provided layer digests match"):
        ecr.complete_layer_upload(
            repositoryName=repository, uploadId=upload_id, layerDigests=[content.digest_of(b"other")]
        )
    ecr.complete_layer_upload(uploadId=upload_id, **named)
    with pytest.raises(ecr.exceptions.UploadNotFoundException):
        ecr.complete_layer_upload(uploadId=upload_id, **named)
    with pytest.raises(ecr.exceptions.LayerAlreadyExistsException):
        ecr.complete_layer_upload(uploadId=upload_parts(ecr, repository, data), **named)


def test_an_upload_belongs_to_its_repository(ecr: Any, repository: str) -> None:
    """Another repository, or an id never given, is UploadNotFound."""
    ecr.create_repository(repositoryName=f"{repository}-b")
    upload_id = upload_parts(ecr, repository, b"data")

    for name, wanted in ((f"{repository}-b", upload_id), (repository, str(uuid.uuid4()))):
        with pytest.raises(ecr.exceptions.UploadNotFoundException):
            ecr.complete_layer_upload(repositoryName=name, uploadId=wanted, layerDigests=[content.digest_of(b"data")])


def test_download_urls_serve_the_bytes(server: Server, ecr: Any, repository: str) -> None:
    """A download URL needs no further credential, serves ranges, and cannot be altered."""
    image = content.push(server, repository, "v1")
    data = image.layers[0]
    url = ecr.get_download_url_for_layer(repositoryName=repository, layerDigest=content.digest_of(data))["downloadUrl"]

    with urllib3.PoolManager() as client:
        whole = client.request("GET", url)
        part = client.request("GET", url, headers={"Range": "bytes=10-19"})
    altered = server.http.request("GET", url[:-3] + ("AAA" if not url.endswith("AAA") else "BBB"))

    assert whole.data == data
    assert whole.headers["Content-Length"] == str(len(data))
    assert (part.status, part.data) == (206, data[10:20])
    assert altered.status == 401


def test_only_referenced_layers_have_download_urls(ecr: Any, repository: str) -> None:
    """A layer without an image is LayerInaccessible, one that is not there LayersNotFound."""
    digest = content.upload_layer(ecr, repository, os.urandom(100))

    with pytest.raises(ecr.exceptions.LayerInaccessibleException):
        ecr.get_download_url_for_layer(repositoryName=repository, layerDigest=digest)
    with pytest.raises(ecr.exceptions.LayersNotFoundException) as caught:
        ecr.get_download_url_for_layer(repositoryName=repository, layerDigest="sha256:" + "0" * 64)

    assert f"in the registry with id '{ACCOUNT}'" in caught.value.response["Error"]["Message"]


def test_a_part_over_20_mib_is_refused(ecr: Any, repository: str) -> None:
    """The model's bound on a part's bytes is enforced."""
    upload_id = upload_parts(ecr, repository)

    with pytest.raises(ClientError) as caught:
        ecr.upload_layer_part(
            repositoryName=repository,
            uploadId=upload_id,
            partFirstByte=0,
            partLastByte=20 * MIB,
            layerPartBlob=bytes(20 * MIB + 1),
        )

    assert caught.value.response["Error"]["Code"] == "InvalidParameterException"

"""Manifests: their bytes, their sizes, their tags, and what they refer to."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest

from moorage.domain import manifests
from tests import content
from tests.oci.wire import ABSENT, sha512_of

if TYPE_CHECKING:
    from tests.oci.conftest import World
    from tests.oci.wire import Door

LONGEST = 4 * 1024 * 1024


def padded(image: content.Image, length: int) -> bytes:
    """Return the image's manifest, made exactly that long by an annotation."""
    document = json.loads(image.manifest) | {"annotations": {"pad": ""}}
    return json.dumps(document | {"annotations": {"pad": "x" * (length - len(json.dumps(document)))}}).encode()


def test_the_longest_manifest(door: Door, world: World) -> None:
    """A manifest of exactly 4 MiB is stored and served byte for byte."""
    body = padded(world.pushed, LONGEST)
    assert len(body) == LONGEST

    put = door.manifest(world.repo, "long", body, manifests.OCI_IMAGE)

    assert put.status == 201
    assert (
        hashlib.sha256(door("GET", f"/v2/{world.repo}/manifests/long").data).digest() == hashlib.sha256(body).digest()
    )


def test_one_byte_too_long(door: Door, world: World) -> None:
    """A manifest of one byte more is 413, however it is sent, and is not stored."""
    body = padded(world.pushed, LONGEST + 1)

    whole = door.manifest(world.repo, "long", body, manifests.OCI_IMAGE)
    chunked = door(
        "PUT",
        f"/v2/{world.repo}/manifests/long",
        headers={"Content-Type": manifests.OCI_IMAGE},
        body=[body[:100_000], body[100_000:]],
    )

    assert [(answer.status, answer.code) for answer in (whole, chunked)] == [(413, "MANIFEST_INVALID")] * 2
    assert door("GET", f"/v2/{world.repo}/manifests/long").status == 404


@pytest.mark.parametrize("docker", [False, True])
def test_bytes_come_back_as_they_went(door: Door, world: World, docker: bool) -> None:
    """A manifest keeps its spaces, its order and its unknown members, under its tag and its digest."""
    image = content.image(docker=docker)
    for part in (image.config, *image.layers):
        door.blob(world.repo, part)
    body = (
        json.dumps(json.loads(image.manifest) | {"unknown": ["é", 1.50]}, indent=7, ensure_ascii=False).encode()
        + b"\n\n"
    )

    put = door.manifest(world.repo, "odd", body, image.media_type)

    assert put.headers["Docker-Content-Digest"] == content.digest_of(body)
    for reference in ("odd", content.digest_of(body)):
        answer = door("GET", f"/v2/{world.repo}/manifests/{reference}")
        assert (answer.data, answer.headers["Content-Type"]) == (body, image.media_type)


def test_a_manifest_under_another_algorithm(door: Door, world: World) -> None:
    """A manifest pushed by its SHA-512 is found by it, and by the tags of that push."""
    body = padded(world.pushed, 2000)
    digest = sha512_of(body)

    put = door.manifest(world.repo, f"{digest}?tag=strong", body, manifests.OCI_IMAGE)

    assert (put.status, put.headers["Docker-Content-Digest"]) == (201, digest)
    for reference in (digest, "strong"):
        assert door("GET", f"/v2/{world.repo}/manifests/{reference}").data == body
    assert door("DELETE", f"/v2/{world.repo}/manifests/{digest}").status == 202


@pytest.mark.parametrize("reference", [ABSENT, "sha512:" + "0" * 128])
def test_a_manifest_under_a_wrong_digest(door: Door, world: World, reference: str) -> None:
    """A manifest under a digest that its bytes do not have is refused in ECR's words, and sets no tag."""
    refused = door.manifest(world.repo, f"{reference}?tag=x", world.pushed.manifest, manifests.OCI_IMAGE)

    assert (refused.status, refused.code) == (400, "DIGEST_INVALID")
    assert "does not match the image digest that Amazon ECR has calculated" in refused.message
    assert door("GET", f"/v2/{world.repo}/manifests/x").status == 404


def test_several_tags_in_one_push(door: Door, world: World) -> None:
    """A push by digest sets all tags that it names, and says which; a bad one among them sets none."""
    path = f"{world.manifest}?tag=a&tag=b&tag=a"
    put = door.manifest(world.repo, path, world.pushed.manifest, manifests.OCI_IMAGE)
    bad = door.manifest(
        world.repo, f"{world.manifest}?tag=c&tag=not%20a%20tag", world.pushed.manifest, manifests.OCI_IMAGE
    )
    many = door.manifest(
        world.repo,
        world.manifest + "?" + "&".join(f"tag=t{n}" for n in range(101)),
        world.pushed.manifest,
        manifests.OCI_IMAGE,
    )

    assert put.headers.get_all("OCI-Tag") == ["a", "b"]
    assert [(bad.status, bad.code), (many.status, many.code)] == [(400, "TAG_INVALID")] * 2
    assert door("GET", f"/v2/{world.repo}/tags/list").json()["tags"] == ["a", "b", "v1"]


def test_the_same_push_again(door: Door, world: World) -> None:
    """To push what is there, by tag or by digest, is 201 each time."""
    for reference in ("v1", world.manifest, "v1"):
        assert door.manifest(world.repo, reference, world.pushed.manifest, manifests.OCI_IMAGE).status == 201


def test_the_longest_tag(door: Door, world: World) -> None:
    """A tag may have 300 characters, and any of ECR's grammar."""
    for tag in ("t" * 300, "A", "_", "-.", "..", "v1.2.3-rc_1"):
        assert door.manifest(world.repo, tag, world.pushed.manifest, manifests.OCI_IMAGE).status == 201
        assert door("GET", f"/v2/{world.repo}/manifests/{tag}").data == world.pushed.manifest


def test_deleting_a_tag_leaves_the_others(door: Door, world: World) -> None:
    """A deleted tag is gone alone while the image has another one."""
    door.manifest(world.repo, "v2", world.pushed.manifest, manifests.OCI_IMAGE)

    assert door("DELETE", f"/v2/{world.repo}/manifests/v1").status == 202

    assert door("GET", f"/v2/{world.repo}/manifests/v1").status == 404
    assert door("GET", f"/v2/{world.repo}/manifests/v2").data == world.pushed.manifest
    assert door("DELETE", f"/v2/{world.repo}/manifests/v1").status == 404


def test_deleting_an_image_takes_its_tags(door: Door, world: World) -> None:
    """An image deleted by its digest is gone under every name."""
    door.manifest(world.repo, "v2", world.pushed.manifest, manifests.OCI_IMAGE)

    assert door("DELETE", f"/v2/{world.repo}/manifests/{world.manifest}").status == 202

    for reference in ("v1", "v2", world.manifest):
        assert door("GET", f"/v2/{world.repo}/manifests/{reference}").status == 404
    assert door("GET", f"/v2/{world.repo}/tags/list").json()["tags"] == []
    assert door("DELETE", f"/v2/{world.repo}/manifests/{world.manifest}").status == 404


def test_an_index_keeps_its_images(door: Door, world: World) -> None:
    """An image that an index names cannot be deleted by its digest; its tag can, and the image stays."""
    index = content.index(world.pushed)
    assert door.manifest(world.repo, "multi", index, manifests.OCI_INDEX).status == 201

    refused = door("DELETE", f"/v2/{world.repo}/manifests/{world.manifest}")

    assert (refused.status, refused.code) == (405, "UNSUPPORTED")
    assert refused.message == f"Requested image referenced by manifest list: [{content.digest_of(index)}]"
    assert door("DELETE", f"/v2/{world.repo}/manifests/v1").status == 202
    assert door("GET", f"/v2/{world.repo}/manifests/{world.manifest}").data == world.pushed.manifest
    assert door("DELETE", f"/v2/{world.repo}/manifests/multi").status == 202
    assert door("DELETE", f"/v2/{world.repo}/manifests/{world.manifest}").status == 202


def test_indexes_nest(door: Door, world: World) -> None:
    """An index may name an index; both are served as they came."""
    inner = content.index(world.pushed)
    outer = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": manifests.OCI_INDEX,
            "manifests": [content.descriptor(inner, manifests.OCI_INDEX)],
        }
    ).encode()

    early = door.manifest(world.repo, "outer", outer, manifests.OCI_INDEX)
    pushed = [door.manifest(world.repo, t, b, manifests.OCI_INDEX) for t, b in (("inner", inner), ("outer", outer))]

    assert (early.status, early.code) == (404, "MANIFEST_BLOB_UNKNOWN")
    assert [answer.status for answer in pushed] == [201, 201]
    assert door("GET", f"/v2/{world.repo}/manifests/outer").data == outer


def test_what_refers_to_an_image(door: Door, world: World) -> None:
    """An artifact with a subject is answered with OCI-Subject, and listed with its type and annotations."""
    subject = content.descriptor(world.pushed.manifest, manifests.OCI_IMAGE)
    signature = content.image(subject=subject, artifactType="a/signature", annotations={"by": "me"})
    sbom = content.image(subject=subject, artifactType="a/sbom")
    for artifact in (signature, sbom):
        door.image(world.repo, pushed=artifact)
    again = door.manifest(world.repo, signature.digest, signature.manifest, manifests.OCI_IMAGE)

    listed = door("GET", f"/v2/{world.repo}/referrers/{world.manifest}")
    some = door("GET", f"/v2/{world.repo}/referrers/{world.manifest}?artifactType=a/signature")

    assert again.headers["OCI-Subject"] == world.manifest
    assert {item["digest"] for item in listed.json()["manifests"]} == {signature.digest, sbom.digest}
    assert some.json()["manifests"] == [
        content.descriptor(
            signature.manifest, manifests.OCI_IMAGE, artifactType="a/signature", annotations={"by": "me"}
        )
    ]
    assert some.headers["OCI-Filters-Applied"] == "artifactType"
    assert listed.headers["OCI-Filters-Applied"] is None
    door("DELETE", f"/v2/{world.repo}/manifests/{sbom.digest}")
    left = door("GET", f"/v2/{world.repo}/referrers/{world.manifest}").json()["manifests"]
    assert [item["digest"] for item in left] == [signature.digest]


def test_a_referrer_that_cannot_be_listed_is_not_taken(door: Door, world: World) -> None:
    """A manifest that no answer could repeat (half a character, infinity) is refused, and the list goes on working."""
    subject = content.descriptor(world.pushed.manifest, manifests.OCI_IMAGE)
    artifact = json.loads(content.image(*world.pushed.layers, subject=subject).manifest)
    artifact["config"] = json.loads(world.pushed.manifest)["config"]
    bodies = [
        (json.dumps(artifact | {"annotations": {"a": "\ud800"}}), manifests.OCI_IMAGE, "x"),
        (
            content.index(world.pushed).decode().replace('"size":', '"x": 1e999, "size":'),
            manifests.OCI_INDEX,
            world.manifest.replace(":", "-"),
        ),
    ]

    for body, media_type, tag in bodies:
        refused = door.manifest(world.repo, tag, body.encode(), media_type)
        listed = door("GET", f"/v2/{world.repo}/referrers/{world.manifest}")
        assert ((refused.status, refused.code), listed.status) == ((400, "MANIFEST_INVALID"), 200)


def test_many_referrers_come_in_pages(door: Door, world: World) -> None:
    """Each referrer is listed once, however many pages they take."""
    subject = content.descriptor(world.pushed.manifest, manifests.OCI_IMAGE)
    base = content.image(*world.pushed.layers, subject=subject)
    door.image(world.repo, pushed=base)
    expected = {base.digest}
    for number in range(105):
        body = json.dumps(json.loads(base.manifest) | {"annotations": {"n": str(number)}}).encode()
        assert door.manifest(world.repo, content.digest_of(body), body, manifests.OCI_IMAGE).status == 201
        expected.add(content.digest_of(body))

    seen: list[str] = []
    path: str | None = f"/v2/{world.repo}/referrers/{world.manifest}"
    pages = 0
    while path:
        answer = door("GET", path)
        seen += [item["digest"] for item in answer.json()["manifests"]]
        path, pages = answer.next, pages + 1

    assert (len(seen), set(seen), pages) == (106, expected, 2)


def test_a_manifest_names_what_is_missing(door: Door, repository: str) -> None:
    """A manifest whose layers are not there is refused in ECR's words, naming them in its order."""
    image = content.image(count=2)
    door.blob(repository, image.layers[0])

    refused = door.manifest(repository, "v1", image.manifest, image.media_type)

    lost = ", ".join(content.digest_of(part) for part in (image.config, image.layers[1]))
    assert (refused.status, refused.code) == (404, "MANIFEST_BLOB_UNKNOWN")
    assert refused.message.startswith(f"Layers with digests '[{lost}]' required for pushing image into repository")
    assert door("GET", f"/v2/{repository}/manifests/v1").status == 404


def test_layers_from_elsewhere_need_not_be_here(door: Door, repository: str) -> None:
    """A non-distributable layer is fetched from its URLs, and not asked for here."""
    image = content.image()
    door.blob(repository, image.config)
    document: dict[str, Any] = json.loads(image.manifest)
    document["layers"][0]["mediaType"] = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
    document["layers"][0]["urls"] = ["https://example.com/layer"]

    assert door.manifest(repository, "v1", json.dumps(document).encode(), image.media_type).status == 201

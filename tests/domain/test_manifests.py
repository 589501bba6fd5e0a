"""Manifests: what their bytes say, and everything that is none."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from moorage.domain import manifests
from moorage.domain.errors import Failure, InvalidParameter, ManifestTooLarge
from moorage.domain.manifests import DOCKER_IMAGE, DOCKER_LIST, OCI_IMAGE, OCI_INDEX, Manifest, parse

CONFIG = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": "sha256:" + "a" * 64, "size": 100}
LAYER = {"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": "sha256:" + "b" * 64, "size": 1000}
OTHER = {**LAYER, "digest": "sha512:" + "c" * 128, "size": 7}
CHILD = {"mediaType": OCI_IMAGE, "digest": "sha256:" + "d" * 64, "size": 500}


def image(media_type: str | None = OCI_IMAGE, **changed: Any) -> bytes:
    """Return an image manifest with some members changed, or left out if they are None."""
    document = {"schemaVersion": 2, "mediaType": media_type, "config": CONFIG, "layers": [LAYER, OTHER]} | changed
    return json.dumps({name: value for name, value in document.items() if value is not None}).encode()


def index(media_type: str | None = OCI_INDEX, **changed: Any) -> bytes:
    """Return an index with some members changed, or left out if they are None."""
    document = {"schemaVersion": 2, "mediaType": media_type, "manifests": [CHILD]} | changed
    return json.dumps({name: value for name, value in document.items() if value is not None}).encode()


# --- What they say -------------------------------------------------------------------


@pytest.mark.parametrize("media_type", [OCI_IMAGE, DOCKER_IMAGE])
def test_an_image_says_what_it_needs(media_type: str) -> None:
    """An image's config and layers are its needs, in order, and their sizes add up."""
    parsed = parse(image(media_type))

    assert parsed.media_type == media_type
    assert parsed.required_layers == (CONFIG["digest"], LAYER["digest"], OTHER["digest"])
    assert parsed.required_images == ()
    assert parsed.size == 1107
    assert parsed.artifact_type == CONFIG["mediaType"]


@pytest.mark.parametrize("media_type", [OCI_INDEX, DOCKER_LIST])
def test_an_index_says_what_it_needs(media_type: str) -> None:
    """An index's images are its needs; whatever else it names (a cache, a blob) must be there as a layer."""
    parsed = parse(
        index(
            media_type, manifests=[CHILD, LAYER, CHILD, {**CHILD, "mediaType": DOCKER_LIST, "digest": OTHER["digest"]}]
        )
    )

    assert parsed.required_images == (CHILD["digest"], OTHER["digest"])
    assert parsed.required_layers == (LAYER["digest"],)
    assert parsed.size == 0


def test_each_need_is_named_once() -> None:
    """A layer that occurs twice is needed once, and counted twice."""
    parsed = parse(image(layers=[LAYER, LAYER, {**LAYER, "digest": CONFIG["digest"]}]))

    assert parsed.required_layers == (CONFIG["digest"], LAYER["digest"])
    assert parsed.size == 3100


@pytest.mark.parametrize(
    "elsewhere",
    [
        {"urls": ["https://example.com/x"]},
        {"mediaType": "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"},
        {"mediaType": "application/vnd.oci.image.layer.nondistributable.v1.tar"},
    ],
)
def test_what_is_elsewhere_is_not_needed(elsewhere: dict[str, Any]) -> None:
    """A foreign layer need not be in the repository."""
    assert parse(image(layers=[LAYER | elsewhere, OTHER])).required_layers == (CONFIG["digest"], OTHER["digest"])


@pytest.mark.parametrize(("body", "declared", "media_type"), [
    (image(), None, OCI_IMAGE),
    (image(None), OCI_IMAGE, OCI_IMAGE),
    (image(None), DOCKER_IMAGE, DOCKER_IMAGE),
    (image(), OCI_IMAGE + "; charset=utf-8", OCI_IMAGE),
    (image(), f" {OCI_IMAGE.upper()} ", OCI_IMAGE),
    (index(None), DOCKER_LIST, DOCKER_LIST),
    (image(), "", OCI_IMAGE),
])  # fmt: skip
def test_the_media_type_is_the_documents_or_the_senders(body: bytes, declared: str | None, media_type: str) -> None:
    """Either says it; where both do they agree."""
    assert parse(body, declared).media_type == media_type


def test_subject_artifact_type_and_annotations() -> None:
    """What refers to another manifest says to which, as what, and with which notes."""
    for make in (image, index):
        parsed = parse(make(subject=CHILD, artifactType="a/b", annotations={"k": "v"}))
        assert parsed.subject is not None
        assert (parsed.subject.digest, parsed.artifact_type, parsed.annotations) == (CHILD["digest"], "a/b", {"k": "v"})


def test_an_image_of_no_layers_is_an_image() -> None:
    """Layers may be empty or missing (artifacts, metadata-only builds)."""
    for body in (image(layers=[]), image(layers=None)):
        assert parse(body).required_layers == (CONFIG["digest"],)


def test_the_bytes_are_kept() -> None:
    """The parsed manifest has the very bytes it came as."""
    body = b" \n" + image() + b"\t\n"

    assert parse(body).body is body


# --- What is refused -----------------------------------------------------------------

REFUSED = {
    "nothing": b"",
    "no JSON": b"{",
    "no object": b"[]",
    "null": b"null",
    "not UTF-8": b'{"schemaVersion": 2, "x": "\xff"}',
    "UTF-16": image().decode().encode("utf-16"),
    "too deep": b"[" * 200_000,
    "too deep within": image(x=0).replace(b'"x": 0', b'"x": ' + b"[" * 200_000 + b"]" * 200_000),
    "no version": image(schemaVersion=None),
    "version 1": image(schemaVersion=1),
    "version true": image(schemaVersion=True),
    "version 2.0": image(schemaVersion=2.0),
    "version in words": image(schemaVersion="2"),
    "unknown type": image("text/plain"),
    "type no text": image(media_type=7),  # type: ignore[arg-type]
    "no config": image(config=None),
    "config no object": image(config=[]),
    "layers no list": image(layers={}),
    "layer no object": image(layers=["x"]),
    "digest missing": image(layers=[{**LAYER, "digest": None}]),
    "digest bad": image(layers=[{**LAYER, "digest": "sha256:../../x"}]),
    "digest upper": image(layers=[{**LAYER, "digest": "sha256:" + "B" * 64}]),
    "size missing": image(layers=[{"mediaType": LAYER["mediaType"], "digest": LAYER["digest"]}]),
    "size negative": image(layers=[{**LAYER, "size": -1}]),
    "size no whole number": image(layers=[{**LAYER, "size": 1.5}]),
    "size true": image(layers=[{**LAYER, "size": True}]),
    "size beyond 64 bits": image(layers=[{**LAYER, "size": 2**63}]),
    "sizes beyond 64 bits": image(layers=[{**LAYER, "size": 2**63 - 1}] * 2),
    "size a very long number": image(layers=[{**LAYER, "size": 0}]).replace(b'"size": 0', b'"size": ' + b"9" * 5000),
    "layer type missing": image(layers=[{**LAYER, "mediaType": None}]),
    "layer type over-long": image(layers=[{**LAYER, "mediaType": "a" * 2000}]),
    "layer type with a line break": image(layers=[{**LAYER, "mediaType": "a/b\r\nX: y"}]),
    "urls no list": image(layers=[{**LAYER, "urls": "https://x"}]),
    "urls no texts": image(layers=[{**LAYER, "urls": [1]}]),
    "annotations no object": image(annotations=[]),
    "annotation no text": image(annotations={"a": 1}),
    "descriptor annotation no text": image(layers=[{**LAYER, "annotations": {"a": None}}]),
    "subject no object": image(subject="x"),
    "subject bad": image(subject={**CHILD, "digest": "x"}),
    "artifact type no text": image(artifactType=1),
    "artifact type with a line break": image(artifactType="a\nb"),
    "an image with manifests": image(manifests=[]),
    "an index with layers": index(layers=[]),
    "an index with config": index(config=CONFIG),
    "manifests no list": index(manifests={}),
    "manifests missing": index(manifests=None),
    "child no object": index(manifests=[1]),
}


@pytest.mark.parametrize("body", REFUSED.values(), ids=REFUSED)
def test_what_is_no_manifest(body: bytes) -> None:
    """Every flaw is InvalidParameter at ImageManifest."""
    with pytest.raises(InvalidParameter) as caught:
        parse(body)

    assert caught.value.field == "ImageManifest"
    assert caught.value.message.startswith("Invalid parameter at 'ImageManifest' failed to satisfy constraint: '")


@pytest.mark.parametrize("declared", [DOCKER_IMAGE, OCI_INDEX, "text/plain", "*/*", ";"])
def test_a_type_that_the_document_denies(declared: str) -> None:
    """A declared type that is none of a manifest, or not the document's own, is refused (but nothing is no claim)."""
    if declared == ";":
        assert parse(image(), declared).media_type == OCI_IMAGE
        return
    with pytest.raises(InvalidParameter):
        parse(image(), declared)


def test_without_any_type() -> None:
    """A document of unknown type is refused in ECR's words."""
    with pytest.raises(InvalidParameter, match="image manifest mediatype not provided in manifest or parameter"):
        parse(image(None))


def test_the_longest() -> None:
    """4 MiB can be parsed, a byte more is another failure."""
    body = image() + b" " * (manifests.MAX_BYTES - len(image()))

    assert parse(body).body == body
    with pytest.raises(ManifestTooLarge):
        parse(body + b" ")


# --- Whatever comes ------------------------------------------------------------------

JSON: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=10)
    | st.sampled_from([CONFIG["digest"], OCI_IMAGE, OCI_INDEX, CONFIG, CHILD]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*CONFIG, "urls", "annotations"]), inner)
    ),
    max_leaves=8,
)
MEMBERS = ["schemaVersion", "mediaType", "config", "layers", "manifests", "subject", "artifactType", "annotations"]


@given(
    st.sampled_from([json.loads(image()), json.loads(index()), {}]),
    st.dictionaries(st.sampled_from(MEMBERS), JSON, max_size=4),
    st.none() | st.sampled_from(sorted(manifests.MANIFEST_TYPES)) | st.text(max_size=20),
)
@example({}, {"schemaVersion": 2, "mediaType": []}, None)
def test_any_document_is_read_or_refused(base: dict[str, Any], changed: dict[str, Any], declared: str | None) -> None:
    """No document makes anything but a manifest or a `Failure`; a manifest can be stored."""
    try:
        parsed = parse(json.dumps(base | changed).encode(), declared)
    except Failure:
        return
    check_storable(parsed)


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode), st.none() | st.text(max_size=20))
@example(b'{"schemaVersion": 2, "mediaType": "\\ud800"}', None)
@example(b'{"schemaVersion": NaN}', None)
@example(b'{"schemaVersion": ' + b"2" * 5000 + b"}", None)
def test_any_bytes_are_read_or_refused(body: bytes, declared: str | None) -> None:
    """No bytes make anything but a manifest or a `Failure`."""
    try:
        parse(body, declared)
    except Failure:
        return


def check_storable(parsed: Manifest) -> None:
    """Check that columns and headers can hold what a manifest says."""
    assert parsed.media_type in manifests.MANIFEST_TYPES
    assert 0 <= parsed.size < 2**63
    for descriptor in (*parsed.layers, *parsed.children):
        assert len(descriptor.media_type) <= 1024
        assert len(descriptor.digest) <= 135
        descriptor.media_type.encode()
    (parsed.artifact_type or "").encode()
    assert len(parsed.artifact_type or "") <= 1024
    json.dumps(dict(parsed.annotations))


@pytest.mark.parametrize(
    "value", ['"\\ud800"', '"a\\uDFFF"', "NaN", "-Infinity", "1e999", '{"\\udc00": 1}', '["\\ud83d\\ud83d\\ude00"]']
)
def test_what_json_can_say_and_nobody_can_repeat(value: str) -> None:
    """Half a character or a number beyond all numbers, anywhere, is refused: no answer could be made of it."""
    for body in (image(x="?"), image(artifactType="?")):
        with pytest.raises(InvalidParameter):
            parse(body.replace(b'"?"', value.encode()))


def test_whole_characters_may_be_written_in_halves() -> None:
    """Two escapes that make one character are one character, and an escaped backslash is no escape."""
    parsed = parse(image(annotations={"a": "\U0001f600", "b": "\\ud800"}))

    assert parsed.annotations == {"a": "\U0001f600", "b": "\\ud800"}

"""cosign: signatures and attestations kept beside images, made and verified with a key and without a network."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests import content
from tests.clients import go

if TYPE_CHECKING:
    from pathlib import Path

    from tests.clients.tools import Tool
    from tests.servers import Server

BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"

# No transparency log, no services of sigstore: a key is all.
OFFLINE = ("--key", "cosign.key", "--use-signing-config=false", "--tlog-upload=false", "--yes")
WITH_KEY = ("--key", "cosign.pub", "--insecure-ignore-tlog")

# Where cosign keeps what it signs: as a bundle that refers to the image, or under a tag made of its digest.
BY_REFERENCE: tuple[str, ...] = ()
BY_TAG = ("--new-bundle-format=false",)


@pytest.fixture(scope="module")
def cosign(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Tool:
    """Cosign, logged in with a password from standard input, with keys, another's keys, and a statement to attest."""
    folder = tmp_path_factory.mktemp("cosign")
    command = go.tool("cosign", folder, COSIGN_PASSWORD="of the key")
    command("login", server.host, "--username", "AWS", "--password-stdin", stdin=server.password())
    command("generate-key-pair")
    command("generate-key-pair", "--output-key-prefix", "other")
    (folder / "predicate.json").write_text('{"built": "here"}')
    return command


@pytest.fixture
def image(server: Server, repository: str) -> content.Image:
    """An image to sign."""
    return content.push(server, repository, "v1")


@pytest.fixture
def signed(server: Server, repository: str, image: content.Image) -> str:
    """The full name, by digest, of the image to sign."""
    return f"{server.host}/{repository}@{image.digest}"


def tags(ecr: Any, repository: str) -> set[str]:
    """Return the tags of a repository."""
    return {one["imageTag"] for one in ecr.list_images(repositoryName=repository)["imageIds"] if "imageTag" in one}


def referrers(server: Server, repository: str, image: content.Image) -> list[dict[str, Any]]:
    """Return what refers to an image."""
    found: list[dict[str, Any]] = json.loads(server.request("GET", f"/v2/{repository}/referrers/{image.digest}").data)[
        "manifests"
    ]
    return found


def test_an_image_without_a_signature_is_refused(cosign: Tool, signed: str) -> None:
    """What nobody signed is not verified."""
    assert "no signatures found" in cosign.refused("verify", *WITH_KEY, signed)


@pytest.mark.parametrize("way", [BY_REFERENCE, BY_TAG], ids=["by-reference", "by-tag"])
def test_a_signature_is_verified(cosign: Tool, signed: str, image: content.Image, way: tuple[str, ...]) -> None:
    """A signature is found and holds, while another's key does not fit it."""
    cosign("sign", *OFFLINE, *way, signed)

    (claim,) = json.loads(cosign("verify", *WITH_KEY, *way, signed))

    assert claim["critical"]["image"]["docker-manifest-digest"] == image.digest
    cosign.refused("verify", "--key", "other.pub", "--insecure-ignore-tlog", *way, signed)


def test_a_bundle_refers_to_its_image(
    *, cosign: Tool, server: Server, ecr: Any, repository: str, signed: str, image: content.Image
) -> None:
    """The newer format is found by the referrers' list, and leaves no tag behind."""
    cosign("sign", *OFFLINE, signed)

    (found,) = referrers(server, repository, image)
    assert found["artifactType"] == BUNDLE
    assert found["annotations"]["dev.sigstore.bundle.content"] == "dsse-envelope"
    assert tags(ecr, repository) == {"v1"}


def test_the_older_format_is_a_tag(
    *, cosign: Tool, server: Server, ecr: Any, repository: str, signed: str, image: content.Image
) -> None:
    """The older format is an image under a tag made of the digest, which the referrers' list does not take in."""
    cosign("sign", *OFFLINE, *BY_TAG, signed)

    assert tags(ecr, repository) == {"v1", f"{image.digest.replace(':', '-')}.sig"}
    assert referrers(server, repository, image) == []


def test_the_older_format_by_reference(
    *, cosign: Tool, server: Server, ecr: Any, repository: str, signed: str, image: content.Image
) -> None:
    """Cosign's trial of the specification's referrers works as well."""
    trial = cosign.with_environment(COSIGN_EXPERIMENTAL="1")

    trial("sign", *OFFLINE, *BY_TAG, "--registry-referrers-mode=oci-1-1", signed)

    assert len(referrers(server, repository, image)) == 1
    assert tags(ecr, repository) == {"v1"}
    assert trial("verify", *WITH_KEY, *BY_TAG, "--experimental-oci11", signed)


def test_signing_twice_adds(cosign: Tool, server: Server, repository: str, signed: str, image: content.Image) -> None:
    """A second signature stands beside the first."""
    cosign("sign", *OFFLINE, "-a", "who=one", signed)
    cosign("sign", *OFFLINE, "-a", "who=two", signed)

    assert len(referrers(server, repository, image)) == 2
    assert cosign("verify", *WITH_KEY, signed)


def test_a_signature_made_elsewhere_is_attached(
    cosign: Tool, ecr: Any, repository: str, signed: str, image: content.Image
) -> None:
    """A signature that was made without an upload can be attached later, and holds."""
    kept = ("--upload=false", "--output-signature", "kept.sig", "--output-payload", "kept.json")
    cosign("sign", *OFFLINE, *BY_TAG, *kept, signed)
    assert tags(ecr, repository) == {"v1"}

    cosign("attach", "signature", "--signature", "kept.sig", "--payload", "kept.json", signed)

    assert tags(ecr, repository) == {"v1", f"{image.digest.replace(':', '-')}.sig"}
    assert cosign("verify", *WITH_KEY, *BY_TAG, signed)


@pytest.mark.parametrize("way", [BY_REFERENCE, BY_TAG], ids=["by-reference", "by-tag"])
def test_an_attestation_is_verified(cosign: Tool, signed: str, way: tuple[str, ...]) -> None:
    """A signed statement about an image is found and holds, and is in the image's tree."""
    cosign("attest", *OFFLINE, *way, "--predicate", "predicate.json", "--type", "custom", signed)

    envelope = json.loads(cosign("verify-attestation", *WITH_KEY, *way, "--type", "custom", signed))

    assert envelope["payloadType"] == "application/vnd.in-toto+json"
    assert "ttestation" in cosign("tree", signed)


@pytest.mark.parametrize("way", [BY_REFERENCE, BY_TAG], ids=["by-reference", "by-tag"])
def test_what_is_cleaned_is_gone(
    *, cosign: Tool, server: Server, ecr: Any, repository: str, signed: str, image: content.Image, way: tuple[str, ...]
) -> None:
    """Cosign can take its signatures away again; the image stays."""
    cosign("sign", *OFFLINE, *way, signed)

    cosign("clean", "--force", signed)

    assert (tags(ecr, repository), referrers(server, repository, image)) == ({"v1"}, [])
    assert "no signatures found" in cosign.refused("verify", *WITH_KEY, *way, signed)


def test_a_copy_is_still_signed(cosign: Tool, server: Server, ecr: Any, repository: str, signed: str) -> None:
    """An image that cosign copied is verified in its new repository."""
    ecr.create_repository(repositoryName=f"{repository}/copy")
    cosign("sign", *OFFLINE, *BY_TAG, signed)
    target = f"{server.host}/{repository}/copy"

    cosign("copy", signed, f"{target}:v1")

    assert cosign("verify", *WITH_KEY, *BY_TAG, f"{target}:v1")


def test_a_saved_image_is_loaded(
    *, cosign: Tool, server: Server, ecr: Any, repository: str, signed: str, tmp_path: Path
) -> None:
    """A signed image goes through a folder into another repository, and is verified there."""
    ecr.create_repository(repositoryName=f"{repository}/loaded")
    cosign("sign", *OFFLINE, *BY_TAG, signed)

    cosign("save", signed, "--dir", tmp_path / "saved")
    cosign("load", "--dir", tmp_path / "saved", f"{server.host}/{repository}/loaded:v1")

    assert cosign("verify", *WITH_KEY, *BY_TAG, f"{server.host}/{repository}/loaded:v1")

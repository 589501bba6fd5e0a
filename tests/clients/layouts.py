"""Images in OCI layouts on disk: made by umoci of real files, read without the help of the code under test."""

from __future__ import annotations

import hashlib
import json
import shutil
import sysconfig
import tarfile
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moorage.domain import manifests
from tests import content
from tests.clients.tools import Tool, require

if TYPE_CHECKING:
    from collections.abc import Iterable

TAG = "org.opencontainers.image.ref.name"
# What the tests themselves stand on, so it is installed: about 40 MiB when compressed.
SITE_PACKAGES = ("botocore", "cryptography", "granian", "pip", "pygments", "sqlalchemy")


@dataclass(frozen=True)
class Layout:
    """A folder that holds images as files named for their digests."""

    folder: Path

    def at(self, tag: str) -> str:
        """The image of a tag, as skopeo names it."""
        return f"oci:{self.folder}:{tag}"

    def descriptor(self, tag: str) -> dict[str, Any]:
        """The descriptor that a tag stands for."""
        index = json.loads((self.folder / "index.json").read_text())
        (found,) = [one for one in index["manifests"] if one["annotations"][TAG] == tag]
        described: dict[str, Any] = found
        return described

    def digest(self, tag: str) -> str:
        """The digest that a tag stands for."""
        digest: str = self.descriptor(tag)["digest"]
        return digest

    def path(self, digest: str) -> Path:
        """The file of a digest."""
        return self.folder / "blobs" / Path(*digest.split(":"))

    def manifest(self, tag: str) -> dict[str, Any]:
        """The manifest or index that a tag stands for."""
        document: dict[str, Any] = json.loads(self.path(self.digest(tag)).read_bytes())
        return document

    def parts(self, tag: str) -> list[dict[str, Any]]:
        """The descriptors of an image's config and layers, in that order."""
        document = self.manifest(tag)
        return [document["config"], *document["layers"]]

    def blobs(self) -> set[str]:
        """The digests of all that is here, each computed from its file."""
        return {file_digest(path) for path in (self.folder / "blobs" / "sha256").iterdir()}

    def closure(self, tag: str) -> set[str]:
        """The digests of an image: of its manifest, its config and its layers."""
        return {self.digest(tag), *(part["digest"] for part in self.parts(tag))}


def file_digest(path: Path) -> str:
    """Return the SHA-256 digest of a file."""
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


def busybox(root: Path) -> Path:
    """Make the root folder of a small system: busybox, and the names that it goes by."""
    require("busybox")
    (root / "bin").mkdir(parents=True)
    (root / "etc").mkdir()
    shutil.copy(str(shutil.which("busybox")), root / "bin" / "busybox")
    for name in ("sh", "ls", "cat"):
        (root / "bin" / name).symlink_to("busybox")
    (root / "etc" / "passwd").write_text("root:x:0:0:root:/:/bin/sh\n")
    return root


class Builder:
    """Makes images with umoci, layer by layer."""

    def __init__(self, folder: Path) -> None:
        require("umoci")
        self.umoci = Tool(("umoci",))
        self.layout = Layout(folder)
        self.umoci("init", "--layout", folder)

    def new(self, tag: str, architecture: str = "amd64") -> None:
        """Begin an image without layers."""
        image = f"{self.layout.folder}:{tag}"
        self.umoci("new", "--image", image)
        self.umoci("config", "--image", image, "--architecture", architecture, "--config.cmd", "/bin/sh")

    def add(self, tag: str, files: dict[str, Path]) -> None:
        """Add a layer of files and folders, each at its place in the image."""
        archive = self.layout.folder.with_suffix(".layer.tar")
        with tarfile.open(archive, "w") as tar:
            for place, source in files.items():
                tar.add(source, place)
        self.umoci("raw", "add-layer", "--image", f"{self.layout.folder}:{tag}", archive)
        archive.unlink()

    def remove(self, tag: str, place: str) -> None:
        """Add a layer that takes something away."""
        self.umoci("insert", "--rootless", "--image", f"{self.layout.folder}:{tag}", "--whiteout", place)

    def index(self, tag: str, members: Iterable[str]) -> None:
        """Join images under one index, each as its config says what it is for."""
        entries = [self._member(member) for member in members]
        body = json.dumps({"schemaVersion": 2, "mediaType": manifests.OCI_INDEX, "manifests": entries}).encode()
        digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
        self.layout.path(digest).write_bytes(body)
        named = {"mediaType": manifests.OCI_INDEX, "digest": digest, "size": len(body)}
        document = json.loads((self.layout.folder / "index.json").read_text())
        document["manifests"].append(named | {"annotations": {TAG: tag}})
        (self.layout.folder / "index.json").write_text(json.dumps(document))

    def _member(self, tag: str) -> dict[str, Any]:
        described = self.layout.descriptor(tag)
        config = json.loads(self.layout.path(self.layout.parts(tag)[0]["digest"]).read_bytes())
        platform = {"architecture": config["architecture"], "os": config["os"]}
        return {name: described[name] for name in ("mediaType", "digest", "size")} | {"platform": platform}


def build_small(folder: Path) -> Layout:
    """Make ``v1`` (a busybox system of three layers), ``arm`` (the same for another machine) and ``all`` (both)."""
    builder = Builder(folder / "layout")
    root = busybox(folder / "root")
    for tag, architecture in (("v1", "amd64"), ("arm", "arm64")):
        builder.new(tag, architecture)
        builder.add(tag, {"bin": root / "bin"})
        builder.add(tag, {"etc": root / "etc", "lib/json": Path(json.__file__).parent})
        builder.remove(tag, "/lib/json/tool.py")
    builder.index("all", ["v1", "arm"])
    return builder.layout


def build_real(folder: Path) -> Layout:
    """Make ``v1``: a busybox system, Python's library of today's tests on it, and a file taken away again."""
    builder = Builder(folder / "layout")
    root = busybox(folder / "root")
    packages = Path(sysconfig.get_path("purelib"))
    builder.new("v1")
    builder.add("v1", {"bin": root / "bin", "etc": root / "etc"})
    builder.add("v1", {"lib/json": Path(json.__file__).parent})
    builder.add("v1", {f"lib/{name}": packages / name for name in SITE_PACKAGES})
    builder.remove("v1", "/lib/json/tool.py")
    return builder.layout


def build_context(folder: Path) -> Path:
    """Make what ``docker build`` takes: a root folder, and a Dockerfile of two layers that is like no other."""
    busybox(folder / "root")
    lines = [
        "FROM scratch",
        "COPY root/bin /bin",
        "COPY root/etc /etc",
        f"LABEL salt={uuid.uuid4()}",
        'CMD ["/bin/sh"]',
    ]
    (folder / "Dockerfile").write_text("\n".join(lines))
    return folder


def put(ecr: Any, repository: str, image: Layout, tag: str) -> Any:
    """Put an image into a repository through ECR's operations alone; return what PutImage answers."""
    for part in image.parts(tag):
        content.upload_layer(ecr, repository, image.path(part["digest"]).read_bytes())
    # A manifest of umoci's does not say what it is; only its descriptor does.
    described = image.descriptor(tag)
    return ecr.put_image(
        repositoryName=repository,
        imageManifest=image.path(described["digest"]).read_text(),
        imageManifestMediaType=described["mediaType"],
        imageTag=tag,
    )["image"]

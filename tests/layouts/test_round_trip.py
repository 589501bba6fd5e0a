"""``moorage export`` and ``moorage import``: out and in again, the same; and what was cut short goes on."""

from __future__ import annotations

import json
import tarfile
from typing import TYPE_CHECKING, Any

import pytest

from moorage.registry import archive
from tests import content

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Shell, Tree
    from tests.registry.kit import Bench

FORMS = ["layout", "layout.tar"]


def described(shell: Shell, repository: str) -> list[tuple[Any, ...]]:
    """What there is to be kept of a repository's images."""
    listed = shell.read("image", "list", repository)
    members = ("imageDigest", "imageTags", "imageSizeInBytes", "subjectManifestDigest", "artifactMediaType")
    return [tuple(one[member] for member in members) for one in listed]


def blob_files(folder: Path) -> dict[str, int]:
    """The blobs of a layout, with the moment at which each was written."""
    return {path.name: path.stat().st_mtime_ns for path in (folder / "blobs" / "sha256").iterdir()}


@pytest.mark.parametrize("form", FORMS)
def test_a_repository_goes_out_and_in(shell: Shell, bench: Bench, tree: Tree, tmp_path: Path, form: str) -> None:
    """Digests, tags, referrers and order are kept; once more changes nothing."""
    told = shell.read("export", "first", "--to", str(tmp_path / form))
    assert (told["manifests"], told["archivedLeftOut"]) == (5, 0)
    said = shell("import", str(tmp_path / form), "--repository", "copy", "--create")
    assert "5 manifests put into copy, 0 were there" in said
    assert sorted(described(shell, "copy")) == sorted(described(shell, "first"))
    again = shell.read("import", str(tmp_path / form), "--repository", "copy")
    assert (again["images"], again["layers"]) == (0, 0)
    assert tree.index
    with bench.read() as ctx:
        assert ctx.registry_id


def test_one_image_takes_along_what_belongs_to_it(shell: Shell, tree: Tree, tmp_path: Path) -> None:
    """The images of an index and its signature, under the tag that was asked for and no other."""
    shell("export", "first:v1", "--to", str(tmp_path / "one"))
    index = json.loads((tmp_path / "one" / "index.json").read_text())
    named = {one["digest"]: one["annotations"].get("org.opencontainers.image.ref.name") for one in index["manifests"]}
    assert named == {tree.index: "v1", tree.signature.digest: None}
    assert {f"sha256:{name}" for name in blob_files(tmp_path / "one")} >= {image.digest for image in tree.images}


def test_several_repositories_go_back_to_their_names(shell: Shell, bench: Bench, tree: Tree, tmp_path: Path) -> None:
    """Each image to where it came from; to put them all into one place is refused."""
    bench.repository("second")
    shell("image", "copy", "first:other", "second:v1")
    shell("export", "first", "second", "--to", str(tmp_path / "both.tar"))
    before = {name: sorted(described(shell, name)) for name in ("first", "second")}
    for name in before:
        shell("repo", "delete", name, "--force", "--yes")
    assert "--repository is one" in shell.refused("import", str(tmp_path / "both.tar"), "--repository", "x1")
    assert "does not exist" in shell.refused("import", str(tmp_path / "both.tar"))
    shell("import", str(tmp_path / "both.tar"), "--create")
    assert {name: sorted(described(shell, name)) for name in before} == before
    assert tree.base


def test_an_export_goes_on_where_it_was_cut_off(shell: Shell, tree: Tree, tmp_path: Path) -> None:
    """Good blobs are not written again, damaged ones are; in a folder and in a tar file."""
    folder = tmp_path / "layout"
    whole = shell.read("export", "first", "--to", str(folder))["blobsWritten"]
    before = blob_files(folder)
    damaged = folder / "blobs" / "sha256" / content.digest_of(tree.base).removeprefix("sha256:")
    damaged.write_bytes(bytes(len(tree.base)))
    assert shell.read("export", "first", "--to", str(folder))["blobsWritten"] == 1
    assert damaged.read_bytes() == tree.base
    kept = {name: moment for name, moment in blob_files(folder).items() if name != damaged.name}
    assert kept.items() <= before.items()

    file, part = tmp_path / "layout.tar", tmp_path / "layout.tar.part"
    shell("export", "first", "--to", str(file))
    complete = file.read_bytes()
    with tarfile.open(file) as archived:
        third = archived.getmembers()[3]
    part.write_bytes(complete[: third.offset + 520])
    file.unlink()
    assert shell.read("export", "first", "--to", str(file))["blobsWritten"] == whole - 3
    assert (file.read_bytes(), part.exists()) == (complete, False)


def test_an_import_goes_on_where_it_was_cut_off(shell: Shell, bench: Bench, tree: Tree, tmp_path: Path) -> None:
    """What was uploaded before the fault is not uploaded again."""
    folder = tmp_path / "layout"
    shell("export", "first", "--to", str(folder))
    last = folder / "blobs" / "sha256" / tree.signature.digest.removeprefix("sha256:")
    body = last.read_bytes()
    last.unlink()
    bench.repository("copy")
    assert "the layout has no blobs" in shell.refused("import", str(folder), "--repository", "copy")
    last.write_bytes(body)
    told = shell.read("import", str(folder), "--repository", "copy")
    assert (told["images"], told["layers"]) == (1, 2)
    assert sorted(described(shell, "copy")) == sorted(described(shell, "first"))


def test_the_rules_of_a_push_hold(shell: Shell, bench: Bench, tree: Tree, tmp_path: Path) -> None:
    """An immutable tag stays on its image, and a quota is a quota."""
    shell("export", "first", "--to", str(tmp_path / "layout"))
    fixed = bench.repository("fixed", tag_mutability="IMMUTABLE")
    image = content.image()
    for data in (image.config, *image.layers):
        bench.blob(data, fixed)
    bench.put(image.manifest, "v1", repository=fixed)
    assert "immutable" in shell.refused("import", str(tmp_path / "layout"), "--repository", "fixed")
    assert shell.read("image", "show", "fixed:v1")["digest"] == image.digest
    bench.repository("small")
    shell("quota", "set", "small", "--images", "2")
    assert "maximum number of images" in shell.refused("import", str(tmp_path / "layout"), "--repository", "small")
    assert tree.index


def test_archived_images_are_left_out(shell: Shell, bench: Bench, tree: Tree, tmp_path: Path) -> None:
    """They cannot be pulled either; how many there are is told."""
    with bench.write() as ctx:
        archive.archive(ctx, bench.first, tree.index)
    told = shell.read("export", "first", "--to", str(tmp_path / "layout"))
    assert told["archivedLeftOut"] == 4
    index = json.loads((tmp_path / "layout" / "index.json").read_text())
    assert [one["annotations"]["org.opencontainers.image.ref.name"] for one in index["manifests"]] == ["other"]

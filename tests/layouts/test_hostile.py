"""Layouts that somebody made to do harm: refused in a line, and nothing is stored."""

from __future__ import annotations

import io
import json
import os
import tarfile
from typing import TYPE_CHECKING, Any

import pytest

from moorage.layouts import format as layout_format
from tests import content

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Shell

MARKER = b'{"imageLayoutVersion": "1.0.0"}'
IMAGE = content.image(content.layer(b"good"))


def index(*descriptors: Any) -> bytes:
    return json.dumps({"schemaVersion": 2, "manifests": list(descriptors)}).encode()


def good() -> dict[str, bytes]:
    """The files of a layout of one image."""
    blobs = {content.digest_of(data): data for data in (IMAGE.manifest, IMAGE.config, *IMAGE.layers)}
    files = {f"blobs/{digest.replace(':', '/')}": data for digest, data in blobs.items()}
    return {"oci-layout": MARKER, "index.json": index(content.descriptor(IMAGE.manifest, IMAGE.media_type)), **files}


def tar(path: Path, files: dict[str, bytes], *more: tarfile.TarInfo, mode: str = "w") -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
        for one in more:
            archive.addfile(one)
    return path


def folder(path: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return path


def refused(shell: Shell, path: Path) -> str:
    """What is said of a layout that is refused; nothing of it may be in the repository."""
    said = shell.refused("import", str(path), "--repository", "first")
    assert shell.read("image", "list", "first") == []
    return said


def link(name: str, kind: bytes, target: str) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


def test_a_good_one_is_taken(shell: Shell, tmp_path: Path) -> None:
    """What the others here differ from is imported, by a file and by a folder."""
    shell("import", str(tar(tmp_path / "good.tar", good())), "--repository", "first")
    assert [one["imageDigest"] for one in shell.read("image", "list", "first")] == [IMAGE.digest]
    shell("import", str(folder(tmp_path / "good", good())), "--repository", "first")


@pytest.mark.parametrize(
    ("member", "said"),
    [
        (tarfile.TarInfo("../../etc/cron.d/x"), "leads out of it"),
        (tarfile.TarInfo("/etc/passwd"), "leads out of it"),
        (link("blobs/sha256/" + "0" * 64, tarfile.SYMTYPE, "/etc/passwd"), "no plain file"),
        (link("index.json", tarfile.LNKTYPE, "/etc/passwd"), "no plain file"),
        (link("x", tarfile.FIFOTYPE, ""), "no plain file"),
    ],
    ids=["traversal", "absolute", "symlink", "hardlink", "pipe"],
)
def test_members_that_lead_elsewhere(shell: Shell, tmp_path: Path, member: tarfile.TarInfo, said: str) -> None:
    """No path out of the archive, no link and no device, also where nobody would have looked at them."""
    assert said in refused(shell, tar(tmp_path / "bad.tar", good(), member))


def test_links_in_a_folder(shell: Shell, tmp_path: Path) -> None:
    """A blob, or a folder above it, that is a link, or a pipe in a blob's place, is not read."""
    for number, spoil in enumerate((_link_file, _link_folder, _pipe)):
        made = folder(tmp_path / str(number), good())
        spoil(made)
        assert "not a plain file" in refused(shell, made)


def _blob(made: Path) -> Path:
    return made / "blobs" / "sha256" / IMAGE.digest.removeprefix("sha256:")


def _link_file(made: Path) -> None:
    _blob(made).rename(made / "elsewhere")
    _blob(made).symlink_to(made / "elsewhere")


def _link_folder(made: Path) -> None:
    (made / "blobs" / "sha256").rename(made / "elsewhere")
    (made / "blobs" / "sha256").symlink_to(made / "elsewhere")


def _pipe(made: Path) -> None:
    _blob(made).unlink()
    os.mkfifo(_blob(made))


def _other_layer(files: dict[str, bytes]) -> None:
    files[f"blobs/{content.digest_of(IMAGE.layers[0]).replace(':', '/')}"] = b"other"


def _other_manifest(files: dict[str, bytes]) -> None:
    files[f"blobs/{IMAGE.digest.replace(':', '/')}"] = IMAGE.manifest + b" "


def _long_manifest(files: dict[str, bytes]) -> None:
    files[f"blobs/{IMAGE.digest.replace(':', '/')}"] = bytes(5 << 20)


def _no_layer(files: dict[str, bytes]) -> None:
    del files[f"blobs/{content.digest_of(IMAGE.layers[0]).replace(':', '/')}"]


def _path_for_a_digest(files: dict[str, bytes]) -> None:
    files["index.json"] = index({"mediaType": IMAGE.media_type, "digest": "sha256:../../../x", "size": 1})


SPOILED: list[tuple[Callable[[dict[str, bytes]], object], str]] = [
    (_other_layer, "are others"),
    (_other_manifest, "are others"),
    (_long_manifest, "too long"),
    (_no_layer, "the layout has no blobs/sha256/"),
    (_path_for_a_digest, "must satisfy regular expression"),
    (lambda files: files.pop("index.json"), "the layout has no index.json"),
    (lambda files: files.pop("oci-layout"), "the layout has no oci-layout"),
    (lambda files: files.update({"oci-layout": b"{}"}), "the layout's version"),
    (lambda files: files.update({"index.json": b"[" * 100_000}), "index.json is no JSON object"),
    (lambda files: files.update({"index.json": index("x")}), "no descriptor"),
    (lambda files: files.update({"index.json": index({"mediaType": "x", "digest": "x"})}), "no image"),
]


@pytest.mark.parametrize("form", ["folder", "tar"])
@pytest.mark.parametrize(("spoil", "said"), SPOILED)
def test_contents_that_are_not_what_they_say(
    shell: Shell, tmp_path: Path, form: str, spoil: Callable[[dict[str, bytes]], object], said: str
) -> None:
    """Other bytes than the digest's, none, too many, and documents that are none."""
    files = good()
    spoil(files)
    assert said in refused(shell, (folder if form == "folder" else tar)(tmp_path / form, files))


def test_what_is_too_large_is_not_read(shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An index beyond the limit, a tar header that is as long as it likes, more members than there may be."""
    monkeypatch.setattr("moorage.layouts.sources.LARGEST_INDEX", 100)
    assert "too long" in refused(shell, tar(tmp_path / "long.tar", good()))
    monkeypatch.undo()
    header = tarfile.TarInfo("x")
    header.type, header.size = tarfile.GNUTYPE_LONGNAME, 1 << 33
    (tmp_path / "header.tar").write_bytes(header.tobuf(tarfile.GNU_FORMAT) + bytes(1024))
    assert "header" in refused(shell, tmp_path / "header.tar")
    monkeypatch.setattr("moorage.layouts.sources._MOST_MEMBERS", 3)
    assert "more than 3 files" in refused(shell, tar(tmp_path / "many.tar", good()))
    assert layout_format.MOST_IMAGES


def test_what_is_no_layout(shell: Shell, tmp_path: Path) -> None:
    """A compressed archive, a file of noise, one that is cut off, and nothing at all."""
    assert "not a tar file" in refused(shell, tar(tmp_path / "x.tar.gz", good(), mode="w:gz"))
    (tmp_path / "noise").write_bytes(b"noise" * 1000)
    assert "not a tar file" in refused(shell, tmp_path / "noise")
    assert "neither" in refused(shell, tmp_path / "none")
    whole = tar(tmp_path / "whole.tar", good()).read_bytes()
    (tmp_path / "cut.tar").write_bytes(whole[:700])
    refused(shell, tmp_path / "cut.tar")

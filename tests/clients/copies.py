"""Images on their way: parts of a layout to push, and what came back compared byte for byte."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

from tests.clients.layouts import Layout
from tests.content import digest_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers import Server


def only(layout: Layout, tag: str, folder: Path) -> Layout:
    """Copy one image or index of a layout, with all that it names, into a layout of its own."""
    shutil.copytree(layout.folder, folder)
    index = json.loads((folder / "index.json").read_text())
    index["manifests"] = [layout.descriptor(tag)]
    (folder / "index.json").write_text(json.dumps(index))
    named = set(under(layout, layout.digest(tag)))
    for path in (folder / "blobs" / "sha256").iterdir():
        if f"sha256:{path.name}" not in named:
            path.unlink()
    return Layout(folder)


def under(layout: Layout, digest: str) -> Iterator[str]:
    """Yield the digests of a manifest and of all that it names, however deep."""
    yield digest
    document = json.loads(layout.path(digest).read_bytes())
    for part in (*document.get("layers", ()), *filter(None, [document.get("config")])):
        yield part["digest"]
    for child in document.get("manifests", ()):
        yield from under(layout, child["digest"])


def bytes_of(folder: Path) -> dict[str, bytes]:
    """Return the content of a layout's files, each by the digest that its name promises."""
    return {f"sha256:{path.name}": path.read_bytes() for path in (folder / "blobs" / "sha256").iterdir()}


def is_held(server: Server, repository: str, layout: Layout, tag: str) -> bool:
    """Whether the server gives out a tag of a layout, and all that it names, byte for byte."""
    token = server.token()
    digest = layout.digest(tag)
    given = server.request("GET", f"/v2/{repository}/manifests/{tag}", token=token, headers={"Accept": "*/*"})
    expected = {one: layout.path(one).read_bytes() for one in under(layout, digest)}
    found = {}
    for one, data in expected.items():
        kind = "manifests" if b'"schemaVersion"' in data[:4096] else "blobs"
        found[one] = server.request("GET", f"/v2/{repository}/{kind}/{one}", token=token).data
    return digest_of(given.data) == digest and found == expected

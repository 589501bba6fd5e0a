"""Images on their way in from a layout: through uploads and `images.put`, and so under the same rules as a push."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from moorage.domain import manifests as documents
from moorage.domain.errors import Failure, InvalidLayer
from moorage.domain.names import Digest, RepositoryName, Tag
from moorage.layouts.format import INDEX, MOST_IMAGES, REPOSITORY, TAG, VERSION, LayoutError, path_of
from moorage.layouts.sources import content, marker_and_index
from moorage.registry import images, layers, uploads
from moorage.registry.again import again

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from moorage.domain.manifests import Manifest
    from moorage.layouts.sources import Source
    from moorage.registry.core import Context
    from moorage.registry.repositories import Repository


class Root(NamedTuple):
    """One entry of a layout's index."""

    repository: str | None
    """The repository it was exported from, where the layout says so."""
    tag: Tag | None
    digest: Digest
    media_type: str


def roots(source: Source) -> list[Root]:
    """Return what a layout's index names; raises `LayoutError` for what is no layout, or not one for images."""
    marker, index = marker_and_index(source)
    version = _object(marker, "oci-layout").get("imageLayoutVersion")
    if version != VERSION:
        raise LayoutError(f"the layout's version is {str(version)[:20]!r}, and not {VERSION}")
    entries = _object(index, INDEX).get("manifests")
    if not isinstance(entries, list) or len(entries) > MOST_IMAGES:
        raise LayoutError(f"{INDEX} has no list of at most {MOST_IMAGES} manifests")
    return [_root(entry) for entry in entries]


def _object(text: bytes, name: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise LayoutError(f"{name} is no JSON object")
    return value


def _root(entry: object) -> Root:
    given = entry if isinstance(entry, dict) else {}
    annotations = given.get("annotations") or {}
    digest, media_type = given.get("digest"), given.get("mediaType")
    if not isinstance(annotations, dict) or not isinstance(digest, str) or not isinstance(media_type, str):
        raise LayoutError(f"{INDEX} has an entry that is no descriptor")
    if media_type not in documents.MANIFEST_TYPES:
        raise LayoutError(f"{INDEX} names what is no image: {media_type[:100]!r}")
    repository, name = annotations.get(REPOSITORY), annotations.get(TAG)
    try:
        of = RepositoryName.parse(repository) if isinstance(repository, str) else None
        # Whoever writes the whole name has the tag at its end.
        tag = Tag.parse(name.rpartition(":")[2]) if isinstance(name, str) else None
        return Root(of, tag, Digest.parse(digest), media_type)
    except Failure as failure:
        raise LayoutError(f"{INDEX}: {failure.message}") from None


@dataclass
class Import:
    """The import into one repository, which the caller may push to."""

    ctx: Context
    """Its own transaction is not used."""
    repository: Repository
    source: Source
    advance: Callable[[float], None]

    def __post_init__(self) -> None:
        self.done: Counter[str] = Counter()
        self._seen: set[Digest] = set()
        self._done: set[Digest] = set()

    def take(self, root: Root) -> None:
        """
        Bring an image in with the images of an index, under its tag if it has one.

        What is there already is left as it is, so that an import that was cut short can be begun again.
        Raises `LayoutError` and what uploads and `images.put` raise.
        """
        for digest, manifest in self._in_order(root):
            tags = [root.tag] if root.tag is not None and digest == root.digest else []
            for wanted in self._missing(manifest):
                self._bring(wanted)
            put = again(partial(self._put, manifest, digest, tags))
            if digest not in self._done:  # an image of several tags comes several times
                self.done["unchanged" if put.unchanged else "images"] += 1
            self._done.add(digest)

    def _put(self, manifest: Manifest, digest: Digest, tags: list[Tag]) -> images.Put:
        with self.ctx.write() as ctx:
            return images.put(ctx, self.repository, manifest, tags=tags, digest=digest)

    def _in_order(self, root: Root) -> Iterator[tuple[Digest, Manifest]]:
        """Yield the manifests that are not in yet, each after those that it names, and the root in any case."""
        waiting = [(root.digest, root.media_type, False)]
        while waiting:
            digest, media_type, is_open = waiting.pop()
            if digest in self._seen and not is_open and digest != root.digest:
                continue
            if len(self._seen) > MOST_IMAGES:
                raise LayoutError(f"the layout has more than {MOST_IMAGES} manifests")
            # Read twice rather than kept: an index may name many.
            manifest = documents.parse(content(self.source, digest, documents.MAX_BYTES), media_type)
            if is_open:
                yield digest, manifest
                continue
            self._seen.add(digest)
            self.advance(len(manifest.body))
            waiting.append((digest, media_type, True))
            waiting += [
                (child.digest, child.media_type, False)
                for child in reversed(manifest.children)
                if child.media_type in documents.MANIFEST_TYPES and child.digest not in self._seen
            ]

    def _missing(self, manifest: Manifest) -> list[Digest]:
        """Return the blobs that must be uploaded before the manifest."""
        with self.ctx.read() as ctx:
            wanted = manifest.required_layers
            absent = set(layers.missing(ctx, self.repository, wanted))
            return [one for one in wanted if one in absent or not layers.is_available(ctx, self.repository, one)]

    def _bring(self, digest: Digest) -> None:
        """Upload a blob."""
        path = path_of(digest)
        if self.source.size(path) is None:
            raise LayoutError(f"the layout has no {path}")
        upload_id = again(self._begin)
        appender = uploads.Appender.open(self.ctx, self.repository, upload_id)
        try:
            for piece in self.source.pieces(path):
                appender.write(piece)
                self.advance(len(piece))
            appender.finish([digest])
        except BaseException as problem:
            appender.close()
            with self.ctx.write() as ctx:
                uploads.cancel(ctx, self.repository, upload_id)
            if isinstance(problem, InvalidLayer):
                raise LayoutError(f"the layout's bytes of {digest} are others") from None
            raise
        finally:
            appender.close()
        self.done["layers"] += 1

    def _begin(self) -> str:
        with self.ctx.write() as ctx:
            return uploads.begin(ctx, self.repository).id

"""An image as a tree on the terminal, and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from moorage.cli.output import counted, short, size_text

if TYPE_CHECKING:
    from rich.tree import Tree

    from moorage.registry.anatomy import Anatomy


def total_and_shared(image: Anatomy) -> tuple[int, int]:
    """Return the bytes of all layers of a tree, each once, and how many of them other images need too."""
    parts = {part.digest: part for one in image.everything() for part in one.parts}
    return sum(part.size for part in parts.values()), sum(part.size for part in parts.values() if not part.own)


def tree(title: str, image: Anatomy) -> Tree:
    """Return the tree of an image: index, images, config and layers, and referrers under their subject."""
    from rich.text import Text  # noqa: PLC0415 (slow to import)
    from rich.tree import Tree  # noqa: PLC0415

    top = Tree(Text.assemble((title, "bold"), "  ", _line(image)), guide_style="dim")
    _branches(top, image)
    return top


def _line(image: Anatomy) -> Any:
    from rich.text import Text  # noqa: PLC0415 (slow to import)

    details = image.details
    kind = "index" if image.is_index else "artifact" if details.subject else "image"
    what = {"index": None, "artifact": details.artifact_type, "image": image.platform}[kind]
    told = [(what or "", "cyan")]
    told += [(kind, "" if kind == "image" else "magenta"), (short(details.digest), "dim")]
    told += [(", ".join(details.tags), "green"), (size_text(details.image_size), "yellow")]
    told += [(details.status.lower(), "red")] if details.status != "ACTIVE" else []
    return Text("  ").join(Text(words, style) for words, style in told if words)


def _branches(at: Tree, image: Anatomy) -> None:
    from rich.text import Text  # noqa: PLC0415 (slow to import)

    width = max((len(size_text(part.size)) for part in image.parts), default=0)
    for part in image.parts:
        shared = "" if part.own else "  shared"
        size = size_text(part.size).rjust(width)
        at.add(Text.assemble(f"{part.kind:6}  ", (short(part.digest), "dim"), "  ", (size, "yellow"), (shared, "blue")))
    for child in image.children:
        _branches(at.add(_line(child)), child)
    if image.referrers:
        below = at.add(Text(f"{counted(len(image.referrers), 'referrer')}", "dim"))
        for one in image.referrers:
            _branches(below.add(_line(one)), one)


def described(image: Anatomy) -> dict[str, Any]:
    """Return a tree as JSON has it."""
    details = image.details
    return {
        "digest": details.digest,
        "tags": list(details.tags),
        "mediaType": details.media_type,
        "artifactType": details.artifact_type,
        "subject": details.subject,
        "platform": image.platform,
        "size": details.image_size,
        "status": details.status,
        "pushedAt": details.pushed_at,
        "pulledAt": details.pulled_at,
        "parts": [
            {
                "kind": part.kind,
                "digest": part.digest,
                "mediaType": part.media_type,
                "size": part.size,
                "shared": not part.own,
            }
            for part in image.parts
        ],
        "images": [described(one) for one in image.children],
        "referrers": [described(one) for one in image.referrers],
    }

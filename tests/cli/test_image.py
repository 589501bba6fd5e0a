"""``moorage image``: images looked at, copied, tagged and deleted from a shell."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests import content

if TYPE_CHECKING:
    from tests.cli.conftest import Shell, Tree
    from tests.registry.kit import Bench


def test_an_index_is_shown_as_a_tree(shell: Shell, tree: Tree) -> None:
    """Its images with their platforms, their layers and sizes, what refers to it; bytes that others share."""
    told = shell.read("image", "show", "first:v1")
    assert (told["digest"], told["tags"]) == (tree.index, ["latest", "v1"])
    assert [one["platform"] for one in told["images"]] == ["linux/amd64", "linux/arm64"]
    assert [one["digest"] for one in told["images"]] == [image.digest for image in tree.images]
    parts = [(part["kind"], part["digest"], part["size"], part["shared"]) for part in told["images"][0]["parts"]]
    config, (base, own) = tree.images[0].config, tree.images[0].layers
    assert parts == [
        ("config", content.digest_of(config), len(config), False),
        ("layer", content.digest_of(base), len(base), True),
        ("layer", content.digest_of(own), len(own), False),
    ]
    (referrer,) = told["referrers"]
    assert (referrer["digest"], referrer["subject"]) == (tree.signature.digest, tree.index)
    everything = {part: len(part) for one in (*tree.images, tree.signature) for part in (one.config, *one.layers)}
    assert (told["totalBytes"], told["sharedBytes"]) == (sum(everything.values()), len(tree.base))


@pytest.mark.parametrize("columns", [80, 120])
def test_the_tree_fits_the_terminal(shell: Shell, tree: Tree, columns: int) -> None:
    """For people: the branches of the tree, and no line wider than the terminal."""
    drawn = shell("image", "show", "first:v1", columns=columns)
    assert "├── linux/amd64  image" in drawn
    assert "└── 1 referrer\n    └── application/vnd.example.signature" in drawn
    assert "  shared" in drawn
    assert tree.index in drawn
    assert max(map(len, drawn.splitlines())) <= columns


def test_images_are_listed_the_newest_first(shell: Shell, tree: Tree) -> None:
    """Tagged or not, with what each is."""
    listed = shell.read("image", "list", "first")
    assert listed[0]["imageDigest"] == tree.signature.digest
    assert len(listed) == 5
    assert [one["imageTags"] for one in shell.read("image", "list", "first", "--untagged")] == [None] * 3
    drawn = shell("image", "list", "first", columns=80)
    assert "latest, v1" in drawn
    assert max(map(len, drawn.splitlines())) <= 80


def test_a_digest_may_be_cut_short(shell: Shell, bench: Bench, tree: Tree) -> None:
    """As much of it as tells it apart names an image; what names none is said."""
    assert shell.read("image", "show", f"first@{tree.index[:19]}")["digest"] == tree.index
    absent = content.digest_of(b"absent")[:19]
    assert f"with imageId {{imageDigest:'{absent}'" in shell.refused("image", "show", f"first@{absent}")
    assert "say which image" in shell.refused("image", "show", "first")
    assert "not both" in shell.refused("image", "show", f"first:v1@{tree.index}")
    assert bench.first.name == "first"


def test_an_image_is_copied_with_what_belongs_to_it(shell: Shell, bench: Bench, tree: Tree) -> None:
    """The images of an index and its signature too, under the same digests; once more changes nothing."""
    target = bench.repository("second")
    for _ in range(2):
        shell("image", "copy", "first:v1", "second:stable")
    copied = shell.read("image", "show", "second:stable")
    assert copied["digest"] == tree.index
    assert [one["digest"] for one in copied["referrers"]] == [tree.signature.digest]
    assert bench.stored(content.digest_of(tree.base), target) == tree.base
    assert copied["sharedBytes"] == copied["totalBytes"]
    assert "does not exist" in shell.refused("image", "copy", "first:v1", "third")


def test_tags_are_given_and_taken(shell: Shell, tree: Tree) -> None:
    """A tag moves where it may; the last one is asked about, because the image goes with it."""
    shell("image", "retag", "first:v1", "other", "stable")
    assert shell.read("image", "show", "first:other")["tags"] == ["latest", "other", "stable", "v1"]
    shell("image", "untag", "first:other", "first:stable", "first:latest")
    refused = shell.run("image", "untag", "first:v1", stdin="n\n")
    assert (refused.exit_code, "goes with it: first:v1" in refused.stderr) == (1, True)
    shell("image", "untag", "first:v1", "--yes")
    assert [one["digest"] for one in shell.read("image", "deleted", "first")].count(tree.index) == 1


def test_an_image_is_deleted_after_a_question(shell: Shell, tree: Tree) -> None:
    """What goes along is said before, and how it comes back after; no means no."""
    kept = shell.run("image", "delete", "first:v1", stdin="n\n")
    assert kept.exit_code == 1
    assert "and with it its tags latest, v1 and 1 referrer" in kept.stderr
    assert shell.read("image", "show", "first:v1")["digest"] == tree.index
    said = shell("image", "delete", "first:v1", stdin="y\n")
    back = f"moorage image restore first {tree.index}"
    assert back in said
    assert "does not exist" in shell.refused("image", "show", "first:v1")
    shell(*back.split()[1:])
    assert [one["digest"] for one in shell.read("image", "show", "first:v1")["referrers"]] == [tree.signature.digest]


def test_what_an_index_names_is_not_deleted(shell: Shell, tree: Tree) -> None:
    """The refusal is ECR's."""
    refused = shell.refused("image", "delete", f"first@{tree.images[0].digest}", "--yes")
    assert "referenced by manifest list" in refused

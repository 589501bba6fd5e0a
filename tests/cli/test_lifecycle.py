"""``moorage lifecycle``: what a policy would do and why, and doing it, from a shell."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from moorage.registry import lifecycle

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Shell, Tree
    from tests.registry.kit import Bench


def policy(*rules: dict[str, Any]) -> str:
    """Return a policy that expires images by each of these selections, in this order."""
    each = [
        {"rulePriority": place, "selection": selection, "action": {"type": "expire"}}
        for place, selection in enumerate(rules, 1)
    ]
    return json.dumps({"rules": each})


UNTAGGED = {"tagStatus": "untagged", "countType": "sinceImagePushed", "countUnit": "days", "countNumber": 1}
NEWEST = {"tagStatus": "tagged", "tagPatternList": ["v*"], "countType": "imageCountMoreThan", "countNumber": 3}
NONE = {"tagStatus": "any", "countType": "sinceImagePushed", "countUnit": "days", "countNumber": 1}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A policy in a file: untagged images expire after a day, and of the others as many stay as there are."""
    path = tmp_path / "policy.json"
    path.write_text(policy(UNTAGGED, NEWEST))
    return path


def test_a_policy_is_set_shown_and_removed(shell: Shell, file: Path) -> None:
    """Its rules are told in words."""
    shell("lifecycle", "set", "first", str(file))
    told = shell("lifecycle", "show", "first")
    assert "1  expire untagged images pushed more than 1 day ago" in told
    assert "2  expire images tagged v* but the newest 3" in told
    assert "last carried out: not yet" in told
    assert shell.read("repo", "show", "first")["lifecyclePolicy"] is True
    shell("lifecycle", "delete", "first", "--yes")
    assert "does not exist" in shell.refused("lifecycle", "show", "first")


def test_a_preview_gives_each_image_and_its_reason(shell: Shell, tree: Tree, file: Path) -> None:
    """Of a policy that is not set, at a day to come: what goes, and what keeps the rest."""
    told = shell.read("lifecycle", "preview", "first", "--policy", str(file), "--at", "2100-01-01")
    reasons = {" ".join(one["tags"]) or one["digest"]: (one["action"], one["reason"]) for one in told["results"]}
    assert reasons == {
        "latest v1": ("keep", "rule 2 keeps it"),
        "other": ("keep", "no rule selects it"),
        tree.signature.digest: ("keep", "stays with its subject"),
        **{image.digest: ("keep", "rule 1 would take it, but an index names it") for image in tree.images},
    }
    assert (told["expire"], told["bytesFreed"]) == (0, 0)


def test_freed_bytes_count_shared_layers_once(shell: Shell, tree: Tree, file: Path, bench: Bench) -> None:
    """The base of images that go comes back only if nothing that stays needs it, in no repository."""
    file.write_text(policy(NONE))
    later = ("lifecycle", "preview", "first", "--policy", str(file), "--at", "2100-01-01")
    told = shell.read(*later)
    # The index goes with its signature, and the image beside it; its images are free in the next run.
    assert (told["expire"], told["goWithSubject"]) == (2, 1)
    signature = tree.signature.size
    (other,) = [one for one in shell.read("image", "list", "first") if one["imageTags"] == ["other"]]
    assert told["bytesFreed"] == signature + other["imageSizeInBytes"] - len(tree.base)
    everywhere = shell.read("lifecycle", "preview", "--all", "--policy", str(file), "--at", "2100-01-01")
    assert everywhere["bytesFreed"] == told["bytesFreed"]

    target = bench.repository("second")
    shell("image", "copy", "first:other", "second:kept")
    assert shell.read(*later)["bytesFreed"] == signature
    everywhere = shell.read("lifecycle", "preview", "--all", "--policy", str(file), "--at", "2100-01-01")
    assert everywhere["bytesFreed"] == told["bytesFreed"]
    assert [row["repository"] for row in everywhere["repositories"]] == ["first", target.name]


@pytest.mark.parametrize("columns", [80, 120])
def test_a_preview_fits_the_terminal(shell: Shell, tree: Tree, file: Path, columns: int) -> None:
    """What goes comes first, and the sums last; no line is wider than the terminal."""
    file.write_text(policy(NONE))
    words = ("lifecycle", "preview", "first", "--policy", str(file), "--at", "2100-01-01")
    drawn = shell(*words, columns=columns)
    assert "goes with its subject" in drawn
    assert "5 images: 2 would expire and 1 with them, 0 would be archived" in drawn
    assert max(map(len, drawn.splitlines())) <= columns
    assert "… and 4 more" in shell(*words, "--lines", "1", columns=columns)
    assert tree.index[:19] in drawn


def test_a_run_does_what_the_preview_said(shell: Shell, bench: Bench, file: Path) -> None:
    """For one repository, due or not, after a question; and what was done can be taken back."""
    digests = [bench.image(f"v{n}").digest for n in range(5)]
    file.write_text(policy({**NEWEST, "countNumber": 2}))
    shell("lifecycle", "set", "first", str(file))
    foretold = [one["digest"] for one in shell.read("lifecycle", "preview", "first")["results"] if one["rule"]]
    going = [one for one in foretold if one in digests[:3]]
    refused = shell.run("lifecycle", "run", "first", stdin="n\n")
    assert (refused.exit_code, "Expire 3 and archive 0" in refused.stderr) == (1, True)
    assert shell.read("lifecycle", "run", "first", "--yes") == {"repository": "first", "expired": 3, "archived": 0}
    assert {row["digest"] for row in shell.read("image", "deleted", "first")} == set(going)
    shell("image", "restore", "first", digests[0])
    assert shell.read("image", "show", "first:v0")["digest"] == digests[0]
    with bench.read() as ctx:
        assert lifecycle.get(ctx, bench.first).evaluated_at is not None


def test_what_cannot_be_previewed_is_said(shell: Shell, file: Path) -> None:
    """No policy, no repository, a policy that is none, or not said which."""
    assert "Lifecycle policy does not exist" in shell.refused("lifecycle", "preview", "first")
    assert "say which repository, or --all" in shell.refused("lifecycle", "preview")
    file.write_text("{}")
    assert "Lifecycle policy validation failure" in shell.refused(
        "lifecycle", "preview", "first", "--policy", str(file)
    )
    assert "does not exist" in shell.refused("lifecycle", "run", "none", "--yes")

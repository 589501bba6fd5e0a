"""``moorage repo``: repositories from a shell."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from moorage.cli import completing, references

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from tests.cli.conftest import Shell, Tree
    from tests.registry.kit import Bench

POLICY = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "ecr:BatchGetImage"}],
    }
)


def test_a_repository_is_made_listed_and_deleted(shell: Shell) -> None:
    """With its settings as they were said, and gone at the end."""
    made = shell.read("repo", "create", "team/app", "--immutable", "--but", "dev-*", "--tag", "team=a")
    assert made["imageTagMutability"] == "IMMUTABLE_WITH_EXCLUSION"
    told = shell.read("repo", "show", "team/app")
    assert (told["mutabilityFilters"], told["resourceTags"], told["images"]) == (["dev-*"], {"team": "a"}, 0)
    assert "immutable, but dev-*" in shell("repo", "list")
    assert [row["name"] for row in shell.read("repo", "list", "team/")] == ["team/app"]
    shell("repo", "delete", "team/app", "--yes")
    assert [row["name"] for row in shell.read("repo", "list")] == ["first"]


def test_one_with_images_is_deleted_with_force_and_after_a_question(shell: Shell, tree: Tree) -> None:
    """Without force it is refused; with it the images are counted before the question, and no means no."""
    assert "still contains images" in shell.refused("repo", "delete", "first", "--yes")
    answer = shell.run("repo", "delete", "first", "--force", stdin="n\n")
    assert answer.exit_code == 1
    assert "first holds 5 images" in answer.stderr
    assert shell.read("repo", "show", "first")["images"] == 5
    shell("repo", "delete", "first", "--force", stdin="y\n")
    assert shell.read("repo", "list") == []
    assert tree.index


def test_a_policy_is_set_shown_and_removed(shell: Shell, tmp_path: Path) -> None:
    """From a file, with the checks of the operation."""
    file = tmp_path / "policy.json"
    file.write_text(POLICY)
    shell("repo", "policy", "set", "first", str(file), "--force")
    assert json.loads(shell("repo", "policy", "show", "first")) == json.loads(POLICY)
    assert shell.read("repo", "show", "first")["policy"] is True
    shell("repo", "policy", "delete", "first")
    assert "policy does not exist" in shell.refused("repo", "policy", "show", "first")
    file.write_text("{}")
    assert "PolicyText" in shell.refused("repo", "policy", "set", "first", str(file))


def test_names_are_completed(bench: Bench, shell: Shell, tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shell is offered repositories and, behind a colon, tags; of what is not there, nothing."""
    monkeypatch.setattr(completing, "reading", lambda **_given: bench.read())
    bench.repository("fine")

    class Typed:
        params: dict[str, str] = {}  # noqa: RUF012 (as Typer's context has it)

    complete = completing.completer(references._offered)
    assert complete(Typed(), "fi") == ["fine", "first"]  # type: ignore[arg-type]
    assert complete(Typed(), "first:l") == ["first:latest"]  # type: ignore[arg-type]
    assert complete(Typed(), "none:l") == []  # type: ignore[arg-type]
    assert tree.index
    assert shell("repo", "list")

"""Registry policies underneath the doors: what they decide about, and what reading them costs."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from moorage.domain.errors import RepositoryNotFound
from moorage.domain.names import RepositoryName
from moorage.domain.policies import Kind, Principal, only_about, parse
from moorage.registry import boundaries, entrance, registries
from moorage.registry.auth import Identity, Need, judge
from moorage.registry.registries import NARROW_ACTIONS, Rules
from tests.registry.kit import ACCOUNT, statements

if TYPE_CHECKING:
    from tests.registry.kit import Bench


def text(**more: Any) -> str:
    """Return a registry policy."""
    statement = {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Resource": "*", **more}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@pytest.mark.parametrize(
    ("actions", "only"),
    [
        ({"Action": "ecr:CreateRepository"}, True),
        ({"Action": ["ECR:replicateimage", "ecr:BatchImportUpstreamImage"]}, True),
        ({"Action": ["ecr:ReplicateImage", "ecr:PutImage"]}, False),
        ({"Action": "ecr:Create*"}, False),
        ({"Action": "*"}, False),
        ({"NotAction": "ecr:ReplicateImage"}, False),
    ],
    ids=str,
)
@pytest.mark.parametrize("effect", ["Allow", "Deny"])
def test_which_policies_are_about_the_three_actions_only(effect: str, actions: dict[str, Any], *, only: bool) -> None:
    """A policy is about some actions only if all of its statements name them, and nothing else, in full."""
    policy = parse(text(Effect=effect, **actions), Kind.REGISTRY)
    assert only_about(policy, NARROW_ACTIONS) is only


def test_a_narrow_policy_is_asked_about_three_actions() -> None:
    """In the scope V1 a policy, whatever it says, decides about nothing but the three actions."""
    rules = Rules(text(Action="ecr:*"), "V1")
    asked = {"ecr:BatchGetImage", "ecr:PutRegistryPolicy", "ecr:CreateRepository", "ecr:ReplicateImage"}
    assert {action for action in asked if rules.policy_for(action)} == {"ecr:CreateRepository", "ecr:ReplicateImage"}
    assert all(Rules(rules.text, "V2").policy_for(action) for action in asked)
    assert Rules(None, "V2").policy_for("ecr:CreateRepository") is None


def test_a_registrys_policy_comes_with_its_repository(bench: Bench) -> None:
    """Who enters a repository asks the database once, whether its registry has a policy or not."""
    asked: list[str] = []
    name = RepositoryName.parse("first")

    def entering() -> int:
        with bench.registry.read(bench.root) as ctx:
            asked.clear()
            with statements(ctx.tx, asked.append):
                entrance.enter(ctx, "ecr:BatchGetImage", name)
            return len(asked)

    assert entering() == 1
    with bench.registry.write(bench.root) as ctx:
        registries.put(ctx, policy=text(Action="ecr:*"))
    assert entering() == 1


def test_settings_of_a_registry_do_not_disturb_each_other(bench: Bench) -> None:
    """Setting one column leaves the others, and another registry of the account, as they were."""
    with bench.registry.write(bench.root) as ctx:
        registries.put(ctx, policy=text(Action="ecr:*"))
        registries.put(ctx, blob_mounting="DISABLED")
        registries.put(ctx, policy_scope="V2")
    with bench.registry.read(bench.root) as ctx:
        assert registries.rules(ctx) == Rules(text(Action="ecr:*"), "V2")
        assert not registries.blob_mounting(ctx)
        other = ctx.at("999999999999")
        assert registries.rules(other).text is None
        assert registries.blob_mounting(other)


def test_a_repository_that_is_not_there_is_under_the_policy_too(bench: Bench) -> None:
    """Where a registry policy allows, a missing repository is told to be missing."""
    with bench.registry.write(bench.root) as ctx:
        registries.put(ctx, policy=text(Action="ecr:*"))
    with bench.registry.read(bench.root) as ctx, pytest.raises(RepositoryNotFound):
        entrance.enter(ctx, "ecr:BatchGetImage", RepositoryName.parse("missing"))


def test_a_boundary_that_is_gone_allows_nothing(bench: Bench) -> None:
    """A user whose boundary has no document any more may do nothing: a limit that cannot be read is not none."""
    assert boundaries.compiled(None, None) is None
    gone = boundaries.compiled("gone", None)
    assert gone is not None
    allowed = parse('{"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}', Kind.IDENTITY)
    with bench.registry.read(bench.root) as ctx:
        person = Principal(f"arn:aws:iam::{ACCOUNT}:user/x", ACCOUNT, "AIDAX", name="x")
        identity = Identity(person, "", ACCOUNT, ctx.region, policies=(allowed,))
        need = Need("ecr:DescribeRepositories", "*")
        assert judge(replace(ctx, identity=identity), need).allowed
        assert not judge(replace(ctx, identity=replace(identity, boundary=gone)), need).allowed

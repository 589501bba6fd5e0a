"""
What one decision about access costs, in process: ``python -m benchmarks.decisions``.

The whole of `judge` is timed: condition keys, the engine, the answer; policies
are compiled, as they are from the second request on. The last row is the one
statement that finds a repository with its policy, its tags and the registry's
policy. CPU time, so that a busy machine disturbs it less; still good only for
comparing two runs on one machine.
"""

from __future__ import annotations

import dataclasses
import json
import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from moorage import app
from moorage.config import Settings
from moorage.domain.managed import MANAGED
from moorage.domain.names import RepositoryName, repository_arn
from moorage.domain.policies import Kind, Principal, parse
from moorage.registry import repositories
from moorage.registry.auth import Identity, Need, judge
from moorage.registry.identities import root_principal
from moorage.registry.registries import Rules

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from moorage.domain.policies import Policy
    from moorage.registry.core import Context

ROUNDS: Final = 7
TIMES: Final = 2_000
OURS, THEIRS, REGION = "000000000000", "111111111111", "us-east-1"
ARN: Final = repository_arn(REGION, OURS, "bench")
FACTS: Final = {"aws:SourceIp": "192.0.2.7", "aws:SecureTransport": "true", "aws:UserAgent": "docker/27.0 go/go1.22"}
TAGS: Final = {"team": "a", "stage": "production"}


def user(account: str, *policies: Policy) -> Identity:
    """Return a caller with identity policies, who addresses our registry."""
    principal = Principal(f"arn:aws:iam::{account}:user/ci", account, "AIDAX", name="ci")
    return Identity(principal, "AKIAX", OURS, REGION, policies=policies)


def text(*statements: dict[str, Any]) -> str:
    """Return a policy's text."""
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allowing(account: str, **more: Any) -> dict[str, Any]:
    """Return a statement of a resource's policy that lets an account pull."""
    return {
        "Effect": "Allow",
        "Principal": {"AWS": account},
        "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
        **more,
    }


def ten(account: str) -> list[dict[str, Any]]:
    """Return ten statements with resources and conditions, of which only the last lets the account pull."""
    near: list[dict[str, Any]] = [
        allowing(account, Resource=f"arn:aws:ecr:*:{OURS}:repository/other-{number}/*") for number in range(4)
    ]
    near += [
        allowing(account, Resource="*", Condition={"StringEquals": {"ecr:ResourceTag/team": f"team-{number}"}})
        for number in range(3)
    ]
    deny = {"Effect": "Deny", "Principal": "*", "Action": "ecr:*", "Resource": "*"}
    near += [
        {**deny, "Condition": {"Bool": {"aws:SecureTransport": "false"}}},
        {**deny, "Condition": {"NotIpAddress": {"aws:SourceIp": ["10.0.0.0/8", "192.0.2.0/24"]}}},
    ]
    return [*near, allowing(account, Resource="*", Condition={"StringLike": {"aws:UserAgent": "docker/*"}})]


def cases() -> Iterator[tuple[str, Identity, Need]]:
    """Yield the decisions: what they are called, who asks, and what for."""
    reader = parse(MANAGED["AmazonEC2ContainerRegistryReadOnly"], Kind.IDENTITY, name="ReadOnly")
    limit = parse(MANAGED["AmazonEC2ContainerRegistryPowerUser"], Kind.IDENTITY, name="PowerUser")
    action, none = "ecr:BatchGetImage", Rules(None, "V2")
    let_in = parse(text(allowing(THEIRS)), Kind.REPOSITORY)
    wide = Rules(text(allowing(THEIRS, Resource="*")), "V2")
    many = parse(text(*ten(THEIRS)), Kind.REPOSITORY)
    yield "root, no policy", Identity(root_principal(OURS), "AKIAX", OURS, REGION), Need(action, ARN, rules=none)
    yield "same account, managed policy", user(OURS, reader), Need(action, ARN, tags=TAGS, rules=none)
    bounded = dataclasses.replace(user(OURS, reader), boundary=limit)
    yield "same account, managed policy and boundary", bounded, Need(action, ARN, tags=TAGS, rules=none)
    yield "cross account, repository policy", user(THEIRS, reader), Need(action, ARN, let_in, TAGS, rules=none)
    yield "cross account, registry policy", user(THEIRS, reader), Need(action, ARN, None, TAGS, rules=wide)
    yield (
        "cross account, 10 statements with conditions",
        user(THEIRS, reader),
        Need(action, ARN, many, TAGS, rules=none),
    )
    both = Rules(text(*ten(THEIRS)), "V2")
    yield "cross account, 10 statements in each policy", user(THEIRS, reader), Need(action, ARN, many, TAGS, rules=both)


def microseconds(work: Callable[[], object]) -> float:
    """Return what one call costs in the least disturbed of some rounds, the first of which warms up."""
    rounds = []
    for _ in range(ROUNDS):
        begun = time.thread_time()
        for _ in range(TIMES):
            work()
        rounds.append((time.thread_time() - begun) / TIMES * 1e6)
    return min(rounds[1:])


def rows(ctx: Context) -> Iterator[tuple[str, float]]:
    """Measure everything, in one reading transaction."""
    for name, identity, need in cases():
        asked = dataclasses.replace(ctx, identity=identity)
        if not judge(asked, need).allowed:
            raise RuntimeError(f"{name}: refused")
        yield name, microseconds(lambda asked=asked, need=need: judge(asked, need))  # type: ignore[misc]
    found = RepositoryName.parse("bench")
    yield "finding the repository and its policies (SQLite)", microseconds(lambda: repositories.find(ctx, found))


def main() -> None:
    """Measure and print a Markdown table."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data=Path(folder))
        app.prepare(settings)
        registry = app.open_registry(settings)
        root = Identity(root_principal(OURS), "AKIAX", OURS, REGION)
        with registry.write(root) as ctx:
            repositories.create(ctx, RepositoryName.parse("bench"))
        print(f"| one decision, measured on {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} | µs |\n|---|---|")
        with registry.read(root, facts=FACTS) as ctx:
            for name, cost in rows(ctx):
                print(f"| {name} | {cost:.1f} |")
        registry.close()


if __name__ == "__main__":
    main()

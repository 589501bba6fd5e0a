"""People, places and shorthands that the policy tests share."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from moorage.domain.policies import Decision, Kind, Policy, Principal, Request, decide, parse

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

OWNER, OTHER = "111111111111", "222222222222"
REPOSITORY = f"arn:aws:ecr:us-east-1:{OWNER}:repository/team/app"
STATEMENT = {"Effect": "Allow", "Action": "ecr:*"}


def user(name: str, account: str = OWNER, **tags: str) -> Principal:
    return Principal(f"arn:aws:iam::{account}:user/{name}", account, f"AIDA{name.upper()}", name=name, tags=tags)


def root(account: str = OWNER) -> Principal:
    return Principal(f"arn:aws:iam::{account}:root", account, account)


def session(role: str, name: str = "s", account: str = OWNER) -> Principal:
    return Principal(
        f"arn:aws:sts::{account}:assumed-role/{role}/{name}",
        account,
        f"AROA:{name}",
        role_arn=f"arn:aws:iam::{account}:role/{role}",
    )


X, Y = user("xavier"), user("yuri", OTHER)


def policy(*statements: Mapping[str, Any], kind: Kind, version: str = "2012-10-17", name: str | None = None) -> Policy:
    return parse(json.dumps({"Version": version, "Statement": statements}), kind, name=name)


def on_repository(*statements: Mapping[str, Any]) -> Policy:
    """A repository policy; statements are allows of everything unless they say otherwise."""
    return policy(*({**STATEMENT, **statement} for statement in statements), kind=Kind.REPOSITORY)


def on_identity(*statements: Mapping[str, Any], kind: Kind = Kind.IDENTITY, name: str | None = None) -> Policy:
    """An identity policy; statements are allows of everything on everything unless they say otherwise."""
    return policy(
        *(
            {**({} if "NotResource" in statement else {"Resource": "*"}), **STATEMENT, **statement}
            for statement in statements
        ),
        kind=kind,
        name=name,
    )


def ask(
    who: Principal,
    action: str = "BatchGetImage",
    *,
    identity: Sequence[Policy] = (),
    context: Mapping[str, str | Sequence[str]] | None = None,
    resource: str = REPOSITORY,
    **policies: Policy,
) -> Decision:
    request = Request(who, f"ecr:{action}", resource, context or {})
    return decide(request, owner=OWNER, identity=identity, **policies)

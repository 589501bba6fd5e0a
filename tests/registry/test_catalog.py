"""The catalog: it decides about many repositories at once, and as it would about each."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import pytest
import sqlalchemy as sa

from moorage.domain import policies
from moorage.domain.names import RepositoryName
from moorage.registry import catalog, registries, repositories, tables
from moorage.registry.auth import Identity, Need, allows
from moorage.registry.identities import root_principal, user_principal
from tests.registry.kit import ACCOUNT, REGION

if TYPE_CHECKING:
    from tests.registry.kit import Bench

ACTION: Final = "ecr:DescribeRepositories"
OTHER: Final = "210987654321"
ARN: Final = f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository"


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def statement(effect: str, resource: str | None = None, principal: str | None = None, **more: Any) -> dict[str, Any]:
    made: dict[str, Any] = {"Effect": effect, "Action": [ACTION, "ecr:SetRepositoryPolicy"], **more}
    if resource is not None:
        made["Resource"] = resource
    if principal is not None:
        made["Principal"] = principal if principal == "*" else {"AWS": principal}
    return made


BY_TAG: Final = {"StringEquals": {"ecr:ResourceTag/team": "red"}}
TEXTS: Final = {
    "none": None,
    "allows": document(statement("Allow", principal="*")),
    "allows-user": document(statement("Allow", principal=f"arn:aws:iam::{ACCOUNT}:user/ann")),
    "allows-other": document(statement("Allow", principal=OTHER)),
    "denies": document(statement("Deny", principal="*")),
    "denies-user": document(statement("Deny", principal=f"arn:aws:iam::{ACCOUNT}:user/ann")),
    "denies-escaped": document(statement("Deny", principal="*")).replace("Deny", "\\u0044eny"),
    "denies-red": document(statement("Deny", principal="*", Condition=BY_TAG)),
    "denies-arn": document(statement("Deny", f"{ARN}/b/*", "*")),
}
"""Policies of repositories, by the ends of their names."""

OF_USERS: Final = {
    "all": [statement("Allow", "*")],
    "some": [statement("Allow", f"{ARN}/a/*")],
    "but-some": [statement("Allow", "*"), statement("Deny", f"{ARN}/?/denies*")],
    "by-name": [statement("Allow", f"{ARN}/${{aws:username}}/*")],
    "red": [statement("Allow", "*", Condition=BY_TAG)],
    "not": [{"Effect": "Allow", "Action": ACTION, "NotResource": f"{ARN}/b/*"}],
    "others": [{"Effect": "Allow", "Action": "ecr:PutImage", "Resource": f"{ARN}/${{aws:username}}/*"}],
}
"""Identity policies."""


@pytest.fixture
def filled(bench: Bench) -> Bench:
    """A registry whose repositories differ by name, policy and tags."""
    with bench.write() as ctx:
        for place in ("a", "ann", "b"):
            for name, text in TEXTS.items():
                for color in ("blue", "red"):
                    tags = [{"Key": "team", "Value": color}]
                    repositories.create(ctx, RepositoryName(f"{place}/{name}-{color}"), tags=tags, policy_text=text)
    return bench


def callers() -> dict[str, Identity]:
    """Return callers of many kinds."""
    ann = user_principal(ACCOUNT, "ann", "AIDAANN", {})
    of_users = {
        name: policies.parse(document(*statements), policies.Kind.IDENTITY) for name, statements in OF_USERS.items()
    }
    made = {name: Identity(ann, "", ACCOUNT, REGION, policies=(policy,)) for name, policy in of_users.items()}
    made["nothing"] = Identity(ann, "", ACCOUNT, REGION)
    made["bounded"] = Identity(
        ann, "", ACCOUNT, REGION, policies=(of_users["all"],), boundary=of_users["some"], limit=of_users["red"]
    )
    made["root"] = Identity(root_principal(ACCOUNT), "", ACCOUNT, REGION)
    made["another account's root"] = Identity(root_principal(OTHER), "", ACCOUNT, REGION)
    return made


@pytest.mark.parametrize("name", callers())
@pytest.mark.parametrize("scope", [None, "denying"])
def test_it_names_what_its_reader_may_describe(filled: Bench, name: str, scope: str | None) -> None:
    """Whatever the policies, the catalog has exactly the repositories that would be described by their names."""
    if scope is not None:
        text = document(statement("Deny", f"{ARN}/a/none*", "*"))
        with filled.write() as ctx:
            registries.put(ctx, policy=text, policy_scope=registries.WIDE)
    with filled.registry.read(callers()[name]) as ctx:
        names = ctx.tx.execute(sa.select(tables.repositories.c.name)).scalars().all()
        found = [repositories.get(ctx, RepositoryName(one)) for one in sorted(names)]
        expected = [one.name for one in found if allows(ctx, Need(ACTION, one.arn, one.policy, one.tags))]

        assert catalog.names(ctx, limit=1000, after="") == expected


def test_its_pages_are_full(filled: Bench) -> None:
    """What is left out of a page makes room for what follows it."""
    with filled.registry.read(callers()["some"]) as ctx:
        every, pages, token = catalog.names(ctx, limit=1000, after=""), list[list[str]](), None
        while not pages or token is not None:
            page = catalog.page(ctx, limit=4, next_token=token)
            pages.append([one.name for one in page.items])
            token = page.next_token

    assert [name for page in pages for name in page] == every
    assert {len(page) for page in pages[:-1]} == {4}

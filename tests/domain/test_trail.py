"""What an event may hold: no secret, and a bounded part of what a request made up."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.domain import trail
from moorage.domain.policies import Principal
from moorage.operations import OPERATIONS
from moorage.operations.framework import Mode

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=400),
    lambda inner: st.lists(inner, max_size=8) | st.dictionaries(st.text(max_size=40), inner, max_size=8),
    max_leaves=60,
)


@given(VALUES, st.integers(0, 500))
def test_any_value_is_cut(value: Any, longest: int) -> None:
    """Whatever a request holds, an event has about so much of it, as JSON."""
    cut = trail.bounded(value, longest)

    def characters(one: Any) -> int:
        if isinstance(one, dict):
            return sum(characters(key) + characters(inner) for key, inner in one.items())
        if isinstance(one, list):
            return sum(map(characters, one))
        return len(one) if isinstance(one, str) else 0

    # Each level may add its mark, and there are few levels.
    assert characters(cut) <= longest + 60 * 40
    assert isinstance(json.dumps(cut), str)


@given(VALUES)
def test_what_fits_stays_as_it_is(value: Any) -> None:
    """A value with room enough, and nothing in it that is named like a secret, is not changed."""
    names = json.dumps(value).lower()
    if not any(word in names for word in ("token", "secret", "password", "layerpartblob")):
        assert trail.bounded(value, 10**9) == value


@pytest.mark.parametrize(
    "name",
    [
        "sessionToken",
        "SecretAccessKey",
        "WebIdentityToken",
        "authorizationToken",
        "password",
        "TokenCode",
        "clientSecret",
    ],
)
def test_secrets_are_hidden(name: str) -> None:
    """What is named like a secret has CloudTrail's mark instead, at any depth; cursors are none, layer bytes are left out."""
    given = {"a": [{name: "opensesame"}], "nextToken": "cursor", "layerPartBlob": "AAAA"}
    assert trail.bounded(given) == {"a": [{name: trail.HIDDEN}], "nextToken": "cursor"}


def test_what_is_nested_without_end_is_cut() -> None:
    """Neither depth nor a long list costs more than it may."""
    deep: Any = "x"
    for _ in range(500):
        deep = {"a": [deep]}
    assert len(json.dumps(trail.bounded(deep))) < 200
    assert trail.bounded(list(range(5000)))[-1] == "… (cut, 5000 items)"


def test_operations_that_write_are_not_reads() -> None:
    """``readOnly`` is false for every operation that writes, and true for every one that is named as a read."""
    for operation in OPERATIONS:
        if operation.mode is Mode.WRITE:
            assert not trail.is_read(operation.name), operation.name
    assert all(trail.is_read(name) for name in ("BatchGetImage", "ListImages", "GetCallerIdentity", "AssumeRole"))
    assert not any(trail.is_read(name) for name in ("PutImage", "InitiateLayerUpload", "StartImageScan", "TagResource"))


def test_each_kind_of_caller_has_its_type() -> None:
    """Root, users, sessions of users and of roles, and web identities each have the type that CloudTrail gives them."""
    account = "123456789012"
    root = Principal(f"arn:aws:iam::{account}:root", account, account)
    user = Principal(f"arn:aws:iam::{account}:user/ci", account, "AIDA", name="ci")
    token = Principal(f"arn:aws:iam::{account}:oidc-provider/issuer.example", account, "repo:acme/app")
    found = [
        trail.identity_of(one, "AKIA", session)
        for one, session in ((root, None), (user, {"since": "then"}), (token, None))
    ]
    assert [one["type"] for one in found] == ["Root", "IAMUser", "WebIdentityUser"]
    assert found[1]["sessionContext"] == {"attributes": {"mfaAuthenticated": "false", "creationDate": "then"}}
    assert (found[2]["userName"], "accessKeyId" in found[2]) == ("repo:acme/app", False)

"""Which documents are policies, and which are refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from moorage.domain.policies import MAX_LENGTH, Kind, PolicyError, parse, principals
from tests.domain.policy_kit import OTHER, OWNER, REPOSITORY, X, ask, policy

GOOD = {"Effect": "Allow", "Principal": "*", "Action": "ecr:PutImage"}
FOR = {
    Kind.REPOSITORY: GOOD,
    Kind.REGISTRY: GOOD | {"Resource": "*"},
    Kind.IDENTITY: {"Effect": "Allow", "Action": "ecr:PutImage", "Resource": "*"},
    Kind.SESSION: {"Effect": "Allow", "Action": "ecr:PutImage", "Resource": "*"},
    Kind.TRUST: {"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole"},
}
KINDS = list(Kind)


def refused(text: str, kind: Kind = Kind.REPOSITORY) -> str:
    with pytest.raises(PolicyError) as caught:
        parse(text, kind)
    return caught.value.detail


def refused_statement(statement: object, kind: Kind = Kind.REPOSITORY) -> str:
    return refused(json.dumps({"Version": "2012-10-17", "Statement": statement}), kind)


def without(element: str, statement: dict[str, Any] = GOOD) -> dict[str, Any]:
    return {key: value for key, value in statement.items() if key != element}


# --- Accepted -------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("version", [{"Version": "2012-10-17"}, {"Version": "2008-10-17"}, {}])
@pytest.mark.parametrize("listed", [True, False])
def test_plain_policies(kind: Kind, version: dict[str, str], listed: bool) -> None:
    """Each kind takes a statement or a list of them, of either version or none, with an Id."""
    statement = FOR[kind]
    text = json.dumps({**version, "Id": "any id", "Statement": [statement] if listed else statement})
    assert len(parse(text, kind).allows) == 1


def test_sids_are_free() -> None:
    """A Sid may have spaces, and may be there twice."""
    statement = GOOD | {"Sid": "ECR Repository Policy"}
    assert [found.label for found in policy(statement, statement, kind=Kind.REPOSITORY).allows] == [
        "ECR Repository Policy"
    ] * 2


PRINCIPALS = [
    OTHER,
    f"arn:aws:iam::{OTHER}:root",
    f"arn:aws-cn:iam::{OTHER}:root",
    f"arn:aws:iam::{OTHER}:user/alice",
    f"arn:aws:iam::{OTHER}:user/team/a+b=c,d.e@f_g-h",
    f"arn:aws:iam::{OTHER}:role/path/to/role",
    f"arn:aws:sts::{OTHER}:assumed-role/role/session@example.com",
]


@pytest.mark.parametrize("principal", [*PRINCIPALS, "*"])
def test_principals_of_aws(principal: str) -> None:
    """All of ECR's forms of AWS principals are taken, alone and in lists."""
    for value in (principal, [principal, OWNER]):
        policy(GOOD | {"Principal": {"AWS": value}}, kind=Kind.REPOSITORY)


def test_principals_named_are_told() -> None:
    """The AWS principals named, on either side, can be asked for, so that their existence can be checked."""
    found = policy(
        GOOD | {"Principal": {"AWS": PRINCIPALS, "Service": "codebuild.amazonaws.com"}},
        without("Principal") | {"Effect": "Deny", "NotPrincipal": {"AWS": [OWNER, "*"]}},
        GOOD,
        kind=Kind.REPOSITORY,
    )
    assert principals(found) == {*PRINCIPALS, OWNER}
    assert principals(policy(FOR[Kind.IDENTITY], kind=Kind.IDENTITY)) == frozenset()


def test_providers_are_for_trust_policies() -> None:
    """A role may trust an identity provider; a repository cannot."""
    principal = {"Federated": f"arn:aws:iam::{OWNER}:oidc-provider/token.actions.example.com"}
    policy(FOR[Kind.TRUST] | {"Principal": principal}, kind=Kind.TRUST)
    assert "unknown type of principal" in refused_statement(GOOD | {"Principal": principal})


def test_version_2008_has_no_variables() -> None:
    """Before 2012-10-17, and without a version, ``${…}`` is text."""
    for version in ({"Version": "2008-10-17"}, {}):
        resource = f"{REPOSITORY}/${{aws:username}}"
        text = json.dumps({**version, "Statement": FOR[Kind.IDENTITY] | {"Resource": resource}})
        found = parse(text, Kind.IDENTITY)
        assert ask(X, "PutImage", identity=[found], resource=resource).allowed
        assert not ask(X, "PutImage", identity=[found], resource=f"{REPOSITORY}/xavier").allowed


# --- Refused --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        ("nonsense", "not JSON"),
        ("[]", "must be an object"),
        ("null", "must be an object"),
        ('"x"', "must be an object"),
        ("{}", "Statement[0]"),
        ('{"Effect":"Allow"}', "unknown element"),
        ('{"Statement":[]}', "must not be empty"),
        ('{"Statement":[[]]}', "must be an object"),
        ('{"Statement":null}', "must be an object"),
        ('{"Version":"2012-10-17","Version":"2012-10-17","Statement":{}}', "duplicate key 'Version'"),
        ('{"Statement":{"Effect":"Deny","Effect":"Allow"}}', "duplicate key 'Effect'"),
        ('{"Statement":NaN}', "not JSON"),
        ("[" * 9_000, "nested too deeply"),
        ('{"Statement":' * 700, "not"),
        (" " * (MAX_LENGTH + 1), "more than 10240"),
        ('{"Version":"2012-10-18","Statement":{}}', "Version"),
        ('{"Version":2012,"Statement":{}}', "must be a string"),
        ('{"Version":null,"Statement":{}}', "must be a string"),
        ('{"Id":7,"Statement":{}}', "must be a string"),
        ('{"Statement":{},"Comment":""}', "unknown element"),
        ('{"Statement":' + "9" * 9_000 + "}", "must be an object"),
    ],
)
def test_documents_refused(text: str, said: str) -> None:
    """What is not a policy document is refused, and the detail says why."""
    assert said in refused(text)


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ({"Effect": "Allow"}, "exactly one of Action"),
        (without("Action"), "exactly one of Action"),
        (without("Principal"), "exactly one of Principal"),
        (without("Effect"), "Effect"),
        (GOOD | {"Effect": "allow"}, "Effect"),
        (GOOD | {"Effect": ["Allow"]}, "Effect"),
        (GOOD | {"NotAction": "ecr:*"}, "exactly one of Action"),
        (GOOD | {"NotPrincipal": "*"}, "exactly one of Principal"),
        (GOOD | {"Resource": "*", "NotResource": "*"}, "exactly one of Resource"),
        (GOOD | {"Sid": 1}, "Sid"),
        (GOOD | {"Sid": "\ud800"}, "half a character"),
        (GOOD | {"Conditions": {}}, "unknown element"),
        (GOOD | {"action": "ecr:*"}, "unknown element"),
        (GOOD | {"Action": []}, "must not be empty"),
        (GOOD | {"Action": [["ecr:*"]]}, "must be a string"),
        (GOOD | {"Action": 7}, "must be a string"),
        (GOOD | {"Action": "s3:GetObject"}, "not an action"),
        (GOOD | {"Action": "PutImage"}, "not an action"),
        (GOOD | {"Action": "ecr:"}, "not an action"),
        (GOOD | {"Action": "ec*:PutImage"}, "not an action"),
        (GOOD | {"Action": "ecr:Put Image"}, "not an action"),
        (GOOD | {"Action": "ecr:${aws:username}"}, "not an action"),
        (GOOD | {"Action": "ecr:PutImage\n"}, "not an action"),
        (GOOD | {"Resource": "repository/x"}, "neither an ARN nor *"),
        (GOOD | {"Resource": []}, "must not be empty"),
        (GOOD | {"Resource": "arn:aws:ecr:::repository/${aws:username"}, "malformed policy variable"),
        (GOOD | {"Resource": "arn:aws:ecr:::repository/${}"}, "has no name"),
        (GOOD | {"Resource": "arn:aws:ecr:::repository/${a,b}"}, "malformed policy variable"),
        (GOOD | {"Condition": []}, "must be an object"),
        (GOOD | {"Condition": {"StringMatches": {"aws:userid": "x"}}}, "unknown condition operator"),
        (GOOD | {"Condition": {"NullIfExists": {"aws:userid": "true"}}}, "unknown condition operator"),
        (GOOD | {"Condition": {"ForAllValues:Null": {"aws:userid": "true"}}}, "unknown condition operator"),
        (GOOD | {"Condition": {"ForSomeValues:StringEquals": {"aws:userid": "x"}}}, "unknown condition operator"),
        (GOOD | {"Condition": {"StringEquals": "x"}}, "must be an object"),
        (GOOD | {"Condition": {"StringEquals": {"": "x"}}}, "has no name"),
        (GOOD | {"Condition": {"StringEquals": {"aws:userid": []}}}, "must not be empty"),
        (GOOD | {"Condition": {"StringEquals": {"aws:userid": None}}}, "must be a string"),
        (GOOD | {"Condition": {"StringEquals": {"aws:userid": {"a": "b"}}}}, "must be a string"),
        (GOOD | {"Condition": {"Null": {"aws:userid": "maybe"}}}, "true or false"),
    ],
)
def test_statements_refused(statement: dict[str, Any], said: str) -> None:
    """A malformed statement is refused, and the detail says why."""
    assert said in refused_statement(statement)


@pytest.mark.parametrize(
    "principal",
    [
        "111111111111",
        "",
        {},
        [],
        {"AWS": []},
        {"AWS": ""},
        {"AWS": "1111"},
        {"AWS": "111111111111:root"},
        {"AWS": f"arn:aws:iam::{OTHER}"},
        {"AWS": f"arn:aws:iam::{OTHER}:*"},
        {"AWS": f"arn:aws:iam::{OTHER}:user/*"},
        {"AWS": f"arn:aws:iam::{OTHER}:user/al?ce"},
        {"AWS": f"arn:aws:iam::{OTHER}:user/"},
        {"AWS": f"arn:aws:iam::{OTHER}:group/admins"},
        {"AWS": f"arn:aws:iam::{OTHER}:user/alice\n"},
        {"AWS": f"arn:aws:sts::{OTHER}:assumed-role/role"},
        {"AWS": f"arn:aws:sts::{OTHER}:assumed-role/role/*"},
        {"AWS": "arn:aws:iam::*:root"},
        {"AWS": "\N{ARABIC-INDIC DIGIT ONE}" * 12},
        {"AWS": {"AWS": OTHER}},
        {"Service": "*"},
        {"Service": "example.com"},
        {"CanonicalUser": "79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be"},
        {"aws": OTHER},
    ],
)
def test_principals_refused(principal: object) -> None:
    """A principal in a form that ECR does not have, or with a partial wildcard, is refused."""
    assert refused_statement(GOOD | {"Principal": principal})
    assert refused_statement(without("Principal") | {"NotPrincipal": principal})


@pytest.mark.parametrize("kind", [Kind.IDENTITY, Kind.SESSION])
def test_identity_policies_name_nobody(kind: Kind) -> None:
    """A policy that is attached to somebody cannot say whom it is about, and must say what about."""
    assert "names no principals" in refused_statement(FOR[kind] | {"Principal": "*"}, kind)
    assert "names no principals" in refused_statement(FOR[kind] | {"NotPrincipal": "*"}, kind)
    assert "exactly one of Resource" in refused_statement(without("Resource", FOR[kind]), kind)


def test_what_kinds_demand() -> None:
    """A registry policy must have a Resource; a trust policy cannot, and gives roles only."""
    assert "exactly one of Resource" in refused_statement(GOOD, Kind.REGISTRY)
    assert "has no Resource" in refused_statement(FOR[Kind.TRUST] | {"Resource": "*"}, Kind.TRUST)
    assert "not an action" in refused_statement(FOR[Kind.TRUST] | {"Action": "ecr:*"}, Kind.TRUST)
    assert "not an action" in refused_statement(FOR[Kind.REGISTRY] | {"Action": "sts:*"}, Kind.REGISTRY)
    policy(FOR[Kind.IDENTITY] | {"Action": ["s3:Get*", "sts:AssumeRole", "*"]}, kind=Kind.IDENTITY)


def test_details_are_fit_for_logs() -> None:
    """A refusal shows at most the beginning of what was wrong, in ASCII, on one line."""
    detail = refused_statement(GOOD | {"Action": "ecr:\n\u202e" + "x" * 9_000})
    assert detail.isascii()
    assert detail.isprintable()
    assert len(detail) < 200


def test_the_largest_document_is_taken() -> None:
    """A document of exactly the greatest length is a policy."""
    text = json.dumps({"Statement": GOOD})
    parse(text + " " * (MAX_LENGTH - len(text)), Kind.REPOSITORY)


# --- Anything at all --------------------------------------------------------------------

WORDS = st.sampled_from(
    [
        "Version", "2012-10-17", "Statement", "Sid", "Effect", "Allow", "Deny", "Principal", "NotPrincipal", "AWS",
        "Service", "Federated", "Action", "NotAction", "ecr:*", "sts:*", "Resource", "NotResource", "*", "Condition",
        "StringLike", "ForAllValues:StringEqualsIfExists", "Null", "NumericLessThan", "DateEquals", "Bool",
        "BinaryEquals", "IpAddress", "ArnLike", "aws:username", "${aws:username}", "${", "arn:aws:ecr:::repository/*",
        "10.0.0.0/8", "true", "2020-01-01", "111111111111", "\ud800", "1e99",
    ]
)  # fmt: skip
VALUES = st.recursive(
    WORDS | st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS | st.text(max_size=3), inner, max_size=4),
    max_leaves=25,
)
STATEMENTS = st.fixed_dictionaries(
    {},
    optional={
        "Sid": VALUES,
        "Effect": st.sampled_from(["Allow", "Deny"]) | VALUES,
        "Principal": st.sampled_from(["*", {"AWS": OWNER}]) | VALUES,
        "Action": st.just("ecr:*") | VALUES,
        "Resource": st.just("*") | VALUES,
        "Condition": st.dictionaries(WORDS, st.dictionaries(WORDS, VALUES, max_size=2), max_size=2) | VALUES,
    },
)


@given(VALUES | st.builds(lambda *found: {"Statement": found}, STATEMENTS, STATEMENTS), st.sampled_from(KINDS))
@example(
    {"Statement": {**GOOD, "Condition": {"DateEquals": {"k": "9999999999999999999999999999999999999999e99"}}}}, KINDS[0]
)
@example({"Statement": {**GOOD, "Condition": {"DateEquals": {"k": "0000-00-00T99:99:99+99:99"}}}}, KINDS[0])
@example({"Statement": {**GOOD, "Condition": {"IpAddress": {"k": "10.0.0.0/999"}}}}, KINDS[0])
@example({"Statement": {**GOOD, "Condition": {"BinaryEquals": {"k": "é"}}}}, KINDS[0])
def test_any_json_is_a_policy_or_refused(value: object, kind: Kind) -> None:
    """No JSON makes the parser raise anything but `PolicyError`, and what it takes can be asked."""
    try:
        found = parse(json.dumps(value), kind)
    except PolicyError:
        return
    if kind is Kind.REPOSITORY:
        ask(X, repository=found, context={"aws:username": "x", "2020-01-01": "1", "k": "1"})


@given(st.text(max_size=60))
def test_any_text_is_refused(text: str) -> None:
    """No text makes the parser raise anything but `PolicyError`."""
    refused(text)

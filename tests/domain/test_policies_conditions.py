"""Every condition operator: present, missing, with several values on either side; and policy variables."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from moorage.domain.policies import Kind, PolicyError, parse
from moorage.domain.policies.operators import OPERATORS
from tests.domain.policy_kit import OWNER, REPOSITORY, X, ask, on_identity, on_repository, root, session, user

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from moorage.domain.policies import Principal

KEY = "moorage:Key"


def holds(
    operator: str,
    wanted: object,
    given: str | Sequence[str] | None,
    *,
    key: str = KEY,
    who: Principal = X,
    context: Mapping[str, str | Sequence[str]] | None = None,
) -> bool:
    """Whether a condition holds, told by a policy that allows under it."""
    found = {} if given is None else {KEY: given}
    allowing = on_identity({"Condition": {operator: {key: wanted}}})
    return ask(who, identity=[allowing], context={**found, **(context or {})}).allowed


DAY, ROLE = "2026-03-01T12:00:00Z", f"arn:aws:iam::{OWNER}:role/ci"

# operator: (what a policy wants, a value that it matches, one that it does not), each for the positive reading
CASES: list[tuple[str, object, str, str]] = [
    ("StringEquals", "Team-A", "Team-A", "team-a"),
    ("StringEquals", "a*", "a*", "ab"),
    ("StringEquals", 7, "7", "7.0"),
    ("StringEquals", True, "true", "True"),
    ("StringEqualsIgnoreCase", "Team-A", "TEAM-a", "team-b"),
    ("StringLike", "team-*", "team-a", "steam-a"),
    ("StringLike", "v?.*", "v1.2", "v10.2"),
    ("NumericEquals", "10", "10.0", "11"),
    ("NumericEquals", 0.1, "0.10", "0.1000001"),
    ("NumericLessThan", "10", "9.99", "10"),
    ("NumericLessThanEquals", "10", "10", "10.01"),
    ("NumericGreaterThan", "-1", "0", "-1"),
    ("NumericGreaterThanEquals", "10", "1e1", "9"),
    ("NumericEquals", "10", "10", "ten"),
    ("DateEquals", DAY, "2026-03-01T13:00:00+01:00", "2026-03-01T12:00:01Z"),
    ("DateEquals", "2026-03-01", "2026-03-01T00:00:00Z", "2026-03-01T00:00:00.001Z"),
    ("DateEquals", "2026", "2026-01-01", "2026-02"),
    ("DateEquals", DAY, "1772366400", "1772366401"),
    ("DateLessThan", DAY, "2026-03-01T11:59:59Z", DAY),
    ("DateLessThanEquals", DAY, DAY, "2026-03-01T12:00:00.5Z"),
    ("DateGreaterThan", DAY, "2026-03-02", DAY),
    ("DateGreaterThanEquals", DAY, DAY, "2026-03-01"),
    ("DateGreaterThan", DAY, "2027-01-01", "tomorrow"),
    ("Bool", "true", "TRUE", "false"),
    ("Bool", False, "false", "no"),
    ("BinaryEquals", "QmluYXJ5", "QmluYXJ5", "QmluYXJ6"),
    ("BinaryEquals", "QmluYXJ5", "QmluYXJ5", "not base64"),
    ("IpAddress", "203.0.113.0/24", "203.0.113.9", "203.0.114.9"),
    ("IpAddress", "203.0.113.9", "203.0.113.9", "203.0.113.10"),
    ("IpAddress", "203.0.113.77/24", "203.0.113.9", "198.51.100.1"),
    ("IpAddress", "203.0.113.0/24", "::ffff:203.0.113.9", "::203.0.113.9"),
    ("IpAddress", "2001:db8::/32", "2001:db8::1", "203.0.113.9"),
    ("IpAddress", "0.0.0.0/0", "203.0.113.9", "localhost"),
    ("ArnEquals", ROLE, ROLE, f"{ROLE}2"),
    ("ArnEquals", f"arn:aws:iam::{OWNER}:role/c?", ROLE, f"arn:aws:iam::{OWNER}:role/c"),
    ("ArnLike", "arn:aws:iam::*:role/*", ROLE, f"arn:aws:iam::{OWNER}:user/ci"),
    ("ArnLike", "arn:aws:*:role/ci:*:*:*", "arn:aws:x:role/ci:a:b:c:d", ROLE),
    ("ArnLike", f"arn:aws:iam::{OWNER}:*", ROLE, "arn:aws:iam::333333333333:role/ci"),
    ("ArnLike", "*", ROLE, "not an arn"),
    ("ArnLike", "*", f"{ROLE}/{'x' * 1_900}", f"{ROLE}/{'x' * 2_048}"),
    (
        "ArnLike",
        "arn:aws:codebuild:*:*:project/*",
        "arn:aws:codebuild:a:b:project/x:y",
        "arn:aws:codebuild:a:project/x",
    ),
]
NEGATIONS = {
    "StringEquals": "StringNotEquals",
    "StringEqualsIgnoreCase": "StringNotEqualsIgnoreCase",
    "StringLike": "StringNotLike",
    "NumericEquals": "NumericNotEquals",
    "DateEquals": "DateNotEquals",
    "IpAddress": "NotIpAddress",
    "ArnEquals": "ArnNotEquals",
    "ArnLike": "ArnNotLike",
}
NEGATED = [(NEGATIONS[operator], wanted, no, yes) for operator, wanted, yes, no in CASES if operator in NEGATIONS]


def test_every_operator_is_tested() -> None:
    """The cases below leave no operator out, and know which ones are negated."""
    assert {operator for operator, *_ in CASES + NEGATED} == set(OPERATORS)
    assert {name for name, operator in OPERATORS.items() if operator.negated} == set(NEGATIONS.values())


@pytest.mark.parametrize(("operator", "wanted", "yes", "no"), CASES + NEGATED)
def test_operators(operator: str, wanted: object, yes: str, no: str) -> None:
    """Each operator holds and fails as it should, in every variant, whatever the case of its name and key."""
    for variant in (operator, f"{operator}IfExists", f"ForAnyValue:{operator}", f"ForAllValues:{operator}IfExists"):
        assert holds(variant, wanted, yes)
        assert not holds(variant, wanted, no)
        assert holds(variant.lower(), wanted, yes, key=KEY.upper())


@pytest.mark.parametrize(("operator", "wanted"), [(operator, wanted) for operator, wanted, _, _ in CASES + NEGATED])
def test_missing_keys(operator: str, wanted: object) -> None:
    """A missing key holds if negated, with IfExists, or for all values; not for any value. So does an empty list."""
    nothing: list[str] = []
    for missing in (None, nothing):
        assert holds(operator, wanted, missing) is OPERATORS[operator].negated
        assert holds(f"{operator}IfExists", wanted, missing)
        assert holds(f"ForAllValues:{operator}", wanted, missing)
        assert not holds(f"ForAnyValue:{operator}", wanted, missing)
        assert holds(f"ForAnyValue:{operator}IfExists", wanted, missing)


@pytest.mark.parametrize(
    ("operator", "given", "expected"),
    [
        ("StringEquals", "a", True),
        ("StringEquals", "c", False),
        ("StringNotEquals", "a", False),
        ("StringNotEquals", "b", False),
        ("StringNotEquals", "c", True),
        ("ForAllValues:StringEquals", ["a", "b"], True),
        ("ForAllValues:StringEquals", ["a", "c"], False),
        ("ForAllValues:StringEquals", "", True),
        ("ForAnyValue:StringEquals", ["c", "a"], True),
        ("ForAnyValue:StringEquals", ["c", "d"], False),
        ("ForAnyValue:StringEquals", "", False),
        ("ForAllValues:StringNotEquals", ["c", "d"], True),
        ("ForAllValues:StringNotEquals", ["c", "a"], False),
        ("ForAnyValue:StringNotEquals", ["c", "a"], True),
        ("ForAnyValue:StringNotEquals", ["b", "a"], False),
        ("StringEquals", ["c", "a"], True),
        ("StringNotEquals", ["c", "a"], False),
    ],
)
def test_several_values(operator: str, given: str | list[str], expected: bool) -> None:
    """Several values of a policy are OR (negated: NOR); those of a request are as the qualifier says."""
    assert holds(operator, ["a", "b"], given) is expected


def test_several_numbers_dates_and_addresses() -> None:
    """Several values of a policy are OR (negated: NOR) for every type."""
    assert holds("NumericEquals", [1, 2], "2")
    assert not holds("NumericNotEquals", [1, 2], "2")
    assert holds("DateEquals", ["2025", "2026"], "2026-01-01")
    assert holds("NotIpAddress", ["10.0.0.0/8", "192.168.0.0/16"], "203.0.113.9")
    assert not holds("NotIpAddress", ["10.0.0.0/8", "192.168.0.0/16"], "192.168.1.1")
    assert holds("ArnLike", ["arn:aws:s3:::*", ROLE], ROLE)
    assert not holds("ArnNotLike", ["arn:aws:s3:::*", ROLE], ROLE)


@pytest.mark.parametrize(
    ("wanted", "given", "expected"),
    [
        ("true", None, True),
        ("true", "x", False),
        (False, "x", True),
        ("FALSE", None, False),
        ("true", [], True),
        (["true", "false"], None, True),
    ],
)
def test_null(wanted: object, given: str | None, expected: bool) -> None:
    """Null asks whether a key is missing."""
    assert holds("Null", wanted, given) is expected


@pytest.mark.parametrize(
    ("operator", "value"),
    [
        ("NumericEquals", "ten"),
        ("NumericEquals", "1e999999999"),
        ("NumericLessThan", "${aws:username}"),
        ("NumericLessThan", "NaN"),
        ("DateEquals", "yesterday"),
        ("DateEquals", "2026-13-01"),
        ("DateEquals", "2026-W01-1"),
        ("Bool", "yes"),
        ("BinaryEquals", "not base64"),
        ("IpAddress", "10.0.0.0/33"),
        ("IpAddress", "10.0.0.0/255.0.0.0"),
        ("IpAddress", "10.0.0.*"),
        ("ArnLike", "role/ci"),
        ("StringLike", "${aws:username"),
    ],
)
def test_values_that_no_operator_could_compare(operator: str, value: str) -> None:
    """A value that its operator does not understand is refused, since it could never match."""
    statement = {"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {operator: {KEY: value}}}
    with pytest.raises(PolicyError):
        parse(json.dumps({"Version": "2012-10-17", "Statement": statement}), Kind.IDENTITY)


def test_all_conditions_must_hold() -> None:
    """Operators, and keys of an operator, are AND; an empty Condition is none."""
    both = {"StringEquals": {"a:a": "1", "a:b": "2"}, "Bool": {"a:c": "true"}}
    allowing = on_identity({"Condition": both})
    context = {"a:a": "1", "a:b": "2", "a:c": "true"}
    assert ask(X, identity=[allowing], context=context).allowed
    for key in context:
        assert not ask(X, identity=[allowing], context=context | {key: "9"}).allowed
    assert ask(X, identity=[on_identity({"Condition": {}})]).allowed


# --- Keys -----------------------------------------------------------------------------

CI = session("ci", "run-1")


@pytest.mark.parametrize(
    ("who", "key", "value"),
    [
        (X, "aws:PrincipalArn", X.arn),
        (CI, "aws:PrincipalArn", ROLE),
        (X, "aws:PrincipalAccount", OWNER),
        (X, "aws:userid", "AIDAXAVIER"),
        (X, "aws:username", "xavier"),
        (X, "aws:PrincipalType", "User"),
        (CI, "aws:PrincipalType", "AssumedRole"),
        (X, "aws:PrincipalIsAWSService", "false"),
        (user("tess", team="red"), "aws:PrincipalTag/team", "red"),
        (user("tess", team="red"), "AWS:principaltag/TEAM", "red"),
    ],
)
def test_keys_about_the_principal(who: Principal, key: str, value: str) -> None:
    """Keys about the principal come from the principal, and a request cannot claim another value."""
    for context in ({}, {key: "forged"}, {key.lower(): "forged"}):
        assert holds("StringEquals", value, None, key=key, who=who, context=context)


@pytest.mark.parametrize(("who", "key"), [(CI, "aws:username"), (X, "aws:PrincipalTag/team")])
def test_keys_that_a_principal_does_not_have(who: Principal, key: str) -> None:
    """A key that does not apply to the principal is missing, and cannot be brought in by the request."""
    assert holds("Null", "true", None, key=key, who=who, context={key: "forged", key.lower(): "forged"})


def test_root_is_an_account() -> None:
    """The root user's type is Account, so that a policy can deny it."""
    denying = on_repository(
        {"Effect": "Deny", "Principal": "*", "Condition": {"StringEquals": {"aws:PrincipalType": "Account"}}}
    )
    assert not ask(root(), "PutImage", repository=denying).allowed


def test_tags_that_differ_by_case() -> None:
    """Case in keys is ignored, unless two tags differ by it only."""
    context = {"ecr:ResourceTag/Env": "prod", "ecr:ResourceTag/env": "dev"}
    assert holds("StringEquals", "prod", None, key="ecr:ResourceTag/Env", context=context)
    assert holds("StringEquals", "dev", None, key="ecr:ResourceTag/env", context=context)


# --- Variables --------------------------------------------------------------------------

HOME = REPOSITORY.replace("team/app", "")


@pytest.mark.parametrize(
    ("pattern", "resource", "expected"),
    [
        ("home/${aws:username}", "home/xavier", True),
        ("home/${aws:username}", "home/yuri", False),
        ("home/${ aws:UserName }/*", "home/xavier/app", True),
        ("${ecr:ResourceTag/team}/*", "red/app", True),
        ("${ecr:ResourceTag/gone}/*", "red/app", False),
        ("${ecr:ResourceTag/gone, 'red'}/*", "red/app", True),
        ("${ecr:ResourceTag/team,'blue'}/*", "blue/app", False),
        ("${ecr:ResourceTag/gone, ''}*", "anything", True),
        ("${ecr:ResourceTag/star}", "a*", True),
        ("${ecr:ResourceTag/star}", "ab", False),
        ("${ecr:ResourceTag/star}*?", "a*bc", True),
        ("${ecr:ResourceTag/gone, '*'}", "ab", False),
        ("${ecr:ResourceTag/many}", "one", False),
        ("${*}${?}${$}", "*?$", True),
        ("${*}", "ab", False),
        ("$HOME/{x}", "$HOME/{x}", True),
    ],
)
def test_variables_in_resources(pattern: str, resource: str, expected: bool) -> None:
    """A variable stands for its value, literally; without a value and default the pattern matches nothing."""
    context = {"ecr:ResourceTag/team": "red", "ecr:ResourceTag/star": "a*", "ecr:ResourceTag/many": ["one", "two"]}
    allowing = on_identity({"Resource": HOME + pattern})
    assert ask(X, identity=[allowing], context=context, resource=HOME + resource).allowed is expected


@pytest.mark.parametrize(
    ("operator", "wanted", "given", "expected"),
    [
        ("StringEquals", "${aws:username}", "xavier", True),
        ("StringNotEquals", "${aws:username}", "xavier", False),
        ("StringNotEquals", "${aws:username}", "yuri", True),
        ("StringEqualsIgnoreCase", "${aws:username}-X", "XAVIER-x", True),
        ("StringLike", "${aws:username}-*", "xavier-1", True),
        ("StringLike", "${aws:PrincipalTag/x}", "abc", False),
        ("StringLike", "${aws:PrincipalTag/x}", "*", True),
        ("StringEquals", "${*}", "*", True),
        ("StringEquals", ["no", "${aws:username}"], "xavier", True),
        ("StringEquals", "${aws:gone}", "", False),
        ("StringNotEquals", "${aws:gone}", "x", True),
        ("ArnLike", "arn:aws:iam::${aws:PrincipalAccount}:role/*", ROLE, True),
        ("ArnLike", "arn:aws:iam::${aws:PrincipalTag/x}:role/*", ROLE, False),
        ("ArnEquals", "${aws:PrincipalArn}", X.arn, True),
        ("ArnNotEquals", "${aws:PrincipalArn}", X.arn, False),
    ],
)
def test_variables_in_conditions(operator: str, wanted: object, given: str, expected: bool) -> None:
    """Variables work in the values of string and ARN operators; without a value they equal and resemble nothing."""
    assert holds(operator, wanted, given, who=user("xavier", x="*")) is expected


def test_an_unknown_value_never_opens() -> None:
    """With NotResource a variable without a value leaves a Deny as wide as it can be, and an Allow shut."""
    unknown = f"{HOME}${{aws:gone}}"
    assert not ask(X, identity=[on_identity({"NotResource": unknown})]).allowed
    assert not ask(X, identity=[on_identity({}, {"Effect": "Deny", "NotResource": unknown})]).allowed
    known = f"{HOME}${{aws:gone, 'x'}}"
    assert ask(X, identity=[on_identity({"NotResource": known})]).allowed

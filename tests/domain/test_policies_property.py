"""
Decisions of generated policies, against a second evaluator; and the worst that a policy can cost.

The second evaluator is naive on purpose. It reads the JSON documents anew for
each question, follows the order of AWS's user guide sentence by sentence, and
shares no code with the engine: wildcards are `fnmatch`'s.
"""

from __future__ import annotations

import fnmatch
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from moorage.domain import filters, policies
from moorage.domain.policies import MAX_LENGTH, Kind, Policy, Principal, Request, assume, decide, parse
from moorage.registry.registries import Rules
from tests.domain.policy_kit import OTHER, OWNER, REPOSITORY, X, ask, root, session, user

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import FrameType

    from _typeshed import TraceFunction

Statement = dict[str, Any]

WHO = [user("ann"), user("bob"), user("ann", OTHER), root(), root(OTHER), session("ci"), session("ci", "t", OTHER)]
ACTIONS = ["ecr:PutImage", "ecr:BatchGetImage", "ecr:CreateRepository", "ecr:SetRepositoryPolicy"]
OF_NO_REPOSITORY = ["ecr:GetAuthorizationToken", "ecr:GetRegistryPolicy", "ecr:GetAccountSetting"]
ELSEWHERE = REPOSITORY.replace("team/app", "other")

# --- A small grammar of policies --------------------------------------------------------

ACTION_PATTERNS = st.sampled_from(
    ["*", "ecr:*", "ecr:PutImage", "ECR:batch*", "ecr:?utImage", "ecr:*Policy", "ecr:Get*"]
)
RESOURCE_PATTERNS = st.sampled_from(["*", REPOSITORY, f"arn:aws:ecr:*:{OWNER}:repository/t*", ELSEWHERE])
NAMED = st.sampled_from([*(who.arn for who in WHO), OWNER, OTHER, *(who.role_arn for who in WHO if who.role_arn)])
PRINCIPALS = st.just("*") | st.builds(lambda named: {"AWS": named}, st.lists(NAMED, min_size=1, max_size=3))
CONDITIONS = st.sampled_from(
    [
        {},
        {"StringEquals": {"ecr:ResourceTag/env": ["prod", "test"]}},
        {"StringNotEquals": {"ecr:ResourceTag/env": "prod"}},
        {"StringLike": {"ecr:ResourceTag/env": "p*d"}},
        {"StringEqualsIfExists": {"ecr:ResourceTag/env": "prod"}},
        {"Null": {"ecr:ResourceTag/env": "true"}},
        {"Null": {"ecr:ResourceTag/env": "false"}, "StringNotLike": {"ecr:ResourceTag/env": "t*"}},
        {"Bool": {"aws:SecureTransport": "true"}},
    ]
)
ENVIRONMENTS = st.sampled_from([None, "prod", "test", "pod"])


def negatable(element: str, values: st.SearchStrategy[Any]) -> st.SearchStrategy[Statement]:
    return st.builds(lambda key, value: {key: value}, st.sampled_from([element, f"Not{element}"]), values)


def statements(
    *elements: st.SearchStrategy[Statement], actions: st.SearchStrategy[str] = ACTION_PATTERNS
) -> st.SearchStrategy[Statement]:
    effect = st.builds(lambda value: {"Effect": value}, st.sampled_from(["Allow", "Allow", "Allow", "Deny"]))
    condition = st.builds(lambda value: {"Condition": value}, CONDITIONS)
    action = negatable("Action", st.lists(actions, min_size=1, max_size=2))
    return st.tuples(effect, condition, action, *elements).map(
        lambda parts: {k: v for p in parts for k, v in p.items()}
    )


RESOURCE = negatable("Resource", st.lists(RESOURCE_PATTERNS, min_size=1, max_size=2))
PRINCIPAL = negatable("Principal", PRINCIPALS)
OWN = st.lists(statements(RESOURCE), max_size=3)
SOMEBODYS = st.lists(statements(RESOURCE, PRINCIPAL), max_size=3)
IMPLIED = st.lists(statements(PRINCIPAL), max_size=3)


# --- The naive evaluator ----------------------------------------------------------------


def naive_condition(condition: dict[str, Any], env: str | None) -> bool:
    for operator, keys in condition.items():
        for wanted in keys.values():
            values = wanted if isinstance(wanted, list) else [wanted]
            holds = {
                "StringEquals": env in values,
                "StringNotEquals": env not in values,
                "StringLike": env is not None and any(fnmatch.fnmatchcase(env, value) for value in values),
                "StringNotLike": env is None or not any(fnmatch.fnmatchcase(env, value) for value in values),
                "StringEqualsIfExists": env is None or env in values,
                "Null": (env is None) == (values == ["true"]),
                "Bool": False,  # the requests here say nothing about their transport
            }
            if not holds[operator]:
                return False
    return True


def naive_names(statement: Statement, who: Principal) -> str:
    """How the statement names the caller: "self", "role", "account" or "" for not at all."""
    value = statement["Principal" if "Principal" in statement else "NotPrincipal"]
    named = ["*"] if value == "*" else value["AWS"]
    root_arn = f"arn:aws:iam::{who.account}:root"
    if "*" in named or who.arn in named or (who.arn == root_arn and who.account in named):
        how = "self"
    elif who.role_arn in named:
        how = "role"
    else:
        how = "account" if who.account in named or root_arn in named else ""
    if "Principal" in statement:
        return how
    spared = how in ("self", "role") if statement["Effect"] == "Deny" else how != ""
    return "" if spared else "self"


def naive_fits(statement: Statement, who: Principal, action: str, resource: str, env: str | None) -> str:
    """How the statement applies: as `naive_names`, and "self" where it names nobody because it is the caller's own."""

    def among(element: str, text: str, fold: Callable[[str], str]) -> bool:
        patterns = [*statement.get(element, []), *statement.get(f"Not{element}", [])]
        matched = any(fnmatch.fnmatchcase(fold(text), fold(pattern)) for pattern in patterns)
        return not patterns or matched == (element in statement)

    if not among("Action", action, str.lower) or not among("Resource", resource, str):
        return ""
    if not naive_condition(statement["Condition"], env):
        return ""
    return naive_names(statement, who) if "Principal" in statement or "NotPrincipal" in statement else "self"


def naive_decide(
    who: Principal,
    *,
    action: str,
    target: str,
    env: str | None,
    identity: list[Statement],
    resource: list[Statement],
    limits: list[list[Statement]],
) -> bool:
    def found(effect: str, entries: list[Statement]) -> set[str]:
        return {naive_fits(entry, who, action, target, env) for entry in entries if entry["Effect"] == effect} - {""}

    is_root = who.arn.endswith(":root")
    if action == "ecr:GetAuthorizationToken":
        resource = []
    recovering = is_root and who.account == OWNER and action in ("ecr:SetRepositoryPolicy", "ecr:GetRegistryPolicy")
    if any(found("Deny", entries) for entries in [identity, *limits, [] if recovering else resource]):
        return False
    limited = all(found("Allow", entries) for entries in limits)
    own = (is_root or bool(found("Allow", identity))) and limited
    given_by_resource = found("Allow", resource)
    if action == "sts:AssumeRole" and not given_by_resource:
        return False
    if who.account != OWNER and action != "ecr:GetAuthorizationToken":
        return own and bool(given_by_resource)
    if "self" in given_by_resource:
        return True
    if "role" in given_by_resource:
        return limited
    return own


# --- They agree -------------------------------------------------------------------------


def text_of(entries: list[Statement]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": entries})


def compiled(entries: list[Statement], kind: Kind) -> Policy | None:
    return parse(text_of(entries), kind) if entries else None


@settings(max_examples=1_000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    who=st.sampled_from(WHO),
    action=st.sampled_from(ACTIONS + OF_NO_REPOSITORY),
    env=ENVIRONMENTS,
    identity=OWN,
    repository=IMPLIED,
    registry=SOMEBODYS,
    scope=st.sampled_from(["V1", "V2", "V2"]),
    narrowed=st.none() | OWN,
    bounded=st.none() | OWN,
)
def test_the_engine_agrees_with_the_guide(
    *,
    who: Principal,
    action: str,
    env: str | None,
    identity: list[Statement],
    repository: list[Statement],
    registry: list[Statement],
    scope: str,
    narrowed: list[Statement] | None,
    bounded: list[Statement] | None,
) -> None:
    """For any policies, scope, caller and action the engine decides as the naive evaluator does."""
    own = compiled(identity, Kind.IDENTITY)
    target = "*" if action in OF_NO_REPOSITORY else REPOSITORY
    of_repository = [] if action in OF_NO_REPOSITORY else repository
    decision = decide(
        Request(who, action, target, {} if env is None else {"ecr:ResourceTag/env": env}),
        owner=OWNER,
        identity=[own] if own else [],
        repository=compiled(of_repository, Kind.REPOSITORY),
        registry=Rules(text_of(registry) if registry else None, scope).policy_for(action),
        session=compiled(narrowed, Kind.SESSION) if narrowed else None,
        boundary=compiled(bounded, Kind.IDENTITY) if bounded else None,
    )
    limits = [entries for entries in (narrowed, bounded) if entries]
    # The old scope is about three actions, of which one is asked here.
    counting = registry if scope == "V2" or action == "ecr:CreateRepository" else []
    assert decision.allowed is naive_decide(
        who,
        action=action,
        target=target,
        env=env,
        identity=identity,
        resource=of_repository + counting,
        limits=limits,
    )


ROLE = f"arn:aws:iam::{OWNER}:role/deploy"
ROLES = negatable("Resource", st.lists(st.sampled_from(["*", ROLE, f"{ROLE}s", "arn:aws:iam::*:role/d*"]), min_size=1))
TAKING = st.sampled_from(["sts:*", "sts:AssumeRole", "STS:assume*", "sts:TagSession"])
OWN_OF_STS = st.lists(statements(ROLES, actions=TAKING | st.sampled_from(["*", "ecr:*"])), max_size=3)
TRUST = st.lists(statements(PRINCIPAL, actions=TAKING), min_size=1, max_size=3)


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    who=st.sampled_from(WHO),
    env=ENVIRONMENTS,
    trust=TRUST,
    identity=OWN_OF_STS,
    narrowed=st.none() | OWN_OF_STS,
    bounded=st.none() | OWN_OF_STS,
)
def test_taking_on_a_role_agrees_with_the_guide(
    *,
    who: Principal,
    env: str | None,
    trust: list[Statement],
    identity: list[Statement],
    narrowed: list[Statement] | None,
    bounded: list[Statement] | None,
) -> None:
    """For any trust policy, policies of the caller, session policy and boundary the two agree on who gets a role."""
    own, trusted = compiled(identity, Kind.IDENTITY), compiled(trust, Kind.TRUST)
    assert trusted is not None
    decision = assume(
        Request(who, "sts:AssumeRole", ROLE, {} if env is None else {"ecr:ResourceTag/env": env}),
        owner=OWNER,
        trust=trusted,
        identity=[own] if own else [],
        session=compiled(narrowed, Kind.SESSION) if narrowed else None,
        boundary=compiled(bounded, Kind.IDENTITY) if bounded else None,
    )
    limits = [entries for entries in (narrowed, bounded) if entries]
    assert decision.allowed is naive_decide(
        who, action="sts:AssumeRole", target=ROLE, env=env, identity=identity, resource=trust, limits=limits
    )


# --- The worst that a policy can cost -----------------------------------------------------

ENGINE = str(Path(policies.__file__).parent)
LONGEST_VALUE = "a" * 8_000
"""About what a server takes for a header; AWS has no longer condition values."""

LONG_TAG = user("tess", t="a" * 256)


def steps(ask_it: Callable[[], object]) -> int:
    """Count the lines of the engine that run: a measure that does not depend on the machine."""
    count = 0

    def trace(frame: FrameType, event: str, _argument: object) -> TraceFunction:
        nonlocal count
        ours = frame.f_code.co_filename == filters.__file__ or frame.f_code.co_filename.startswith(ENGINE)
        count += event == "line" and ours
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        ask_it()
    finally:
        sys.settrace(before)
    return count


def filled(values: Sequence[str], operator: str = "StringLike") -> Policy:
    """The largest policy that denies an agent by as many of the values as fit."""
    for count in range(len(values), 0, -max(1, len(values) // 100)):
        condition = {operator: {"aws:UserAgent": list(values[:count])}}
        statement = {"Effect": "Deny", "Principal": "*", "Action": "*", "Condition": condition}
        text = json.dumps({"Version": "2012-10-17", "Statement": statement}, separators=(",", ":"))
        if len(text) <= MAX_LENGTH:
            return parse(text, Kind.REPOSITORY)
    raise AssertionError(values)


@pytest.mark.parametrize(
    "values",
    [
        ["a*" * 4_900 + "b"],
        ["*a" * 4_900 + "b"],
        ["*?" + "a?" * 4_900 + "b"],
        ["?*" * 4_900 + "b"],
        ["*?a*b"] * 1_500,
        ["*a*b"] * 1_500,
        ["${aws:UserAgent}*b"] * 500,
        ["?${aws:UserAgent}*b"] * 500,
        ["${aws:UserAgent}" * 600 + "?"],
        ["*?${aws:PrincipalTag/t}*b"] * 400,
    ],
    ids=lambda values: f"{len(values)} of {values[0][:12]}",
)
def test_the_largest_policy_is_bounded(values: list[str]) -> None:
    """Policies of the greatest length, made of the worst wildcards, take steps in proportion to what is compared."""
    denying = filled(values)
    taken = steps(lambda: ask(LONG_TAG, repository=denying, context={"aws:UserAgent": LONGEST_VALUE}))
    assert taken <= 50 * (MAX_LENGTH + len(LONGEST_VALUE))


@pytest.mark.parametrize(
    "pattern", ["ecr:" + "a*" * 4_900 + "b", "ecr:*?" + "a?" * 4_900 + "b", "ecr:" + "*" * 9_800 + "b"]
)
def test_the_longest_action_is_bounded(pattern: str) -> None:
    """An action of the greatest length costs no more than its length."""
    text = json.dumps({"Statement": {"Effect": "Allow", "Action": pattern, "Resource": "*"}})
    identity = [parse(text, Kind.IDENTITY)]
    assert steps(lambda: ask(X, "a" * 256, identity=identity)) <= MAX_LENGTH

"""Lifecycle policies: ECR's own examples, the grammar and its refusals, and what holds for any policy."""

from __future__ import annotations

import contextlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.domain import lifecycle
from moorage.domain.lifecycle import Image, Keeper, LifecyclePolicyError, StorageClass

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def image(digest: str, days: float, *tags: str, **more: Any) -> Image:
    """An image of that age in days."""
    return Image(digest=digest, tags=tags, pushed_at=NOW - timedelta(days=days), **more)


def rule(priority: int, selection: dict[str, Any], action: str = "expire") -> dict[str, Any]:
    does = {"type": action} | ({"targetStorageClass": "archive"} if action == "transition" else {})
    return {"rulePriority": priority, "selection": selection, "action": does}


def more_than(number: int, status: str = "tagged", **lists: list[str]) -> dict[str, Any]:
    return {"tagStatus": status, **lists, "countType": "imageCountMoreThan", "countNumber": number}


def days(number: int, status: str = "tagged", kind: str = "sinceImagePushed", **more: Any) -> dict[str, Any]:
    return {"tagStatus": status, **more, "countType": kind, "countUnit": "days", "countNumber": number}


def policy(*rules: dict[str, Any]) -> lifecycle.Policy:
    return lifecycle.parse(json.dumps({"rules": rules}))


def acted(images: list[Image], *rules: dict[str, Any]) -> dict[str, int]:
    """Return the digests that a policy acts on, each with its rule's priority."""
    return {found.digest: by.priority for found, by in lifecycle.select(policy(*rules), images, NOW)}


ABC = [image("A", 10, "beta-1", "prod-1"), image("B", 9, "beta-2", "prod-2"), image("C", 8, "beta-3")]
PROD, BETA = ["prod"], ["beta"]


def test_an_image_that_a_rule_of_higher_priority_keeps_is_kept() -> None:
    """L1: B is old by the second rule, but the first one selects it."""
    rules = rule(1, more_than(1, tagPrefixList=PROD)), rule(2, more_than(1, tagPrefixList=BETA))
    assert acted(ABC, *rules) == {"A": 1}


def test_the_newest_are_kept_and_the_rest_go() -> None:
    """L2."""
    rules = rule(1, more_than(1, tagPrefixList=BETA)), rule(2, more_than(1, tagPrefixList=PROD))
    assert acted(ABC, *rules) == {"A": 1, "B": 1}


def test_each_entry_of_a_list_must_match_a_tag() -> None:
    """L3 and L4: a list is a conjunction."""
    images = [
        image("A", 12, "alpha-1"),
        image("B", 11, "beta-1"),
        image("C", 10, "alpha-2", "beta-2"),
        image("D", 4, "alpha-3"),
        image("E", 3, "beta-3"),
        image("F", 2, "alpha-4", "beta-4"),
    ]
    both = ["alpha", "beta"]
    assert acted(images, rule(1, days(5, tagPrefixList=both))) == {"C": 1}
    assert acted(images, rule(1, days(5, tagPatternList=["alpha*", "beta*"]))) == {"C": 1}
    images = [
        image("A", 10, "alpha-1", "beta-1", "gamma-1"),
        image("B", 9, "alpha-2", "beta-2"),
        image("C", 8, "alpha-3", "beta-3", "gamma-2"),
    ]
    assert acted(images, rule(1, more_than(1, tagPrefixList=both))) == {"A": 1, "B": 1}


def test_any_is_about_tagged_and_untagged_images() -> None:
    """L5."""
    images = [image("A", 4, "alpha-1"), image("B", 3, "beta-1"), image("C", 2), image("D", 1, "alpha-2")]
    assert acted(images, rule(1, more_than(1, "any"))) == {"A": 1, "B": 1, "C": 1}


def test_three_rules_each_take_what_the_ones_before_leave() -> None:
    """L6: C and E belong to earlier rules; E is exactly one day old, which is not older than a day."""
    images = [
        image("A", 4, "alpha-1", "beta-1"),
        image("B", 3),
        image("C", 2, "alpha-2"),
        image("D", 1.5, "e4f5"),
        image("E", 1),
    ]
    rules = (
        rule(1, more_than(1, tagPrefixList=["alpha"])),
        rule(2, days(1, "untagged")),
        rule(3, more_than(1, "any")),
    )
    assert acted(images, *rules) == {"A": 1, "B": 2, "D": 3}


def test_untagged_images_by_age_and_by_count() -> None:
    """L7 and L8."""
    images = [image("T", 30, "v1"), image("U1", 1), image("U2", 2), image("U3", 15)]
    assert acted(images, rule(1, days(14, "untagged"))) == {"U3": 1}
    assert acted(images, rule(1, more_than(1, "untagged"))) == {"U2": 1, "U3": 1}


def test_images_that_nobody_pulls_move_to_the_archive() -> None:
    """L9 and L11."""
    images = [
        image("A", 200, "a", pulled_at=NOW - timedelta(days=100)),
        image("B", 200, "b", pulled_at=NOW - timedelta(days=10)),
        image("C", 200, "c"),
        image("D", 30, "d"),
    ]
    assert acted(images, rule(1, days(90, "any", "sinceImagePulled"), "transition")) == {"A": 1, "C": 1}
    images = [image("P", 40, "prod-1"), image("D", 40, "dev-1")]
    assert acted(images, rule(1, days(30, tagPatternList=["prod*"]), "transition")) == {"P": 1}


ARCHIVED = StorageClass.ARCHIVE


def test_archived_images_end_by_the_time_in_the_archive() -> None:
    """L10 and L12: a rule is about one storage class, and each class may have its rule for any image."""
    images = [
        image("A", 500, archived_at=NOW - timedelta(days=400), storage=ARCHIVED),
        image("B", 500, archived_at=NOW - timedelta(days=100), storage=ARCHIVED),
        image("C", 500, storage=None),
        image("D", 80),
    ]
    ending = rule(2, days(365, "any", "sinceImageTransitioned", storageClass="archive"))
    assert acted(images, rule(1, days(90, "any", "sinceImagePulled"), "transition"), ending) == {"A": 2}


def test_a_restored_image_is_young_again() -> None:
    """L13, and its age by push."""
    restored = image("A", 300, archived_at=NOW - timedelta(days=100), activated_at=NOW - timedelta(days=5))
    assert acted([restored], rule(1, days(90, "any", "sinceImagePulled"), "transition")) == {}
    assert acted([restored], rule(1, days(90, "any"))) == {}
    assert acted([restored], rule(1, days(4, "any"))) == {"A": 1}


@pytest.mark.parametrize(
    ("pattern", "matching", "other"),
    [
        ("prod*", ["prod", "prod-1", "production"], ["my-prod", "Prod"]),
        ("*prod*", ["prod", "prod-1", "production", "my-prod"], ["pro", "dev"]),
        ("v1.2", ["v1.2"], ["v1.2.3", "v1x2", "av1.2"]),
        ("*.*.*", ["1.2.3", "1.2.3.4"], ["1.2"]),
        ("?", ["?"], ["a"]),
    ],
)
def test_patterns(pattern: str, matching: list[str], other: list[str]) -> None:
    """Only an asterisk is special, and a pattern is about a whole tag."""
    images = [image(tag, 10, tag) for tag in matching + other]
    assert set(acted(images, rule(1, days(1, tagPatternList=[pattern])))) == set(matching)


def test_a_prefix_is_taken_literally() -> None:
    """An asterisk in a prefix is an asterisk, which no tag has."""
    assert acted([image("A", 10, "prod-1")], rule(1, days(1, tagPrefixList=["p*"]))) == {}


def test_images_that_others_need_stay_and_count() -> None:
    """The child of an index stays, though it is counted; what follows a subject is neither."""
    images = [
        image("child", 9, in_index=True),
        image("signature", 8, follows=True),
        image("old", 7),
        image("new", 1),
    ]
    said = {
        found.image.digest: found.keeper for found in lifecycle.judge(policy(rule(1, more_than(1, "any"))), images, NOW)
    }
    assert said == {"child": Keeper.INDEX, "signature": Keeper.SUBJECT, "old": None, "new": Keeper.RULE}


def test_an_image_that_no_rule_selects_stays() -> None:
    """... and the answer says so."""
    [told] = lifecycle.judge(policy(rule(1, days(1, "untagged"))), [image("A", 9, "v1")], NOW)
    assert told == (image("A", 9, "v1"), None, Keeper.NO_RULE)


def test_no_number_of_days_is_too_long() -> None:
    """The longest time that a policy can name is longer than a calendar."""
    assert acted([image("A", 9)], rule(1, days(2**31 - 1, "any"))) == {}


# --- Any policy --------------------------------------------------------------------

TAGS = ["a-1", "a-2", "b-1", "b-2"]
IMAGES = st.lists(
    st.builds(
        Image,
        digest=st.just(""),
        tags=st.lists(st.sampled_from(TAGS), unique=True, max_size=3).map(tuple),
        pushed_at=st.integers(0, 50).map(lambda age: NOW - timedelta(days=age)),
        pulled_at=st.none() | st.integers(0, 20).map(lambda age: NOW - timedelta(days=age)),
        in_index=st.booleans(),
        follows=st.booleans(),
    ),
    max_size=12,
).map(
    lambda found: [
        Image(f"d{n}", i.tags, i.pushed_at, i.pulled_at, in_index=i.in_index, follows=i.follows)
        for n, i in enumerate(found)
    ]
)
TAGGED = st.builds(
    lambda lists, count: {"tagStatus": "tagged", **lists, **count},
    st.sampled_from([{"tagPrefixList": ["a"]}, {"tagPrefixList": ["a", "b"]}, {"tagPatternList": ["*-1"]}]),
    st.integers(1, 30).map(lambda n: {"countType": "sinceImagePushed", "countUnit": "days", "countNumber": n})
    | st.integers(1, 5).map(lambda n: {"countType": "imageCountMoreThan", "countNumber": n}),
)
POLICIES = st.builds(
    lambda tagged, untagged, rest: [
        *tagged,
        *([days(untagged, "untagged")] if untagged else []),
        *([more_than(rest, "any")] if rest else []),
    ],
    st.lists(TAGGED, min_size=1, max_size=4),
    st.none() | st.integers(1, 30),
    st.none() | st.integers(1, 5),
).map(lambda selections: [rule(n + 1, selection) for n, selection in enumerate(selections)])


def naive(rules: lifecycle.Policy, images: list[Image]) -> dict[str, int]:
    """The reference's algorithm, word for word and without haste."""
    selected = {r.priority: [i for i in images if not i.follows and r.matches(i.tags)] for r in rules}
    result: dict[str, int] = {}
    for r in rules:
        mine = selected[r.priority]
        if r.count == "imageCountMoreThan":
            candidates = sorted(mine, key=lambda i: (i.since_pushed, i.digest), reverse=True)[r.number :]
        else:
            candidates = [i for i in mine if NOW - i.since_pushed > timedelta(days=r.number)]
        for i in candidates:
            higher = any(i in selected[other.priority] for other in rules if other.priority < r.priority)
            if not higher and i.digest not in result and not i.in_index:
                result[i.digest] = r.priority
    return result


@given(IMAGES, POLICIES)
def test_the_answer_is_the_algorithms(images: list[Image], rules: list[dict[str, Any]]) -> None:
    """Whatever the images and rules, the result is that of the plain algorithm, and each image is judged once."""
    compiled = policy(*rules)
    assert {i.digest: r.priority for i, r in lifecycle.select(compiled, images, NOW)} == naive(compiled, images)
    assert sorted(j.image.digest for j in lifecycle.judge(compiled, images, NOW)) == sorted(i.digest for i in images)


# --- The grammar -------------------------------------------------------------------

GOOD = rule(1, more_than(1, "any"))
PARSING = "Lifecycle policy parsing failure: Could not map policyString into LifecyclePolicy."
VALIDATION = "Lifecycle policy validation failure: "
REFUSED: list[tuple[Any, str]] = [
    ("x", PARSING),
    ("[]", PARSING),
    (r'{"rules":"\ud800"}', PARSING),
    ("[" * 20_000, PARSING),
    ({"rules": [GOOD | {"rulePriority": "1"}]}, PARSING),
    ({"rules": [GOOD | {"rulePriority": True}]}, PARSING),
    ({"rules": [GOOD | {"rulePriority": 2**31}]}, PARSING),
    ({"rules": [GOOD | {"description": 1}]}, PARSING),
    ({"rules": [GOOD | {"action": {"type": "transition"}}]}, PARSING),
    ({"rules": [rule(1, days(1, tagPrefixList=["a"]) | {"tagPrefixList": [1]})]}, PARSING),
    ({}, VALIDATION + 'object has missing required properties (["rules"])'),
    ({"rules": {}}, VALIDATION + 'object has missing required properties (["rules"])'),
    ({"rules": [], "x": 1}, VALIDATION + 'object instance has properties which are not allowed by the schema: (["x"])'),
    ({"rules": []}, VALIDATION + "array is too short: must have at least 1 elements but instance has 0 elements"),
    ({"rules": [GOOD] * 51}, VALIDATION + "array is too long: must have at most 50 elements but instance has 51 elements"),
    ({"rules": ["x"]}, VALIDATION + 'instance type (string) does not match any allowed primitive type (allowed: ["object"])'),
    ({"rules": [{"rulePriority": 1}]}, VALIDATION + 'object has missing required properties (["action","selection"])'),
    ({"rules": [GOOD | {"b": 1, "a": 2}]}, VALIDATION + 'object instance has properties which are not allowed by the schema: (["a","b"])'),
    ({"rules": [GOOD | {"rulePriority": 0}]}, VALIDATION + "numeric instance is lower than the required minimum (minimum: 1, found: 0)"),
    ({"rules": [rule(1, more_than(0, "any"))]}, VALIDATION + "numeric instance is lower than the required minimum (minimum: 1, found: 0)"),
    ({"rules": [rule(1, more_than(1, "some"))]}, VALIDATION + 'instance value ("some") not found in enum (possible values: ["any","tagged","untagged"])'),
    ({"rules": [rule(1, more_than(1, "any") | {"countUnit": "days"})]}, VALIDATION + "instance failed to match exactly one schema (matched 0 out of 4)"),
    ({"rules": [rule(1, more_than(1, "any") | {"countType": "sinceImagePushed"})]}, VALIDATION + "instance failed to match exactly one schema (matched 0 out of 4)"),
    ({"rules": [GOOD | {"action": {"type": "expire", "targetStorageClass": "archive"}}]}, VALIDATION + "instance failed to match exactly one schema (matched 0 out of 2)"),
    ({"rules": [GOOD, GOOD]}, VALIDATION + "Duplicate priority in multiple rules"),
    ({"rules": [rule(1, more_than(1))]}, VALIDATION + "Must specify tagPrefixList or tagPatternList when tagStatus=TAGGED."),
    ({"rules": [rule(1, more_than(1, tagPrefixList=[]))]}, VALIDATION + "Must specify tagPrefixList or tagPatternList when tagStatus=TAGGED."),
    ({"rules": [rule(1, more_than(1, tagPrefixList=["a"], tagPatternList=["a"]))]}, VALIDATION + "If policy has a tagged rule, it must specify only one of tagPrefixList or tagPatternList"),
    ({"rules": [rule(1, more_than(1, "untagged", tagPrefixList=["a"]))]}, VALIDATION + "Cannot specify tagPrefixList with tagStatus untagged"),
    ({"rules": [rule(1, more_than(1, tagPatternList=["*a*b*c*d*"]))]}, VALIDATION + "Invalid tag pattern provided. Total number of * must not exceed 4"),
    ({"rules": [rule(1, days(1, "untagged")), rule(2, days(2, "untagged"))]}, VALIDATION + "Only one rule can select Untagged images per storage class."),
    ({"rules": [GOOD, rule(2, days(2, "any"))]}, VALIDATION + "Only one rule can specify tagStatus=ANY"),
    ({"rules": [GOOD, rule(2, days(2, "untagged"))]}, VALIDATION + "Rule for tagStatus=ANY must have the lowest priority per storage class"),
    ({"rules": [rule(1, days(90, "any", storageClass="archive"))]}, VALIDATION + "SINCE_IMAGE_PUSHED, SINCE_IMAGE_PULLED and IMAGE_COUNT_MORE_THAN support the STANDARD storage class only"),
    ({"rules": [rule(1, days(90, "any", "sinceImagePulled"))]}, VALIDATION + "SINCE_IMAGE_PULLED supports the TRANSITION action only"),
    ({"rules": [rule(1, days(90, "any", "sinceImageTransitioned"))]}, VALIDATION + "SINCE_IMAGE_TRANSITIONED supports the ARCHIVE storage class only"),
    ({"rules": [rule(1, days(30, "any", "sinceImageTransitioned", storageClass="archive"))]}, VALIDATION + "Images that have been archived for less than 90 days cannot be deleted"),
    ({"rules": [rule(1, days(90, "any", "sinceImageTransitioned", storageClass="archive"), "transition")]}, VALIDATION + "TRANSITION supports the STANDARD storage class only"),
]  # fmt: skip


@pytest.mark.parametrize(("document", "said"), REFUSED)
def test_what_is_wrong_is_said_in_the_services_words(document: Any, said: str) -> None:
    """The first thing wrong is told."""
    with pytest.raises(LifecyclePolicyError) as refusal:
        lifecycle.parse(document if isinstance(document, str) else json.dumps(document))
    assert str(refusal.value) == said


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["any", "days", "expire", "tagged"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["rules", "selection", "action", "tagStatus", "countType", "rulePriority", "tagPrefixList", "type"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(JSON)
def test_no_document_makes_it_fail_otherwise(document: Any) -> None:
    """Whatever stands in a rule, it is a policy or is refused as one."""
    for text in (
        json.dumps(document),
        json.dumps({"rules": [document]}),
        json.dumps({"rules": [GOOD | {"selection": document}]}),
    ):
        with contextlib.suppress(LifecyclePolicyError):
            lifecycle.parse(text)


def test_the_text_is_kept_compact_with_its_keys_in_order() -> None:
    """White space between tokens goes, nothing else."""
    text = '{\n "rules" : [ {"rulePriority": 1, "description": "Ä b",\n "selection": {}} ] }'
    assert lifecycle.compact(text) == '{"rules":[{"rulePriority":1,"description":"Ä b","selection":{}}]}'

"""What must hold between the fields of a rule, and between rules."""

from __future__ import annotations

from collections import Counter
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, Final

from moorage.domain.lifecycle.problems import failed
from moorage.domain.lifecycle.rules import Action, CountType, StorageClass, TagStatus

if TYPE_CHECKING:
    from collections.abc import Collection

    from moorage.domain.lifecycle.rules import Policy, Rule

MAX_STARS: Final = 4
MIN_ARCHIVED: Final = 90
"""Days that an archived image stays at least."""


def check_lists(rule: Rule, given: Collection[str]) -> None:
    """Check a rule's lists of prefixes and patterns against its tag status."""
    if rule.status is not TagStatus.TAGGED:
        if given:
            raise failed(f"Cannot specify {min(given)} with tagStatus {rule.status}")
        return
    if len(given) > 1:
        raise failed("If policy has a tagged rule, it must specify only one of tagPrefixList or tagPatternList")
    if not rule.prefixes and not rule.patterns:
        raise failed("Must specify tagPrefixList or tagPatternList when tagStatus=TAGGED.")
    if any(pattern.count("*") > MAX_STARS for pattern in rule.patterns):
        raise failed(f"Invalid tag pattern provided. Total number of * must not exceed {MAX_STARS}")


def check(policy: Policy) -> None:
    """Check the rules of a policy, by ascending priority, each for itself and all together."""
    if any(count > 1 for count in Counter(rule.priority for rule in policy).values()):
        raise failed("Duplicate priority in multiple rules")
    for rule in policy:
        _check_count(rule)
    by_class = attrgetter("storage")
    for _, rules in groupby(sorted(policy, key=by_class), by_class):
        _check_class(tuple(rules))


def _check_count(rule: Rule) -> None:
    transitioned = rule.count is CountType.SINCE_TRANSITIONED
    if rule.storage is StorageClass.ARCHIVE and not transitioned:
        types = "SINCE_IMAGE_PUSHED, SINCE_IMAGE_PULLED and IMAGE_COUNT_MORE_THAN"
        raise failed(f"{types} support the STANDARD storage class only")
    if transitioned and rule.storage is not StorageClass.ARCHIVE:
        raise failed("SINCE_IMAGE_TRANSITIONED supports the ARCHIVE storage class only")
    if rule.action is Action.TRANSITION and rule.storage is not StorageClass.STANDARD:
        raise failed("TRANSITION supports the STANDARD storage class only")
    if rule.count is CountType.SINCE_PULLED and rule.action is not Action.TRANSITION:
        raise failed("SINCE_IMAGE_PULLED supports the TRANSITION action only")
    if transitioned and rule.number < MIN_ARCHIVED:
        raise failed(f"Images that have been archived for less than {MIN_ARCHIVED} days cannot be deleted")


def _check_class(rules: Policy) -> None:
    """Check the rules of one storage class together."""
    statuses = [rule.status for rule in rules]
    if statuses.count(TagStatus.UNTAGGED) > 1:
        raise failed("Only one rule can select Untagged images per storage class.")
    if statuses.count(TagStatus.ANY) > 1:
        raise failed("Only one rule can specify tagStatus=ANY")
    if TagStatus.ANY in statuses[:-1]:
        raise failed("Rule for tagStatus=ANY must have the lowest priority per storage class")

"""
Lifecycle policies: which images of a repository have had their time.

`parse` checks a policy document as ECR does and compiles it; `judge` applies it
to a snapshot of a repository's images. Nothing here reads or changes anything.
"""

from moorage.domain.lifecycle.document import LifecyclePolicyError, compact, parse
from moorage.domain.lifecycle.evaluation import Image, Judgement, Keeper, judge, select
from moorage.domain.lifecycle.rules import Action, CountType, Policy, Rule, StorageClass, TagStatus

__all__ = [
    "Action",
    "CountType",
    "Image",
    "Judgement",
    "Keeper",
    "LifecyclePolicyError",
    "Policy",
    "Rule",
    "StorageClass",
    "TagStatus",
    "compact",
    "judge",
    "parse",
    "select",
]

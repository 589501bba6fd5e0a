"""
What we correct in botocore's published model, and the words ECR uses that its model does not hold.

Everything that departs from the model is in these tables, so that it can be
read at a glance and dropped when the model is mended.
"""

from __future__ import annotations

from typing import Final

PATTERNS: Final = {
    # Published: ^[a-z0-9*](?:[._\-/a-z0-9*]?[a-z0-9*]+)*$ -- exponential in a backtracking matcher (21 s on 24
    # characters). This accepts the same strings in linear time.
    "ScanningRepositoryFilterValue": r"[a-z0-9*]+(?:[._\-/][a-z0-9*]+)*",
}
"""Shape -> the pattern to match with instead of the published one. Messages quote the published one."""

ENUM_ORDER: Final = {
    "ImageTagMutability": ("IMMUTABLE", "MUTABLE", "MUTABLE_WITH_EXCLUSION", "IMMUTABLE_WITH_EXCLUSION"),
}
"""Shape -> the order in which ECR lists its values; the model's is another."""

OWN_LENGTH: Final = frozenset({"RegistryPolicyText"})
"""Shapes whose length the operation checks: ECR says the same of a policy that is too long and of one that is wrong."""

FIELDS: Final = {
    "policyText": "PolicyText",
    "lifecyclePolicyText": "LifecyclePolicyText",
    "imageManifest": "ImageManifest",
    "Key": "key",
    "Value": "value",
}
"""Member -> its name in a message, where that is not its name on the wire."""

NUL_PATTERN: Final = r"[^\u0000]*"
"""What a message quotes for a string with U+0000 in it, which no database or file name takes."""

DEFAULT_WORDING: Final = {
    "null": "Member must not be null",
    "min_length": "Member must have length greater than or equal to {}",
    "max_length": "Member must have length less than or equal to {}",
    "min_value": "Member must have value greater than or equal to {}",
    "max_value": "Member must have value less than or equal to {}",
    "pattern": "Member must satisfy regular expression pattern: {}",
    "enum": "Member must satisfy enum value set: [{}]",
}
"""Constraint -> its text; ``{}`` stands for the limit, the pattern or the values."""

_NAME_PATTERN: Final = r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*"

WORDING: Final = {
    ("repositoryName", "null"): "must not be null",
    ("repositoryName", "min_length"): "must have length greater than or equal to {}",
    ("repositoryName", "max_length"): "must have length less than or equal to {}",
    ("repositoryName", "pattern"): f"must satisfy regular expression '{_NAME_PATTERN}'",
    ("registryId", "pattern"): "must satisfy regular expression [0-9]{12}",
    ("policyText", "null"): "Cannot be null",
    ("policyText", "max_length"): "Invalid repository policy provided",
}
"""(Top-level member, constraint) -> its text, for the members that ECR checks with older code."""

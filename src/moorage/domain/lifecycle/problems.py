"""What is wrong with a lifecycle policy, in ECR's two classes."""

from __future__ import annotations


class LifecyclePolicyError(ValueError):
    """The policy cannot be used; the message is the detail that ECR gives."""


def unreadable() -> LifecyclePolicyError:
    """Return the failure of a text that does not even have a policy's types."""
    return LifecyclePolicyError("Lifecycle policy parsing failure: Could not map policyString into LifecyclePolicy.")


def failed(detail: str) -> LifecyclePolicyError:
    """Return the failure of a policy that is read but breaks a rule."""
    return LifecyclePolicyError(f"Lifecycle policy validation failure: {detail}")

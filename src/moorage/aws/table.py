"""Our operations against ECR's model: checked when this is imported, so that a wrong parameter cannot be served."""

from __future__ import annotations

from typing import TYPE_CHECKING

from moorage.aws import model
from moorage.operations import OPERATIONS as _OURS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from moorage.operations import Operation


class ModelMismatch(TypeError):
    """An operation's function and ECR's model disagree."""


def check(operation: Operation, shape: model.Operation) -> None:
    """Raise `ModelMismatch` unless the function takes exactly what the model's input has."""
    handled = {"registry_id"}
    if operation.needs is None:
        handled.add("resource_arn" if operation.by_arn else "repository_name")
    modelled = {name: required for name, required in shape.parameters.items() if name not in handled}
    if operation.parameters.keys() != modelled.keys():
        difference = sorted(operation.parameters.keys() ^ modelled.keys())
        raise ModelMismatch(f"{operation.name}: parameters differ from the model: {', '.join(difference)}")
    for name, required in modelled.items():
        if operation.parameters[name] != required:
            raise ModelMismatch(f"{operation.name}: {name} is required in one of model and function only")
    if not operation.action.startswith("ecr:"):
        raise ModelMismatch(f"{operation.name}: no IAM action")


def _build() -> Mapping[str, Operation]:
    shapes = model.load()
    table = {}
    for operation in _OURS:
        if operation.name not in shapes:
            raise ModelMismatch(f"{operation.name} is not an operation of ECR")
        check(operation, shapes[operation.name])
        table[operation.name] = operation
    return table


OPERATIONS: Mapping[str, Operation] = _build()
"""The operations of the AWS door by name."""

"""No operation and no route without an action, and no operation that is not ECR's."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import botocore.session
import pytest
from botocore import xform_name

from moorage import operations
from moorage.aws import model, table
from moorage.oci.routes import ROWS
from moorage.operations.framework import Mode, Operation, on_registry, on_repository

if TYPE_CHECKING:
    from collections.abc import Callable

SERVICE = botocore.session.get_session().get_service_model("ecr")
ACTIONS = {f"ecr:{name}" for name in SERVICE.operation_names}
BY_NAME = {operation.name: operation for operation in operations.OPERATIONS}


@pytest.mark.parametrize("name", BY_NAME)
def test_an_operation_has_its_own_action(name: str) -> None:
    """Each operation asks for the IAM action of its name, and that is one of ECR's; one has none of its own."""
    assert BY_NAME[name].action == f"ecr:{'BatchGetImage' if name == 'ListImageReferrers' else name}"
    assert BY_NAME[name].action in ACTIONS


@pytest.mark.parametrize("name", BY_NAME)
def test_an_operation_takes_what_the_model_gives(name: str) -> None:
    """The parameters of each function are the members of the model's input, required where the model requires them."""
    operation, shape = BY_NAME[name], SERVICE.operation_model(name).input_shape
    assert shape is not None
    named = "resource_arn" if operation.by_arn else "repository_name"
    handled = {"registry_id"} | ({named} if operation.needs is None else set())
    modelled = {xform_name(member): member in shape.required_members for member in shape.members}
    assert operation.parameters == {key: needed for key, needed in modelled.items() if key not in handled}


def test_the_seventeen_are_offered() -> None:
    """No operation is declared twice, and the table of the AWS door has all that are declared."""
    assert len(BY_NAME) == len(operations.OPERATIONS)
    assert dict(table.OPERATIONS) == BY_NAME


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.method} {row.path}")
def test_a_route_has_an_action(row: Any) -> None:
    """Each row of the distribution protocol asks for an IAM action that ECR has."""
    assert row.action in ACTIONS


def test_a_route_is_in_one_row() -> None:
    """No two rows have the same method and path, so that no action is passed by."""
    routes = [(row.method, row.path) for row in ROWS]
    assert len(set(routes)) == len(routes)


def test_a_route_cannot_be_written_without_an_action() -> None:
    """Method, path, action and handler: none of a row's fields has a default."""
    assert [field.name for field in dataclasses.fields(ROWS[0])] == ["method", "path", "action", "handler"]
    assert all(field.default is dataclasses.MISSING for field in dataclasses.fields(ROWS[0]))


# --- What cannot be registered ----------------------------------------------------


def list_images(_ctx: Any, _repository: Any, *, next_token: Any = None, max_results: Any = None, **_rest: Any) -> Any:
    """Lacks ``filter``."""


def get_repository_policy(_ctx: Any, _repository: Any, *, verbose: bool = False) -> Any:
    """Has ``verbose``, which the model has not."""


def put_image(
    _ctx: Any,
    _repository: Any,
    *,
    image_manifest: Any = None,
    image_manifest_media_type: Any = None,
    image_tag: Any = None,
    image_digest: Any = None,
) -> Any:
    """Does without the manifest, which the model requires."""


def get_download_url_for_layer(_ctx: Any, _repository: Any, *, layer_digest: str) -> Any:
    """Is right."""


def describe_registry(_ctx: Any) -> Any:
    """Is right, of the registry as a whole."""


def check(operation: Operation) -> None:
    """Check an operation against the model as the table does."""
    table.check(operation, model.load()[operation.name])


@pytest.mark.parametrize(
    ("function", "word"),
    [(list_images, "filter"), (get_repository_policy, "verbose"), (put_image, "image_manifest is required")],
)
def test_a_wrong_parameter_cannot_be_registered(function: Callable[..., Any], word: str) -> None:
    """A function whose parameters are not the model's is a ModelMismatch that names the difference."""
    with pytest.raises(table.ModelMismatch, match=word):
        check(on_repository("ecr:ListImages")(function))


@pytest.mark.parametrize("action", ["", "s3:GetObject", "GetDownloadUrlForLayer", "ecr"])
def test_an_operation_without_an_action_cannot_be_registered(action: str) -> None:
    """An action that is none of ECR's is a ModelMismatch."""
    with pytest.raises(table.ModelMismatch, match="no IAM action"):
        check(on_repository(action)(get_download_url_for_layer))


def test_what_is_right_can_be_registered() -> None:
    """The same functions with the right parameters and an action are accepted."""
    check(on_repository("ecr:GetDownloadUrlForLayer")(get_download_url_for_layer))
    check(on_registry("ecr:DescribeRegistry", lambda _ctx, _given: [], Mode.READ)(describe_registry))


def test_an_operation_must_say_its_action() -> None:
    """A decorator without an action is no decorator: Python itself refuses it."""
    declare: Any = on_repository
    with pytest.raises(TypeError):
        declare()(get_download_url_for_layer)
    assert isinstance(declare("ecr:GetDownloadUrlForLayer")(get_download_url_for_layer), Operation)

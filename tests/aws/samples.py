"""Values of any shape of ECR's model, made from botocore's reading of it and not from ours."""

from __future__ import annotations

import functools
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import botocore.session
from botocore import xform_name
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Callable

    from botocore.model import OperationModel, Shape, StructureShape

SERVICE = botocore.session.get_session().get_service_model("ecr")
OPERATIONS = sorted(SERVICE.operation_names)
UPLOAD = "01234567-89ab-cdef-0123-456789abcdef"

OFTEN = {
    "RepositoryName": ["ab", "a.b", "a__b", "1a", "team/app", "a---b/c_d", "a" * 256],
    "RegistryId": ["000000000000", "123456789012"],
    "UploadId": [UPLOAD, UPLOAD.upper()],
    "LayerDigest": ["sha256:" + "0" * 64, "sha256:" + "F" * 64, "a-_+.:0"],
}
"""Values of the patterns that nearly every operation has: hypothesis takes its time to make its own."""

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)


def texts(shape: Shape) -> st.SearchStrategy[str]:
    least, most = shape.metadata.get("min", 0), shape.metadata.get("max", 1 << 20)
    if "enum" in shape.metadata:
        return st.sampled_from(shape.metadata["enum"])
    if shape.name in OFTEN:
        return st.sampled_from(OFTEN[shape.name])
    if "pattern" in shape.metadata:
        # `\Z` for `$`: hypothesis knows that `$` may stand before a newline, which ECR does not accept.
        pattern = re.compile(shape.metadata["pattern"].replace("$", r"\Z"), re.ASCII)
        return st.from_regex(pattern, fullmatch=True).filter(lambda text: least <= len(text) <= most)
    return st.builds(lambda text, fill: (text + fill * least)[: max(least, 40)], TEXT, st.sampled_from("aé\U0001f600"))


def numbers(shape: Shape) -> st.SearchStrategy[int]:
    bits = 32 if shape.type_name == "integer" else 64
    least = shape.metadata.get("min", -(1 << (bits - 1)))
    return st.integers(least, shape.metadata.get("max", (1 << (bits - 1)) - 1))


def structures(shape: Any, *, empty_lists: bool) -> st.SearchStrategy[dict[str, Any]]:
    members = {name: values(member, empty_lists=empty_lists) for name, member in shape.members.items()}
    required = {name: members[name] for name in shape.required_members}
    optional = {name: members[name] for name in members.keys() - required}
    return st.fixed_dictionaries(required, optional=dict(sorted(optional.items())))


@functools.cache
def values(shape: Any, *, empty_lists: bool = True) -> st.SearchStrategy[Any]:
    """Values that keep to all constraints of a shape."""
    several = functools.partial(values, empty_lists=empty_lists)
    makers: dict[str, Callable[[], st.SearchStrategy[Any]]] = {
        "structure": lambda: structures(shape, empty_lists=empty_lists),
        "list": lambda: st.lists(
            several(shape.member),
            min_size=max(shape.metadata.get("min", 0), 0 if empty_lists else 1),
            max_size=min(shape.metadata.get("max", 3), 3),
        ),
        "map": lambda: st.dictionaries(several(shape.key), several(shape.value), max_size=3),
        "string": lambda: texts(shape),
        "integer": lambda: numbers(shape),
        "long": lambda: numbers(shape),
        "double": lambda: st.floats(allow_nan=False, allow_infinity=False),
        "boolean": st.booleans,
        "timestamp": lambda: st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
        "blob": lambda: st.binary(max_size=20),
    }
    return makers[shape.type_name]()


def operation(name: str) -> OperationModel:
    return SERVICE.operation_model(name)


def input_of(name: str) -> StructureShape:
    shape = operation(name).input_shape
    assert shape is not None
    return shape


def output_of(name: str) -> StructureShape:
    shape = operation(name).output_shape
    assert shape is not None
    return shape


def snake(arguments: dict[str, Any]) -> dict[str, Any]:
    return {xform_name(name): value for name, value in arguments.items()}


# --- For the tests that nothing escapes ---------------------------------------------

MEMBERS = st.sampled_from(sorted({member for name in OPERATIONS for member in input_of(name).members}))
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["ab", "0" * 12, "\ud800", "\0", "sha256:" + "0" * 64, UPLOAD])
)
KEYS = (
    MEMBERS
    | st.sampled_from(["Key", "Value", "imageTag", "imageDigest", "tagStatus", "rules", "destinations"])
    | st.text()
)
DOCUMENTS = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=8))
"""Any JSON, with the names of the model in it."""

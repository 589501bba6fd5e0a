"""The compiled model: botocore's own serializer, parser and client are the other side of every claim."""

from __future__ import annotations

import functools
import json
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
from botocore import parsers, serialize, xform_name
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from moorage.aws import encoding, model
from tests.aws.samples import OPERATIONS, SERVICE, input_of, operation, output_of, snake, values

few = settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))


def body_of(name: str, arguments: dict[str, Any]) -> bytes:
    """The body that botocore's serializer writes, after botocore's validator has passed the arguments."""
    serializer = serialize.create_serializer("json", include_validation=True)
    body = serializer.serialize_to_request(arguments, operation(name))["body"]
    assert isinstance(body, bytes)
    return body


@functools.cache
def client() -> Any:
    return boto3.client("ecr", region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="s")


# --- botocore writes, we read ------------------------------------------------------


def test_the_model_is_whole() -> None:
    """All of ECR's 62 operations are there, read and compiled once."""
    assert sorted(model.load()) == OPERATIONS
    assert len(OPERATIONS) == 62
    assert model.load() is model.load()
    assert SERVICE.metadata["targetPrefix"] + "." == model.TARGET_PREFIX


@pytest.mark.parametrize("name", OPERATIONS)
def test_parameters_are_botocores(name: str) -> None:
    """The keywords are those of a boto3 client's method in snake_case, required where botocore requires them."""
    shape = input_of(name)
    expected = {xform_name(member): member in shape.required_members for member in shape.members}
    assert dict(model.load()[name].parameters) == expected
    assert model.load()[name].errors == {error.name for error in operation(name).error_shapes}


@pytest.mark.parametrize("name", OPERATIONS)
@given(data=st.data())
@few
def test_what_botocore_writes_is_read(name: str, data: st.DataObject) -> None:
    """Any valid arguments, serialized by botocore, decode to the same arguments."""
    arguments = data.draw(values(input_of(name)))
    assert model.load()[name].decode(model.parse_json(body_of(name, arguments))) == snake(arguments)


@pytest.mark.parametrize("name", OPERATIONS)
@given(data=st.data())
@few
def test_what_we_write_botocore_reads(name: str, data: st.DataObject) -> None:
    """Any result, encoded by us, is what botocore's parser reads."""
    shape = output_of(name)
    result = data.draw(values(shape))
    body = json.dumps(model.load()[name].encode(result)).encode()
    answer = {"status_code": 200, "headers": {}, "body": body}
    parsed = parsers.create_parser("json").parse(answer, shape)
    del parsed["ResponseMetadata"]
    assert parsed == result


@pytest.mark.parametrize("name", OPERATIONS)
@given(data=st.data())
@few
def test_a_presigned_url_says_the_same_as_a_body(name: str, data: st.DataObject) -> None:
    """What botocore moves into the query decodes as the body would have (but for empty lists, which it drops)."""
    arguments = data.draw(values(input_of(name), empty_lists=False))
    url = client().generate_presigned_url(xform_name(name), Params=arguments)
    pairs = model.parse_query(urlsplit(url).query)
    assert model.load()[name].decode_query(pairs) == snake(arguments)


# --- Our own mistakes ---------------------------------------------------------------------


def test_none_is_left_out_of_a_result() -> None:
    """A member without a value is not sent as null, at any depth."""
    result = {"repositories": [{"repositoryName": "ab", "createdAt": None}], "nextToken": None}
    assert model.load()["DescribeRepositories"].encode(result) == {"repositories": [{"repositoryName": "ab"}]}


@pytest.mark.parametrize(
    "result",
    [
        {"repository": {}, "other": 1},
        {"repository": {"name": "ab"}},
        {"repository": "ab"},
        {"repository": {"repositoryName": 5}},
        {"repository": {"createdAt": 0.0}},
        {"repository": {"createdAt": datetime(2026, 1, 1)}},  # noqa: DTZ001
        {"repository": {"imageScanningConfiguration": {"scanOnPush": 1}}},
        {"repository": {"imageTagMutabilityExclusionFilters": "ab"}},
        {"repository": {"imageTagMutabilityExclusionFilters": [None]}},
    ],
)
def test_a_result_that_does_not_fit_is_our_mistake(result: dict[str, Any]) -> None:
    """A member that the model does not have, or of another type, is a TypeError and reaches no client."""
    with pytest.raises(TypeError):
        model.load()["CreateRepository"].encode(result)


@pytest.mark.parametrize(
    ("shape", "value"),
    [
        ({"type": "blob"}, "text"),
        ({"type": "long"}, True),
        ({"type": "long"}, 1.0),
        ({"type": "double"}, float("nan")),
        ({"type": "double"}, True),
        ({"type": "map", "key": {"shape": "Key"}, "value": {"shape": "Key"}}, []),
    ],
)
def test_no_shape_encodes_another_type(shape: dict[str, Any], value: object) -> None:
    """Every shape refuses what is not its own, so that it cannot be sent."""
    with pytest.raises(TypeError):
        encoding.Encoders({"Key": {"type": "string"}, "It": shape}).of("It")(value)


def test_bytes_are_written_in_base64() -> None:
    """A blob goes out as it comes in."""
    assert encoding.Encoders({"Blob": {"type": "blob"}}).of("Blob")(b"\xff\xfe") == "//4="

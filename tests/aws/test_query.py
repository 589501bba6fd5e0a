"""The query of a presigned request: what botocore puts there, and what it never would."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moorage.aws import model
from moorage.domain.errors import InvalidParameter, Malformed
from tests.aws.samples import DOCUMENTS, MEMBERS, OPERATIONS


def query(name: str, text: str) -> dict[str, Any]:
    return model.load()[name].decode_query(model.parse_query(text))


def test_a_query_is_read_as_botocore_writes_it() -> None:
    """Repeated keys are a list, structures are Python's repr or JSON; what has no member is ignored."""
    text = (
        "repositoryName=ab&imageIds=%7B%27imageTag%27%3A%20%27x%27%7D&imageIds=%7B%22imageTag%22%3A%22y%22%7D"
        "&filter=%7B%27tagStatus%27%3A%20%27ANY%27%7D&maxResults=5&other=1&X-Amz-Date=now&"
    )
    assert query("DescribeImages", text) == {
        "repository_name": "ab",
        "image_ids": [{"imageTag": "x"}, {"imageTag": "y"}],
        "filter": {"tagStatus": "ANY"},
        "max_results": 5,
    }
    assert query("DeleteRepository", "repositoryName=ab&force=True")["force"] is True
    assert query("DeleteRepository", "repositoryName=ab&force=false")["force"] is False
    assert query("ListImages", "repositoryName=ab&nextToken=a+b%2Bc%20d")["next_token"] == "a+b+c d"


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("ListImages", "repositoryName=ab&repositoryName=ab", "'repositoryName' is given more than once"),
        ("ListImages", "repositoryName=%ff", "The query is not UTF-8 text"),
        ("ListImages", "maxResults=five", "'maxResults' is not a whole number"),
        ("ListImages", "maxResults=\u0665", "'maxResults' is not a whole number"),
        ("ListImages", "maxResults=1_0", "'maxResults' is not a whole number"),
        ("DeleteRepository", "force=1", "'force' is not a boolean"),
        ("ListImages", "repositoryName=ab&filter=ANY", "'filter' is neither JSON nor"),
        ("ListImages", "repositoryName=ab&filter=__import__('os')", "'filter' is neither JSON nor"),
        ("ListImages", "repositoryName=ab&filter={'a':f'{1}'}", "'filter' is neither JSON nor"),
        ("ListImages", "repositoryName=ab&filter={'a':b'1'}", "'filter' is neither JSON nor"),
        ("ListImages", "repositoryName=ab&filter={'a':\\N{DASH}}", "'filter' is neither JSON nor"),
        ("ListImages", "repositoryName=ab&filter={[]:1}", "'filter' is neither JSON nor"),
        ("ListImages", "repositoryName=ab&filter={'a':", "'filter' is neither JSON nor"),
        ("ListImages", "repositoryName=ab&filter=" + "[" * 5000, "'filter' is neither JSON nor"),
        ("ListImages", "repositoryName=ab&filter=" + "{1:" * 9000, "'filter' is neither JSON nor"),
        ("ListImages", "repositoryName=ab&filter=" + "-" * 60000 + "1", "'filter' is neither JSON nor"),
        ("ListImages", "repositoryName=ab&filter=" + "9" * 60000, "'filter' is neither JSON nor"),
        ("ListImages", "repositoryName=ab&filter=" + "'" * 65537, "'filter' is too long"),
        ("ListImages", "repositoryName=ab&filter=[]", "'filter' cannot be read as an object: it is a list"),
        ("ListImages", "repositoryName=ab&filter={'a'}", "'filter' cannot be read as an object"),
        ("ListImages", "repositoryName=ab&filter={'tagStatus':'\\ud800'}", "'filter.tagStatus' is not Unicode text"),
        ("UploadLayerPart", "layerPartBlob=a&partFirstByte=1.5", "'partFirstByte' is not a whole number"),
    ],
    ids=lambda value: str(value)[:60].encode("ascii", "replace").decode(),
)
def test_a_query_that_cannot_be_read_is_refused(name: str, text: str, reason: str) -> None:
    """What is not the form of a member's type is a SerializationException, and nothing is run."""
    with pytest.raises(Malformed) as caught:
        query(name, text)
    assert reason in caught.value.message


def test_a_query_keeps_to_the_constraints() -> None:
    """A presigned request is validated as any other."""
    with pytest.raises(InvalidParameter, match="'repositoryName' failed to satisfy constraint: 'must not be null'"):
        query("ListImages", "")
    with pytest.raises(InvalidParameter, match=r"'filter\.tagStatus' failed"):
        query("ListImages", "repositoryName=ab&filter={'tagStatus': 'SOME'}")


literals = st.text("{}[]'\":,\\ TrueFalsNone0123456789-.ex(un)") | DOCUMENTS.map(repr) | st.text()


@given(
    name=st.sampled_from(OPERATIONS),
    pairs=st.lists(st.tuples(MEMBERS | st.just("X-Amz-Date") | st.text(), literals), max_size=8),
)
@settings(max_examples=200, deadline=None)
def test_no_query_makes_anything_but_a_failure(name: str, pairs: list[tuple[str, str]]) -> None:
    """Whatever is in a query, it is decoded or refused by one of our failures."""
    with contextlib.suppress(InvalidParameter, Malformed):
        model.load()[name].decode_query(pairs)

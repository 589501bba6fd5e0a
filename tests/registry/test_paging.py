"""Page tokens: opaque, and good for the one list that they were made for."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest

from moorage.domain.errors import InvalidParameter
from moorage.registry import paging

if TYPE_CHECKING:
    from tests.registry.kit import Bench


def test_a_token_leads_back_to_its_place(bench: Bench) -> None:
    """The key that a token was made with comes out again, whatever is in it."""
    with bench.read() as ctx:
        for after in (["a"], ["tagged", "v1"], ["", "é\0", "x" * 300]):
            assert paging.position(ctx, "list", paging.token(ctx, "list", after)) == after


def test_without_a_token_a_list_begins(bench: Bench) -> None:
    """No token is the first page; an empty one is none of ours."""
    with bench.read() as ctx:
        assert paging.position(ctx, "list", None) is None
        with pytest.raises(InvalidParameter, match="nextToken"):
            paging.position(ctx, "list", "")


def test_a_token_is_bound_to_its_list(bench: Bench) -> None:
    """Another list, registry or region refuses the token."""
    with bench.read() as ctx:
        token = paging.token(ctx, "list", ["a"])
        others = [
            (ctx, "another"),
            (dataclasses.replace(ctx, registry_id="999999999999"), "list"),
            (dataclasses.replace(ctx, region="us-east-1"), "list"),
        ]
        for other, name in others:
            with pytest.raises(InvalidParameter, match="nextToken"):
                paging.position(other, name, token)


def test_a_token_is_not_made_by_others(bench: Bench) -> None:
    """What was altered, or signed for another purpose, is refused."""
    with bench.read() as ctx:
        token = paging.token(ctx, "list", ["a"])
        claims = ctx.registry.keyring.verify("page", token)
        for forged in (token[:-1], token + "x", "x" + token, bench.registry.keyring.sign("download", claims)):
            with pytest.raises(InvalidParameter, match="nextToken"):
                paging.position(ctx, "list", forged)


def test_a_token_does_not_say_where_it_leads(bench: Bench) -> None:
    """A token fits a URL as it is."""
    with bench.read() as ctx:
        token = paging.token(ctx, "list", ["some/repository", "v1"])

    assert set(token) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")

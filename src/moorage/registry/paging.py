"""
Page tokens: where a list goes on, opaque and signed.

A token holds the key after which the next page begins (never an offset, so
that what is inserted or deleted between two pages moves nothing) and is bound
to the list it was made for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Generic, NamedTuple, TypeVar

from moorage.domain.errors import InvalidParameter
from moorage.registry.secrets import Expired, Forged

if TYPE_CHECKING:
    from moorage.registry.core import Context

DEFAULT_PAGE: Final = 100
MAX_PAGE: Final = 1000

T = TypeVar("T")


class Page(NamedTuple, Generic[T]):
    """Some items of a list, and the token of the next page if there is one."""

    items: list[T]
    next_token: str | None


def token(ctx: Context, listing: str, after: list[str]) -> str:
    """Return the token of the page of ``listing`` that begins after the key ``after``."""
    claims = {"list": listing, "registry": ctx.registry_id, "region": ctx.region, "after": after}
    return ctx.registry.keyring.sign("page", claims)


def position(ctx: Context, listing: str, next_token: str | None) -> list[str] | None:
    """Return the key after which the page begins, None for the first; raises `InvalidParameter`."""
    if next_token is None:
        return None
    try:
        claims = ctx.registry.keyring.verify("page", next_token)
    except (Expired, Forged):
        raise InvalidParameter("nextToken", "Invalid token") from None
    expected = {"list": listing, "registry": ctx.registry_id, "region": ctx.region}
    if any(claims.get(key) != value for key, value in expected.items()):
        raise InvalidParameter("nextToken", "Invalid token")
    after: list[str] = claims["after"]
    return after

"""
Reverse proxies: whom to believe about who the client is.

``X-Forwarded-For`` and ``X-Forwarded-Proto`` are whatever the sender likes.
They count only from a peer that the setting ``trusted_proxies`` names, and
of the addresses only the last that no such proxy has (MDN, "X-Forwarded-For",
selecting an IP address). Nothing else is taken from a request: the address
that clients are told is a setting.
"""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from starlette.types import ASGIApp, Receive, Scope, Send

    from moorage.config import Network


def believing(app: ASGIApp, trusted: Sequence[Network]) -> ASGIApp:
    """Return the application as it is behind these proxies: with the client's address and scheme in its scopes."""
    if not trusted:
        return app

    async def behind_proxies(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["client"] and is_trusted(scope["client"][0], trusted):
            scope["client"] = (origin(scope["client"][0], _values(scope, b"x-forwarded-for"), trusted), 0)
            match _values(scope, b"x-forwarded-proto")[-1:]:
                case ["http" | "https" as scheme]:
                    scope["scheme"] = scheme
        await app(scope, receive, send)

    return behind_proxies


def origin(peer: str, forwarded: Sequence[str], trusted: Iterable[Network]) -> str:
    """Return the address that the trusted hops agree on: the last in ``forwarded`` that is not one of them."""
    found = peer
    for hop in reversed(forwarded):
        address = _parse(hop)
        if address is None:
            # What cannot be read hides the rest: the proxy that passed it on is all that is known.
            return found
        found = address
        if not is_trusted(found, trusted):
            return found
    return found


def is_trusted(address: str, trusted: Iterable[Network]) -> bool:
    """Whether the address is one of the networks'."""
    parsed = _parse(address)
    return parsed is not None and any(ip_address(parsed) in network for network in trusted)


def _values(scope: Scope, name: bytes) -> list[str]:
    """Return the elements of a header that is a list, in the order in which hops added them."""
    lines = (value.decode("latin-1") for key, value in scope["headers"] if key == name)
    return [element.strip() for line in lines for element in line.split(",")]


def _parse(text: str) -> str | None:
    """Return an address without its port and in its plain form, None if it is none."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(address)

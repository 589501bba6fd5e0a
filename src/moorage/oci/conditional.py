"""Conditional requests: content never changes under its digest, so the digest is the entity tag."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.datastructures import Headers

    from moorage.domain.names import Digest


def entity_tag(digest: Digest) -> str:
    """Return the strong entity tag of content."""
    return f'"{digest}"'


def not_modified(headers: Headers, digest: Digest) -> bool:
    """Tell whether the client has this very content (RFC 9110, 13.1.2: If-None-Match)."""
    given = headers.get("if-none-match")
    if given is None:
        return False
    wanted = entity_tag(digest)
    return any(tag.strip().removeprefix("W/") in {wanted, "*"} for tag in given.split(","))

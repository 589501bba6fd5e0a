"""
The protocol's paths, told apart from their end: a repository's name may have any number of parts.

One look at a path takes the place of one regular expression a row. The templates are those of `routes.ROWS`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from starlette.routing import BaseRoute, Match

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from starlette.types import ASGIApp, Receive, Scope, Send

_ROOT: Final = "/v2/"
_LAYERS: Final = "/layers/"
_UPLOADS: Final = "/blobs/uploads"
_LAST: Final = {"manifests": "reference", "blobs": "digest", "referrers": "digest"}
"""What the last part of a path is, by the part before."""

Place = tuple[str, dict[str, str]]


def place(path: str) -> Place | None:
    """Return the template of a path and what stands for its parameters; None for one that the protocol has not."""
    if path in {"/v2", _ROOT, "/v2/_catalog"}:
        return path, {}
    if path.startswith(_LAYERS):
        token = path.removeprefix(_LAYERS)
        return ("/layers/{token}", {"token": token}) if token and "/" not in token else None
    if not path.startswith(_ROOT):
        return None
    before, _, last = path.removeprefix(_ROOT).rpartition("/")
    if not last:
        name = before.removesuffix(_UPLOADS)
        return ("/v2/{name:path}/blobs/uploads/", {"name": name}) if name != before and "\n" not in name else None
    name, parted, kind = before.rpartition("/")
    # No name has a line's end in it, and no template takes one.
    return _named(name, kind, last) if parted and "\n" not in name else None


def _named(name: str, kind: str, last: str) -> Place | None:
    if parameter := _LAST.get(kind):
        return f"/v2/{{name:path}}/{kind}/{{{parameter}}}", {"name": name, parameter: last}
    if kind == "tags" and last == "list":
        return "/v2/{name:path}/tags/list", {"name": name}
    if kind == "uploads" and name.endswith("/blobs"):
        return "/v2/{name:path}/blobs/uploads/{upload}", {"name": name.removesuffix("/blobs"), "upload": last}
    return None


class Paths(BaseRoute):
    """All paths of the protocol as one route; each template has an application."""

    def __init__(self, applications: Mapping[str, ASGIApp]) -> None:
        self._applications = applications

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Tell whether the path is one of the protocol's, and which."""
        found = place(scope["path"]) if scope["type"] == "http" else None
        if found is None:
            return Match.NONE, {}
        child: dict[str, Any] = {"endpoint": self._applications[found[0]], "path_params": found[1]}
        return Match.FULL, child

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with the application that was found."""
        await scope["endpoint"](scope, receive, send)

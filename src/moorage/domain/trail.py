"""
The shape of an audit event: CloudTrail's record, as far as a registry has something to say.

Pure: who asked, what was asked and what came of it go in, a dictionary comes
out. No secret passes, and nothing that a request made up passes whole.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from moorage.domain.policies import Principal

VERSION: Final = "1.11"
HIDDEN: Final = "HIDDEN_DUE_TO_SECURITY_REASONS"
"""What CloudTrail writes in the place of a secret."""
LONGEST: Final = 16_384
"""Characters that the parameters of an event may have, and its answer: a policy fits whole."""
_ITEMS: Final = 1_000
_DEEPEST: Final = 12
_SECRET: Final = re.compile(r"(?i)(session|security|authorization|webidentity).?token|secret|password|^token(code)?$")
_BYTES: Final = "layerPartBlob"
_READS: Final = re.compile(r"(Batch)?(Get|List|Describe|Check|Assume|Validate)[A-Z]")


def is_read(name: str) -> bool:
    """Tell whether an operation only reads; taking on a role does, as CloudTrail has it."""
    return _READS.match(name) is not None


def identity_of(principal: Principal, access_key_id: str | None, session: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return ``userIdentity`` for somebody who has proved who they are; ``session`` are a session's claims."""
    resource = principal.arn.rpartition(":")[2]
    if principal.is_federated:
        return {
            "type": "WebIdentityUser",
            "principalId": f"{principal.arn}:{principal.user_id}",
            "userName": principal.user_id,
            "identityProvider": principal.arn,
        }
    kind = "Root" if principal.is_root else "IAMUser" if principal.role_arn is None else "AssumedRole"
    found: dict[str, Any] = {
        "type": kind,
        "principalId": principal.user_id,
        "arn": principal.arn,
        "accountId": principal.account,
        "accessKeyId": access_key_id,
    }
    if principal.name is not None:
        found["userName"] = principal.name
    if session is not None:
        found["sessionContext"] = _session(principal, resource, session)
    return found


def _session(principal: Principal, resource: str, session: Mapping[str, Any]) -> dict[str, Any]:
    context: dict[str, Any] = {"attributes": {"mfaAuthenticated": "false", "creationDate": session.get("since")}}
    if principal.role_arn is not None:
        context["sessionIssuer"] = {
            "type": "Role",
            "principalId": principal.user_id.partition(":")[0],
            "arn": principal.role_arn,
            "accountId": principal.account,
            "userName": resource.split("/")[1],
        }
    return context


def bounded(value: Any, longest: int = LONGEST) -> Any:
    """Return a JSON value without its secrets, cut where it gets longer than that many characters in all."""
    return _Cutter(longest).cut(value, 0)


class _Cutter:
    """Copies a value until there is no room left."""

    def __init__(self, room: int) -> None:
        self._room = room

    def cut(self, value: Any, depth: int) -> Any:
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, dict):
            return {"…": "cut"} if depth > _DEEPEST else self._members(value, depth)
        if isinstance(value, (list, tuple)):
            return ["…"] if depth > _DEEPEST else self._items(value, depth)
        return value if value is None or isinstance(value, (bool, int, float)) else self._text(str(value))

    def _text(self, text: str) -> str:
        kept = text[: max(self._room, 0)]
        self._room -= len(text)
        return kept if len(kept) == len(text) else f"{kept}… (cut, {len(text)} characters)"

    def _members(self, value: dict[Any, Any], depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, member in value.items():
            if self._room <= 0:
                found["…"] = f"cut, {len(value)} members"
                break
            if key == _BYTES:
                continue
            name = self._text(str(key))
            found[name] = HIDDEN if _SECRET.search(name) and isinstance(member, str) else self.cut(member, depth + 1)
        return found

    def _items(self, value: list[Any] | tuple[Any, ...], depth: int) -> list[Any]:
        found: list[Any] = []
        for item in value[:_ITEMS]:
            if self._room <= 0:
                break
            self._room -= 1
            found.append(self.cut(item, depth + 1))
        if len(found) < len(value):
            found.append(f"… (cut, {len(value)} items)")
        return found

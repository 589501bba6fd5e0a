"""
The audit trail: who did what, from where, and what came of it.

A door begins an `Entry` for each request that it understands. The registry
notes in it who asked (`Registry.read`) and what was acted on (`authorize`);
when its block ends it is one event, one JSON line, in CloudTrail's shape.
Lines go to a `Sink`, which never makes a request wait and never fails one.
"""

from __future__ import annotations

import asyncio
import copy
import json
import os
import random
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Protocol, Self

from moorage.domain import trail as shape
from moorage.domain.errors import AccessDenied, Failure
from moorage.registry.auth import Anonymous, Password, Signed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from types import TracebackType

    from moorage.config import Settings
    from moorage.domain.policies import Principal
    from moorage.registry.auth import Credential, Identity, Need
    from moorage.registry.core import Context

ECR: Final = "ecr.amazonaws.com"
STS: Final = "sts.amazonaws.com"
MOORAGE: Final = "moorage"
"""The source of events that AWS has none for: commands, and what became of the trail itself."""
UNREADABLE: Final = Password("", "")
"""Stands for a credential that could not be read."""
_CODES: Final = {"AccessDeniedException": "AccessDenied"}
_NOBODY: Final = {"type": "AWSAccount", "principalId": "", "accountId": "ANONYMOUS_PRINCIPAL"}
"""Who sent no credential, in the words that CloudTrail has for them."""


class Sink(Protocol):
    """Where lines go."""

    lost: int
    """Lines lost in the life of this process."""

    def put(self, line: bytes) -> None:
        """Take a line, or count it as lost; returns at once and raises nothing."""

    def close(self) -> None:
        """Write what is waiting, for a while."""


class Entry:
    """What is known so far of one request; as a block, it is recorded when the block ends."""

    def __init__(self, trail: Trail, source: str, name: str, request_id: str, facts: Mapping[str, str]) -> None:
        self._trail = trail
        self.source = source
        self.name = name
        self.request_id = request_id
        self.facts = facts
        self.presented: Credential | None = None
        self.identity: Identity | None = None
        self.principal: Principal | None = None
        """Who asked, where that is known without a key of ours (a web identity)."""
        self.registry_id: str | None = None
        self.region: str | None = None
        self.resources: dict[str, str] = {}
        """ARNs acted on, with their accounts."""
        self.parameters: Any = None
        self.answer: Any = None
        self.extra: dict[str, Any] = {}
        self.error: tuple[str, str] | None = None
        self.codes: Mapping[str, str] = _CODES
        self.kept = True
        """Whether it is to be recorded; nothing happened otherwise."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if isinstance(error, Failure):
            self.error = (self.codes.get(error.aws_code, error.aws_code), error.message)
            if isinstance(error, AccessDenied):
                self.extra |= {"decidedBy": error.decided_by, "statement": error.statement}
        elif isinstance(error, asyncio.CancelledError) or type(error).__name__ == "ClientDisconnect":
            self.error = ("ClientDisconnected", "The client went away before it was answered")
        elif error is not None and self.source == MOORAGE:
            self.error = ("CommandRefused", "The command ended with a message")
        elif error is not None:
            self.error = ("InternalFailure", "An internal error occurred")
        if self.kept:
            self._trail.record(self)

    def also(self, name: str, parameters: Mapping[str, Any]) -> None:
        """Record at once that the request did something else besides, in its caller's name."""
        other = copy.copy(self)
        other.name, other.parameters, other.extra = name, parameters, {"causedBy": self.name}
        self._trail.record(other)

    def by(self, identity: Identity) -> None:
        """Note who asked, and the registry that their credential addresses."""
        self.identity, self.registry_id, self.region = identity, identity.registry_id, identity.region

    def asked(self, ctx: Context, needs: Iterable[Need]) -> None:
        """Note what is acted on, and in whose registry."""
        self.registry_id, self.region = ctx.registry_id, ctx.region
        self.resources.update((need.resource, ctx.registry_id) for need in needs if need.resource != "*")


class Trail:
    """Makes events of entries."""

    def __init__(self, sink: Sink, settings: Settings, clock: Callable[[], datetime]) -> None:
        self._sink = sink
        self._settings = settings
        self._clock = clock

    def begin(self, source: str, name: str, request_id: str, facts: Mapping[str, str]) -> Entry:
        """Return the entry of a new request."""
        return Entry(self, source, name, request_id, facts)

    def record(self, entry: Entry) -> None:
        """Hand the event of an entry to the sink."""
        account = entry.registry_id or self._settings.account_id
        region = entry.region or _region_of(entry.presented) or self._settings.region
        self._sink.put(line(_event(entry, account, region, self._clock())))

    def happened(self, name: str, arn: str, account: str, region: str, details: Mapping[str, Any]) -> None:
        """Record what the registry did to a resource of itself, at nobody's request."""
        head = {"eventVersion": shape.VERSION, "userIdentity": {"accountId": account, "invokedBy": MOORAGE}}
        told = {"eventSource": ECR, "eventName": name, "awsRegion": region, "serviceEventDetails": details}
        resources = [{"ARN": arn, "accountId": account}]
        tail: dict[str, Any] = {
            "eventID": _new_id(),
            "readOnly": False,
            "resources": resources,
            "eventType": "AwsServiceEvent",
        }
        self._sink.put(
            line({**head, "eventTime": _stamp(self._clock()), **told, **tail, "recipientAccountId": account})
        )

    @property
    def lost(self) -> int:
        """Events of this process that were lost."""
        return self._sink.lost

    def close(self) -> None:
        """Finish writing."""
        self._sink.close()


_encode: Final = json.JSONEncoder(separators=(",", ":")).encode
_random: Final = random.Random()  # noqa: S311 (ids are to differ, not to be unguessable; asking the system costs more)
os.register_at_fork(after_in_child=_random.seed)


def _new_id() -> str:
    return str(uuid.UUID(int=_random.getrandbits(128), version=4))


def line(event: Mapping[str, Any]) -> bytes:
    """Return an event as one line of JSON."""
    return _encode(event).encode() + b"\n"


def loss(count: int) -> bytes:
    """Return the line that tells that so many events are missing before it."""
    head = {"eventVersion": shape.VERSION, "userIdentity": {"type": "AWSService", "invokedBy": MOORAGE}}
    told = {"eventSource": MOORAGE, "eventName": "AuditEventsLost", "additionalEventData": {"count": count}}
    tail = {"eventID": _new_id(), "readOnly": False, "eventType": "AwsServiceEvent"}
    return line({**head, "eventTime": _stamp(datetime.now(UTC)), **told, **tail})


def _event(entry: Entry, account: str, region: str, now: datetime) -> dict[str, Any]:
    event: dict[str, Any] = {
        "eventVersion": shape.VERSION,
        "userIdentity": _identity(entry),
        "eventTime": _stamp(now),
        "eventSource": entry.source,
        "eventName": entry.name,
        "awsRegion": region,
        "sourceIPAddress": entry.facts.get("aws:SourceIp"),
        "userAgent": entry.facts.get("aws:UserAgent"),
    }
    if entry.error is not None:
        event["errorCode"], message = entry.error
        event["errorMessage"] = shape.bounded(message, 2048)
    reads = shape.is_read(entry.name)
    answers = entry.error is None and (not reads or entry.source == STS)
    event |= {
        "requestParameters": shape.bounded(entry.parameters),
        "responseElements": shape.bounded(entry.answer) if answers else None,
        "requestID": entry.request_id,
        "eventID": _new_id(),
        "readOnly": reads,
        "resources": [{"ARN": shape.bounded(arn, 2048), "accountId": one} for arn, one in entry.resources.items()],
        "eventType": "AwsApiCall",
        "recipientAccountId": account,
    }
    if entry.extra:
        event["additionalEventData"] = entry.extra
    return event


def _identity(entry: Entry) -> dict[str, Any]:
    if entry.identity is not None:
        identity = entry.identity
        return shape.identity_of(identity.principal, identity.access_key_id or None, identity.session)
    if entry.principal is not None:
        return shape.identity_of(entry.principal, None, None)
    if entry.presented is None or isinstance(entry.presented, Anonymous):
        return _NOBODY
    # What was presented proved nothing: the key's id is a claim, and worth knowing as one.
    key = entry.presented.access_key_id if isinstance(entry.presented, Signed) else None
    return {"type": "Unknown", "accessKeyId": key}


def _region_of(presented: Credential | None) -> str | None:
    return presented.region[:32] if isinstance(presented, Signed) else None


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

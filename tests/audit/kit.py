"""What the tests of the audit trail share: the shape of an event, and a trail read as it is written."""

from __future__ import annotations

import json
import os
import re
import threading
import uuid
from typing import TYPE_CHECKING, Any

from tests.servers import Log

if TYPE_CHECKING:
    from pathlib import Path

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
ALWAYS = {
    "eventVersion", "userIdentity", "eventTime", "eventSource", "eventName", "awsRegion", "sourceIPAddress", "userAgent",
    "requestParameters", "responseElements", "requestID", "eventID", "readOnly", "resources", "eventType",
    "recipientAccountId",
}  # fmt: skip
SOMETIMES = {"errorCode", "errorMessage", "additionalEventData"}
IDENTITY = {
    "Root": {"principalId", "arn", "accountId", "accessKeyId"},
    "IAMUser": {"principalId", "arn", "accountId", "accessKeyId", "userName"},
    "AssumedRole": {"principalId", "arn", "accountId", "accessKeyId", "sessionContext"},
    "WebIdentityUser": {"principalId", "userName", "identityProvider"},
    "AWSAccount": {"principalId", "accountId"},
    "Unknown": {"accessKeyId"},
}


def event_of(line: str) -> dict[str, Any]:
    """Return the event of a line, if it has CloudTrail's shape (its user guide: record contents)."""
    event: dict[str, Any] = json.loads(line)
    assert ALWAYS <= event.keys() <= ALWAYS | SOMETIMES, event.keys() ^ ALWAYS
    assert event["eventVersion"] == "1.11"
    assert TIME.fullmatch(event["eventTime"])
    assert UUID.fullmatch(event["eventID"])
    assert ("errorCode" in event) == ("errorMessage" in event)
    assert re.fullmatch(r"[A-Z][A-Za-z]+", event["eventName"])
    assert re.fullmatch(r"\d{12}", event["recipientAccountId"])
    assert isinstance(event["readOnly"], bool)
    assert all(one.keys() == {"ARN", "accountId"} for one in event["resources"])
    who = event["userIdentity"]
    missing = IDENTITY[who["type"]] - who.keys()
    assert not missing, (who, missing)
    if "errorCode" in event or (event["readOnly"] and event["eventSource"] == "ecr.amazonaws.com"):
        assert event["responseElements"] is None
    return event


def events(path: Path) -> list[dict[str, Any]]:
    """Return the events of a file, each of the right shape and all with ids of their own."""
    found = [event_of(line) for line in path.read_text().splitlines()]
    assert len({event["eventID"] for event in found}) == len(found)
    return found


class Reading:
    """A FIFO that is read as it is written, so that a test can wait for an event."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / f"{uuid.uuid4().hex}.fifo"
        os.mkfifo(self.path)
        self.lines = Log()
        # For writing too: it has no end before we close it.
        self._file = os.open(self.path, os.O_RDWR)
        stream = os.fdopen(os.dup(self._file))
        threading.Thread(target=self.lines.drain, args=(stream,), daemon=True).start()

    def event(self, request_id: str, name: str = "") -> dict[str, Any]:
        """Return the (first) event of a request, of that name, when it comes."""
        return event_of(self.lines.line_with(f'"requestID":"{request_id}"', f'"eventName":"{name}'))

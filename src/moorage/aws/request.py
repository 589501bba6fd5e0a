"""A request as the AWS door reads it, before it is known to be anybody's."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from moorage.aws import sigv4
from moorage.registry import audit
from moorage.registry.auth import Anonymous, Signed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from moorage.registry.audit import Entry
    from moorage.registry.auth import Credential
    from moorage.registry.core import Registry


@dataclass(frozen=True)
class AwsRequest:
    """A request as the door reads it: headers by lower-case name, the body whole."""

    signed: sigv4.SignedRequest
    headers: Mapping[str, str]
    body: bytes
    request_id: str
    facts: dict[str, str]
    entry: Entry | None = None
    """What the audit trail will tell of the request; None where there is no trail."""

    @property
    def is_sts(self) -> bool:
        """Whether the request speaks the query protocol, which here only STS does."""
        form = self.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
        return form and "x-amz-target" not in self.headers

    @cached_property
    def claim(self) -> sigv4.Claim | None:
        """What the request says of its signature, not yet verified; raises the failure of one that cannot be read."""
        return sigv4.parse(self.signed)

    def credential(self, services: frozenset[str]) -> Credential:
        """Return what the request presents to one of the services."""
        if self.entry is None:
            return self._presented(services)
        self.entry.presented = audit.UNREADABLE
        self.entry.presented = self._presented(services)
        return self.entry.presented

    def recorded(self, registry: Registry, source: str, name: str) -> AwsRequest:
        """Return the request with an entry in the audit trail, if there is one."""
        if registry.trail is None:
            return self
        return replace(self, entry=registry.trail.begin(source, name, self.request_id, self.facts))

    def _presented(self, services: frozenset[str]) -> Credential:
        claim = self.claim
        if claim is None:
            return Anonymous()
        return Signed(
            access_key_id=claim.access_key_id,
            region=claim.region,
            session_token=claim.session_token,
            service=claim.service,
            verify=lambda secret, now: sigv4.verify(self.signed, claim, secret, now, services),
        )

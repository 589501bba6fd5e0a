"""A request as the AWS door reads it, before it is known to be anybody's."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from moorage.aws import sigv4
from moorage.registry.auth import Anonymous, Signed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from moorage.registry.auth import Credential


@dataclass(frozen=True)
class AwsRequest:
    """A request as the door reads it: headers by lower-case name, the body whole."""

    signed: sigv4.SignedRequest
    headers: Mapping[str, str]
    body: bytes
    request_id: str
    facts: dict[str, str]

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

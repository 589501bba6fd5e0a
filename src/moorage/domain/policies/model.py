"""The words of access control: who asks, what is asked."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class PolicyError(ValueError):
    """A policy document that is refused. ``detail`` says what is wrong and where, for logs."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class Kind(Enum):
    """What a policy is attached to; it decides which elements the document must and may have."""

    REPOSITORY = "repository policy"
    REGISTRY = "registry policy"
    IDENTITY = "identity policy"
    """Of a user, group or role; also what a permissions boundary is written as."""
    TRUST = "role trust policy"
    SESSION = "session policy"

    @property
    def names_principals(self) -> bool:
        """Whether statements say whom they are about (else: whomever the policy is attached to)."""
        return self in (Kind.REPOSITORY, Kind.REGISTRY, Kind.TRUST)


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks, as policies see it."""

    arn: str
    """
    ``arn:aws:iam::123456789012:root``, ``…:user/alice``, ``arn:aws:sts::…:assumed-role/ROLE/SESSION``;
    ``…:oidc-provider/HOST`` for a web identity; ``codebuild.amazonaws.com`` for a service.
    """
    account: str
    """The account that the principal belongs to, 12 digits; empty for a service."""
    user_id: str
    """The unique id, ``aws:userid``."""
    role_arn: str | None = None
    """For a session of a role: the role's own ARN, which policies may name."""
    name: str | None = None
    """The friendly name, ``aws:username``; only users have one."""
    tags: Mapping[str, str] = field(default_factory=dict, hash=False)
    """What ``aws:PrincipalTag/KEY`` says."""

    @property
    def is_root(self) -> bool:
        """Whether this is an account's root user."""
        return self._resource == "root"

    @property
    def is_service(self) -> bool:
        """Whether this is a service of the provider, which no account's identity policies govern."""
        return not self.arn.startswith("arn:") and self.arn.endswith((".amazonaws.com", ".amazonaws.com.cn"))

    @property
    def is_federated(self) -> bool:
        """Whether this is somebody vouched for by an identity provider, before a role is taken on."""
        return self._resource.startswith(("oidc-provider/", "saml-provider/"))

    @property
    def _resource(self) -> str:
        parts = self.arn.split(":", 5)
        return parts[5] if len(parts) == 6 else ""  # noqa: PLR2004 - an ARN has six parts


@dataclass(frozen=True, slots=True)
class Request:
    """One question: may this principal do this to that?"""

    principal: Principal
    action: str
    """``ecr:PutImage``."""
    resource: str
    """An ARN, or ``*`` for what is done to no resource in particular."""
    context: Mapping[str, str | Sequence[str]] = field(default_factory=dict, hash=False)
    """Condition keys and values. Keys about the principal are taken from ``principal``, never from here."""

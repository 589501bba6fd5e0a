"""
Who is asking, and may they: `authenticate`, and the one function `authorize`.

A door turns its wire into a credential. `authenticate` makes an identity of
it, inside the unit of work, so that a disabled key stops working at once on
every worker. `authorize` is the only place where access is decided.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from moorage import logs
from moorage.domain.errors import (
    AccessDenied,
    ExpiredCredential,
    ExpiredSession,
    InvalidCredential,
    Unauthenticated,
)
from moorage.domain.names import is_region, is_registry_id
from moorage.domain.policies import Principal, Request, decide
from moorage.registry import identities, registries, sessions
from moorage.registry.secrets import Expired, Forged

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import sqlalchemy as sa

    from moorage.domain.policies import Decision, Policy
    from moorage.registry.core import Context, Registry
    from moorage.registry.identities import KeyHolder
    from moorage.registry.registries import Rules

TOKEN_LIFETIME: Final = timedelta(hours=12)
USERNAME: Final = "AWS"
SYSTEM: Final = Principal(arn="SYSTEM", account="", user_id="SYSTEM")
"""Who jobs work as. No policy can name it, so `authorize` allows it nothing: jobs call what needs no permission."""


@dataclass(frozen=True, slots=True)
class Anonymous:
    """No credential."""


@dataclass(frozen=True, slots=True)
class Password:
    """User name and password, as Basic authentication carries them: ``AWS`` and an authorization token."""

    username: str
    password: str

    def __repr__(self) -> str:
        return f"Password(username={self.username!r})"


@dataclass(frozen=True, slots=True)
class Signed:
    """A signed request: the key it names, the region it is for, and the check of its signature."""

    access_key_id: str
    region: str
    session_token: str | None
    service: str
    """For which service: ``ecr`` or ``sts``."""
    verify: Callable[[str, datetime], None]
    """Takes the secret and the time; raises one of the failures of a signature."""


@dataclass(frozen=True, slots=True)
class SignedUrl:
    """The claims of a URL that we signed, for the key that asked for it."""

    claims: Mapping[str, Any]


Credential = Anonymous | Password | Signed | SignedUrl


@dataclass(frozen=True, slots=True)
class Identity:
    """An authenticated caller, and the registry that its credential addresses."""

    principal: Principal
    access_key_id: str
    registry_id: str
    region: str
    policies: tuple[Policy, ...] = ()
    """The caller's identity policies; root has none."""
    boundary: Policy | None = None
    """The permissions boundary of the caller's user or role."""
    limit: Policy | None = None
    """The session policy, if the caller is a session that has one."""
    session: Mapping[str, Any] | None = None
    """The claims of the caller's session; None for a long-lived key."""


def authenticate(registry: Registry, tx: sa.Connection, credential: Credential, now: datetime) -> Identity:
    """
    Return who presents this credential.

    Raises `Unauthenticated`, `InvalidCredential`, `ExpiredCredential`, or
    what the signature check raises.
    """
    if registry.settings.dev:
        return _anybody(registry, credential)
    match credential:
        case Signed():
            return _authenticate_signed(registry, tx, credential, now)
        case Password():
            return _authenticate_password(registry, tx, credential, now)
        case SignedUrl(claims):
            return _identity_of_claims(tx, claims, now)
        case _:
            raise Unauthenticated


def _anybody(registry: Registry, credential: Credential) -> Identity:
    """Return the root of the installation's account, whatever was presented (``--dev``)."""
    account, region = registry.settings.account_id, registry.settings.region
    if isinstance(credential, Signed):
        region = credential.region
    if isinstance(credential, Password):
        try:
            claims = registry.keyring.verify("authorization", credential.password)
            account, region = claims["registry"], claims["region"]
        except (Expired, Forged):
            pass
    return Identity(identities.root_principal(account), "dev", account, region)


def _authenticate_signed(registry: Registry, tx: sa.Connection, credential: Signed, now: datetime) -> Identity:
    if not is_region(credential.region):
        raise InvalidCredential
    if credential.session_token is not None:
        return _authenticate_session(registry, tx, credential, credential.session_token, now)
    holder = identities.holder(tx, credential.access_key_id, now)
    if holder is None:
        raise InvalidCredential
    credential.verify(registry.keyring.unseal(holder.secret, credential.access_key_id), now)
    return _identity(tx, holder, credential.access_key_id, holder.principal.account, credential.region)


def _authenticate_session(
    registry: Registry, tx: sa.Connection, credential: Signed, session_token: str, now: datetime
) -> Identity:
    try:
        record = sessions.read(registry.keyring, session_token)
    except Forged:
        raise InvalidCredential from None
    if record["id"] != credential.access_key_id:
        raise InvalidCredential
    credential.verify(record["secret"], now)
    if record["exp"] <= now.timestamp():
        raise ExpiredSession
    return _identity_of_session(tx, record["claims"], record["claims"]["account"], credential.region, now)


def _authenticate_password(registry: Registry, tx: sa.Connection, credential: Password, now: datetime) -> Identity:
    if credential.username != USERNAME:
        raise InvalidCredential
    try:
        claims = registry.keyring.verify("authorization", credential.password)
    except Expired:
        raise ExpiredCredential from None
    except Forged:
        raise InvalidCredential from None
    return _identity_of_claims(tx, claims, now)


def _identity_of_claims(tx: sa.Connection, claims: Mapping[str, Any], now: datetime) -> Identity:
    """Return the identity a token of ours stands for, as long as the key that made it is active."""
    key, registry_id, region, session = (claims.get(name) for name in ("key", "registry", "region", "session"))
    if isinstance(session, dict) and isinstance(registry_id, str) and isinstance(region, str):
        return _identity_of_session(tx, session, registry_id, region, now)
    if not (isinstance(key, str) and isinstance(registry_id, str) and isinstance(region, str)):
        raise InvalidCredential
    holder = identities.holder(tx, key, now)
    if holder is None or not is_registry_id(registry_id) or not is_region(region):
        raise InvalidCredential
    return _identity(tx, holder, key, registry_id, region)


def _identity_of_session(
    tx: sa.Connection, claims: Mapping[str, Any], registry_id: str, region: str, now: datetime
) -> Identity:
    """Return the identity of a session, as long as its role or key is what it was."""
    standing = sessions.standing(tx, claims, now)
    if standing is None or not is_registry_id(registry_id) or not is_region(region):
        raise InvalidCredential
    return Identity(
        standing.principal,
        claims.get("id", ""),
        registry_id,
        region,
        policies=standing.policies,
        boundary=standing.boundary,
        limit=standing.limit,
        session=claims,
    )


def token_claims(identity: Identity) -> dict[str, Any]:
    """Return what a token made for the caller says of who it stands for."""
    if identity.session is not None:
        return {"session": dict(identity.session)}
    return {"key": identity.access_key_id}


def _identity(tx: sa.Connection, holder: KeyHolder, key: str, registry_id: str, region: str) -> Identity:
    attached = identities.policies_of(tx, holder.principal)
    return Identity(holder.principal, key, registry_id, region, policies=attached, boundary=holder.boundary)


class AuthorizationToken(NamedTuple):
    """A docker password, and when it ends."""

    password: str
    expires_at: datetime


def issue_token(ctx: Context, registry_id: str) -> AuthorizationToken:
    """
    Return a password for the caller that addresses ``registry_id`` in the context's region.

    It is good for `TOKEN_LIFETIME`; one for a session ends with the session.
    """
    claims = {**token_claims(ctx.identity), "registry": registry_id, "region": ctx.region}
    expires_at = (ctx.now + TOKEN_LIFETIME).astimezone(UTC)
    if ctx.identity.session is not None:
        expires_at = min(expires_at, datetime.fromtimestamp(ctx.identity.session[sessions.UNTIL], UTC))
    claims["exp"] = int(expires_at.timestamp())
    return AuthorizationToken(ctx.registry.keyring.sign("authorization", claims), expires_at)


class Need(NamedTuple):
    """One permission that a request needs."""

    action: str
    resource: str
    """The ARN acted on, or ``*``."""
    policy: Policy | None = None
    """The policy of the resource, if it has one."""
    tags: Mapping[str, str] | None = None
    """The resource's own tags."""
    request_tags: Mapping[str, str | None] | None = None
    """The tags that the request would give the resource; None for one that it would take away."""
    rules: Rules | None = None
    """The rules of the registry, where they have been read already; else `authorize` reads them."""


def authorize(ctx: Context, *needs: Need) -> None:
    """
    Raise `AccessDenied` unless the caller may do everything that is needed.

    The only place where access is decided, for both doors, jobs and commands.
    """
    if ctx.entry is not None:
        ctx.entry.asked(ctx, needs)
    for need in needs:
        require(judge(ctx, need), ctx.request_id)


def allows(ctx: Context, need: Need) -> bool:
    """Tell whether the caller may do something, where the answer to no is something else than a refusal."""
    return judge(ctx, need).allowed


def judge(ctx: Context, need: Need) -> Decision:
    """Decide about one need, and enforce nothing: what `authorize` goes by, and what explains it."""
    conditions = _conditions(ctx, need)
    request = Request(principal=ctx.principal, action=need.action, resource=need.resource, context=conditions)
    return decide(
        request,
        owner=ctx.registry_id,
        identity=ctx.identity.policies,
        repository=need.policy,
        registry=_registry_policy(ctx, need),
        session=ctx.identity.limit,
        boundary=ctx.identity.boundary,
    )


def require(decision: Decision, request_id: str) -> None:
    """Log a decision (a refusal always, the rest for debugging), and raise `AccessDenied` for a refusal."""
    if decision.allowed and not logs.debugging():
        return
    request = decision.case.request
    words = {"principal": request.principal.arn, "action": request.action, "resource": request.resource}
    log = logs.debug if decision.allowed else logs.info
    log(
        "access_allowed" if decision.allowed else "access_denied",
        request_id=request_id,
        **words,
        decided_by=decision.source,
        statement=decision.statement,
    )
    if not decision.allowed:
        raise AccessDenied(**words, reason=decision.reason, decided_by=decision.source, statement=decision.statement)


def _registry_policy(ctx: Context, need: Need) -> Policy | None:
    # Never asked about logins, which are as frequent as pulls: see `decide`.
    if need.action == "ecr:GetAuthorizationToken":
        return None
    return (need.rules or registries.rules(ctx)).policy_for(need.action)


def _conditions(ctx: Context, need: Need) -> dict[str, str | Sequence[str]]:
    """Return the condition keys of a need: the request's, the time, and the tags that there are or would be."""
    now = ctx.now.astimezone(UTC)
    conditions: dict[str, str | Sequence[str]] = {
        **ctx.facts,
        "aws:CurrentTime": now.isoformat(timespec="seconds").replace("+00:00", "Z"),
        "aws:EpochTime": str(int(now.timestamp())),
    }
    for key, value in (need.tags or {}).items():
        conditions[f"aws:ResourceTag/{key}"] = value
        conditions[f"ecr:ResourceTag/{key}"] = value
    if need.request_tags:
        given = {key: value for key, value in need.request_tags.items() if value is not None}
        conditions.update((f"aws:RequestTag/{key}", value) for key, value in given.items())
        conditions["aws:TagKeys"] = tuple(need.request_tags)
    return conditions

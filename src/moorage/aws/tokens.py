"""What STS does: GetCallerIdentity, AssumeRole, AssumeRoleWithWebIdentity, GetSessionToken."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from moorage import logs
from moorage.domain import policies
from moorage.domain.errors import AccessDenied, InvalidIdentityToken, InvalidParameter, MalformedPolicy
from moorage.registry import auth, roles, sessions, webidentity
from moorage.registry.roles import DEFAULT_SESSION, LONGEST_SESSION

if TYPE_CHECKING:
    from collections.abc import Mapping

    from moorage.aws.request import AwsRequest
    from moorage.domain.policies import Decision
    from moorage.registry.auth import Identity
    from moorage.registry.core import Registry
    from moorage.registry.roles import Provider, Role
    from moorage.registry.sessions import TemporaryKey

_SERVICE: Final = frozenset({"sts"})
_ROLE_RE: Final = re.compile(r"arn:aws[a-z-]*:iam::([0-9]{12}):role/([a-zA-Z0-9+=,.@_-]{1,64})")
_NAME_RE: Final = re.compile(r"[a-zA-Z0-9+=,.@_-]{2,64}")
_SHORTEST: Final = 900
_LONGEST_USER: Final = 129_600
_MAX_POLICY: Final = 2048


def get_caller_identity(registry: Registry, request: AwsRequest, _fields: Mapping[str, str]) -> dict[str, Any]:
    """Tell who signed the request."""
    with _signed(registry, request) as ctx:
        return {"Arn": ctx.principal.arn, "UserId": ctx.principal.user_id, "Account": ctx.principal.account}


class Wanted(NamedTuple):
    """What a request to take on a role names, checked."""

    account: str
    role: str
    arn: str
    session: str
    policy: str | None

    @classmethod
    def parse(cls, fields: Mapping[str, str]) -> Wanted:
        """Read the request's fields; raise `InvalidParameter` or `MalformedPolicy`."""
        arn, session = fields.get("RoleArn", ""), fields.get("RoleSessionName", "")
        match = _ROLE_RE.fullmatch(arn)
        if match is None:
            raise InvalidParameter("roleArn", "Member must be the ARN of a role")
        if _NAME_RE.fullmatch(session) is None:
            raise InvalidParameter(
                "roleSessionName", "Member must satisfy regular expression pattern: [\\w+=,.@-]{2,64}"
            )
        return cls(match[1], match[2], arn, session, _session_policy(fields))


def assume_role(registry: Registry, request: AwsRequest, fields: Mapping[str, str]) -> dict[str, Any]:
    """Take a role on, if its trust policy and the caller's own policies allow that."""
    wanted, action = Wanted.parse(fields), "sts:AssumeRole"
    _noted(request, wanted)
    with _signed(registry, request) as ctx:
        role = roles.find(ctx.tx, wanted.account, wanted.role)
        context = {**ctx.facts, "sts:RoleSessionName": wanted.session}
        if "ExternalId" in fields:
            context["sts:ExternalId"] = fields["ExternalId"]
        question = policies.Request(principal=ctx.principal, action=action, resource=wanted.arn, context=context)
        _require(request, question, _asked(question, role, ctx.identity))
        return _session(registry, role, wanted, fields, ctx.now)


def assume_role_with_web_identity(registry: Registry, request: AwsRequest, fields: Mapping[str, str]) -> dict[str, Any]:
    """Take a role on with a token of an issuer that the role's account trusts. Not signed: the token is the proof."""
    wanted, action = Wanted.parse(fields), "sts:AssumeRoleWithWebIdentity"
    token, now = fields.get("WebIdentityToken", ""), registry.clock()
    with registry.database.read() as tx:
        provider = roles.find_provider(tx, wanted.account, webidentity.issuer_of(token))
        role = roles.find(tx, wanted.account, wanted.role)
    if provider is None:
        raise InvalidIdentityToken(reason="No OpenIDConnect provider found in your account for the token's issuer")
    _noted(request, wanted)
    # Outside of the transaction: the issuer's keys may have to be fetched.
    claims = webidentity.verify(registry.issuer_keys, provider, token, now)
    principal = webidentity.principal(provider, claims)
    if request.entry is not None:
        request.entry.principal = principal
    context = {**request.facts, **webidentity.conditions(provider, claims), "sts:RoleSessionName": wanted.session}
    question = policies.Request(principal=principal, action=action, resource=wanted.arn, context=context)
    _require(request, question, _asked(question, role))
    return _session(registry, role, wanted, fields, now) | _of_provider(provider, claims)


def get_session_token(registry: Registry, request: AwsRequest, fields: Mapping[str, str]) -> dict[str, Any]:
    """Return credentials for a while that stand for the user who holds the signing key."""
    with _signed(registry, request) as ctx:
        if ctx.identity.session is not None:
            raise AccessDenied(
                principal=ctx.principal.arn,
                action="sts:GetSessionToken",
                resource="*",
                reason="because temporary credentials cannot ask for others",
            )
        seconds = _seconds(fields, default=43_200, longest=_LONGEST_USER)
        claims = sessions.key_claims(ctx.principal.account, ctx.identity.access_key_id)
        key = sessions.issue(registry.keyring, claims, ctx.now, timedelta(seconds=seconds))
        return {"Credentials": _credentials(key)}


def _signed(registry: Registry, request: AwsRequest) -> Any:
    credential = request.credential(_SERVICE)
    return registry.read(credential, request_id=request.request_id, facts=request.facts, entry=request.entry)


def _noted(request: AwsRequest, wanted: Wanted) -> None:
    """Note for the audit trail which role is asked for."""
    if request.entry is not None:
        request.entry.registry_id = wanted.account
        request.entry.resources[wanted.arn] = wanted.account


def _session_policy(fields: Mapping[str, str]) -> str | None:
    text = fields.get("Policy")
    if text is None:
        return None
    try:
        if len(text) > _MAX_POLICY:
            raise MalformedPolicy(reason=f"a session policy may have at most {_MAX_POLICY} characters")
        policies.parse(text, policies.Kind.SESSION)
    except policies.PolicyError as problem:
        raise MalformedPolicy(reason=problem.detail) from None
    return text


def _seconds(fields: Mapping[str, str], *, default: int, longest: int) -> int:
    text = fields.get("DurationSeconds", str(min(default, longest)))
    if not (text.isascii() and text.isdigit() and _SHORTEST <= int(text[:9]) <= longest):
        raise InvalidParameter("durationSeconds", f"Member must have value between {_SHORTEST} and {longest}")
    return int(text)


def _asked(question: policies.Request, role: Role | None, caller: Identity | None = None) -> Decision | None:
    """Return what the role's trust policy and the caller's own policies say; None for a role that is not there."""
    if role is None:
        return None
    own = caller.policies if caller else ()
    return policies.assume(
        question,
        owner=role.account_id,
        trust=role.trust,
        identity=own,
        session=caller.limit if caller else None,
        boundary=caller.boundary if caller else None,
    )


def _require(request: AwsRequest, question: policies.Request, decision: Decision | None) -> None:
    """Raise `AccessDenied` unless the role may be taken on; one that is not there is refused like one without trust."""
    if decision is not None:
        auth.require(decision, request.request_id)
        return
    words = {"principal": question.principal.arn, "action": question.action, "resource": question.resource}
    logs.info("access_denied", request_id=request.request_id, **words, decided_by="no such role", statement=None)
    because = f"because no resource-based policy allows the {question.action} action"
    raise AccessDenied(**words, reason=because, decided_by="no such role")


def _session(
    registry: Registry, role: Role | None, wanted: Wanted, fields: Mapping[str, str], now: datetime
) -> dict[str, Any]:
    if role is None:  # pragma: no cover (refused before)
        raise TypeError
    seconds = _seconds(fields, default=DEFAULT_SESSION, longest=min(role.max_session, LONGEST_SESSION))
    claims = sessions.role_claims(role, wanted.session, wanted.policy)
    key = sessions.issue(registry.keyring, claims, now, timedelta(seconds=seconds))
    arn = f"arn:aws:sts::{role.account_id}:assumed-role/{role.name}/{wanted.session}"
    return {
        "Credentials": _credentials(key),
        "AssumedRoleUser": {"AssumedRoleId": f"{role.role_id}:{wanted.session}", "Arn": arn},
    }


def _credentials(key: TemporaryKey) -> dict[str, str]:
    return {
        "AccessKeyId": key.access_key_id,
        "SecretAccessKey": key.secret_access_key,
        "SessionToken": key.session_token,
        "Expiration": key.expires_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


def _of_provider(provider: Provider, claims: Mapping[str, Any]) -> dict[str, str]:
    audience = claims["aud"]
    chosen = audience if isinstance(audience, str) else next(a for a in audience if a in provider.audiences)
    return {"SubjectFromWebIdentityToken": claims["sub"], "Audience": chosen, "Provider": provider.arn}

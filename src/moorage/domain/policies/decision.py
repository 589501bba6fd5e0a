"""
The order of things: explicit deny, then allow, then no.

Within an account one allow is enough, of the caller's own policies or of the
resource's. Between accounts both sides must allow. Session policies and
permissions boundaries narrow what the caller's own policies give.

How a resource's policy names the caller matters within an account (IAM user
guide, "Determining whether a request is allowed or denied within an account"):

* itself, or everybody: that is enough, whatever limits the caller's own policies;
* its role: that is enough, within the limits of the session and the boundary;
* its account: the account decides, so the caller's own policies must allow too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from moorage.domain.policies.case import Case
from moorage.domain.policies.facts import Question
from moorage.domain.policies.places import BOUNDARY, IDENTITY, REGISTRY, REPOSITORY, SESSION, TRUST, put

if TYPE_CHECKING:
    from collections.abc import Sequence

    from moorage.domain.policies.model import Request
    from moorage.domain.policies.outcome import Decision
    from moorage.domain.policies.statement import Policy

_TOKEN: Final = "ecr:getauthorizationtoken"  # noqa: S105 - the name of an action


def decide(
    request: Request,
    *,
    owner: str,
    identity: Sequence[Policy],
    repository: Policy | None = None,
    registry: Policy | None = None,
    session: Policy | None = None,
    boundary: Policy | None = None,
) -> Decision:
    """
    Answer a request for a resource of the account ``owner``.

    ``identity`` are the policies attached to the caller and its groups;
    ``repository`` and ``registry`` those of the resource; ``session`` and
    ``boundary`` narrow what ``identity`` gives. ``ecr:GetAuthorizationToken``
    is a matter between callers and their own account: policies of resources
    are not asked.
    """
    question = Question(request)
    own = question.action == _TOKEN
    case = Case(
        question,
        request,
        identity=put(*((IDENTITY, policy) for policy in identity)),
        limits=put((BOUNDARY, boundary), (SESSION, session)),
        resource=[] if own else put((REPOSITORY, repository), (REGISTRY, registry)),
    )
    denied = case.denied(own_root=question.is_root and question.principal.account == owner)
    if denied is not None:
        return denied
    if question.is_outsider:
        return case.outsider()
    if own or question.principal.account == owner:
        return case.same_account()
    return case.both_sides()


def assume(
    request: Request,
    *,
    owner: str,
    trust: Policy,
    identity: Sequence[Policy] = (),
    session: Policy | None = None,
    boundary: Policy | None = None,
) -> Decision:
    """
    Answer whether the role in ``request.resource``, of the account ``owner``, may be taken on.

    Unlike other policies of resources a role's trust policy must always allow;
    the caller's own policies must too, unless the trust policy names the caller
    and both are of one account. Root gets no exception.
    """
    question = Question(request)
    case = Case(
        question,
        request,
        identity=put(*((IDENTITY, policy) for policy in identity)),
        limits=put((BOUNDARY, boundary), (SESSION, session)),
        resource=put((TRUST, trust)),
    )
    denied = case.denied(own_root=False)
    if denied is not None:
        return denied
    if question.is_outsider:
        return case.outsider()
    if question.principal.account == owner and case.by_resource() is not None:
        return case.same_account()
    return case.both_sides()

"""A decision in words: what was asked of which policy in which order, and what would have to be added."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from moorage.domain.policies.places import BOUNDARY, IDENTITY, REGISTRY, REPOSITORY, SESSION
from moorage.domain.policies.principals import Reach

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from moorage.domain.policies.case import Finding
    from moorage.domain.policies.outcome import Cause, Decision
    from moorage.domain.policies.places import Place

_SIDES: Final = {
    "resource": "Does the repository's side allow it?",
    "identity": "Do the caller's own policies allow it?",
    BOUNDARY.label: "Does the permissions boundary leave room for it?",
    SESSION.label: "Does the session policy leave room for it?",
}


class Step(NamedTuple):
    """One question on the way to a decision, with its answer."""

    question: str
    answer: str


class Advice(NamedTuple):
    """A statement that is missing, and where."""

    place: str
    statement: dict[str, Any]


def steps(decision: Decision, owner: str) -> Iterator[Step]:
    """Yield the questions in the order in which they are answered; a Deny ends them."""
    case, findings = decision.case, list(decision.case.findings())
    if not decision.allowed and decision.causes:
        yield Step("Does any policy deny it?", f"Yes: {named(decision.causes[0])}. A Deny always wins.")
        return
    yield Step("Does any policy deny it?", "No, none of those that have a say.")
    yield Step("Whose word is needed?", _whose(decision, owner))
    if not _login(decision):
        yield Step(_SIDES["resource"], _side([one for one in findings if one.placed.place in {REPOSITORY, REGISTRY}]))
    if case.question.is_root:
        yield Step(_SIDES["identity"], "The caller is its account's root, which needs no policy.")
    else:
        yield Step(_SIDES["identity"], _side([one for one in findings if one.placed.place is IDENTITY]))
    for one in findings:
        if one.placed.place in {BOUNDARY, SESSION}:
            yield Step(_SIDES[one.placed.place.label], _side([one]))


def named(cause: Cause) -> str:
    """Return what people call a statement."""
    return cause.source if cause.statement is None else f"statement {cause.statement.label} of {cause.source}"


def advice(decision: Decision) -> Sequence[Advice]:
    """Return the statements that a decision by silence lacks, of the smallest kind; none for a Deny."""
    missing = decision.missing
    if missing is None:
        return ()
    places = [missing]
    silent = not any(one.allows for one in decision.case.findings() if one.placed.place is IDENTITY)
    if missing in {REPOSITORY, REGISTRY} and silent and not decision.case.question.is_root:
        places.append(IDENTITY)
    return [Advice(place.label, _statement(decision, place)) for place in places]


def unknown_keys(decision: Decision) -> list[str]:
    """Return the condition keys that a statement about the action looks at and that the request did not have."""
    case = decision.case
    statements = (
        statement
        for placed in (*case.resource, *case.identity, *case.limits)
        for statement in (*placed.policy.denies, *placed.policy.allows)
        if statement.actions(case.question.action) != statement.not_actions
    )
    keys = {condition.key for statement in statements for condition in statement.conditions}
    return sorted(key for key in keys if not case.question.values(key))


def _login(decision: Decision) -> bool:
    return decision.case.question.action == "ecr:getauthorizationtoken"


def _own(decision: Decision, owner: str) -> bool:
    return decision.case.question.principal.account == owner


def _whose(decision: Decision, owner: str) -> str:
    if _login(decision):
        return "A login is a matter between the caller and its own account: its own policies must allow it."
    if _own(decision, owner):
        return "Caller and registry are of one account: one Allow on either side is enough."
    account = decision.case.question.principal.account
    return f"The caller is of account {account}, the registry of {owner}: both sides must allow."


def _side(findings: Sequence[Finding]) -> str:
    if not findings:
        return "There is no policy."
    best = max(findings, key=lambda one: one.reach)
    if best.allows is not None:
        found = f"Yes: statement {best.allows.label} of {best.placed.source}"
        if best.reach is Reach.ACCOUNT:
            return f"{found}, to the account: which of its users may is for the account's own policies to say."
        return f"{found}."
    return f"No, nothing in {', '.join(one.placed.source for one in findings)} does."


def _statement(decision: Decision, place: Place) -> dict[str, Any]:
    request = decision.case.request
    statement: dict[str, Any] = {"Effect": "Allow"}
    if place in {REPOSITORY, REGISTRY}:
        statement["Principal"] = {"AWS": request.principal.role_arn or request.principal.arn}
    statement["Action"] = request.action
    if place is not REPOSITORY:
        statement["Resource"] = request.resource
    return statement

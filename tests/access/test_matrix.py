"""
Who may do what: every operation and every route, asked by everybody, over real sockets.

What is expected follows from `calls.py` and from the order of things in IAM,
written here a second time: explicit deny; then, within an account, an allow on
either side; between accounts an allow on both.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pytest

from moorage.oci.routes import ROWS
from moorage.operations import OPERATIONS
from tests.access.calls import CALLS, EVERY, NONE, OTHERWISE, THIS, Call
from tests.access.world import OTHER, Outcome, Person, Stage, World, allow, allow_all_but, arn_of, deny
from tests.servers import ACCOUNT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.access.world import Statement

EVERYTHING: Final = allow("*")


# --- Who asks, of what, and what they should hear --------------------------------


@dataclass(frozen=True)
class Case:
    """Somebody, the repository that they ask about, and the action that they are refused (None: nothing)."""

    person: Person | None
    stage: Stage
    refused: str | None = None
    because: str = ""


Maker = "Callable[[World, Call], Case]"


def because_no(kind: str, action: str) -> str:
    """Return AWS's reason for a refusal without a deny."""
    return f"because no {kind} policy allows the {action} action"


def with_deny(kind: str) -> str:
    """Return AWS's reason for a refusal by a deny."""
    return f"with an explicit deny in {kind} policy"


def place(world: World, call: Call, *policy: Statement, account: str = ACCOUNT) -> Stage:
    """Return the repository that a call is about: there, unless the call creates it."""
    return world.missing(account) if call.creates else world.stage(*policy, account=account)


def nobody(world: World, call: Call) -> Case:
    """Somebody whom no policy allows anything."""
    action = call.needs[0]
    return Case(world.user(), place(world, call), action, because_no("identity-based", action))


def exactly(world: World, call: Call) -> Case:
    """Somebody who may do just this, just here."""
    stage = place(world, call)
    return Case(world.user(allow(*call.needs, on=call.resource(stage))), stage)


def exactly_by_group(world: World, call: Call) -> Case:
    """A member of a group that may do just this, just here."""
    stage = place(world, call)
    return Case(world.user(group=[allow(*call.needs, on=call.resource(stage))]), stage)


def exactly_by_role(world: World, call: Call) -> Case:
    """A session of a role that may do just this, just here."""
    stage = place(world, call)
    return Case(world.session(allow(*call.needs, on=call.resource(stage))), stage)


def exactly_by_session_policy(world: World, call: Call) -> Case:
    """A session that may do just this, just here, of a role that may do everything."""
    stage = place(world, call)
    return Case(world.session(EVERYTHING, policy=[allow(*call.needs, on=call.resource(stage))]), stage)


def powerless_role(world: World, call: Call) -> Case:
    """A session of a role that may do nothing."""
    action = call.needs[0]
    return Case(world.session(), place(world, call), action, because_no("identity-based", action))


def narrow_session(world: World, call: Call) -> Case:
    """A session that may do all but this, of a role that may do everything."""
    action = call.needs[0]
    person = world.session(EVERYTHING, policy=[allow_all_but(action)])
    return Case(person, place(world, call), action, because_no("session", action))


def session_that_denies(world: World, call: Call) -> Case:
    """A session whose policy denies this."""
    stage, action = place(world, call), call.needs[-1]
    person = world.session(EVERYTHING, policy=[EVERYTHING, deny(action)])
    return Case(person, stage, action, with_deny("a session"))


def elsewhere(world: World, call: Call) -> Case:
    """Somebody who may do this, in another repository, and in one whose name begins alike."""
    stage, action = place(world, call), call.needs[0]
    near = [arn_of("elsewhere"), stage.arn + "x", stage.arn[:-1], arn_of(stage.name, OTHER)]
    near.append(arn_of(stage.name, region="eu-west-2"))
    return Case(world.user(allow(*call.needs, on=near)), stage, action, because_no("identity-based", action))


def root(world: World, call: Call) -> Case:
    """The root of the account, who needs no policy."""
    return Case(world.root, place(world, call))


def allowed_by_repository(world: World, call: Call) -> Case:
    """Somebody with no policy, named by the repository's."""
    person, stage = world.user(), world.stage()
    world.policy(stage, naming(person, *call.needs))
    return Case(person, stage)


def denied_by_repository(world: World, call: Call) -> Case:
    """Somebody who may do everything, but for the repository's policy."""
    action = call.needs[-1]
    person, stage = world.user(EVERYTHING), world.stage()
    world.policy(stage, naming(person, action, effect="Deny"))
    return Case(person, stage, action, with_deny("a resource-based"))


def naming(person: Person | str, *actions: str, effect: str = "Allow") -> Statement:
    """Return a statement of a resource's policy about somebody, or an account."""
    who = person if isinstance(person, str) else person.arn
    return {"Effect": effect, "Principal": {"AWS": who}, "Action": list(actions)}


def by_registry(person: Person, *actions: str, effect: str = "Allow") -> Statement:
    """Return a statement of a registry's policy about somebody."""
    return {**naming(person, *actions, effect=effect), "Resource": "*"}


def allowed_by_registry(world: World, call: Call) -> Case:
    """Somebody with no policy, named by the registry's."""
    person, stage = world.user(), place(world, call)
    world.registry_policy(by_registry(person, *call.needs))
    if call.own_account:
        return Case(person, stage, call.needs[0], because_no("identity-based", call.needs[0]))
    return Case(person, stage)


def denied_by_registry(world: World, call: Call) -> Case:
    """Somebody who may do everything, but for the registry's policy."""
    person, stage, action = world.user(EVERYTHING), place(world, call), call.needs[-1]
    world.registry_policy(by_registry(person, action, effect="Deny"))
    return Case(person, stage) if call.own_account else Case(person, stage, action, with_deny("a resource-based"))


def within_a_boundary(world: World, call: Call) -> Case:
    """Somebody who may do everything, within a boundary of just this, just here."""
    stage = place(world, call)
    return Case(world.user(EVERYTHING, boundary=[allow(*call.needs, on=call.resource(stage))]), stage)


def beyond_a_boundary(world: World, call: Call) -> Case:
    """Somebody who may do everything, within a boundary of everything else."""
    action = call.needs[-1]
    person = world.user(EVERYTHING, boundary=[allow_all_but(action)])
    return Case(person, place(world, call), action, f"because no permissions boundary allows the {action} action")


# --- From another account ---


def foreign_identity(world: World, call: Call) -> Case:
    """Somebody of another account, whose account alone allows this."""
    person, stage = world.user(EVERYTHING, account=OTHER), place(world, call)
    if call.own_account:
        return Case(person, stage)
    return Case(person, stage, call.needs[0], because_no("resource-based", call.needs[0]))


def foreign_resource(world: World, call: Call) -> Case:
    """Somebody of another account, whom the repository alone allows this."""
    person, stage = world.user(account=OTHER), world.stage()
    world.policy(stage, naming(person, *call.needs))
    return Case(person, stage, call.needs[0], because_no("identity-based", call.needs[0]))


def foreign_both(world: World, call: Call) -> Case:
    """Somebody of another account, whom both sides allow just this."""
    stage = world.stage()
    person = world.user(allow(*call.needs, on=stage.arn), account=OTHER)
    world.policy(stage, naming(OTHER, *call.needs))
    return Case(person, stage)


def foreign_by_registry(world: World, call: Call) -> Case:
    """Somebody of another account, whom their own account and the registry's policy allow just this."""
    stage = place(world, call)
    person = world.user(allow(*call.needs, on=call.resource(stage)), account=OTHER)
    world.registry_policy(by_registry(person, *call.needs))
    return Case(person, stage)


def foreign_registry_alone(world: World, call: Call) -> Case:
    """Somebody of another account, whom the registry's policy alone allows this."""
    person, stage, action = world.user(account=OTHER), place(world, call), call.needs[0]
    world.registry_policy(by_registry(person, *call.needs))
    return Case(person, stage, action, because_no("identity-based", action))


def foreign_denied(world: World, call: Call) -> Case:
    """Somebody of another account, whom both sides allow everything, and whose own account denies this."""
    action = call.needs[-1]
    person, stage = world.user(EVERYTHING, deny(action), account=OTHER), world.stage()
    world.policy(stage, naming(person, "ecr:*"))
    return Case(person, stage, action, with_deny("an identity-based"))


def foreign_root(world: World, call: Call) -> Case:
    """The root of another account, which the repository does not allow."""
    if call.own_account:
        return Case(world.other_root, place(world, call))
    return Case(world.other_root, place(world, call), call.needs[0], because_no("resource-based", call.needs[0]))


def everything_but(action: str) -> Callable[[World, Call], Case]:
    """Somebody who may do everything else."""
    return lambda world, call: Case(
        world.user(allow_all_but(action)), place(world, call), action, because_no("identity-based", action)
    )


def denied(action: str) -> Callable[[World, Call], Case]:
    """Somebody who may do everything, and is denied this, here and in the repository that is not there."""
    return lambda world, call: Case(
        world.user(EVERYTHING, deny(action)), place(world, call), action, with_deny("an identity-based")
    )


ANYWHERE: Final = (
    nobody,
    exactly,
    exactly_by_group,
    exactly_by_role,
    exactly_by_session_policy,
    powerless_role,
    narrow_session,
    session_that_denies,
    within_a_boundary,
    beyond_a_boundary,
    root,
    allowed_by_registry,
    denied_by_registry,
)
FOREIGN: Final = (
    foreign_identity, foreign_by_registry, foreign_registry_alone, foreign_root,
)  # fmt: skip
ON_REPOSITORIES: Final = (
    allowed_by_repository, denied_by_repository, foreign_resource, foreign_both, foreign_denied,
)  # fmt: skip


def people(call: Call) -> Iterator[tuple[str, Callable[[World, Call], Case]]]:
    """Return who asks a call."""
    yield from ((make.__name__, make) for make in ANYWHERE)
    if not call.own_registry:
        yield from ((make.__name__, make) for make in FOREIGN)
    if call.on != NONE:
        yield elsewhere.__name__, elsewhere
    if call.on == THIS and not call.creates:
        # Nobody of another account can even name a repository of a registry that is always the caller's own.
        makes = [make for make in ON_REPOSITORIES if not call.own_registry or not make.__name__.startswith("foreign")]
        yield from ((make.__name__, make) for make in makes)
    for action in call.needs:
        short = action.removeprefix("ecr:")
        yield f"everything_but_{short}", everything_but(action)
        yield f"denied_{short}", denied(action)


MATRIX: Final = [pytest.param(call, make, id=f"{call.title}-{name}") for call in CALLS for name, make in people(call)]


# --- What they hear ----------------------------------------------------------------


def expected(call: Call, case: Case) -> Outcome:
    """Return what the caller should hear."""
    if case.refused is None:
        return Outcome(call.status)
    assert case.person is not None
    message = (
        f"User: {case.person.arn} is not authorized to perform: {case.refused}"
        f" on resource: {call.resource(case.stage)} {case.because}"
    )
    if call.is_operation:
        return Outcome(400, "AccessDeniedException", message)
    return Outcome(403) if call.of.startswith("HEAD") else Outcome(403, "DENIED", message)


@pytest.mark.parametrize(("call", "make"), MATRIX)
def test_matrix(world: World, call: Call, make: Callable[[World, Call], Case]) -> None:
    """
    Each of them is let do this, or is refused it in AWS's words.

    What is refused has changed nothing, and is refused alike whether the repository is there or not.
    """
    case = make(world, call)
    there = world.stage(account=case.stage.account) if call.creates else case.stage
    asked = call.prepare(world, there).of(there, case.stage)
    before = world.rows(there)

    assert asked.send(world, case.person, ACCOUNT) == expected(call, case)

    if case.refused is None:
        return
    assert world.rows(there) == before
    if call.creates:
        assert not world.rows(case.stage)["repositories"]
    if make not in ON_REPOSITORIES:
        missing = dataclasses.replace(case, stage=there if call.creates else world.missing())
        assert asked.of(case.stage, missing.stage).send(world, case.person, ACCOUNT) == expected(call, missing)


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.title)
def test_without_a_credential(world: World, call: Call) -> None:
    """Nobody gets nothing: the same challenge whether the repository is there or not, and nothing has changed."""
    stage = world.stage()
    asked = call.prepare(world, stage)
    before = world.rows(stage)

    outcomes = [asked.of(stage, at).send(world, None, ACCOUNT) for at in (stage, world.missing())]

    assert world.rows(stage) == before
    assert outcomes[0] == outcomes[1]
    if call.is_operation:
        assert (outcomes[0].status, outcomes[0].code) == (400, "MissingAuthenticationTokenException")
        return
    assert outcomes[0].status == 401
    assert outcomes[0].headers["www-authenticate"].startswith("Basic realm=")
    assert outcomes[0].code == ("" if call.of.startswith("HEAD") else "UNAUTHORIZED")


# --- That nothing is left out ---------------------------------------------------------


def test_every_operation_and_route_is_in_the_matrix() -> None:
    """A new operation or route must be given an example, with the actions that it needs."""
    with_heads = {f"{row.method} {row.path}" for row in ROWS}
    with_heads |= {f"HEAD {row.path}" for row in ROWS if row.method == "GET"}

    assert {call.of for call in CALLS if call.is_operation} == {operation.name for operation in OPERATIONS}
    assert {call.of for call in CALLS if not call.is_operation} | OTHERWISE == with_heads


def test_an_operation_needs_the_action_of_its_name() -> None:
    """The table asks of every operation the action that IAM has for it; one has another's (service reference)."""
    others = {"ListImageReferrers": "ecr:BatchGetImage"}
    for call in CALLS:
        if call.is_operation:
            assert call.needs[0] == others.get(call.of, f"ecr:{call.of}")
    assert {call.on for call in CALLS} == {THIS, EVERY, NONE}

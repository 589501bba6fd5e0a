"""``moorage policy explain``: may somebody do something, and which statement says so."""

from __future__ import annotations

import dataclasses
import json
import re
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from moorage.cli.opened import opened
from moorage.cli.options import fail
from moorage.cli.output import print_json, wants_json
from moorage.domain import policies
from moorage.domain.names import RepositoryName, is_region, is_registry_id, repository_arn
from moorage.domain.policies import explanation
from moorage.operations import OPERATIONS
from moorage.registry import accounts, callers, repositories
from moorage.registry.auth import Need, judge

if TYPE_CHECKING:
    from moorage.domain.policies import Cause, Decision
    from moorage.registry.core import Context

_ACTION: Final = re.compile(r"ecr:[A-Za-z]{1,64}")
_WIDE: Final = frozenset(one.action.lower() for one in OPERATIONS if one.needs is not None)
"""Actions on a registry as a whole."""
_ON_ALL: Final = frozenset({"ecr:describerepositories", "ecr:createrepository"})
"""Those of them that are asked of repositories: the one that is named, or all there are."""
_PLACES: Final = {
    "identity policy": "a policy of the caller (`moorage policy put`, then `moorage user|group|role attach`)",
    "repository policy": "the repository's policy (`aws ecr set-repository-policy`)",
    "registry policy": "the registry's policy (`aws ecr put-registry-policy`)",
    "session policy": "the session policy",
    "permissions boundary": "the permissions boundary (`moorage policy put`)",
}


def explain(
    arn: Annotated[str, typer.Option("--as", help="Who asks: the ARN of a root, user, role or assumed role.")],
    action: Annotated[str, typer.Option("--action", help="What is asked, such as ecr:PutImage.")],
    repository: Annotated[str | None, typer.Option("--repository", help="Of which repository.")] = None,
    registry_id: Annotated[
        str | None, typer.Option("--registry-id", help="In whose registry. \\[default: the caller's account]")
    ] = None,
    region: Annotated[str | None, typer.Option("--region", help="In which region. \\[default: the one served]")] = None,
    context: Annotated[
        list[str] | None, typer.Option("--context", help="A condition key, such as aws:SourceIp=10.0.0.1.")
    ] = None,
    session_policy: Annotated[
        typer.FileText | None, typer.Option("--session-policy", help="File with the session's policy (JSON), or -.")
    ] = None,
) -> None:
    """
    Tell whether somebody may do something, and which statement of which policy decides.

    Decided as requests are. Ends with 0 if it is allowed, with 1 if not.
    """
    _check(action, repository, registry_id, region)
    facts = dict(_pair(text) for text in context or [])
    limit = session_policy.read(policies.MAX_LENGTH + 1) if session_policy is not None else None
    with opened() as registry:
        with registry.read(registry.system()) as ctx:
            caller = callers.by_arn(ctx.tx, arn, ctx.now, limit)
        asked = dataclasses.replace(
            caller, registry_id=registry_id or caller.registry_id, region=region or registry.settings.region
        )
        with registry.read(asked, facts=facts) as ctx:
            accounts.require(ctx.tx, ctx.registry_id)
            need, exists = _need(ctx, action, repository)
            decision = judge(ctx, need)
            told = _told(ctx, decision, repository if exists is False else None)
    if wants_json.get():
        print_json(told)
    else:
        _print(told)
    if not decision.allowed:
        raise typer.Exit(1)


def _check(action: str, repository: str | None, registry_id: str | None, region: str | None) -> None:
    if _ACTION.fullmatch(action) is None:
        fail(f"{action}: must be an action of ECR, such as ecr:PutImage")
    if repository is None and (action.lower() not in _WIDE or action.lower() == "ecr:createrepository"):
        fail(f"{action} is asked of a repository: name it with --repository")
    if registry_id is not None and not is_registry_id(registry_id):
        fail("--registry-id must be twelve digits")
    if region is not None and not is_region(region):
        fail("--region must look like us-east-1")


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not (key and equals):
        fail(f"--context {text}: must be KEY=VALUE")
    return key, value


def _need(ctx: Context, action: str, repository: str | None) -> tuple[Need, bool | None]:
    """Return what would have to be allowed, and whether the repository that it is asked of is there."""
    if action.lower() in _WIDE - _ON_ALL:
        return Need(action, "*"), None
    if repository is None:
        return Need(action, repository_arn(ctx.region, ctx.registry_id, "*")), None
    need, found = repositories.need(ctx, action, RepositoryName.parse(repository))
    return need, found is not None


def _told(ctx: Context, decision: Decision, absent: str | None) -> dict[str, Any]:
    request = decision.case.request
    notes = [f"There is no repository {absent} (yet): the answer holds for one of that name."] if absent else []
    if unknown := explanation.unknown_keys(decision):
        keys = " ".join(f"--context {key}=…" for key in unknown)
        notes.append(f"Conditions look at what was not given here, and real requests may have: {keys}")
    return {
        "allowed": decision.allowed,
        "principal": request.principal.arn,
        "action": request.action,
        "resource": request.resource,
        "registryId": ctx.registry_id,
        "region": ctx.region,
        "reason": decision.reason,
        "decidedBy": [_shown(cause) for cause in decision.causes],
        "steps": [step._asdict() for step in explanation.steps(decision, ctx.registry_id)],
        "missing": [one._asdict() for one in explanation.advice(decision)],
        "notes": notes,
    }


def _shown(cause: Cause) -> dict[str, Any]:
    if cause.placed is None or cause.statement is None:
        return {"policy": cause.source, "type": "root", "name": None, "of": None, "label": None, "statement": None}
    policy = cause.placed.policy
    return {
        "policy": cause.source,
        "type": cause.placed.place.label,
        "name": policy.name,
        "of": policy.holder,
        "label": cause.statement.label,
        "statement": policy.written(cause.statement),
    }


def _print(told: dict[str, Any]) -> None:
    from rich.console import Console  # noqa: PLC0415 (slow to import)
    from rich.text import Text  # noqa: PLC0415

    console = Console(highlight=False, soft_wrap=True)
    word, style = ("allowed", "bold green") if told["allowed"] else ("denied", "bold red")
    console.print(Text.assemble((word, style), f": {told['action']} on {told['resource']}"))
    console.print(f"{'':7}by {told['principal']}\n", markup=False)
    for number, step in enumerate(told["steps"], 1):
        console.print(Text.assemble(f"{number}. ", (step["question"], "bold"), f"\n   {step['answer']}"))
    for cause in told["decidedBy"]:
        if cause["statement"] is not None:
            console.print(Text.assemble("\nStatement ", (cause["label"], "bold"), f" of {cause['policy']}:"))
            console.print(json.dumps(cause["statement"], indent=2), markup=False)
    for number, one in enumerate(told["missing"]):
        begin = "It would take a statement such as this in" if number == 0 else "and one such as this in"
        console.print(Text(f"\n{begin} {_PLACES[one['place']]}:"))
        console.print(json.dumps(one["statement"], indent=2), markup=False)
    for note in told["notes"]:
        console.print(Text(f"\nNote: {note}"))

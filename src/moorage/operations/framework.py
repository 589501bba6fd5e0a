"""What an operation is, and how one is run."""

from __future__ import annotations

import enum
import inspect
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from moorage.domain.names import RepositoryName, parse_repository_arn
from moorage.registry import reserve
from moorage.registry.again import again
from moorage.registry.auth import Need, authorize
from moorage.registry.entrance import enter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from moorage.registry.audit import Entry
    from moorage.registry.auth import Credential, Identity
    from moorage.registry.core import Context, Registry

    Answer = dict[str, Any]
    Needs = Callable[[Context, Mapping[str, Any]], Iterable[Need]]


_MAKE_SPACE: Final = (
    "BatchDelete",
    "Delete",
    "Deregister",
    "Untag",
    "PutLifecyclePolicy",
    "StartLifecyclePolicyPreview",
)
"""How the actions begin that a full disk does not stop."""


class Mode(enum.Enum):
    """The transactions that an operation works in."""

    READ = "read"
    WRITE = "write"
    STEPS = "steps"
    """Opens its own, through `Context.read` and `Context.write`: it moves bytes between them."""


@dataclass(frozen=True)
class Operation:
    """An operation: its function, its IAM action, and what that action is asked of."""

    function: Callable[..., Answer]
    action: str
    mode: Mode
    needs: Needs | None
    """For an operation on the registry as a whole, the permissions it needs; None for one on a repository."""
    push: bool
    is_point: bool = False
    """Whether it reads a few rows by their keys, for each thing that the request names."""
    by_arn: bool = False
    """The repository is named by ``resourceArn`` (TagResource and its like), not by ``repositoryName``."""

    @property
    def name(self) -> str:
        """ECR's name of the operation."""
        return "".join(part.capitalize() for part in self.function.__name__.split("_"))

    @property
    def makes_space(self) -> bool:
        """Whether it takes away, or lets a rule take away: then it may be done on a disk that is full."""
        return self.action.removeprefix("ecr:").startswith(_MAKE_SPACE)

    @property
    def parameters(self) -> dict[str, bool]:
        """The keyword parameters of the function, with whether each is required."""
        signature = inspect.signature(self.function)
        return {
            name: parameter.default is parameter.empty
            for name, parameter in signature.parameters.items()
            if parameter.kind is parameter.KEYWORD_ONLY
        }


def on_repository(
    action: str, mode: Mode = Mode.READ, *, push: bool = False, is_point: bool = False
) -> Callable[[Callable[..., Answer]], Operation]:
    """
    Declare an operation on one repository, which it gets after its context.

    With ``push``, the repository may be created if it is missing. What ``is_point`` says of reads: `Operation`.
    """

    def declare(function: Callable[..., Answer]) -> Operation:
        return Operation(function, action, mode, None, push, is_point)

    return declare


def on_resource(action: str, mode: Mode = Mode.READ) -> Callable[[Callable[..., Answer]], Operation]:
    """Declare an operation on the repository that ``resourceArn`` names."""

    def declare(function: Callable[..., Answer]) -> Operation:
        return Operation(function, action, mode, None, push=False, by_arn=True)

    return declare


def on_registry(
    action: str, needs: Needs, mode: Mode = Mode.READ, *, is_point: bool = False
) -> Callable[[Callable[..., Answer]], Operation]:
    """Declare an operation on the registry as a whole; ``needs`` tells what must be allowed."""

    def declare(function: Callable[..., Answer]) -> Operation:
        return Operation(function, action, mode, needs, push=False, is_point=is_point)

    return declare


def registry_wide(action: str) -> Needs:
    """Return the needs of an operation that is about no resource in particular: its action on ``*``."""
    return lambda _ctx, _given: [Need(action, "*")]


def invoke(
    registry: Registry,
    operation: Operation,
    who: Credential | Identity,
    arguments: Callable[[], dict[str, Any]],
    *,
    request_id: str = "-",
    facts: dict[str, str] | None = None,
    entry: Entry | None = None,
) -> Answer:
    """
    Run one operation for a caller and return its answer.

    The order of checks is ECR's: credential, then ``arguments()`` (which may
    refuse them), then access, then existence, then the operation's own.
    """

    def begin() -> Answer | Callable[[], Answer]:
        with registry.read(who, request_id=request_id, facts=facts, entry=entry) as authenticated:
            authenticated.throttle(operation.action)
            given = arguments()
            if operation.by_arn:
                _name_by_arn(authenticated, given)
            ctx = authenticated.at(given.pop("registry_id", None))
            if operation.mode is Mode.READ:
                return _run(ctx, operation, given)
            if operation.mode is Mode.STEPS:
                return partial(_prepare(ctx, operation, given), ctx)
        with ctx.write() as writing:
            return _run(writing, operation, given)

    begun = again(begin)
    return begun if isinstance(begun, dict) else begun()


def _name_by_arn(ctx: Context, given: dict[str, Any]) -> None:
    """Put the registry and repository that ``resourceArn`` names in its place."""
    given["registry_id"], given["repository_name"] = parse_repository_arn(given.pop("resource_arn"), ctx.region)


def _run(ctx: Context, operation: Operation, given: dict[str, Any]) -> Answer:
    return _prepare(ctx, operation, given)(ctx)


def _prepare(ctx: Context, operation: Operation, given: dict[str, Any]) -> Callable[[Context], Answer]:
    """Decide access and find the repository; return what is left to do."""
    if operation.needs is not None:
        authorize(ctx, *operation.needs(ctx, given))
        _require_space(ctx, operation)
        return lambda context: operation.function(context, **given)
    name = RepositoryName.parse(given.pop("repository_name"))
    tags = _request_tags(given) if operation.by_arn else None
    repository = enter(ctx, operation.action, name, push=operation.push, request_tags=tags)
    _require_space(ctx, operation)
    return lambda context: operation.function(context, repository, **given)


def _require_space(ctx: Context, operation: Operation) -> None:
    if operation.mode is not Mode.READ and not operation.makes_space:
        reserve.require(ctx.registry)


def _request_tags(given: Mapping[str, Any]) -> dict[str, str | None]:
    """Return the resource tags that a request sets, or without values those that it takes away."""
    return dict.fromkeys(given.get("tag_keys", ())) | {t["Key"]: t["Value"] for t in given.get("tags", ())}

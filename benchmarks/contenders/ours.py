"""
Moorage as someone would run it: two workers, fsync, and access control at work.

The workloads' client is a user who is not root. What it may do stands in a policy of its
own, and every repository has a policy too, both with conditions; docker's token in each request.
"""

from __future__ import annotations

import contextlib
import json
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import moorage
from benchmarks.contenders.servers import Contender, Role, Server
from tests import servers
from tests.access import kit
from tests.servers import ACCOUNT, REGION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

USER: Final = "bench"
WORKERS: Final = 2
NAME: Final = "moorage"
_HERE: Final = {"IpAddress": {"aws:SourceIp": ["127.0.0.0/8", "10.0.0.0/8"]}}
_AWAY: Final = {"NotIpAddress": {"aws:SourceIp": ["127.0.0.0/8", "10.0.0.0/8"]}}
_USER_POLICY: Final = kit.document(
    {"Effect": "Allow", "Action": "ecr:*", "Resource": f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/*"},
    {"Effect": "Allow", "Action": ["ecr:GetAuthorizationToken", "ecr:Describe*"], "Resource": "*"},
    {"Effect": "Deny", "Action": "ecr:*", "Resource": "*", "Condition": _AWAY},
)
_PULL_AND_PUSH: Final = [
    "ecr:BatchCheckLayerAvailability",
    "ecr:BatchGetImage",
    "ecr:CompleteLayerUpload",
    "ecr:GetDownloadUrlForLayer",
    "ecr:InitiateLayerUpload",
    "ecr:PutImage",
    "ecr:UploadLayerPart",
]
_REPOSITORY_POLICY: Final = kit.document(
    {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:user/{USER}"},
        "Action": _PULL_AND_PUSH,
        "Condition": _HERE,
    },
    {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "ecr:*",
        "Condition": {"StringLike": {"aws:UserAgent": "crawler*"}},
    },
)


def ours(
    name: str = NAME,
    words: str = "SQLite and files",
    flags: Callable[[Path], list[str]] = lambda _folder: [],
    workers: int = WORKERS,
) -> Contender:
    """Return Moorage on SQLite and a folder, or on what the flags name that a new folder gets."""
    words = f"{words}, {workers} workers, fsync, token of a user, policies of user and repository with conditions"
    start = partial(_start, flags, workers)
    return Contender(name, Role.OURS, words, moorage.__version__, durable=True, start=start)


@contextlib.contextmanager
def _start(flags: Callable[[Path], list[str]], workers: int, contender: Contender, folder: Path) -> Iterator[Server]:
    data, secret = folder / "data", folder / "user.json"
    known: dict[str, Any] = json.loads(secret.read_text()) if secret.exists() else {"flags": flags(folder)}
    begun = time.perf_counter()
    with servers.running(data, *known["flags"], workers=workers) as server:
        server.anonymous("GET", "/v2/")
        ready = time.perf_counter() - begun
        if "key" not in known:
            known["key"] = _user(server)
            secret.write_text(json.dumps(known))
        yield Server(
            contender,
            server.process.pid,
            server.port,
            folder,
            headers={"Authorization": f"Basic {server.token(**known['key'])}"},
            create=partial(_create, server),
            ready=ready,
            facts={"data": str(data), **known["key"], **({"database": server.database} if server.database else {})},
        )


def _user(server: servers.Server) -> Mapping[str, str]:
    kit.moorage(server, "policy", "put", USER, "-", text=_USER_POLICY)
    kit.moorage(server, "user", "create", USER)
    kit.moorage(server, "user", "attach", USER, USER)
    return kit.credentials(server, USER)


def _create(server: servers.Server, repository: str) -> None:
    root = server.client()
    with contextlib.suppress(root.exceptions.RepositoryAlreadyExistsException):
        root.create_repository(repositoryName=repository)
    root.set_repository_policy(repositoryName=repository, policyText=_REPOSITORY_POLICY)

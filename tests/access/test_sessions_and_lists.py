"""What a session leaves behind ends with it, and lists name nothing that their reader may not know."""

from __future__ import annotations

import base64
import json
import random
import string
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import pytest
from botocore.exceptions import ClientError

from moorage.domain.errors import ExpiredCredential, InvalidCredential
from moorage.registry import roles, sessions
from moorage.registry.auth import Identity, Password, SignedUrl, issue_token
from moorage.registry.identities import root_principal
from tests import content
from tests.access.kit import code_of, document
from tests.access.world import allow, arn_of, deny
from tests.registry.kit import ACCOUNT, REGION, Bench

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.access.world import World


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A registry whose clock can be moved."""
    with Bench.opened(tmp_path) as opened:
        yield opened


def session_of(bench: Bench, lasting: timedelta) -> dict[str, Any]:
    """Make a role, take it on, and return the claims of the session."""
    now = datetime.now(UTC)
    with bench.write() as ctx:
        trust = document({"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"})
        roles.create(ctx, "role", trust)  # type: ignore[arg-type]
        role = roles.find(ctx.tx, ACCOUNT, "role")
        assert role is not None
        key = sessions.issue(bench.registry.keyring, sessions.role_claims(role, "name", None), now, lasting)
    claims: dict[str, Any] = sessions.read(bench.registry.keyring, key.session_token)["claims"]
    return claims


def test_a_login_ends_with_its_session(bench: Bench) -> None:
    """A docker password that a session of an hour made is good for an hour, not for twelve, and says so."""
    claims = session_of(bench, timedelta(hours=1))
    identity = Identity(root_principal(ACCOUNT), "", ACCOUNT, REGION, session=claims)
    with bench.registry.read(identity) as ctx:
        token = issue_token(ctx, ACCOUNT)

    assert token.expires_at == datetime.fromtimestamp(claims["until"], UTC)
    with bench.registry.read(Password("AWS", token.password)) as ctx:
        assert ctx.principal.arn.endswith(":assumed-role/role/name")
    bench.registry.clock = lambda: datetime.now(UTC) + timedelta(minutes=61)
    bench.registry.keyring._clock = lambda: bench.registry.clock().timestamp()
    with pytest.raises(ExpiredCredential), bench.registry.read(Password("AWS", token.password)):
        pass


def test_a_download_url_ends_with_its_session(bench: Bench) -> None:
    """What a session of a quarter of an hour signed is void after it, whatever its own hour says."""
    claims = {"session": session_of(bench, timedelta(minutes=15)), "registry": ACCOUNT, "region": REGION}
    with bench.registry.read(SignedUrl(claims)) as ctx:
        assert ctx.registry_id == ACCOUNT

    bench.registry.clock = lambda: datetime.now(UTC) + timedelta(minutes=16)

    with pytest.raises(InvalidCredential), bench.registry.read(SignedUrl(claims)):
        pass


def test_a_session_without_an_end_is_none(bench: Bench) -> None:
    """Claims that do not say when the session ends stand for nobody."""
    claims = session_of(bench, timedelta(hours=1))
    del claims["until"]

    with (
        pytest.raises(InvalidCredential),
        bench.registry.read(SignedUrl({"session": claims, "registry": ACCOUNT, "region": REGION})),
    ):
        pass


SHUFFLED: Final = random.Random(7)  # noqa: S311 (not for secrets)
FILLINGS: Final = {
    "all the same": "x" * 2048,
    "escaped": '"' * 2048,
    "accented": "é" * 2048,
    "of all kinds": "".join(SHUFFLED.choices(string.printable[:94], k=2048)),
}


def filled(filling: str) -> dict[str, Any]:
    """Return a statement that makes a session policy of nearly 2,048 characters."""
    statement = {"Sid": "", **allow("ecr:ListImages", "ecr:GetDownloadUrlForLayer")}
    while len(document(statement)) < 2040:
        statement["Sid"] += filling[len(statement["Sid"])]
    return statement


@pytest.mark.parametrize("kind", FILLINGS)
def test_the_longest_session_policy_logs_in(world: World, kind: str) -> None:
    """A session whose policy has 2,048 characters gets a token that works at both doors, and layer URLs."""
    person = world.session(allow("*"), policy=[filled(FILLINGS[kind])])
    stage = world.stage()

    answer = world.send(world.token(person), "GET", f"/v2/{stage.name}/tags/list")

    assert answer.status == 200, answer
    assert world.call(person, "list_images", repositoryName=stage.name).status == 200
    assert world.call(person, "describe_images", repositoryName=stage.name).code == "AccessDeniedException"
    given = {"repositoryName": stage.name, "layerDigest": content.digest_of(stage.image.layers[0])}
    url = json.loads(world.call(person, "get_download_url_for_layer", **given).body)["downloadUrl"]
    assert world.send(None, "GET", url.removeprefix(world.server.url)).body == stage.image.layers[0]


def test_a_session_policy_that_fits_no_token(world: World) -> None:
    """A session policy of 2,000 characters that compress badly is refused in STS's words, and not made useless."""
    statement = {"Sid": "".join(chr(SHUFFLED.randrange(0x4E00, 0x9000)) for _ in range(1800)), **allow("ecr:*")}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]}, ensure_ascii=False)

    with pytest.raises(ClientError) as caught:
        world.session(allow("*"), policy=policy)

    assert code_of(caught) == "PackedPolicyTooLarge"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


# --- Lists ------------------------------------------------------------------------------


def names_told(world: World, person: Any, prefix: str) -> set[str]:
    """Return the names that begin so and that somebody is told by both lists, page by page, tokens and links included."""
    told: set[str] = set()
    more: dict[str, str] = {}
    while True:
        answer = world.call(person, "describe_repositories", maxResults=2, **more)
        assert answer.status == 200, answer
        body = json.loads(answer.body)
        told |= {item["repositoryName"] for item in body["repositories"]}
        if "nextToken" not in body:
            break
        more = {"nextToken": body["nextToken"]}
        claims = body["nextToken"].split(".")[1]
        told |= set(json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["after"])
    token, path = world.token(person), f"/v2/_catalog?n=2&last={prefix}"
    while path:
        answer = world.send(token, "GET", path)
        told |= set(json.loads(answer.body)["repositories"])
        link = answer.headers.get("link", "")
        path = link[1 : link.index(">")] if link else ""
        told |= {path.rpartition("last=")[2].replace("%2F", "/")} if path else set()
    return {name for name in told if name.startswith(prefix)}


def test_lists_name_nothing_that_is_denied(world: World) -> None:
    """A repository that somebody may not describe is in no list of theirs, no page token and no link."""
    prefix = f"listed-{world.number()}/"
    stages = []
    for name in ("a", "b-secret", "c-secret", "d-secret", "e", "f-secret"):
        stage = world.missing()
        stages.append(type(stage)(stage.account, prefix + name, stage.image, stage.spare))
        world.make(stages[-1], "v1")
    secret = {stage.name for stage in stages if "secret" in stage.name}
    public = {stage.name for stage in stages} - secret
    by_identity = world.user(allow("ecr:*"), deny("ecr:DescribeRepositories", on=arn_of(f"{prefix}*secret")))
    by_policy = world.user(allow("ecr:*"))
    for stage in stages:
        if stage.name in secret:
            who = {"AWS": by_policy.arn}
            world.policy(stage, {"Effect": "Deny", "Principal": who, "Action": "ecr:DescribeRepositories"})

    assert names_told(world, world.root, prefix) == public | secret
    assert names_told(world, by_identity, prefix) == public
    assert names_told(world, by_policy, prefix) == public

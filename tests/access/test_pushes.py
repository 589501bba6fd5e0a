"""What a push needs beyond the rows of the matrix: a repository that it makes, and a layer that it takes from elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from moorage.domain import manifests
from tests import content
from tests.access import world as worlds
from tests.access.world import OTHER, allow, allow_all_but, arn_of, deny

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.access.world import Person, Stage, World
    from tests.stacks import Stack

PUSH = ("ecr:InitiateLayerUpload", "ecr:UploadLayerPart", "ecr:CompleteLayerUpload", "ecr:PutImage")


@pytest.fixture(scope="module")
def open_world(tmp_path_factory: pytest.TempPathFactory, stack: Stack) -> Iterator[World]:
    """An installation that makes repositories when they are pushed to."""
    with worlds.opened(tmp_path_factory.mktemp("open"), stack, "--create-on-push") as opened:
        yield opened


def ways(stage: Stage) -> list[tuple[str, str, bytes, str]]:
    """Return the requests that may make a repository."""
    digest = content.digest_of(stage.spare)
    uploads = f"/v2/{stage.name}/blobs/uploads/"
    manifest = f"/v2/{stage.name}/manifests/v1"
    return [
        ("POST", uploads, b"", "ecr:InitiateLayerUpload"),
        ("POST", f"{uploads}?digest={digest}", stage.spare, "ecr:InitiateLayerUpload"),
        ("POST", f"{uploads}?mount={digest}&from=seed", b"", "ecr:InitiateLayerUpload"),
        ("PUT", manifest, stage.image.manifest, "ecr:PutImage"),
    ]


@pytest.mark.parametrize("number", range(4))
def test_a_push_makes_a_repository_only_for_who_may(open_world: World, number: int) -> None:
    """To make a repository by a push takes CreateRepository on it, besides what the push takes; else none is made."""
    world = open_world
    for statements in (
        [allow_all_but("ecr:CreateRepository")],
        [allow("*"), deny("ecr:CreateRepository")],
        [allow(*PUSH), allow("ecr:CreateRepository", on=arn_of("another"))],
    ):
        stage = world.missing()
        method, path, body, _ = ways(stage)[number]
        person = world.user(*statements)

        refused = world.send(world.token(person), method, path, body, Content_Type=manifests.OCI_IMAGE)

        assert (refused.status, refused.code) == (403, "DENIED")
        assert f"User: {person.arn} is not authorized to perform: ecr:CreateRepository on resource: {stage.arn}" in (
            refused.message
        )
        assert not world.rows(stage)["repositories"]


@pytest.mark.parametrize("number", range(4))
def test_who_may_make_a_repository_must_also_push(open_world: World, number: int) -> None:
    """CreateRepository alone makes no repository by a push, nor does the right to push from another account."""
    world = open_world
    for person, reason in (
        (world.user(allow("ecr:CreateRepository")), "because no identity-based policy"),
        (world.user(allow("*"), account=OTHER), "because no resource-based policy"),
    ):
        stage = world.missing()
        method, path, body, action = ways(stage)[number]

        refused = world.send(world.token(person), method, path, body, Content_Type=manifests.OCI_IMAGE)

        assert refused.status == 403
        assert f"is not authorized to perform: {action} on resource: {stage.arn} {reason}" in refused.message
        assert not world.rows(stage)["repositories"]


def test_exactly_what_it_takes_makes_a_repository(open_world: World) -> None:
    """With CreateRepository and the action of the push on that name alone, a push makes the repository."""
    world = open_world
    for method, path, body, action in ways(world.missing()):
        stage = world.missing()
        old = path.split("/blobs/")[0].split("/manifests/")[0].removeprefix("/v2/")
        more = () if "digest=" not in path else PUSH
        person = world.user(allow(action, "ecr:CreateRepository", *more, on=stage.arn))
        sent = path.replace(old, stage.name)

        answer = world.send(world.token(person), method, sent, body, Content_Type=manifests.OCI_IMAGE)

        # A manifest comes before its layers here: it is refused for them, and so is the repository undone.
        assert answer.status in ({201, 202} if method == "POST" else {404})
        assert bool(world.rows(stage)["repositories"]) == (method == "POST")


def test_a_reader_does_not_learn_what_a_push_would_make(open_world: World) -> None:
    """Where pushes make repositories, reading one that is not there makes none."""
    world = open_world
    stage = world.missing()
    token = world.token(world.root)

    for path in ("tags/list", "manifests/v1", f"blobs/{content.digest_of(stage.spare)}"):
        assert world.send(token, "GET", f"/v2/{stage.name}/{path}").status == 404
    assert not world.rows(stage)["repositories"]


# --- Mounts -----------------------------------------------------------------------------


def mounting(world: World, person: Person, target: Stage, source: str | None) -> int:
    """Ask for a layer of another repository; return the status: 201 if it was mounted, 202 if it is to be uploaded."""
    query = f"mount={content.digest_of(target.spare)}" + (f"&from={source}" if source else "")
    return world.send(world.token(person), "POST", f"/v2/{target.name}/blobs/uploads/?{query}").status


def empty(world: World) -> Stage:
    """Return a new repository without the layer that is to be mounted."""
    stage = world.missing()
    world.as_root("create_repository", stage, repositoryName=stage.name)
    return stage


@pytest.mark.parametrize("named", [True, False])
def test_a_mount_takes_the_right_to_download(open_world: World, named: bool) -> None:
    """A layer is mounted from where its taker may download it; otherwise an upload begins, as if it were not there."""
    world, held = open_world, "ecr:GetDownloadUrlForLayer"
    source = world.stage()
    begin = "ecr:InitiateLayerUpload"
    from_ = source.name if named else None
    cases = [
        ([allow(begin), allow(held, on=source.arn)], 201),
        ([allow(begin)], 202),
        ([allow(begin, held, on=arn_of("*")), deny(held)], 202),
        ([allow_all_but(held)], 202),
    ]
    for statements, status in cases:
        target = empty(world)
        person = world.user(*statements)

        assert mounting(world, person, target, from_) == status
        there = world.send(
            world.token(world.root), "HEAD", f"/v2/{target.name}/blobs/{content.digest_of(target.spare)}"
        )
        assert there.status == (200 if status == 201 else 404)


def test_a_mount_does_not_tell_what_is_there(open_world: World) -> None:
    """A source that may not be read, that has no such layer, or that is not there: the same answer."""
    # Not in the world that all tests share: there are repositories in it that are open to everybody.
    world = open_world
    secret, other = world.stage(), empty(world)
    person = world.user(allow("ecr:InitiateLayerUpload"))

    answers = {
        mounting(world, person, empty(world), source)
        for source in (secret.name, other.name, world.missing().name, "Not A Name", "")
    }

    assert answers == {202}


def test_a_mount_takes_the_right_to_begin(world: World) -> None:
    """Who may only download mounts nothing."""
    source, target = world.stage(), empty(world)
    person = world.user(allow("ecr:GetDownloadUrlForLayer"))

    assert mounting(world, person, target, source.name) == 403

"""Accounts and regions: what happens in one registry is not seen in another, whatever is asked."""

from __future__ import annotations

import dataclasses
import json
import uuid
from typing import TYPE_CHECKING, Any, Final

import pytest

from moorage.domain import manifests
from tests import content
from tests.access.calls import CALLS, Call
from tests.access.world import OTHER, Stage, World
from tests.servers import ACCOUNT, REGION

if TYPE_CHECKING:
    from collections.abc import Iterator

ELSEWHERE: Final = "ap-south-1"
REGISTRIES: Final = [(account, region) for account in (ACCOUNT, OTHER) for region in (REGION, ELSEWHERE)]


def alike(world: World) -> list[Stage]:
    """Return repositories of one name in all registries; each has an image and a tag that no other has."""
    name = f"alike/{uuid.uuid4().hex}"
    stages = []
    for account, region in REGISTRIES:
        mark = uuid.uuid4().hex
        body = json.dumps(json.loads(world.image.manifest) | {"annotations": {"mark": mark}}).encode()
        image = dataclasses.replace(world.image, manifest=body)
        stages.append(Stage(account, name, image, world.spare, region))
    return stages


def mark_of(stage: Stage) -> str:
    """Return what only this registry's image has."""
    mark: str = json.loads(stage.image.manifest)["annotations"]["mark"]
    return mark


def traces(stage: Stage) -> Iterator[str]:
    """Return what would tell that an answer is about another registry's repository."""
    yield mark_of(stage)
    yield stage.image.digest
    yield stage.arn


@pytest.mark.parametrize(("number", "call"), list(enumerate(CALLS)), ids=lambda value: getattr(value, "title", ""))
def test_what_is_done_in_one_registry_is_done_there_alone(world: World, number: int, call: Call) -> None:
    """Each request, by the root, changes nothing in the repositories of the same name elsewhere, and tells nothing of them."""
    stages = alike(world)
    here = stages.pop(number % len(stages))
    for stage in stages if call.creates else [here, *stages]:
        world.make(stage, "v1", mark_of(stage))
    asked = call.prepare(world, here)
    before = [world.rows(stage) for stage in stages]

    outcome = asked.send(world, world.root_of(here.account), here.account, here.region)

    assert outcome.status == call.status, outcome
    assert [world.rows(stage) for stage in stages] == before
    told = outcome.body.decode(errors="replace") + repr(outcome.headers)
    assert not [trace for stage in stages for trace in traces(stage) if trace in told]


def every_description(world: World, account: str, region: str) -> str:
    """Return all pages of DescribeRepositories, as text."""
    pages: list[dict[str, Any]] = []
    more: dict[str, Any] = {"maxResults": 1000}
    while more:
        answer = world.call(world.root_of(account), "describe_repositories", region=region, **more)
        pages.append(json.loads(answer.body))
        token = pages[-1].get("nextToken")
        more = {"maxResults": 1000, "nextToken": token} if token else {}
    return json.dumps([page["repositories"] for page in pages])


def test_lists_hold_what_is_in_their_registry(world: World) -> None:
    """DescribeRepositories and the catalog list a registry's repositories, and those of no other."""
    names: dict[tuple[str, str], str] = {}
    for account, region in REGISTRIES:
        stage = dataclasses.replace(world.missing(account), name=f"zz/{uuid.uuid4().hex}", region=region)
        world.make(stage, "v1")
        names[account, region] = stage.name

    for account, region in REGISTRIES:
        root = world.root_of(account)
        described = every_description(world, account, region)
        listed = world.send(world.token(root, account, region), "GET", "/v2/_catalog?n=1000&last=zy").body.decode()
        for registry, name in names.items():
            assert (name in described) == (registry == (account, region))
            assert (name in listed) == (registry == (account, region))


@pytest.fixture
def two(world: World) -> tuple[Stage, Stage]:
    """Two repositories of one name, in two regions of the account."""
    first, second, *_ = alike(world)
    world.make(first, "v1")
    world.make(second, "v1")
    return first, second


@pytest.fixture
def tokens(world: World) -> dict[str, str]:
    """The root's docker logins in the two regions."""
    return {region: world.token(world.root, ACCOUNT, region) for region in (REGION, ELSEWHERE)}


def test_an_upload_belongs_to_its_registry(world: World, two: tuple[Stage, Stage], tokens: dict[str, str]) -> None:
    """An upload that was begun in one region is unknown in the repository of the same name in another."""
    here, there = two
    path = f"/v2/{here.name}/blobs/uploads/{world.upload(here, b'some')}"

    assert world.send(tokens[here.region], "GET", path).status == 204
    for method, more in (("GET", ""), ("PATCH", ""), ("PUT", f"?digest={content.digest_of(b'some')}"), ("DELETE", "")):
        refused = world.send(tokens[there.region], method, path + more, b"more" if method == "PATCH" else b"")
        assert (refused.status, refused.code) == (404, "BLOB_UPLOAD_UNKNOWN") or method == "HEAD"
    assert world.send(tokens[here.region], "GET", path).headers["range"] == "0-3"


def test_nothing_is_mounted_from_another_registry(world: World, tokens: dict[str, str]) -> None:
    """A blob that only the repository of the same name elsewhere has is not mounted, and its bytes are not served."""
    data = uuid.uuid4().bytes
    digest = content.digest_of(data)
    here, _, abroad, _ = alike(world)
    world.make(here, "v1")
    world.make(abroad, "v1")
    sent = world.send(
        world.token(world.other_root, OTHER), "POST", f"/v2/{abroad.name}/blobs/uploads/?digest={digest}", data
    )
    assert sent.status == 201

    for query in (f"mount={digest}&from={abroad.name}", f"mount={digest}"):
        for region in (REGION, ELSEWHERE):
            path = f"/v2/{here.name}/blobs/uploads/?{query}"
            assert world.send(tokens[region], "POST", path).status == (202 if region == REGION else 404)
    assert world.send(tokens[REGION], "GET", f"/v2/{here.name}/blobs/{digest}").status == 404
    assert world.send(tokens[REGION], "HEAD", f"/v2/{here.name}/blobs/{digest}").status == 404


def test_an_image_is_not_made_of_what_is_elsewhere(world: World, tokens: dict[str, str]) -> None:
    """A manifest whose layers only another account has is refused, as one whose layers nobody has."""
    here, _, abroad, _ = alike(world)
    world.make(here, "v1")
    world.make(abroad, "v1")
    image = content.image()
    for blob in (image.config, *image.layers):
        path = f"/v2/{abroad.name}/blobs/uploads/?digest={content.digest_of(blob)}"
        assert world.send(world.token(world.other_root, OTHER), "POST", path, blob).status == 201
    nowhere = content.image()

    for pushed in (image, nowhere):
        path = f"/v2/{here.name}/manifests/v2"
        refused = world.send(tokens[REGION], "PUT", path, pushed.manifest, Content_Type=manifests.OCI_IMAGE)
        assert (refused.status, refused.code) == (404, "MANIFEST_BLOB_UNKNOWN") or refused.code == "BLOB_UNKNOWN", (
            refused
        )


def test_a_page_token_belongs_to_its_registry(world: World, two: tuple[Stage, Stage]) -> None:
    """A nextToken of one region, account or repository continues no list of another."""
    here, there = two
    for stage in two:
        world.make(dataclasses.replace(stage, name=f"{stage.name}/more"), "v1", "v2")

    def page(region: str, operation: str, **arguments: Any) -> Any:
        return world.call(world.root, operation, region=region, maxResults=1, **arguments)

    lists: list[tuple[str, dict[str, str]]] = [
        ("describe_repositories", {}),
        ("list_images", {"repositoryName": f"{here.name}/more"}),
    ]
    for operation, arguments in lists:
        token = json.loads(page(here.region, operation, **arguments).body)["nextToken"]
        assert page(here.region, operation, nextToken=token, **arguments).status == 200
        refused = page(there.region, operation, nextToken=token, **arguments)
        assert (refused.status, refused.code) == (400, "InvalidParameterException")
        abroad = world.call(world.other_root, operation, nextToken=token, maxResults=1, **arguments)
        assert abroad.code in {"InvalidParameterException", "RepositoryNotFoundException"}

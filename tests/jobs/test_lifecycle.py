"""The job ``lifecycle``: what a preview says is what it does, and nothing that changed since is touched."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from moorage.domain import manifests
from moorage.domain.names import Tag
from moorage.jobs import Run, Stopped
from moorage.jobs.lifecycle import carry_out_lifecycles
from moorage.registry import archive, audit, images, lifecycle, listing, repositories
from tests import content

if TYPE_CHECKING:
    from moorage.registry.repositories import Repository
    from tests.jobs.conftest import Clock
    from tests.registry.kit import Bench

KEEP_TWO = json.dumps(
    {
        "rules": [
            {
                "rulePriority": 1,
                "selection": {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 2},
                "action": {"type": "expire"},
            }
        ]
    }
)


def push(bench: Bench, repository: Repository, tag: str) -> None:
    image = content.image()
    for data in (image.config, *image.layers):
        bench.blob(data, repository)
    bench.put(image.manifest, tag, repository=repository)


@pytest.fixture
def repository(bench: Bench, clock: Clock) -> Repository:
    """A repository of five images, v0 (the oldest) to v4, and a policy that keeps two."""
    made = bench.repository("aged")
    for n in range(5):
        clock.move(minutes=1)
        push(bench, made, f"v{n}")
    with bench.write() as ctx:
        lifecycle.put(ctx, made, KEEP_TWO)
    return made


def there(bench: Bench, repository: Repository) -> list[str]:
    with bench.read() as ctx:
        return [tag for tag in (f"v{n}" for n in range(5)) if images.digest_of_tag(ctx, repository, tag)]


def run(bench: Bench, clock: Clock) -> dict[str, Any]:
    work = Run()
    carry_out_lifecycles(bench.registry, clock(), work)
    return work.state()


def test_a_policy_is_carried_out_when_it_is_due(bench: Bench, clock: Clock, repository: Repository) -> None:
    """Not at once, then once, and again after the interval; when it was is told."""
    assert run(bench, clock)["done"] == 0
    clock.move(minutes=5)
    assert run(bench, clock) == {"done": 1, "total": None, "repositories": 1, "expired": 3, "archived": 0}
    assert there(bench, repository) == ["v3", "v4"]
    with bench.read() as ctx:
        assert lifecycle.get(ctx, repository).evaluated_at == clock()
    assert run(bench, clock)["done"] == 0
    push(bench, repository, "v0")
    clock.move(minutes=60)
    assert run(bench, clock)["expired"] == 1
    assert there(bench, repository) == ["v0", "v4"]


def test_what_a_preview_says_is_what_is_done(bench: Bench, clock: Clock, repository: Repository) -> None:
    """The job and the preview ask the same question."""
    clock.move(minutes=5)
    with bench.read() as ctx:
        foretold = {image.digest for image, _rule in lifecycle.select(ctx, repository, KEEP_TWO)}
        before = {image.digest for image in lifecycle.snapshot(ctx, repository)}
    run(bench, clock)
    with bench.read() as ctx:
        assert before - {image.digest for image in lifecycle.snapshot(ctx, repository)} == foretold


def test_an_image_that_is_tagged_meanwhile_stays(
    bench: Bench, clock: Clock, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the snapshot and the deletion an image may become another: it is looked at again under the lock."""
    clock.move(minutes=5)
    select = lifecycle.select

    def slowly(*given: Any) -> Any:
        found = select(*given)
        with bench.write() as ctx:
            image = images.get(ctx, repository, Tag.parse("v1"))
            images.put(ctx, repository, manifests.parse(image.body, image.media_type), tags=[Tag.parse("release")])
        return found

    monkeypatch.setattr(lifecycle, "select", slowly)
    assert run(bench, clock)["expired"] == 2
    assert there(bench, repository) == ["v1", "v3", "v4"]


def test_a_policy_that_is_taken_back_stops(
    bench: Bench, clock: Clock, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is pending is cancelled with the policy."""
    clock.move(minutes=5)
    select = lifecycle.select

    def slowly(*given: Any) -> Any:
        found = select(*given)
        with bench.write() as ctx:
            lifecycle.delete(ctx, repository)
        return found

    monkeypatch.setattr(lifecycle, "select", slowly)
    assert run(bench, clock)["expired"] == 0
    assert there(bench, repository) == ["v0", "v1", "v2", "v3", "v4"]


def test_one_that_fails_does_not_hold_up_the_others(
    bench: Bench, clock: Clock, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is tried again when it is next due."""
    clock.move(minutes=1)
    other = bench.repository("other")
    with bench.write() as ctx:
        lifecycle.put(ctx, other, KEEP_TWO)
    clock.move(minutes=5)
    select = lifecycle.select

    def failing(ctx: Any, asked: Repository, text: str) -> Any:
        if asked.name == "aged":
            raise RuntimeError
        return select(ctx, asked, text)

    with monkeypatch.context() as broken:
        broken.setattr(lifecycle, "select", failing)
        assert run(bench, clock)["done"] == 2
    assert len(there(bench, repository)) == 5
    clock.move(minutes=60)
    assert run(bench, clock)["expired"] == 3


def test_a_run_that_is_stopped_goes_on_later(bench: Bench, clock: Clock, repository: Repository) -> None:
    """Nothing is marked as done that was not."""
    clock.move(minutes=5)
    work = Run()
    work.stop()
    with pytest.raises(Stopped):
        carry_out_lifecycles(bench.registry, clock(), work)
    assert run(bench, clock)["expired"] == 3
    assert there(bench, repository) == ["v3", "v4"]


def test_a_repository_that_goes_takes_its_policy_along(bench: Bench, clock: Clock, repository: Repository) -> None:
    """Nothing is due for it."""
    with bench.write() as ctx:
        repositories.delete(ctx, repository, force=True)
    clock.move(minutes=5)
    assert run(bench, clock)["done"] == 0


def test_what_is_to_be_archived_is_not_deleted(bench: Bench, clock: Clock, repository: Repository) -> None:
    """A rule that moves images archives those it acts on, once; they come back by hand, and their age begins anew."""
    rule = json.loads(KEEP_TWO)["rules"][0] | {"action": {"type": "transition", "targetStorageClass": "archive"}}
    with bench.write() as ctx:
        lifecycle.put(ctx, repository, json.dumps({"rules": [rule]}))
    clock.move(minutes=5)

    assert run(bench, clock) == {"done": 1, "total": None, "repositories": 1, "expired": 0, "archived": 3}

    assert there(bench, repository) == ["v0", "v1", "v2", "v3", "v4"]
    with bench.read() as ctx:
        assert listing.tag_names(ctx, repository, limit=9, after="") == ["v3", "v4"]
    clock.move(minutes=60)
    with bench.write() as ctx:
        digest = images.digest_of_tag(ctx, repository, "v0")
        assert digest is not None
        archive.restore(ctx, repository, digest)
    # v0 is the youngest now, so that v3 is one too many.
    assert run(bench, clock)["archived"] == 1
    with bench.read() as ctx:
        assert listing.tag_names(ctx, repository, limit=9, after="") == ["v0", "v4"]


def test_the_audit_trail_has_what_was_done(bench: Bench, clock: Clock, repository: Repository) -> None:
    """A ``PolicyExecutionEvent`` tells each image with its rule; a run that does nothing tells nothing."""
    lines: list[dict[str, Any]] = []
    sink = SimpleNamespace(put=lambda line: lines.append(json.loads(line)), close=lambda: None, lost=0)
    bench.registry.trail = audit.Trail(sink, bench.settings, clock)
    clock.move(minutes=5)
    run(bench, clock)
    clock.move(minutes=60)
    run(bench, clock)
    (event,) = [line for line in lines if line["eventName"] == "PolicyExecutionEvent"]
    assert event["resources"] == [{"ARN": repository.arn, "accountId": repository.registry_id}]
    assert (event["eventType"], event["serviceEventDetails"]["repositoryName"]) == ("AwsServiceEvent", "aged")
    actions = event["serviceEventDetails"]["lifecycleEventImageActions"]
    told = [(one["lifecycleEventImage"]["tagList"], one["rulePriority"], one["action"]) for one in actions]
    assert told == [(["v0"], 1, "expire"), (["v1"], 1, "expire"), (["v2"], 1, "expire")]

"""The examples of lifecycle policies in ECR's user guide: what it says becomes of their images becomes of them here."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from moorage.drivers.postgres import PostgresDatabase
from moorage.drivers.sqlite import SqliteDatabase
from moorage.registry.tables import archivals, manifests, pulls
from tests import content
from tests.access.kit import moorage

if TYPE_CHECKING:
    from tests.servers import Server

EXPIRE, TRANSITION = "EXPIRE", "TRANSITION"


@dataclass(frozen=True)
class Aged:
    """An image, and how many days ago things happened to it."""

    tags: tuple[str, ...] = ()
    pushed: float = 0
    pulled: float | None = None
    archived: float | None = None
    restored: float | None = None


@dataclass(frozen=True)
class Example:
    """Images, the rules of a policy by priority, and which of them acts on which image."""

    images: dict[str, Aged]
    rules: list[dict[str, Any]]
    acted: dict[str, tuple[int, str]]


def tagged(*tags: str, pushed: float, **more: float) -> Aged:
    return Aged(tags, pushed, **more)


def untagged(pushed: float) -> Aged:
    return Aged((), pushed)


def but_newest(number: int, status: str = "any", **selection: Any) -> dict[str, Any]:
    """Return a rule that expires all images but so many."""
    chosen = {"tagStatus": status, **selection, "countType": "imageCountMoreThan", "countNumber": number}
    return {"selection": chosen, "action": {"type": "expire"}}


def older(days: int, status: str = "any", **selection: Any) -> dict[str, Any]:
    """Return a rule that expires images by the time since their push."""
    since = {"countType": "sinceImagePushed", "countUnit": "days", "countNumber": days}
    return {"selection": {"tagStatus": status, **selection, **since}, "action": {"type": "expire"}}


def unpulled(days: int, status: str = "any", **selection: Any) -> dict[str, Any]:
    """Return a rule that archives images by the time since their last pull."""
    since = {"countType": "sinceImagePulled", "countUnit": "days", "countNumber": days}
    action = {"type": "transition", "targetStorageClass": "archive"}
    return {"selection": {"tagStatus": status, **selection, **since}, "action": action}


def long_archived(days: int) -> dict[str, Any]:
    """Return a rule that expires images by the time since they were archived."""
    since = {"countType": "sinceImageTransitioned", "countUnit": "days", "countNumber": days}
    return {"selection": {"tagStatus": "any", "storageClass": "archive", **since}, "action": {"type": "expire"}}


def prefixed(*prefixes: str) -> dict[str, Any]:
    return {"tagPrefixList": list(prefixes)}


def patterned(*patterns: str) -> dict[str, Any]:
    return {"tagPatternList": list(patterns)}


TWO_STAGES = {
    "A": tagged("beta-1", "prod-1", pushed=10),
    "B": tagged("beta-2", "prod-2", pushed=9),
    "C": tagged("beta-3", pushed=8),
}
UNUSED = {
    "pulled long ago": tagged("a", pushed=200, pulled=100),
    "in use": tagged("b", pushed=200, pulled=10),
    "never pulled": tagged("c", pushed=200),
    "new": tagged("d", pushed=30),
}

EXAMPLES = {
    "image age": Example(
        {
            "old": tagged("prod-1", pushed=15),
            "bare": tagged("production", pushed=20),
            "new": tagged("prod-2", pushed=13),
            "other": tagged("dev-1", pushed=30),
            "inside": tagged("my-prod", pushed=30),
            "untagged": untagged(30),
        },
        [older(14, "tagged", **patterned("prod*"))],
        {"old": (1, EXPIRE), "bare": (1, EXPIRE)},
    ),
    "age of untagged images": Example(
        {"old": untagged(15), "new": untagged(13), "tagged": tagged("v1", pushed=100)},
        [older(14, "untagged")],
        {"old": (1, EXPIRE)},
    ),
    "image count": Example(
        {"U1": untagged(1), "U2": untagged(2), "U3": untagged(3), "tagged": tagged("v1", pushed=4)},
        [but_newest(1, "untagged")],
        {"U2": (1, EXPIRE), "U3": (1, EXPIRE)},
    ),
    # The first rule keeps B, and what it keeps no other may take.
    "several rules, prod first": Example(
        TWO_STAGES,
        [but_newest(1, "tagged", **prefixed("prod")), but_newest(1, "tagged", **prefixed("beta"))],
        {"A": (1, EXPIRE)},
    ),
    "several rules, beta first": Example(
        TWO_STAGES,
        [but_newest(1, "tagged", **prefixed("beta")), but_newest(1, "tagged", **prefixed("prod"))],
        {"A": (1, EXPIRE), "B": (1, EXPIRE)},
    ),
    # An image must have a tag for each entry of the list.
    "several tags in a rule, by age": Example(
        {
            "A": tagged("alpha-1", pushed=12),
            "B": tagged("beta-1", pushed=11),
            "C": tagged("alpha-2", "beta-2", pushed=10),
            "D": tagged("alpha-3", pushed=4),
            "E": tagged("beta-3", pushed=3),
            "F": tagged("alpha-4", "beta-4", pushed=2),
        },
        [older(5, "tagged", **prefixed("alpha", "beta"))],
        {"C": (1, EXPIRE)},
    ),
    "several tags in a rule, by count": Example(
        {
            "A": tagged("alpha-1", "beta-1", "gamma-1", pushed=10),
            "B": tagged("alpha-2", "beta-2", pushed=9),
            "C": tagged("alpha-3", "beta-3", "gamma-2", pushed=8),
        },
        [but_newest(1, "tagged", **prefixed("alpha", "beta"))],
        {"A": (1, EXPIRE), "B": (1, EXPIRE)},
    ),
    "patterns": Example(
        {
            "release": tagged("1.2.3", pushed=10),
            "candidate": tagged("1.2.3-rc1", pushed=10),
            "minor": tagged("v1.2", pushed=10),
            "exact": tagged("nightly", pushed=10),
            "longer": tagged("nightly-1", pushed=10),
        },
        [older(5, "tagged", **patterned("*.*.*")), older(5, "tagged", **patterned("nightly"))],
        {"release": (1, EXPIRE), "candidate": (1, EXPIRE), "exact": (2, EXPIRE)},
    ),
    "all images": Example(
        {
            "A": tagged("alpha-1", pushed=4),
            "B": tagged("beta-1", pushed=3),
            "C": untagged(2),
            "D": tagged("alpha-2", pushed=1),
        },
        [but_newest(1)],
        {"A": (1, EXPIRE), "B": (1, EXPIRE), "C": (1, EXPIRE)},
    ),
    # E is not older than a day, but matches the second rule, so the third leaves it.
    "all images, last of several rules": Example(
        {
            "A": tagged("alpha-1", "beta-1", pushed=4),
            "B": untagged(3),
            "C": tagged("alpha-2", pushed=2),
            "D": tagged("8f3c1d2", pushed=1.5),
            "E": untagged(0.9),
        },
        [but_newest(1, "tagged", **prefixed("alpha")), older(1, "untagged"), but_newest(1)],
        {"A": (1, EXPIRE), "B": (2, EXPIRE), "D": (3, EXPIRE)},
    ),
    "archive what is not pulled": Example(
        UNUSED, [unpulled(90)], {"pulled long ago": (1, TRANSITION), "never pulled": (1, TRANSITION)}
    ),
    "archive by pattern": Example(
        {"prod": tagged("prod-1", pushed=40), "dev": tagged("dev-1", pushed=40)},
        [unpulled(30, "tagged", **patterned("prod*"))],
        {"prod": (1, TRANSITION)},
    ),
    "archive first, expire in the end": Example(
        UNUSED | {"long": tagged("e", pushed=500, archived=400), "short": tagged("f", pushed=500, archived=100)},
        [unpulled(90), long_archived(365)],
        {"pulled long ago": (1, TRANSITION), "never pulled": (1, TRANSITION), "long": (2, EXPIRE)},
    ),
    # Its age begins anew.
    "what came back stays": Example({"back": tagged("a", pushed=300, archived=100, restored=5)}, [unpulled(90)], {}),
}


def age(server: Server, digest: str, image: Aged) -> None:
    """Let it have happened as long ago as the image says."""
    url = server.database
    database = PostgresDatabase(url) if url else SqliteDatabase(server.data / "moorage.sqlite")
    now = datetime.now(UTC)

    def ago(days: float | None) -> datetime | None:
        return None if days is None else now - timedelta(days=days)

    with contextlib.closing(database), database.write() as tx:
        this = manifests.c.digest == digest
        tx.execute(sa.update(manifests).where(this).values(pushed_at=ago(image.pushed)))
        for column, days in (("archived_at", image.archived), ("activated_at", image.restored)):
            if days is not None:
                moved = sa.update(archivals).where(archivals.c.digest == digest)
                tx.execute(moved.values({column: ago(days)}))
        if image.pulled is not None:
            (repository_id,) = tx.execute(sa.select(manifests.c.repository_id).where(this)).one()
            row = {"repository_id": repository_id, "digest": digest, "pulled_at": ago(image.pulled), "count": 1}
            tx.execute(sa.insert(pulls).values(row))


def stock(server: Server, ecr: Any, repository: str, image: Aged) -> str:
    """Push an image, archive and restore it as it was, and age it; return its digest."""
    pushed = content.push(server, repository, image.tags[0] if image.tags else None)
    for tag in image.tags[1:]:
        content.push(server, repository, tag, pushed)
    moves = [("ARCHIVE", image.archived), ("STANDARD", image.restored)]
    for target in [target for target, days in moves if days is not None]:
        which = {"imageDigest": pushed.digest}
        ecr.update_image_storage_class(repositoryName=repository, imageId=which, targetStorageClass=target)
    age(server, pushed.digest, image)
    return pushed.digest


def statuses(ecr: Any, repository: str) -> dict[str, str]:
    """Return the status of each image that is there."""
    found = ecr.describe_images(repositoryName=repository, filter={"imageStatus": "ANY"})["imageDetails"]
    return {one["imageDigest"]: one["imageStatus"] for one in found}


def previewed(ecr: Any, repository: str) -> dict[str, tuple[int, str]]:
    """Preview the policy of a repository; return which rule does what to each image."""
    ecr.start_lifecycle_policy_preview(repositoryName=repository)
    ecr.get_waiter("lifecycle_policy_preview_complete").wait(repositoryName=repository)
    answer = ecr.get_lifecycle_policy_preview(repositoryName=repository)
    return {one["imageDigest"]: (one["appliedRulePriority"], one["action"]["type"]) for one in answer["previewResults"]}


@pytest.mark.parametrize("name_of_example", EXAMPLES)
def test_an_example_of_the_guide(server: Server, ecr: Any, repository: str, name_of_example: str) -> None:
    """The preview names the images and rules that the guide names, and a run does to these images what it says."""
    example = EXAMPLES[name_of_example]
    digests = {name: stock(server, ecr, repository, image) for name, image in example.images.items()}
    rules = [
        {"rulePriority": place, "description": name_of_example, **rule} for place, rule in enumerate(example.rules, 1)
    ]
    ecr.put_lifecycle_policy(repositoryName=repository, lifecyclePolicyText=json.dumps({"rules": rules}, indent=4))
    before = statuses(ecr, repository)

    assert previewed(ecr, repository) == {digests[name]: acted for name, acted in example.acted.items()}
    assert statuses(ecr, repository) == before

    moorage(server, "lifecycle", "run", repository, "--yes")

    expired = {digests[name] for name, (_, action) in example.acted.items() if action == EXPIRE}
    archived = {digests[name]: "ARCHIVED" for name, (_, action) in example.acted.items() if action == TRANSITION}
    assert statuses(ecr, repository) == {d: s for d, s in (before | archived).items() if d not in expired}
    assert ecr.get_lifecycle_policy(repositoryName=repository)["lastEvaluatedAt"] > datetime(2020, 1, 1, tzinfo=UTC)

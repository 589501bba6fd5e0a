"""Quotas: counted to the last byte, whoever pushes at the same time."""

from __future__ import annotations

import contextlib
import json
import random
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from moorage.cli.main import app as command
from moorage.domain.errors import Failure, LimitExceeded, RepositoryAlreadyExists
from moorage.domain.names import Digest, Tag
from moorage.jobs import Run
from moorage.jobs.collection import collect
from moorage.jobs.recount import recount
from moorage.registry import archive, images, layers, repositories, uploads, usage
from moorage.registry.tables import usage as usage_table
from tests import content
from tests.registry.kit import ACCOUNT, REGION, Bench

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from moorage.registry.repositories import Repository

DATABASES = ("sqlite", "postgres")
PUSHERS = 8


@contextlib.contextmanager
def opened(request: pytest.FixtureRequest, path: Path, database: str, **settings: Any) -> Iterator[Bench]:
    """Open a registry on a database."""
    if database == "postgres":
        settings["database"] = request.getfixturevalue("cluster").migrated()
    with Bench.opened(path, **settings) as bench:
        yield bench


@pytest.fixture(params=DATABASES)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    """A registry on each database."""
    with opened(request, tmp_path, request.param) as made:
        yield made


def held(bench: Bench, repository: Repository) -> usage.Use:
    """What is counted of a repository."""
    with bench.read() as ctx:
        counted = usage.counted(ctx.tx, repository.id)
    assert counted is not None
    return counted


def in_truth(bench: Bench, repository: Repository) -> usage.Use:
    """What a repository holds."""
    with bench.read() as ctx:
        return usage.truth(ctx.tx, repository.id)


def limit(bench: Bench, repository: Repository | None = None, **quotas: int | None) -> None:
    """Set quotas of a repository, or of the account."""
    with bench.write() as ctx:
        if repository is None:
            usage.set_account_quotas(ctx, **quotas)
        else:
            usage.set_repository_quotas(ctx, repository, **quotas)


def _small(number: int, blob: str) -> bytes:
    """A manifest that names one blob; all of one length."""
    layer = {"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": blob, "size": 4}
    return json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {**layer, "mediaType": "application/vnd.oci.image.config.v1+json"},
            "layers": [layer],
            "annotations": {"number": f"{number:06}"},
        }
    ).encode()


def test_what_is_pushed_is_counted(bench: Bench) -> None:
    """Layers count once a repository, manifests and mounted layers too; what is removed counts no more."""
    first, second = bench.first, bench.repository("second")
    blob = bench.blob(b"1234")
    bench.blob(b"1234")
    assert held(bench, first) == (0, 4)

    body = _small(1, blob)
    bench.put(body, "a", "b")
    bench.put(body, "c")
    assert held(bench, first) == (1, 4 + len(body))

    with bench.write() as ctx:
        layer = layers.get(ctx, first, blob)
        uploads.mount(ctx, second, layer)
        uploads.mount(ctx, second, layer)
    assert held(bench, second) == (0, 4)

    with bench.write() as ctx:
        images.delete(ctx, first, Digest.of(body))
        layers.unlink(ctx, first, layer)
    assert held(bench, first) == (0, 0)
    with bench.read() as ctx:
        assert usage.of_account(ctx.tx, ACCOUNT) == (0, 4)


def test_a_deleted_repository_holds_nothing(bench: Bench) -> None:
    """What a repository held counts no more for the account once it is gone."""
    bench.put(_small(1, bench.blob(b"1234")))
    with bench.write() as ctx:
        repositories.delete(ctx, bench.first, force=True)
    with bench.read() as ctx:
        assert usage.of_account(ctx.tx, ACCOUNT) == (0, 0)


def test_a_refused_push_is_not_counted(bench: Bench) -> None:
    """What goes beyond a quota is refused, and leaves neither rows nor counts; what is at the quota is not."""
    limit(bench, bench.first, max_bytes=10)
    bench.blob(b"123456")

    with pytest.raises(LimitExceeded, match="maximum number of bytes per repository"):
        bench.blob(b"78901")

    assert held(bench, bench.first) == in_truth(bench, bench.first) == (0, 6)
    bench.blob(b"7890")
    assert held(bench, bench.first) == (0, 10)


@pytest.mark.parametrize("whose", ["repository", "account"])
def test_where_there_is_no_room_no_upload_begins(bench: Bench, whose: str) -> None:
    """Once a quota of bytes is full an upload is refused before its bytes are sent; one byte of room is room."""
    limit(bench, bench.first if whose == "repository" else None, max_bytes=5)
    bench.blob(b"1234")
    bench.begin()
    bench.blob(b"5")

    with pytest.raises(LimitExceeded, match=f"maximum number of bytes per {whose}"):
        bench.begin()


def test_images_have_a_quota(bench: Bench) -> None:
    """A repository takes so many images and no more; deleting one makes room for one."""
    blob = bench.blob(b"1234")
    limit(bench, bench.first, max_images=2)
    for number in (1, 2):
        bench.put(_small(number, blob))

    with pytest.raises(LimitExceeded, match="maximum number of images per repository"):
        bench.put(_small(3, blob))
    bench.put(_small(2, blob), "a-tag-is-no-image")

    with bench.write() as ctx:
        images.delete(ctx, bench.first, Digest.of(_small(1, blob)))
    bench.put(_small(3, blob))


def test_archived_images_do_not_count(bench: Bench) -> None:
    """An archived image makes room for another one, and comes back only where there is room."""
    blob = bench.blob(b"1234")
    limit(bench, bench.first, max_images=1)
    bench.put(_small(1, blob))
    with bench.write() as ctx:
        archive.archive(ctx, bench.first, Digest.of(_small(1, blob)))
    assert held(bench, bench.first) == in_truth(bench, bench.first)
    bench.put(_small(2, blob))

    with pytest.raises(LimitExceeded), bench.write() as ctx:
        archive.restore(ctx, bench.first, Digest.of(_small(1, blob)))

    with bench.write() as ctx:
        images.delete(ctx, bench.first, Digest.of(_small(2, blob)))
    with bench.write() as ctx:
        archive.restore(ctx, bench.first, Digest.of(_small(1, blob)))
    assert held(bench, bench.first) == in_truth(bench, bench.first)


def test_a_quota_can_be_lifted(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """A repository's own quota comes before the setting's, in both directions, and can be taken back."""
    with opened(request, tmp_path, "sqlite", bytes_per_repository=3) as bench:
        with pytest.raises(LimitExceeded):
            bench.blob(b"1234")
        limit(bench, bench.first, max_bytes=usage.UNLIMITED)
        bench.blob(b"1234")
        limit(bench, bench.first, max_bytes=None)
        with pytest.raises(LimitExceeded):
            bench.blob(b"5")


def test_tags_have_a_limit(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """An image takes as many tags as the setting says; moving one of them is not one more."""
    with opened(request, tmp_path, "sqlite", tags_per_image=2) as bench:
        body = _small(1, bench.blob(b"1234"))
        bench.put(body, "a", "b")
        with pytest.raises(LimitExceeded, match="maximum number of tags per image"):
            bench.put(body, "c")
        bench.put(body, "a")


@pytest.mark.parametrize("whose", ["repository", "account"])
def test_pushers_hit_the_limit_exactly(bench: Bench, whose: str) -> None:
    """Eight pushers at once, in one repository or in eight of an account, fill a quota of bytes to the last byte."""
    count, size = 60, 100
    mine = [bench.first if whose == "repository" else bench.repository(f"r{n}") for n in range(PUSHERS)]
    limit(bench, bench.first if whose == "repository" else None, max_bytes=count * size)

    def push(pusher: int) -> int:
        pushed = 0
        for number in range(count // PUSHERS + 4):
            try:
                bench.blob(f"{pusher:08}{number:092}".encode(), mine[pusher])
                pushed += 1
            except LimitExceeded:
                pass
        return pushed

    with ThreadPoolExecutor(PUSHERS) as threads:
        assert sum(threads.map(push, range(PUSHERS))) == count

    with bench.read() as ctx:
        assert usage.of_account(ctx.tx, ACCOUNT).bytes == count * size
    assert sum(in_truth(bench, one).bytes for one in {one.id: one for one in mine}.values()) == count * size


def test_images_hit_the_limit_exactly(bench: Bench) -> None:
    """Eight pushers of images at once leave exactly as many as the quota allows."""
    blob = bench.blob(b"1234")
    first = bench.first
    limit(bench, first, max_images=20)

    def push(pusher: int) -> int:
        pushed = 0
        for number in range(6):
            with contextlib.suppress(LimitExceeded):
                bench.put(_small(pusher * 100 + number, blob), repository=first)
                pushed += 1
        return pushed

    with ThreadPoolExecutor(PUSHERS) as threads:
        assert sum(threads.map(push, range(PUSHERS))) == 20
    assert held(bench, first) == in_truth(bench, first)


def test_repositories_hit_the_limit_exactly(bench: Bench) -> None:
    """Eight who create repositories at once make exactly as many as the account may have in a region."""
    limit(bench, max_repositories=11)  # with the one that is there

    def create(creator: int) -> int:
        made = 0
        for number in range(4):
            with contextlib.suppress(LimitExceeded):
                bench.repository(f"c{creator}/{number}")
                made += 1
        return made

    with ThreadPoolExecutor(PUSHERS) as threads:
        assert sum(threads.map(create, range(PUSHERS))) == 10
    with pytest.raises(RepositoryAlreadyExists):
        bench.repository("first")


@pytest.mark.parametrize("seed", range(3))
def test_counts_are_the_truth(bench: Bench, seed: int) -> None:
    """After 80 operations at random, four at once, refused ones among them, what is counted is what is there."""
    there = [bench.first, bench.repository("second")]
    for repository in there:
        limit(bench, repository, max_bytes=3000, max_images=6)
    limit(bench, max_bytes=5000)

    def act(turn: int) -> None:
        chance = random.Random(seed * 1000 + turn)  # noqa: S311 (a test that can be repeated)
        repository, number = chance.choice(there), chance.randrange(8)
        data = str(number).encode() * 100
        blob, tag = content.digest_of(data), Tag(f"t{chance.randrange(4)}")
        with contextlib.suppress(Failure):
            match chance.choice(["blob", "blob", "put", "put", "put", "delete", "untag", "unlink", "mount"]):
                case "blob":
                    bench.blob(data, repository)
                case "put":
                    bench.put(_small(number, blob), tag, repository=repository)
                case "delete":
                    with bench.write() as ctx:
                        images.delete(ctx, repository, Digest.of(_small(number, blob)))
                case "untag":
                    with bench.write() as ctx:
                        images.untag(ctx, repository, tag)
                case "unlink":
                    with bench.write() as ctx:
                        layers.unlink(ctx, repository, layers.get(ctx, repository, blob))
                case _:
                    with bench.write() as ctx:
                        uploads.mount(ctx, repository, layers.get(ctx, there[not there.index(repository)], blob))

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(act, range(80)))

    assert [held(bench, repository) for repository in there] == [in_truth(bench, repository) for repository in there]

    bench.registry.clock = lambda: datetime.now(UTC) + timedelta(days=400)
    collect(bench.registry, bench.registry.clock(), Run())
    assert [held(bench, repository) for repository in there] == [in_truth(bench, repository) for repository in there]
    run = Run()
    recount(bench.registry, bench.registry.clock(), run)
    assert run.facts == {"repositories": 2, "repaired": 0}


def test_a_wrong_count_is_repaired(bench: Bench) -> None:
    """The job ``recount`` finds repositories that were miscounted, or not counted at all, and counts them anew."""
    second = bench.repository("second")
    bench.put(_small(1, bench.blob(b"1234")))
    bench.blob(b"12", second)
    with bench.registry.database.write() as tx:
        tx.execute(sa.update(usage_table).where(usage_table.c.repository_id == bench.first.id).values(bytes=1))
        tx.execute(sa.delete(usage_table).where(usage_table.c.repository_id == second.id))

    recount(bench.registry, bench.registry.clock(), run := Run())

    assert run.facts == {"repositories": 2, "repaired": 2}
    for repository in (bench.first, second):
        assert held(bench, repository) == in_truth(bench, repository)


def test_what_an_older_node_made_is_counted_by_the_next_push(bench: Bench) -> None:
    """A repository without counts gets them, whole, with the first push that counts."""
    bench.blob(b"1234")
    with bench.registry.database.write() as tx:
        tx.execute(sa.delete(usage_table))

    bench.blob(b"567")

    assert held(bench, bench.first) == (0, 7)


def test_quotas_are_set_by_a_command(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """``moorage quota`` sets quotas of a repository and of the account, and shows what is used of them."""
    with opened(request, tmp_path, "sqlite") as bench:
        bench.blob(b"1234")

        def quota(*arguments: str) -> Any:
            common = ("--data", str(tmp_path), "--account-id", ACCOUNT)
            return CliRunner().invoke(command, ["quota", *arguments, *common], env={"MOORAGE_REGION": REGION})

        assert quota("set", "first", "--bytes", "1KiB", "--images", "7").exit_code == 0
        assert quota("set", "--bytes", "2GB", "--repositories", "none").exit_code == 0
        shown = json.loads(quota("show", "first", "--json").stdout)
        assert shown == {"used": {"images": 0, "bytes": 4}, "limits": {"images": 7, "bytes": 1024}}
        assert quota("show").stdout == "repositories: 1 of no limit\nimages: 0 of no limit\nbytes: 4 of 2000000000\n"

        assert quota("set", "first", "--bytes", "default").exit_code == 0
        assert "bytes: 4 of no limit" in quota("show", "first").stdout
        for wrong in (["set"], ["set", "first", "--repositories", "1"], ["set", "--bytes", "much"], ["show", "none"]):
            assert quota(*wrong).exit_code == 2

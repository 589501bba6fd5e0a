"""Pull times: noted in memory, written in batches, with what is excluded left out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from moorage.domain.errors import ExclusionAlreadyExists, ExclusionNotFound, LimitExceeded
from moorage.domain.names import Digest
from moorage.domain.policies import Principal
from moorage.registry import images, listing, pulls
from moorage.registry.auth import Identity
from moorage.registry.tables import pulls as table
from tests.registry.kit import ACCOUNT, REGION

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.registry.kit import Bench

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ALICE = f"arn:aws:iam::{ACCOUNT}:user/alice"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/scanner"


@pytest.fixture
def times(bench: Bench) -> Iterator[list[datetime]]:
    """The time, which the test sets."""
    now, clock = [NOW], bench.registry.clock
    bench.registry.clock = lambda: now[0]
    yield now
    bench.registry.clock = clock


def principal(arn: str = ALICE, role: str | None = None) -> Identity:
    """Return a caller."""
    return Identity(Principal(arn, ACCOUNT, "id", role_arn=role), "key", ACCOUNT, REGION)


def pull(bench: Bench, digest: str, who: Identity | None = None) -> None:
    """Note a pull."""
    with bench.registry.read(who or principal()) as ctx:
        bench.registry.pulls.note(ctx, bench.first, digest)


def flush(bench: Bench) -> int:
    """Write what was noted."""
    return bench.registry.pulls.flush(bench.registry.database)


def stored(bench: Bench) -> dict[str, tuple[datetime, int]]:
    """Return what is written, by digest."""
    return {row.digest: (row.pulled_at, row.count) for row in bench.rows(sa.select(table))}


def test_a_pull_writes_nothing_until_the_flush(bench: Bench, times: list[datetime]) -> None:
    """Pulls are noted in memory; a flush writes each image once, with the last time and the count."""
    first, second = bench.image("v1").digest, bench.image("v2").digest
    for digest in (first, second, first):
        times[0] += timedelta(minutes=1)
        pull(bench, digest)
    assert stored(bench) == {}

    assert flush(bench) == 2

    assert stored(bench) == {first: (NOW + timedelta(minutes=3), 2), second: (NOW + timedelta(minutes=2), 1)}
    assert flush(bench) == 0
    with bench.read() as ctx:
        told = {item.digest: item.pulled_at for item in listing.details_of(ctx, bench.first, [Digest(first)])}
    assert told == {first: NOW + timedelta(minutes=3)}


def test_time_goes_on_only(bench: Bench, times: list[datetime]) -> None:
    """What another worker wrote of a later pull stands, and the counts of all workers are added up."""
    digest = bench.image("v1").digest
    pull(bench, digest)
    with bench.other_worker() as other:
        other.registry.clock = lambda: NOW + timedelta(hours=1)
        pull(other, digest)
        assert flush(other) == 1
    assert flush(bench) == 1
    assert stored(bench) == {digest: (NOW + timedelta(hours=1), 2)}

    times[0] += timedelta(hours=2)
    pull(bench, digest)
    flush(bench)
    assert stored(bench) == {digest: (NOW + timedelta(hours=2), 3)}


def test_what_is_gone_is_let_go(bench: Bench, times: list[datetime]) -> None:
    """An image that was deleted since its pull does not hold up the others, and comes back without a time."""
    gone, kept = bench.image("v1"), bench.image("v2")
    for image in (gone, kept):
        pull(bench, image.digest)
    with bench.write() as ctx:
        images.delete(ctx, bench.first, Digest(gone.digest))
    assert flush(bench) == 1
    assert stored(bench) == {kept.digest: (times[0], 1)}

    with bench.write() as ctx:
        images.delete(ctx, bench.first, Digest(kept.digest))
    assert stored(bench) == {}


def test_what_cannot_be_written_is_kept(bench: Bench, times: list[datetime], monkeypatch: pytest.MonkeyPatch) -> None:
    """While the database is away pulls go on being noted, and are written when it is back."""
    digest = bench.image("v1").digest
    pull(bench, digest)

    def away() -> Any:
        raise OperationalError("BEGIN", {}, OSError("away"))

    with monkeypatch.context() as patch:
        patch.setattr(bench.registry.database, "write", away)
        assert flush(bench) == 0
    pull(bench, digest)
    assert flush(bench) == 1
    assert stored(bench) == {digest: (times[0], 2)}


def test_what_is_noted_is_bounded(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the most that is noted at a time new images are let go, and known ones go on counting."""
    monkeypatch.setattr(pulls, "_MOST", 2)
    digests = [bench.image(f"v{n}").digest for n in range(3)]
    for digest in (*digests, *digests):
        pull(bench, digest)
    assert flush(bench) == 2
    assert {digest: count for digest, (_, count) in stored(bench).items()} == dict.fromkeys(digests[:2], 2)


@pytest.mark.parametrize(
    ("excluded", "who", "recorded"),
    [
        (ALICE, principal(), False),
        (ROLE, principal(f"arn:aws:sts::{ACCOUNT}:assumed-role/scanner/run-1", ROLE), False),
        (ROLE, principal(), True),
        (f"{ALICE}s", principal(), True),
    ],
)
def test_who_is_excluded_leaves_no_time(
    bench: Bench, times: list[datetime], excluded: str, who: Identity, recorded: bool
) -> None:
    """Pulls of an excluded user or of sessions of an excluded role leave neither time nor count."""
    digest = bench.image("v1").digest
    with bench.write() as ctx:
        pulls.exclude(ctx, excluded)
    times[0] += timedelta(seconds=1)
    pull(bench, digest, who)
    flush(bench)
    assert (digest in stored(bench)) == recorded


def test_an_exclusion_is_about_later_pulls(bench: Bench, times: list[datetime]) -> None:
    """A pull from before the exclusion counts, even if it is written after; and so do pulls after it has ended."""
    digest = bench.image("v1").digest
    pull(bench, digest)
    times[0] += timedelta(minutes=1)
    with bench.write() as ctx:
        pulls.exclude(ctx, ALICE)
    flush(bench)
    assert stored(bench) == {digest: (NOW, 1)}

    with bench.write() as ctx:
        pulls.include(ctx, ALICE)
    pull(bench, digest)
    flush(bench)
    assert stored(bench) == {digest: (times[0], 2)}


def test_an_exclusion_holds_in_its_registry(bench: Bench, times: list[datetime]) -> None:
    """The same user's pulls from another region's registry leave their time."""
    digest = bench.image("v1").digest
    with bench.registry.write(Identity(principal().principal, "key", ACCOUNT, "other-region")) as ctx:
        pulls.exclude(ctx, ALICE)
    times[0] += timedelta(seconds=1)
    pull(bench, digest)
    assert flush(bench) == 1


def test_a_hundred_are_excluded_at_most(bench: Bench) -> None:
    """The hundred-and-first exclusion is refused; one that is there is told to be, and one that is not likewise."""
    arns = [f"{ALICE}-{n:03}" for n in range(pulls.MAX_EXCLUSIONS)]
    with bench.write() as ctx:
        for arn in arns:
            pulls.exclude(ctx, arn)
        with pytest.raises(LimitExceeded):
            pulls.exclude(ctx, ALICE)
        with pytest.raises(ExclusionAlreadyExists):
            pulls.exclude(ctx, arns[0])
        with pytest.raises(ExclusionNotFound):
            pulls.include(ctx, ALICE)
        assert pulls.exclusions(ctx, limit=None, next_token=None) == (arns, None)

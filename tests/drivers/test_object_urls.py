"""Storage URLs and locations: what they may say, and what is refused without being repeated."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage import app
from moorage.config import Settings, SettingsError
from moorage.drivers.object_urls import Target
from moorage.drivers.pieces import Location, Piece, is_key
from moorage.registry.storage import upload_of

if TYPE_CHECKING:
    from pathlib import Path

STEM = "ab/ab345678-1234-1234-1234-123456789abc"


@pytest.mark.parametrize(
    ("url", "bucket", "prefix", "endpoint", "is_virtual"),
    [
        ("s3://layers", "layers", "", None, True),
        ("s3://layers/", "layers", "", None, True),
        ("s3://layers/some/prefix/", "layers", "some/prefix", None, True),
        ("s3://my.layers/a?endpoint=http://localhost:9000/", "my.layers", "a", "http://localhost:9000", False),
        (
            "s3://layers/a?endpoint=https://s3.example&addressing=virtual",
            "layers",
            "a",
            "https://layers.s3.example",
            True,
        ),
        ("s3://layers?addressing=path", "layers", "", None, False),
        ("gs://layers/a", "layers", "a", None, True),
        ("az://layers/a?account=me", "layers", "a", None, True),
    ],
)
def test_a_url_says_where(url: str, bucket: str, prefix: str, endpoint: str | None, is_virtual: bool) -> None:
    """Bucket, prefix, address, and whether the bucket is part of the host's name."""
    target = Target.parse(url)

    assert (target.bucket, target.prefix, target.endpoint) == (bucket, prefix, endpoint)
    assert target.is_virtual == is_virtual


def test_the_region_is_the_urls_or_the_environments(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the URL says goes first, then AWS's two variables, then AWS's own default."""
    monkeypatch.delenv("AWS_REGION", raising=False)
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    assert Target.parse("s3://layers").region == "us-east-1"
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-north-1")
    assert Target.parse("s3://layers").region == "eu-north-1"
    monkeypatch.setenv("AWS_REGION", "eu-south-1")
    assert Target.parse("s3://layers").region == "eu-south-1"
    assert Target.parse("s3://layers?region=eu-west-1").region == "eu-west-1"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("ftp://layers", "is none of az, gs, s3"),
        ("s3://", "must name a bucket"),
        ("s3:///prefix", "must name a bucket"),
        ("s3://a", "must name a bucket"),
        ("s3://layers/../other", "prefix may have"),
        ("s3://layers/a//b", "prefix may have"),
        ("s3://layers/a b", "prefix may have"),
        ("s3://layers?colour=red", "knows no option colour"),
        ("gs://layers?region=x", "knows no option region"),
        ("s3://layers?endpoint=localhost:9000", "endpoint must be"),
        ("s3://layers?endpoint=http://me:hush@localhost", "endpoint must be"),
        ("s3://layers?public_endpoint=ftp://x", "public_endpoint must be"),
        ("s3://layers?addressing=both", "addressing must be"),
        ("s3://layers?retry_seconds=0", "retry_seconds must be"),
        ("s3://layers?retry_seconds=1e9", "retry_seconds must be"),
        ("s3://layers?stall_seconds=301", "stall_seconds must be"),
    ],
)
def test_what_cannot_be_meant_is_refused(url: str, said: str) -> None:
    """A URL that cannot work is refused with the reason."""
    with pytest.raises(ValueError, match=said):
        Target.parse(url)


@pytest.mark.parametrize(
    "url",
    [
        "s3://AKIDHUSH:hush@layers",
        "s3://layers?access_key_id=hush",
        "s3://layers?secret_access_key=hush",
        "s3://layers?X-Amz-Signature=hush",
        "s3://layers?session_token=hush",
        "az://layers?sas=hush",
        "gs://layers?credentials=hush",
        "az://layers?AccountKey=hush",
    ],
)
def test_credentials_in_a_url_are_refused_and_not_repeated(url: str, tmp_path: Path) -> None:
    """Secrets do not belong into a URL, which ends in process lists: the refusal says where they go, and not what they were."""
    with pytest.raises(SettingsError, match="environment") as caught:
        app.prepare(Settings(data=tmp_path, storage=url))

    assert "hush" not in str(caught.value).lower()


def test_s3_without_credentials_is_refused_at_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that could not sign a request does not start."""
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))

    with pytest.raises(SettingsError, match="no AWS credentials"):
        app.prepare(Settings(data=tmp_path, storage="s3://layers"))


@given(st.lists(st.integers(0, 10**13), max_size=30))
def test_a_location_is_its_pieces(sizes: list[int]) -> None:
    """A location comes back from its text, whatever it is made of, and says which upload it is of."""
    empty = Location.parse(STEM)
    pieces = tuple(Piece(empty.new_key(), size) for size in sizes)

    text = empty.with_pieces(pieces)

    assert Location.parse(text) == Location(STEM, pieces)
    assert (Location.parse(text).size, upload_of(text)) == (sum(sizes), STEM[3:])
    assert all(is_key(piece.key) for piece in pieces)
    assert [Location.parse(piece.location).pieces for piece in pieces] == [(piece,) for piece in pieces]


def test_thousands_of_pieces_are_read_quickly() -> None:
    """The location of the longest upload of the AWS door, in thousands of parts, is text of some hundred kilobytes."""
    empty = Location.parse(f"ab/{uuid.UUID(int=0)}")
    text = empty.with_pieces([Piece(empty.new_key(), 20 * 1024 * 1024) for _ in range(4200)])

    assert len(Location.parse(text).pieces) == 4200
    assert len(text) < 150_000


@pytest.mark.parametrize(
    "text",
    [
        f"{STEM}.",
        f"{STEM}.0123456789abcdef",
        f"{STEM}.0123456789abcdef-",
        f"{STEM}.0123456789ABCDEF-1",
        f"{STEM}-1",
        f"{STEM}.0123456789abcdef-1.",
        f"{STEM}.0123456789abcdef-1\n",
        f"{STEM}/x",
        f"{STEM}.0123456789abcdef-{'1' * 15}",
    ],
)
def test_what_we_did_not_make_is_no_location(text: str) -> None:
    """Only whole locations are read."""
    with pytest.raises(ValueError, match="not a location"):
        Location.parse(text)

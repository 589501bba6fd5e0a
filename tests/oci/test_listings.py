"""Lists: tags and repositories, page by page."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests import content

if TYPE_CHECKING:
    from tests.oci.conftest import World
    from tests.oci.wire import Door

# Each is the beginning of another one, and they sort by code point: digits, capitals, underscore, small letters.
TAGS = ["a", "a-", "a.b", "aa", "aaa", "A", "AA", "0", "00", "_", "_a", "z" * 300, "v1", "v1.0", "v1.0.0", "v10"]


@pytest.fixture
def tagged(door: Door, world: World) -> str:
    """A repository of which one image has many tags."""
    for tag in TAGS:
        assert door.manifest(world.repo, tag, world.pushed.manifest, world.pushed.media_type).status == 201
    door("DELETE", f"/v2/{world.repo}/manifests/v1")
    door.manifest(world.repo, "v1", world.pushed.manifest, world.pushed.media_type)
    return world.repo


def walk(door: Door, path: str, member: str) -> tuple[list[str], int]:
    """Follow the Links of a list; return all its entries and the number of pages."""
    found: list[str] = []
    pages, at = 0, path
    while at:
        answer = door("GET", at)
        assert answer.status == 200
        found += answer.json()[member]
        pages, at = pages + 1, answer.next or ""
    return found, pages


def test_all_tags_in_order(door: Door, tagged: str) -> None:
    """Without ``n`` all tags come at once, in the order of their characters."""
    answer = door("GET", f"/v2/{tagged}/tags/list")

    assert answer.json() == {"name": tagged, "tags": sorted(TAGS)}
    assert answer.next is None


@pytest.mark.parametrize("size", [1, 2, 3, 5, len(TAGS) - 1, len(TAGS), len(TAGS) + 1, 1000, 10**12])
def test_pages_lose_and_repeat_nothing(door: Door, tagged: str, size: int) -> None:
    """Whatever the page size, each tag comes once, on as many pages as it takes."""
    found, pages = walk(door, f"/v2/{tagged}/tags/list?n={size}", "tags")

    assert found == sorted(TAGS)
    assert pages == max(1, -(-len(TAGS) // size))


def test_a_page_of_nothing(door: Door, tagged: str) -> None:
    """``n=0`` is an empty list with no next page (distribution-spec)."""
    answer = door("GET", f"/v2/{tagged}/tags/list?n=0")

    assert (answer.status, answer.json()["tags"], answer.next) == (200, [], None)


@pytest.mark.parametrize("last", ["", "a", "aa", "A", "v1.0", "v", "aab", "zzz", "~", "no tag!", "\u00e9"])
def test_after_any_text(door: Door, tagged: str, last: str) -> None:
    """``last`` need not be a tag: what follows it in the order comes."""
    answer = door(
        "GET",
        f"/v2/{tagged}/tags/list?last={last.encode().hex(' ').replace(' ', '%')}".replace(
            "last=", "last=%" if last else "last="
        ),
    )

    assert answer.json()["tags"] == [tag for tag in sorted(TAGS) if tag > last]


def test_the_next_page_is_of_the_same_size(door: Door, tagged: str) -> None:
    """The Link keeps ``n`` and carries where to go on."""
    link = door("GET", f"/v2/{tagged}/tags/list?n=3").next

    assert link is not None
    assert urlsplit(link).path == f"/v2/{tagged}/tags/list"
    assert parse_qs(urlsplit(link).query) == {"n": ["3"], "last": [sorted(TAGS)[2]]}


def test_a_tag_deleted_between_pages_hides_none(door: Door, tagged: str) -> None:
    """When the last tag of a page is deleted, the next page begins where it would have."""
    link = door("GET", f"/v2/{tagged}/tags/list?n=3").next
    assert link is not None
    door("DELETE", f"/v2/{tagged}/manifests/{sorted(TAGS)[2]}")

    assert walk(door, link, "tags")[0] == sorted(TAGS)[3:]


def test_an_empty_repository_has_an_empty_list(door: Door, repository: str) -> None:
    """Without tags the list is empty, not missing."""
    door.image(repository)

    assert door("GET", f"/v2/{repository}/tags/list").json() == {"name": repository, "tags": []}


def test_the_catalog_in_pages(door: Door, ecr: Any) -> None:
    """Each repository is listed once, whatever the page size, also where one's name begins another's."""
    prefix = f"list-{uuid.uuid4().hex[:8]}"
    names = [f"{prefix}{end}" for end in ("", "-a", "-a/b", "-a/b/c", "-ab", "/a", "0", "a", "a-b")]
    for name in names:
        ecr.create_repository(repositoryName=name)

    for size in (1, 2, 7, 1000):
        found, pages = walk(door, f"/v2/_catalog?n={size}", "repositories")
        assert [name for name in found if name.startswith(prefix)] == sorted(names)
        assert found == sorted(set(found))
        assert pages == max(1, -(-len(found) // size))
    assert door("GET", "/v2/_catalog?n=0").json() == {"repositories": []}
    after = door("GET", f"/v2/_catalog?last={prefix}-a/b&n=2").json()["repositories"]
    assert after == sorted(names)[sorted(names).index(f"{prefix}-a/b") + 1 :][:2]


def test_a_repository_seen_at_one_door_is_listed_at_the_other(door: Door, ecr: Any, repository: str) -> None:
    """The catalog shows a repository as soon as CreateRepository has answered, and not after DeleteRepository."""
    assert repository in walk(door, "/v2/_catalog", "repositories")[0]

    ecr.delete_repository(repositoryName=repository, force=True)

    assert repository not in walk(door, "/v2/_catalog", "repositories")[0]


def test_tags_are_those_of_one_repository(door: Door, ecr: Any, world: World) -> None:
    """A tag of one repository is not listed in another one whose name begins with its name."""
    ecr.create_repository(repositoryName=f"{world.repo}/more")
    door.image(f"{world.repo}/more", "elsewhere", pushed=content.image())

    assert door("GET", f"/v2/{world.repo}/tags/list").json()["tags"] == ["v1"]
    assert door("GET", f"/v2/{world.repo}/more/tags/list").json()["tags"] == ["elsewhere"]

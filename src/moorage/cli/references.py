"""How commands name images: ``REPOSITORY:TAG`` or ``REPOSITORY@DIGEST``, of the digest as much as tells it apart."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

import typer

from moorage.cli.completing import completer
from moorage.cli.options import fail
from moorage.domain.names import Digest, RepositoryName, Tag
from moorage.registry import catalog, images, listing, repositories

if TYPE_CHECKING:
    from moorage.registry.core import Context
    from moorage.registry.repositories import Repository

_BEGINNING: Final = re.compile(r"(sha256|sha512):[0-9a-f]{6,127}")
_MOST: Final = 1000


class Named(NamedTuple):
    """What a person wrote."""

    repository: RepositoryName
    tag: Tag | None
    digest: str | None
    """Whole, or its beginning."""

    def __str__(self) -> str:
        return f"{self.repository}:{self.tag}" if self.tag else f"{self.repository}@{self.digest}"


def parse(text: str) -> Named:
    """Return what a name says; raise `InvalidParameter`, or end the command, for what is none."""
    name, _, digest = text.partition("@")
    name, _, tag = name.partition(":")
    if digest and tag:
        fail(f"{text}: say a tag or a digest, not both")
    if digest and _BEGINNING.fullmatch(digest) is None:
        Digest.parse(digest)
    return Named(RepositoryName.parse(name), Tag.parse(tag) if tag else None, digest or None)


def parse_image(text: str) -> Named:
    """Return what the name of one image says, otherwise as `parse`."""
    named = parse(text)
    if named.tag is None and named.digest is None:
        fail(f"say which image of {named.repository}: {named.repository}:TAG or {named.repository}@DIGEST")
    return named


def digest_of(ctx: Context, repository: Repository, named: Named) -> Digest:
    """Return the digest of the image that is named; raises `ImageNotFound`."""
    if named.tag is not None:
        found = images.digest_of_tag(ctx, repository, named.tag)
        if found is None:
            raise images.not_found(repository, named.tag)
        return found
    given = named.digest or ""
    matching = images.beginning(ctx, repository, given)
    if len(matching) > 1:
        fail(f"{repository.name} has several images whose digests begin with {given}")
    if not matching:
        raise images.not_found(repository, Digest(given))
    return matching[0]


def _offered(ctx: Context, incomplete: str) -> list[str]:
    name, colon, tag = incomplete.partition(":")
    if not colon:
        return catalog.names(ctx, limit=_MOST, after="")
    found = repositories.find(ctx, RepositoryName.parse(name))
    names = [] if found is None else listing.tag_names(ctx, found, limit=_MOST, after=tag[:-1])
    return [f"{name}:{one}" for one in names]


def argument(help_: str, metavar: str = "REPOSITORY:TAG|@DIGEST") -> Any:
    """Return an argument that names an image; the shell offers repositories and, behind a colon, tags."""
    return typer.Argument(help=help_, metavar=metavar, autocompletion=completer(_offered))


Image = Annotated[str, argument("The image, by a tag or by its digest (or what it begins with).")]
Images = Annotated[list[str], argument("Images, by a tag or by the digest.", "REPOSITORY:TAG|@DIGEST...")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]

"""``moorage image``: images listed, shown, copied, tagged, deleted and restored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from moorage.cli.asking import all_of, asking
from moorage.cli.completing import named
from moorage.cli.managing import Commands
from moorage.cli.opened import reading, writing
from moorage.cli.options import fail
from moorage.cli.output import confirm, counted, print_json, say, short, show, size_text, wants_json
from moorage.cli.references import Image, Images, Yes, argument, digest_of, parse, parse_image
from moorage.domain.names import Digest, RepositoryName, Tag
from moorage.registry import copying, images, removal, repositories
from moorage.registry import deleted as deletions
from moorage.registry.entrance import enter

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from moorage.registry.core import Context
    from moorage.registry.deleted import DeletedImage
    from moorage.registry.repositories import Repository

app = Commands(help="Images of a repository.", no_args_is_help=True)
Name = Annotated[str, named("repository", "The repository's name.")]
Digests = Annotated[list[str], typer.Argument(help="Digests of deleted images.", metavar="DIGEST...")]
_PAGE: Final = 1000


@app.command("list")
def list_(
    repository: Name,
    *,
    untagged: Annotated[bool, typer.Option("--untagged", help="Only images without a tag.")] = False,
    archived: Annotated[bool, typer.Option("--archived", help="Only archived images.")] = False,
) -> None:
    """List the images of a repository, the newest first."""
    from moorage.operations.images import describe_images  # noqa: PLC0415 (as in `opened`)

    wanted = {"imageStatus": "ARCHIVED" if archived else "ANY", "tagStatus": "UNTAGGED" if untagged else "ANY"}
    with asking() as ask:
        found = all_of(ask, describe_images, "imageDetails", repository_name=repository, filter=wanted)[::-1]
    if wants_json.get():
        print_json(found)
        return
    rows = [
        {
            "digest": short(one["imageDigest"]),
            "tags": one["imageTags"] or "",
            "size": size_text(one["imageSizeInBytes"]),
            "pushed": one["imagePushedAt"],
            "pulled": one["lastRecordedPullTime"] or "never",
            "": _kind(one),
        }
        for one in found
    ]
    show(rows, ["tags", "digest", "size", "pushed", "pulled", ""], right=["size"], whole=["digest", "pushed"])


def _kind(one: dict[str, Any]) -> str:
    """Return what is particular about an image."""
    words = ["archived"] if one["imageStatus"] == "ARCHIVED" else []
    if one["subjectManifestDigest"]:
        words.append("artifact")
    elif one["imageManifestMediaType"].endswith(("index.v1+json", "list.v2+json")):
        words.append("index")
    return ", ".join(words)


@app.command("show")
def show_(image: Image) -> None:
    """Show an image as a tree: the images of an index, config and layers, and what refers to them."""
    from rich.console import Console  # noqa: PLC0415 (slow to import)

    from moorage.cli import picture  # noqa: PLC0415 (as in `opened`)
    from moorage.registry import anatomy  # noqa: PLC0415

    name = parse_image(image)
    with reading() as ctx:
        repository = enter(ctx, "ecr:BatchGetImage", name.repository, also=["ecr:DescribeImages"])
        found = anatomy.of(ctx, repository, digest_of(ctx, repository, name))
    total, shared = picture.total_and_shared(found)
    if wants_json.get():
        print_json({**picture.described(found), "totalBytes": total, "sharedBytes": shared})
        return
    details = found.details
    Console().print(picture.tree(str(name.repository), found))
    typer.echo(f"\n{'digest':8}{details.digest}\n{'type':8}{details.media_type}")
    pulled = f", last pulled {details.pulled_at:%Y-%m-%d %H:%M}" if details.pulled_at else ", never pulled"
    typer.echo(f"{'pushed':8}{details.pushed_at:%Y-%m-%d %H:%M}{pulled}")
    typer.echo(f"{'layers':8}{size_text(total)}, of which other images share {size_text(shared)}")


@app.command()
def copy(
    source: Image,
    target: Annotated[str, argument("Where to, under which tag.", "REPOSITORY[:TAG]")],
) -> None:
    """Copy an image to another repository, with what belongs to it; its bytes stay where they are."""
    name, wanted = parse_image(source), parse(target)
    if wanted.digest:
        fail("a copy has the digest of its source: say a tag, or nothing")
    pushing = ["ecr:InitiateLayerUpload", "ecr:BatchCheckLayerAvailability", "ecr:CompleteLayerUpload"]
    with writing() as ctx:
        origin = enter(ctx, "ecr:BatchGetImage", name.repository, also=["ecr:GetDownloadUrlForLayer"])
        goal = enter(ctx, "ecr:PutImage", wanted.repository, also=pushing, push=True)
        tag = wanted.tag or name.tag
        copied = copying.copy(ctx, origin, digest_of(ctx, origin, name), goal, tags=[tag] if tag else [])
    done = {"repository": goal.name, "tag": tag, "digests": copied}
    say(f"{name} copied to {goal.name}{f':{tag}' if tag else ''}, {counted(len(copied), 'manifest')}", done)


@app.command()
def retag(
    image: Image, tags: Annotated[list[str], typer.Argument(help="Tags that it gets besides.", metavar="TAG...")]
) -> None:
    """Give an image further tags; where they may move, they move here from other images."""
    from moorage.domain import manifests  # noqa: PLC0415 (as in `opened`)

    name = parse_image(image)
    wanted = [Tag.parse(tag) for tag in tags]
    with writing() as ctx:
        repository = enter(ctx, "ecr:PutImage", name.repository, also=["ecr:BatchGetImage"])
        stored = images.get(ctx, repository, digest_of(ctx, repository, name))
        images.put(ctx, repository, manifests.parse(stored.body, stored.media_type), tags=wanted, digest=stored.digest)
    say(f"{stored.digest} is {', '.join(tags)} now", {"digest": stored.digest, "tags": list(tags)})


@app.command()
def untag(wanted: Images, *, yes: Yes = False) -> None:
    """Remove tags. As in ECR, an image goes with its last tag."""
    from moorage.operations.images import batch_delete_image  # noqa: PLC0415 (as in `opened`)

    names = [parse_image(text) for text in wanted]
    if any(name.tag is None for name in names):
        fail("say which tag: REPOSITORY:TAG")
    with reading() as ctx:
        last = [str(name) for name in names if _is_last(ctx, name.repository, name.tag or "")]
    if last and not yes:
        typer.echo(f"the last tag of its image, which goes with it: {', '.join(last)}", err=True)
        confirm("Remove it?" if len(names) == 1 else "Remove them?", yes=yes)
    with asking() as ask:
        for name in names:
            answer = ask(batch_delete_image, repository_name=name.repository, image_ids=[{"imageTag": name.tag}])
            _require_done(answer)
    say(f"removed: {', '.join(map(str, names))}", {"removed": list(map(str, names))})


def _is_last(ctx: Context, name: RepositoryName, tag: str) -> bool:
    repository = repositories.get(ctx, name)
    digest = images.digest_of_tag(ctx, repository, tag)
    return digest is not None and images.tags_of(ctx, repository, digest) == [tag]


def _require_done(answer: dict[str, Any]) -> None:
    if answer["failures"]:
        fail(answer["failures"][0]["failureReason"])


@app.command()
def delete(wanted: Images, *, yes: Yes = False) -> None:
    """Delete images with all their tags and with what refers to them."""
    from moorage.operations.images import batch_delete_image  # noqa: PLC0415 (as in `opened`)

    with reading() as ctx:
        going = [_going(ctx, text) for text in wanted]
        hours = int(removal.window(ctx).total_seconds() // 3600)
    if not yes:
        for one in going:
            typer.echo(_farewell(one), err=True)
    confirm("Delete it?" if len(going) == 1 else f"Delete these {len(going)} images?", yes=yes)
    with asking() as ask:
        for one in going:
            named_ = [{"imageDigest": one["digest"]}]
            _require_done(ask(batch_delete_image, repository_name=one["repository"], image_ids=named_))
    if wants_json.get():
        print_json(going)
        return
    for one in going:
        typer.echo(f"{one['repository']}@{one['digest']} deleted")
        if hours:
            back = f"moorage image restore {one['repository']} {one['digest']}"
            typer.echo(f"  for {hours} hours it can be brought back: {back}")


def _going(ctx: Context, text: str) -> dict[str, Any]:
    name = parse_image(text)
    repository = enter(ctx, "ecr:BatchDeleteImage", name.repository)
    digest = digest_of(ctx, repository, name)
    following = images.with_referrers(ctx, repository, {digest}) - {digest}
    tags = images.tags_of(ctx, repository, digest)
    return {"repository": repository.name, "digest": digest, "tags": tags, "referrers": sorted(following)}


def _farewell(one: dict[str, Any]) -> str:
    """Say what goes with an image."""
    along = [f"its tags {', '.join(one['tags'])}"] if one["tags"] else []
    along += [f"{counted(len(one['referrers']), 'referrer')}"] if one["referrers"] else []
    return f"{one['repository']}@{short(one['digest'])}" + (f", and with it {' and '.join(along)}" if along else "")


@app.command()
def deleted(repository: Name) -> None:
    """List deleted images that can still be restored."""
    with reading() as ctx:
        found = list(_deleted(ctx, repositories.get(ctx, RepositoryName.parse(repository))))
    rows = [
        {
            "digest": one.digest,
            "tags": list(one.tags),
            "pushedAt": one.pushed_at,
            "deletedAt": one.deleted_at,
            "deletedBy": one.deleted_by,
            "until": one.expires_at,
        }
        for one in sorted(found, key=lambda one: one.deleted_at, reverse=True)
    ]
    show(rows, ["digest", "tags", "deletedAt", "deletedBy", "until"])


def _deleted(ctx: Context, repository: Repository) -> Iterator[DeletedImage]:
    page: Sequence[DeletedImage] = deletions.page(ctx, repository, limit=_PAGE)
    while page:
        yield from page
        page = deletions.page(ctx, repository, after=page[-1].digest, limit=_PAGE)


@app.command()
def restore(repository: Name, digests: Digests) -> None:
    """Bring deleted images back, with their tags and what went with them; all of them or none."""
    wanted = [Digest.parse(digest, field="imageDigest") for digest in digests]
    with writing() as ctx:
        known = repositories.get(ctx, RepositoryName.parse(repository))
        restored = [one for digest in wanted for one in deletions.restore(ctx, known, digest)]
    if wants_json.get():
        print_json([{"digest": one.digest, "tags": one.tags, "tagsElsewhere": one.taken} for one in restored])
        return
    for one in restored:
        taken = f"; on other images by now: {', '.join(one.taken)}" if one.taken else ""
        typer.echo(f"{one.digest} restored, tags: {', '.join(one.tags) or 'none'}{taken}")

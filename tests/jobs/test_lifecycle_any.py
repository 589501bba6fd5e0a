"""Any images under any policy: the run that is carried out is the preview that was taken just before."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from moorage.domain import manifests as documents
from moorage.domain.names import Digest
from moorage.jobs import Run
from moorage.jobs.lifecycle import carry_out
from moorage.registry import foresight, lifecycle, previews
from moorage.registry.tables import archivals, edges, manifests, tags

if TYPE_CHECKING:
    from moorage.registry.repositories import Repository
    from tests.registry.kit import Bench

TAGS = ("v1", "v2", "dev-1", "dev-2", "prod", "v3")
IMAGES = st.lists(
    st.fixed_dictionaries(
        {
            "age": st.integers(0, 40),
            "kind": st.sampled_from(["image", "index", "referrer"]),
            "of": st.integers(0, 7),
            "archived": st.booleans(),
        }
    ),
    max_size=8,
)
STATUSES = st.sampled_from(
    [
        {"tagStatus": "any"},
        {"tagStatus": "untagged"},
        {"tagStatus": "tagged", "tagPrefixList": ["v"]},
        {"tagStatus": "tagged", "tagPatternList": ["dev-*"]},
    ]
)
AGED = st.fixed_dictionaries(
    {"countType": st.just("sinceImagePushed"), "countUnit": st.just("days"), "countNumber": st.integers(1, 30)}
)
COUNTED = st.fixed_dictionaries({"countType": st.just("imageCountMoreThan"), "countNumber": st.integers(1, 4)})
RULES = st.lists(st.tuples(STATUSES, st.one_of(AGED, COUNTED), st.booleans()), min_size=1, max_size=3)


def text_of(rules: list[tuple[dict[str, Any], dict[str, Any], bool]]) -> str:
    """Return a policy; what is about any image comes last, as it must."""
    written: list[dict[str, Any]] = []
    kinds: set[tuple[str, str]] = set()
    for status, count, moves in sorted(rules, key=lambda rule: rule[0]["tagStatus"] == "any"):
        kind = (json.dumps(status), "any" if status["tagStatus"] == "any" else "one")
        if kind in kinds:
            continue
        kinds.add(kind)
        action = {"type": "expire"}
        if moves:
            action = {"type": "transition", "targetStorageClass": "archive"}
        written.append({"rulePriority": len(written) + 1, "selection": status | count, "action": action})
    return json.dumps({"rules": written})


def fill(bench: Bench, drawn: list[dict[str, Any]], tagged: dict[str, int]) -> Repository:
    """Make a repository of rows alone: images, indexes of those before them, and what refers to those before."""
    made = bench.repository(f"any/{bench.registry.new_id()}")
    digests = [Digest.of(str(n).encode()) for n in range(len(drawn))]
    named = {name: place for name, place in tagged.items() if place < len(drawn)}
    with bench.write() as ctx:
        for n, one in enumerate(drawn):
            before = one["of"] if one["of"] < n else None
            index, refers = (one["kind"] == kind and before is not None for kind in ("index", "referrer"))
            kind = documents.OCI_INDEX if index else documents.OCI_IMAGE
            row = {"repository_id": made.id, "digest": digests[n], "media_type": kind, "image_size": 1, "size": 2}
            row |= {"pushed_at": ctx.now - timedelta(days=one["age"], hours=1), "tagged": n in named.values()}
            row |= {"subject": digests[before] if refers and before is not None else None, "body": b"{}"}
            ctx.tx.execute(sa.insert(manifests).values(row))
            if (index or refers) and before is not None:
                edge = {"parent": digests[n], "child": digests[before], "kind": "image" if index else "subject"}
                ctx.tx.execute(sa.insert(edges).values(repository_id=made.id, **edge))
            if one["archived"]:
                state = {"status": "ARCHIVED", "archived_at": ctx.now}
                ctx.tx.execute(sa.insert(archivals).values(repository_id=made.id, digest=digests[n], **state))
        for name, place in named.items():
            values = {"repository_id": made.id, "name": name, "digest": digests[place], "tagged_at": ctx.now}
            ctx.tx.execute(sa.insert(tags).values(values))
    return made


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(drawn=IMAGES, tagged=st.dictionaries(st.sampled_from(TAGS), st.integers(0, 7)), rules=RULES)
def test_a_run_is_its_preview(
    bench: Bench,
    drawn: list[dict[str, Any]],
    tagged: dict[str, int],
    rules: list[tuple[dict[str, Any], dict[str, Any], bool]],
) -> None:
    """What the preview foretold is gone, with what refers to it, and nothing else is; ECR's preview and the command's agree."""
    repository = fill(bench, drawn, tagged)
    with bench.write() as ctx:
        text = lifecycle.put(ctx, repository, text_of(rules))
        due = lifecycle.due_now(ctx, repository)
        preview_id = previews.begin(ctx, repository, text)
    previews.compute(ctx, repository, preview_id, text)
    with bench.read() as ctx:
        preview = previews.get(ctx, repository)
        page = previews.page(ctx, repository, preview, tagged=None, limit=100, next_token=None)
        found = foresight.outlook(ctx, repository, text, ctx.now)
        before = {image.digest for image in lifecycle.snapshot(ctx, repository)}
    foretold = {result.digest for result in page.items if result.action == "EXPIRE"}

    carry_out(bench.registry, due, Run())

    with bench.read() as ctx:
        gone = before - {image.digest for image in lifecycle.snapshot(ctx, repository)}
    assert foretold == {one.image.digest for one in found.judgements if foresight.action_of(one) == "expire"}
    assert gone == found.going
    assert foretold <= gone

"""The paths of the protocol, read by hand, against the same templates as Starlette's regular expressions."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from starlette.routing import compile_path

from moorage.oci.paths import place
from moorage.oci.routes import ROWS

TEMPLATES = {row.path: compile_path(row.path)[0] for row in ROWS}
PARTS = [
    "",
    "v2",
    "_catalog",
    "a",
    "manifests",
    "blobs",
    "uploads",
    "tags",
    "list",
    "referrers",
    "layers",
    "sha256:0",
    "a\nb",
]


@given(st.lists(st.sampled_from(PARTS), max_size=7))
def test_a_path_is_what_the_templates_say(parts: list[str]) -> None:
    """Any path leads to the first template whose expression matches it, with the same parameters, or to none."""
    path = "/" + "/".join(parts)
    matching = [(name, found.groupdict()) for name, regex in TEMPLATES.items() if (found := regex.match(path))]
    assert place(path) == (matching[0] if matching else None)

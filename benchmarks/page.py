"""
The page of results, docs/performance.md: what stands between its markers is written, the text around them stays.

    python -m benchmarks.page [--stack production] [FILE]

writes it anew from the samples that a run has kept.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks import plots, report, results

if TYPE_CHECKING:
    from benchmarks.results import Results

ROOT: Final = Path(__file__).resolve().parent.parent
PAGE: Final = ROOT / "docs" / "performance.md"
PICTURES: Final = "performance"


def kept(stack: str) -> Path:
    """Return where the samples of the last run of everything are."""
    return ROOT / "benchmarks" / "results" / f"{stack}.json"


def between(text: str, name: str, content: str) -> str:
    """
    Return a text with other content between the markers of a name.

    :raises ValueError: the text has no such markers
    """
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    if not pattern.search(text):
        raise ValueError(f"no place for {name}: neither {begin} nor {end}")
    return pattern.sub(lambda _: f"{begin}\n{content}\n{end}", text)


def write(found: Results, page: Path = PAGE, *, stack: str = "default") -> None:
    """Write figures and pictures of a run into the page."""
    folder = page.parent / PICTURES
    folder.mkdir(exist_ok=True)
    pictures = []
    for file, svg in plots.drawn(found).items():
        name = file if stack == "default" else f"{stack}-{file}"
        (folder / name).write_text(svg)
        pictures.append(f"![{name.removesuffix('.svg')}]({PICTURES}/{name})")
    content = "\n".join([report.outcome(found), *pictures, "", report.markdown(found)])
    page.write_text(between(page.read_text(), stack, content))


def main() -> None:
    """Write the page from a file of results."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.page")
    parser.add_argument("--stack", default="default", help="whose place is written")
    parser.add_argument("file", type=Path, nargs="?", help="what a run kept; else the last run of everything")
    given = parser.parse_args()
    write(results.read(given.file or kept(given.stack)), stack=given.stack)


if __name__ == "__main__":
    main()

"""Results as pictures: a bar for each contender, longest where the figure is best, as SVG of a few lines."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Final

from benchmarks import figures
from benchmarks.report import number

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.results import Outcome, Results

_COLOURS: Final = {
    "moorage": "#0b6e99",
    "distribution": "#d98324",
    "zot": "#8a9a5b",
    "zot-commit": "#5b6b35",
    "nginx": "#b9b9b9",
    "sha256": "#d0d0d0",
    "dd": "#a0a0a0",
}
_OTHER: Final = "#7a5195"
_WIDTH, _LEFT, _RIGHT = 860, 250, 120
_BAR, _GAP, _TOP, _LEGEND = 13, 14, 62, 34
_FONT: Final = "font-family='system-ui, -apple-system, Segoe UI, Helvetica, Arial, DejaVu Sans, sans-serif'"


@dataclass(frozen=True, slots=True)
class Chart:
    """One picture: which workloads, by the beginning of their names, and which of their metrics."""

    file: str
    title: str
    prefixes: tuple[str, ...]
    metric: str
    roles: tuple[str, ...] = ("ours", "peer", "limit")


CHARTS: Final = (
    Chart("manifests", "Manifests: requests a second", ("manifest-",), "rate", ("ours", "peer")),
    Chart("pulls", "Pulls: MB a second", ("pull-1", "pull-herd"), "speed"),
    Chart("pushes", "Pushes of layers: MB a second", ("push-1",), "speed"),
    Chart("images", "Pushes of small images: images a second", ("push-image",), "rate"),
)


def drawn(results: Results) -> dict[str, str]:
    """Return the pictures for which something was measured: file name -> SVG."""
    return {f"{chart.file}.svg": svg for chart in CHARTS if (svg := draw(results, chart))}


def draw(results: Results, chart: Chart) -> str:
    """Return a picture; nothing if none of its workloads was measured."""
    names = results.named(*chart.roles)
    rows = [
        (outcome, [(name, outcome.values(name, chart.metric)) for name in names])
        for outcome in results.outcomes
        if outcome.name.startswith(chart.prefixes) and any(outcome.values(name, chart.metric) for name in names)
    ]
    shown = [name for name in names if any(values for _, bars in rows for one, values in bars if one == name)]
    height = _TOP + _LEGEND + sum(_height(bars) for _, bars in rows)
    lines = [*_frame(height, chart.title), *_legend(shown), *_bars(rows)]
    return "\n".join([*lines, "</svg>", ""]) if rows else ""


def _height(bars: Sequence[tuple[str, list[float]]]) -> int:
    return _BAR * sum(bool(values) for _, values in bars) + _GAP


def _frame(height: int, title: str) -> Iterator[str]:
    yield f"<svg xmlns='http://www.w3.org/2000/svg' width='{_WIDTH}' height='{height}' viewBox='0 0 {_WIDTH} {height}'>"
    yield f"<title>{escape(title)}</title>"
    yield f"<rect width='{_WIDTH}' height='{height}' rx='8' fill='#ffffff'/>"
    yield f"<text x='20' y='32' {_FONT} font-size='17' font-weight='600' fill='#222222'>{escape(title)}</text>"


def _legend(names: Sequence[str]) -> Iterator[str]:
    x = 20
    for name in names:
        yield f"<rect x='{x}' y='48' width='12' height='12' rx='2' fill='{_COLOURS.get(name, _OTHER)}'/>"
        yield f"<text x='{x + 18}' y='58' {_FONT} font-size='12' fill='#444444'>{escape(name)}</text>"
        x += 42 + 7 * len(name)


def _bars(rows: Sequence[tuple[Outcome, list[tuple[str, list[float]]]]]) -> Iterator[str]:
    y = _TOP + _LEGEND - 10
    for outcome, bars in rows:
        medians = [(name, figures.median(values)) for name, values in bars if values]
        longest = max(value for _, value in medians)
        middle = y + _BAR * len(medians) / 2 + 4
        yield _text(_LEFT - 12, middle, _short(outcome.title), "end", "#222222")
        for name, value in medians:
            width = max(1.0, (_WIDTH - _LEFT - _RIGHT) * value / longest)
            colour = _COLOURS.get(name, _OTHER)
            yield f"<rect x='{_LEFT}' y='{y}' width='{width:.1f}' height='{_BAR - 2}' rx='2' fill='{colour}'/>"
            yield _text(_LEFT + width + 6, y + _BAR - 3, number(value), "start", "#444444")
            y += _BAR
        y += _GAP


def _text(x: float, y: float, text: str, anchor: str, colour: str) -> str:
    place = f"x='{x:.1f}' y='{y:.1f}' text-anchor='{anchor}'"
    return f"<text {place} {_FONT} font-size='11' fill='{colour}'>{escape(text)}</text>"


def _short(title: str) -> str:
    """Return a title without what the picture says already."""
    for known in ("push of a ", "push of ", "pull of a ", "manifest ", " layer", ", 1 client"):
        title = title.replace(known, "", 1) if known in title else title
    return title

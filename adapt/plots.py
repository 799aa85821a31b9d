"""Plots as SVG text, for a page that has its colours in CSS: light, dark, and no library.

Nothing has a colour of its own: shapes carry classes (`line-1`, `bar`, `cell`), so that one plot
serves both themes. Every text is escaped.
"""

import html
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

# Points that a line is thinned to: more than a screen shows apart.
MOST_POINTS = 240

_LEFT, _RIGHT, _TOP, _BOTTOM = 52.0, 12.0, 10.0, 34.0
_MOST_LETTERS = 22
_LETTER = 7.4  # pixels: the mean of a name in the widest of the usual fonts, at 11 pixels


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One line of a chart."""

    name: str
    xs: Sequence[float]
    ys: Sequence[float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Bar:
    """One bar of a chart, and what it says when pointed at."""

    name: str
    value: float
    title: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Scale:
    """A linear map from data to pixels."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Return the pixel of a value."""
        span = self.high - self.low or 1.0
        return self.start + (value - self.low) / span * (self.end - self.start)


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Return about `count` round numbers from `low` to `high`: steps of 1, 2 or 5 times 10^k."""
    if not high > low:
        return [low]
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(each * power for each in (1, 2, 5, 10) if each * power >= rough * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [number * step for number in range(first, last + 1)]


def line_chart(
    lines: Sequence[Line], *, x_label: str, title: str, width: int = 440, height: int = 190
) -> str:
    """Draw lines over a common axis; y begins at 0 where nothing is below.

    Args:
        lines: At least one, of points that are finite.
        x_label: What x is.
        title: What the plot shows, for who cannot see it.
        width: Of the drawing; it shrinks with the page.
        height: Likewise.
    """
    xs = [x for line in lines for x in line.xs]
    ys = [y for line in lines for y in line.ys]
    if not xs:
        return ""
    y_low = min(0.0, *ys)
    x_scale = Scale(low=min(xs), high=max(xs), start=_LEFT, end=width - _RIGHT)
    y_scale = Scale(low=y_low, high=max(ys) or 1.0, start=height - _BOTTOM, end=_TOP)
    parts = [*_y_axis(y_scale, width - _RIGHT), *_x_axis(x_scale, height, x_label)]
    for number, line in enumerate(lines, 1):
        points = " ".join(
            f"{x_scale(x):.1f},{y_scale(y):.1f}" for x, y in _thinned(line.xs, line.ys)
        )
        parts.append(f'<polyline class="line line-{number}" points="{points}"/>')
    return _svg(parts, width, height, title) + _legend(lines)


def _y_axis(scale: Scale, right: float) -> Iterable[str]:
    for value in ticks(scale.low, scale.high, 4):
        y = scale(value)
        yield f'<line class="grid" x1="{_LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield _text(_LEFT - 6, y + 4, f"{value:.4g}", "end")


def _x_axis(scale: Scale, height: float, label: str) -> Iterable[str]:
    for value in ticks(scale.low, scale.high, 6):
        yield _text(scale(value), height - _BOTTOM + 16, f"{value:g}", "middle")
    yield _text(scale.end, height - 3, label, "end")


def _thinned(xs: Sequence[float], ys: Sequence[float]) -> list[tuple[float, float]]:
    """Return at most MOST_POINTS points: means of neighbours."""
    size = math.ceil(len(xs) / MOST_POINTS)
    parts = [slice(start, start + size) for start in range(0, len(xs), size or 1)]
    return [(_mean(xs[part]), _mean(ys[part])) for part in parts]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _legend(lines: Sequence[Line]) -> str:
    if len(lines) < 2:
        return ""
    items = (
        f'<li><span class="key key-{number}"></span>{html.escape(line.name)}</li>'
        for number, line in enumerate(lines, 1)
    )
    return f'<ul class="legend">{"".join(items)}</ul>'


def bar_chart(bars: Sequence[Bar], *, title: str, signed: bool = False, width: int = 440) -> str:
    """Draw horizontal bars from a common zero; values below it go to the left.

    Args:
        bars: From the top.
        title: What the plot shows, for who cannot see it.
        signed: Whether the values are changes.
        width: Of the drawing; it shrinks with the page.
    """
    if not bars:
        return ""
    row, number_width = 18, 54
    name_width = 8 + _LETTER * max(len(_shortened(bar.name, _MOST_LETTERS)) for bar in bars)
    low = min(0.0, *(bar.value for bar in bars))
    high = max(0.0, *(bar.value for bar in bars))
    left = name_width + (number_width if low < 0 else 0)
    scale = Scale(low=low, high=high, start=left, end=width - number_width)
    zero, parts = scale(0), []
    for index, bar in enumerate(bars):
        y, end = index * row, scale(bar.value)
        sign = "less" if bar.value < 0 else "more"
        number = f"{bar.value:+.1f}" if signed else f"{bar.value:.1f}"
        at, anchor = (end - 4, "end") if bar.value < 0 else (end + 4, "start")
        parts.append(
            f"<g><title>{html.escape(bar.title)}</title>"
            + _text(name_width - 8, y + 13, _shortened(bar.name, _MOST_LETTERS), "end")
            + f'<rect class="bar {sign}" x="{min(zero, end):.1f}" y="{y + 3}" '
            f'width="{max(abs(end - zero), 0.5):.1f}" height="{row - 6}" rx="2"/>'
            + _text(at, y + 13, number, anchor, "number")
            + "</g>"
        )
    return _svg(parts, width, len(bars) * row + 4, title)


def matrix(
    names: Sequence[str], counts: Sequence[Sequence[int]], *, title: str, cell: int = 13
) -> str:
    """Draw a confusion matrix: rows are what videos show, columns what they were taken for.

    Args:
        names: The K classes.
        counts: (K, K).
        title: What the plot shows, for who cannot see it.
        cell: Width of a cell.
    """
    margin = 12 + _LETTER * max(len(_shortened(name, _MOST_LETTERS)) for name in names)
    left, top = margin, 8
    size = len(names) * cell
    parts = []
    for row, name in enumerate(names):
        total = sum(counts[row])
        shown = _shortened(name, _MOST_LETTERS)
        parts.append(_text(left - 6, top + row * cell + cell - 3, shown, "end"))
        parts += [
            _cell(left + column * cell, top + row * cell, cell, count, total,
                  f"{name} taken for {names[column]}: {count} of {total}", row == column)
            for column, count in enumerate(counts[row]) if count
        ]  # fmt: skip
    parts.insert(0, f'<rect class="field" x="{left}" y="{top}" width="{size}" height="{size}"/>')
    labels = [_upright(left + i * cell + cell - 3, top + size + 6, n) for i, n in enumerate(names)]
    return _svg([*parts, *labels], left + size + 8, top + size + margin, title)


def _cell(x: float, y: float, size: int, count: int, total: int, title: str, is_right: bool) -> str:
    share = count / total
    kind = "right" if is_right else "wrong"
    return (
        f'<rect class="cell {kind}" x="{x}" y="{y}" width="{size}" height="{size}" '
        f'fill-opacity="{0.15 + 0.85 * share:.2f}"><title>{html.escape(title)}</title></rect>'
    )


def _upright(x: float, y: float, name: str) -> str:
    shown = html.escape(_shortened(name, _MOST_LETTERS))
    return f'<text x="{x}" y="{y}" text-anchor="end" transform="rotate(-90 {x} {y})">{shown}</text>'


def _text(x: float, y: float, text: str, anchor: str, kind: str = "") -> str:
    named = f' class="{kind}"' if kind else ""
    return f'<text{named} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{html.escape(text)}</text>'


def _shortened(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _svg(parts: Iterable[str], width: float, height: float, title: str) -> str:
    name = html.escape(title)
    return (
        f'<svg role="img" aria-label="{name}" viewBox="0 0 {width:g} {height:g}" '
        f'width="{width:g}" height="{height:g}">{"".join(parts)}</svg>'
    )

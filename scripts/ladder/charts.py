"""Charts of the parity page as SVG; every text in them is escaped."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from scripts.ladder.bits import Both, Comparison
from scripts.ladder.report import amount

WIDTH, HEIGHT = 960, 260
LEFT, RIGHT, TOP, BOTTOM = 64, 12, 14, 34
MOST_BITS = 32  # a bar of full height: as far apart as float32 values can be
SHOWN_BEFORE, SHOWN_AFTER = 3, 16


def loss_curves(losses: Both[Sequence[float]]) -> str:
    """The losses of both modes over each other; where they agree, the dashes lie on the line."""
    finite = [value for series in losses for value in series if math.isfinite(value)]
    if not finite:
        return "<p>No step was made.</p>"
    low, high = min(finite), max(finite)
    margin = 0.08 * (high - low) or 0.05 * abs(high) or 1.0
    low, high = low - margin, high + margin
    count = max(len(series) for series in losses)

    def place(step: int, value: float) -> str:
        x = LEFT + (WIDTH - LEFT - RIGHT) * (step / max(1, count - 1))
        y = TOP + (HEIGHT - TOP - BOTTOM) * (1 - (value - low) / (high - low))
        return f"{x:.1f},{y:.1f}"

    parts = [_open(f"Loss of {count} steps in both modes")]
    for value in _ticks(low, high):
        y = TOP + (HEIGHT - TOP - BOTTOM) * (1 - (value - low) / (high - low))
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="tick" x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{value:.4g}</text>')
    for step in sorted({0, count - 1, *range(count // 4, count, max(1, count // 4))}):
        x = place(step, low).split(",")[0]
        parts.append(f'<text class="tick" x="{x}" y="{HEIGHT - 12}" text-anchor="middle">{step + 1}</text>')
    for mode, series in (("eager", losses.eager), ("static", losses.static)):
        points = " ".join(place(step, value) for step, value in enumerate(series) if math.isfinite(value))
        parts.append(f'<polyline class="{mode}" points="{points}"/>')
    return "".join([*parts, "</svg>"])


def layer_strip(comparisons: Sequence[Comparison]) -> str:
    """One bar a layer, from the image to the logits; its height is the logarithm of the distance in ulps."""
    if not comparisons:
        return ""
    step = (WIDTH - LEFT - RIGHT) / len(comparisons)
    floor = HEIGHT - BOTTOM
    parts = [_open(f"Difference of {len(comparisons)} layers in ulps")]
    for bits, label in ((0, "equal"), (8, "256"), (16, "65 k"), (24, "16 M")):
        y = floor - (floor - TOP) * bits / MOST_BITS
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="tick" x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{label}</text>')
    for position, one in enumerate(comparisons):
        height = 4 + (floor - TOP - 4) * share(one)
        kind = "same" if one.equal else "other"
        parts.append(
            f'<rect class="{kind}" x="{LEFT + position * step:.2f}" y="{floor - height:.1f}" '
            f'width="{max(0.6, step * 0.86):.2f}" height="{height:.1f}"><title>{escape(one.name)}: '
            f"{escape(amount(one))}</title></rect>"
        )
    parts.append(f'<text class="tick" x="{LEFT}" y="{HEIGHT - 10}">image</text>')
    parts.append(f'<text class="tick" x="{WIDTH - RIGHT}" y="{HEIGHT - 10}" text-anchor="end">logits</text>')
    return "".join([*parts, "</svg>"])


def layer_bars(comparisons: Sequence[Comparison]) -> str:
    """The layers around the first difference by name, as bars that wrap in a narrow window."""
    first = next((position for position, one in enumerate(comparisons) if not one.equal), None)
    if first is None:
        return ""
    shown = comparisons[max(0, first - SHOWN_BEFORE) : first + SHOWN_AFTER]
    rows = []
    for one in shown:
        marked = " first" if one is comparisons[first] else ""
        why = f" <small>{escape(one.note)}</small>" if one.note else ""
        rows.append(
            f'<li class="{"same" if one.equal else "other"}{marked}"><code>{escape(one.name)}</code>'
            f'<span class="bar"><i style="width:{100 * share(one):.1f}%"></i></span>'
            f"<span>{escape(amount(one))}{why}</span></li>"
        )
    left = len(comparisons) - first - len(comparisons[first : first + SHOWN_AFTER])
    more = f'<p class="quiet">{left} more layers follow.</p>' if left else ""
    return f'<ol class="layers">{"".join(rows)}</ol>{more}'


def share(one: Comparison) -> float:
    """How much of a bar a difference fills, 0 to 1, logarithmically."""
    if one.equal:
        return 0.0
    return 1.0 if one.ulps < 0 else min(1.0, max(0.03, math.log2(1 + one.ulps) / MOST_BITS))


def _open(label: str) -> str:
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label)}">'


def _ticks(low: float, high: float) -> list[float]:
    """Four or so round numbers between."""
    raw = (high - low) / 4
    unit = 10 ** math.floor(math.log10(raw))
    step = next(unit * factor for factor in (1, 2, 5, 10) if unit * factor >= raw)
    first = math.ceil(low / step)
    return [index * step for index in range(first, math.floor(high / step) + 1)]

"""Panels beside one another, with titles above and the colours of the classes below: what demos show."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

_GAP = 12
_INK = (38, 38, 38)
_PAPER = (255, 255, 255)


def side_by_side(
    panels: Sequence[np.ndarray],
    titles: Sequence[str],
    legend: Sequence[tuple[str, Sequence[int]]] = (),
    height: int | None = None,
) -> np.ndarray:
    """One picture of several.

    Args:
        panels: ``[H, W, 3]`` uint8 RGB each, of any sizes; all are brought to one height and keep their proportions.
        titles: one per panel.
        legend: (class name, RGB colour) pairs, wrapped into as many lines as they need.
        height: pixels each panel gets; None takes the first panel's.

    Returns:
        ``[H', W', 3]`` uint8 RGB on white.

    Raises:
        ValueError: no panel, another number of titles, or a panel of another type.
    """
    if not panels or len(panels) != len(titles):
        raise ValueError(f"got {len(panels)} panels and {len(titles)} titles; expected one title for each panel")
    for panel in panels:
        if panel.ndim != 3 or panel.shape[2] != 3 or panel.dtype != np.uint8:
            raise ValueError(f"a panel is {panel.dtype} of shape {panel.shape}; expected uint8 [height, width, 3]")
    height = height or panels[0].shape[0]
    scaled = [_to_height(panel, height) for panel in panels]
    width = sum(panel.shape[1] for panel in scaled) + _GAP * (len(scaled) + 1)
    size = int(np.clip(height / 16, 13, 40))
    entries = _lay_out(legend, width, size)
    top = 2 * size
    bottom = top + height + _GAP
    lines = 1 + max((line for _, line, *_ in entries), default=-1)
    sheet = Image.new("RGB", (width, bottom + lines * round(1.7 * size)), _PAPER)
    draw = ImageDraw.Draw(sheet)

    left = _GAP
    for panel, title in zip(scaled, titles):
        sheet.paste(Image.fromarray(panel), (left, top))
        text = _fit(title, panel.shape[1], size)
        draw.text((left + panel.shape[1] / 2, top / 2), text, _INK, _font(size), anchor="mm")
        left += panel.shape[1] + _GAP
    for x, line, name, colour in entries:
        y = bottom + line * round(1.7 * size)
        draw.rectangle((x, y, x + size, y + size), fill=tuple(int(c) for c in colour), outline=_INK)
        draw.text((x + 1.4 * size, y + size / 2), name, _INK, _font(size), anchor="lm")
    return np.asarray(sheet)


def _lay_out(
    legend: Sequence[tuple[str, Sequence[int]]], width: int, size: int
) -> list[tuple[float, int, str, Sequence[int]]]:
    """Left edge, line, text and colour of each entry of the legend."""
    entries, x, line = [], float(_GAP), 0
    for name, colour in legend:
        text = _fit(name, width - 2 * _GAP - 2 * size, size)
        needed = 1.4 * size + _font(size).getlength(text)
        if x > _GAP and x + needed > width - _GAP:
            x, line = float(_GAP), line + 1
        entries.append((x, line, text, colour))
        x += needed + size
    return entries


def _to_height(panel: np.ndarray, height: int) -> np.ndarray:
    if panel.shape[0] == height:
        return panel
    width = max(1, round(panel.shape[1] * height / panel.shape[0]))
    shrinks = height < panel.shape[0]
    return cv2.resize(panel, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_NEAREST)


def _fit(text: str, width: float, size: int) -> str:
    if _font(size).getlength(text) <= width:
        return text
    while text and _font(size).getlength(text + "…") > width:
        text = text[:-1]
    return text + "…"


@lru_cache(maxsize=8)
def _font(size: int) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which comes with matplotlib and knows most alphabets."""
    from matplotlib.font_manager import findfont

    return ImageFont.truetype(findfont("DejaVu Sans"), size)

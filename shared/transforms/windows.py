"""Part of a resized image without resizing the rest.

Both functions give what ``functional.crop`` of ``functional.resize`` gives: labels exactly, images within one grey
level (OpenCV computes positions in single precision, and a window counts them from another pixel).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from shared.transforms import functional as F  # noqa: N812


@dataclass(frozen=True)
class _Span:
    """Pixels ``begin`` to ``end`` of the source become ``length`` pixels, the wanted ones from ``offset`` on."""

    begin: int
    end: int
    length: int
    offset: int


def linear_window(
    image: np.ndarray, size_hw: tuple[int, int], top: int, left: int, window_hw: tuple[int, int]
) -> np.ndarray:
    """The window of ``window_hw`` at (``top``, ``left``) of ``image`` resized to ``size_hw`` by LINEAR.

    A window can only be cut where pixel borders of source and result meet, that is at whole periods: 3 pixels to 2 for
    the scale 2/3. Sizes without a common divisor have one period, and the whole axis is resized.
    """
    rows, columns = (_span(*axis) for axis in zip(image.shape[:2], size_hw, (top, left), window_hw))
    source = image[rows.begin : rows.end, columns.begin : columns.end]
    resized = F.resize(source, (rows.length, columns.length), "LINEAR")
    return F.crop(resized, rows.offset, columns.offset, window_hw)


def nearest_window(
    label: np.ndarray, size_hw: tuple[int, int], top: int, left: int, window_hw: tuple[int, int]
) -> np.ndarray:
    """The window of ``window_hw`` at (``top``, ``left``) of ``label`` resized to ``size_hw`` by NEAREST."""
    rows, columns = (_nearest(*axis) for axis in zip(label.shape, size_hw, (top, left), window_hw))
    first = columns[0]
    return np.take(label[rows, first : columns[-1] + 1], columns - first, axis=1)


def _span(source: int, target: int, start: int, length: int) -> _Span:
    """The whole periods under a window, and one more on each side, for the neighbours that are mixed in."""
    periods = math.gcd(source, target)
    source_step, target_step = source // periods, target // periods
    first = max(0, start // target_step - 1)
    last = min(periods, -(-(start + length) // target_step) + 1)
    return _Span(
        begin=first * source_step,
        end=last * source_step,
        length=(last - first) * target_step,
        offset=start - first * target_step,
    )


def _nearest(source: int, target: int, start: int, length: int) -> np.ndarray:
    """The source pixels that OpenCV's NEAREST takes: the position's corner, in double precision, rounded down."""
    positions = np.arange(start, start + length) * (1.0 / (target / source))
    return np.minimum(positions.astype(np.int64), source - 1)

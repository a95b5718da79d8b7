"""Bilinear resizing as two products of matrices, which use every thread.

Paddle's own kernel takes four to fourteen times as long for the gradient, on one thread.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import paddle
from paddle import Tensor

_MOST_KEPT = 64


class Positions(NamedTuple):
    """Where a pixel of the result is read, see :func:`dygraph.layers.layout.resize`."""

    align_corners: bool = False
    half_pixels: bool = True


def forward(x: Tensor, size_hw: Sequence[int], positions: Positions) -> Tensor:
    """``[N, C, h, w]`` to ``[N, C, H, W]``."""
    rows, columns = _matrices(x.shape[2:], size_hw, positions)
    return paddle.matmul(rows, paddle.matmul(x, columns, transpose_y=True))


def gradient(result_gradient: Tensor, size_hw: Sequence[int], positions: Positions) -> Tensor:
    """The gradient of an image of ``size_hw`` for that of the result."""
    rows, columns = _matrices(size_hw, result_gradient.shape[2:], positions)
    return paddle.matmul(paddle.matmul(rows, result_gradient, transpose_x=True), columns)


def _matrices(small: Sequence[int], large: Sequence[int], positions: Positions) -> tuple[Tensor, Tensor]:
    return _weights(small[0], large[0], positions), _weights(small[1], large[1], positions)


@lru_cache(maxsize=_MOST_KEPT)
def _weights(read: int, written: int, positions: Positions) -> Tensor:
    """``[written, read]`` float32: the share of every pixel read in every pixel written, along one axis."""
    return paddle.to_tensor(weights(read, written, positions), place=paddle.CPUPlace())


def weights(read: int, written: int, positions: Positions) -> np.ndarray:
    """:func:`_weights` as an array.

    >>> weights(2, 4, Positions()).tolist()
    [[1.0, 0.0], [0.75, 0.25], [0.25, 0.75], [0.0, 1.0]]
    """
    index = np.arange(written)
    if written == 1:
        at = np.zeros(1)  # Paddle reads the first pixel
    elif positions.align_corners:
        at = index * ((read - 1) / (written - 1))
    elif positions.half_pixels:
        at = np.maximum((index + 0.5) * (read / written) - 0.5, 0)
    else:
        at = index * (read / written)
    before = np.minimum(at.astype(np.int64), read - 1)
    share = at - before
    found = np.zeros([written, read], np.float64)
    found[index, before] += 1 - share
    found[index, np.minimum(before + 1, read - 1)] += share
    return found.astype(np.float32)

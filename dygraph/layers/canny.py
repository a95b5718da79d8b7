"""Canny's edges as operators of the framework, so that a network can use them in either mode and in an export."""

from __future__ import annotations

import paddle
import paddle.nn.functional as F  # noqa: N812
from paddle import Tensor

TANGENT_SHIFT = 15
TANGENT_22_5 = 13573  # tan(22.5 degrees) in units of 2 ** -TANGENT_SHIFT; tan(67.5 degrees) is larger by 2
STEPS_A_CHECK = 8


def canny(pixels: Tensor, low: int, high: int) -> Tensor:
    """Thin edges: ridges of the gradient above ``high``, and those above ``low`` that are connected to one.

    Canny, "A Computational Approach to Edge Detection", IEEE PAMI 8(6), 1986. The steps and the integer arithmetic are
    those of OpenCV's ``Canny`` with its defaults: 3x3 Sobel filters on an image continued by its border, the sum of
    absolute derivatives as the magnitude, at each pixel the channel where that is largest, four directions, and
    8-neighbours as the connection.

    Args:
        pixels: ``[N, C, H, W]`` int32 in 0..255.
        low, high: thresholds on the magnitude.

    Returns:
        ``[N, 1, H, W]`` float32 of zeros and ones, without gradient.
    """
    dx, dy, magnitude = _strongest_gradient(pixels)  # each [N, 1, H, W]
    ridge = _is_ridge(dx, dy, magnitude)
    weak = paddle.logical_and(ridge, magnitude > low)
    strong = paddle.logical_and(weak, magnitude > high)
    return _grown_within(paddle.cast(strong, "float32"), paddle.cast(weak, "float32"))


def _strongest_gradient(pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Horizontal and vertical derivative and magnitude, of the first channel with the largest magnitude."""
    rows = paddle.concat([pixels[:, :, :1], pixels, pixels[:, :, -1:]], axis=2)
    padded = paddle.concat([rows[:, :, :, :1], rows, rows[:, :, :, -1:]], axis=3)  # [N, C, H + 2, W + 2]
    down = padded[:, :, :-2] + 2 * padded[:, :, 1:-1] + padded[:, :, 2:]
    across = padded[:, :, :, :-2] + 2 * padded[:, :, :, 1:-1] + padded[:, :, :, 2:]
    dx = down[:, :, :, 2:] - down[:, :, :, :-2]  # [N, C, H, W]
    dy = across[:, :, 2:] - across[:, :, :-2]
    magnitude = paddle.abs(dx) + paddle.abs(dy)
    best = [x[:, :1] for x in (dx, dy, magnitude)]
    for channel in range(1, pixels.shape[1]):
        other = [x[:, channel : channel + 1] for x in (dx, dy, magnitude)]
        larger = other[2] > best[2]
        best = [paddle.where(larger, new, old) for new, old in zip(other, best)]
    return best[0], best[1], best[2]


def _is_ridge(dx: Tensor, dy: Tensor, magnitude: Tensor) -> Tensor:
    """Whether the magnitude exceeds both neighbours' along the gradient; outside the image it is zero."""
    padded = F.pad(magnitude, [1, 1, 1, 1])
    inner = {-1: slice(None, -2), 0: slice(1, -1), 1: slice(2, None)}

    def at(row: int, column: int) -> Tensor:
        return padded[:, :, inner[row], inner[column]]

    run = paddle.abs(dx) * TANGENT_22_5
    rise = paddle.abs(dy) * 2**TANGENT_SHIFT
    steep = run + paddle.abs(dx) * 2 ** (TANGENT_SHIFT + 1)
    # Of two equal neighbours the one to the left, or above, is the ridge.
    across = paddle.logical_and(magnitude > at(0, -1), magnitude >= at(0, 1))
    down = paddle.logical_and(magnitude > at(-1, 0), magnitude >= at(1, 0))
    falling = paddle.logical_and(magnitude > at(-1, -1), magnitude > at(1, 1))
    rising = paddle.logical_and(magnitude > at(-1, 1), magnitude > at(1, -1))
    diagonal = _either(dx * dy < 0, rising, falling)
    return _either(rise < run, across, _either(rise > steep, down, diagonal))


def _either(condition: Tensor, true: Tensor, false: Tensor) -> Tensor:
    """``paddle.where`` of booleans, which ONNX Runtime has none for."""
    chosen = paddle.logical_and(condition, true)
    return paddle.logical_or(chosen, paddle.logical_and(paddle.logical_not(condition), false))


def _grown_within(edges: Tensor, weak: Tensor) -> Tensor:
    """``edges`` with all of ``weak`` that is connected to them."""

    def growing(edges: Tensor, done: Tensor) -> Tensor:  # noqa: ARG001
        return paddle.logical_not(done)

    def grow(edges: Tensor, done: Tensor) -> list[Tensor]:  # noqa: ARG001
        grown = edges
        for _ in range(STEPS_A_CHECK):
            grown = F.max_pool2d(grown, 3, stride=1, padding=1) * weak
        return [grown, paddle.all(grown == edges)]

    return paddle.static.nn.while_loop(growing, grow, [edges, paddle.full([], False, "bool")])[0]

"""A network traced with operators that ``paddle2onnx`` converts, where it ends the process at what the layers use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from math import prod
from typing import Any
from unittest import mock

import paddle
from paddle import Tensor, nn
from paddle.nn import functional

from dygraph.layers import from_nchw, to_nchw

_global_mean = nn.AdaptiveAvgPool2D.forward


@contextmanager
def onnx_operators() -> Iterator[None]:
    """For the body, in which a network is traced, layers of Paddle compute the same in another way.

    - means over a grid of cells are products of matrices, for any size of image;
    - layer normalisation of several axes is that of one, as ONNX Runtime takes no other;
    - channels are shuffled by a transpose.
    """
    with ExitStack() as patches:
        for owner, name, replacement in (
            (nn.AdaptiveAvgPool2D, "forward", _grid_of_means),
            (nn.LayerNorm, "forward", _layer_norm),
            (functional, "channel_shuffle", _channel_shuffle),
        ):
            patches.enter_context(mock.patch.object(owner, name, replacement))
        yield


def _grid_of_means(layer: Any, x: Tensor) -> Tensor:
    size = layer._output_size
    grid_hw = (size, size) if isinstance(size, int) else tuple(size)
    if grid_hw == (1, 1):
        return _global_mean(layer, x)
    maps = to_nchw(x, layer._data_format)
    rows, columns = (_cells(maps, axis, count) for axis, count in zip((2, 3), grid_hw))
    means = paddle.matmul(paddle.matmul(rows, maps), columns, transpose_y=True)  # [N, C, rows, columns]
    return from_nchw(means, layer._data_format)


def _cells(maps: Tensor, axis: int, count: int) -> Tensor:
    """``[count, size of the axis]``: the weights whose sums are the means over cells, which overlap by a pixel or none.

    Cell ``i`` reaches from ``i * size / count`` rounded down to ``(i + 1) * size / count`` rounded up.
    """
    size = paddle.shape(maps)[axis].cast("int64")
    cell = paddle.arange(count, dtype="int64").unsqueeze(1)  # [count, 1]
    first, behind = cell * size // count, ((cell + 1) * size + count - 1) // count
    place = paddle.arange(size, dtype="int64").unsqueeze(0)  # [1, size]
    inside = paddle.logical_and(place >= first, place < behind).cast(maps.dtype)
    return inside / (behind - first).cast(maps.dtype)


def _layer_norm(layer: Any, x: Tensor) -> Tensor:
    count = prod(layer._normalized_shape)
    rows = x.reshape([0] * (x.ndim - len(layer._normalized_shape)) + [count])
    normed = functional.layer_norm(rows, [count], layer.weight, layer.bias, layer._epsilon)
    return normed.reshape(paddle.shape(x))


def _channel_shuffle(x: Tensor, groups: int, data_format: str = "NCHW", name: str | None = None) -> Tensor:  # noqa: ARG001
    maps = to_nchw(x, data_format)
    channels = maps.shape[1]
    size = paddle.shape(maps)[2:]
    apart = maps.reshape([0, groups, channels // groups, -1]).transpose([0, 2, 1, 3])
    joined = apart.reshape(paddle.concat([paddle.shape(maps)[:1], paddle.full([1], channels, size.dtype), size]))
    return from_nchw(joined, data_format)

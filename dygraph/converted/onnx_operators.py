"""A network traced with operators that ``paddle2onnx`` converts, where it ends the process at what the layers use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from typing import Any

import paddle
from paddle import Tensor, nn
from paddle.nn import functional

from dygraph.layers import from_nchw, to_nchw

_own_means = nn.AdaptiveAvgPool2D.forward
_own_pad = functional.pad


@contextmanager
def onnx_operators() -> Iterator[None]:
    """For the body, in which a network is traced, layers of Paddle compute the same in another way.

    - means over a grid of cells are products of matrices, for any size of image;
    - layer normalisation of several axes is that of one: of several, ONNX Runtime takes no flat weights;
    - channels are shuffled by a transpose;
    - what is padded by amounts that depend on the image's size is laid beside zeros: ``paddle2onnx`` 2.1.0 writes what
      it finds in memory as the value to pad with.
    """
    replacements: tuple[tuple[Any, str, Any], ...] = (
        (nn.AdaptiveAvgPool2D, "forward", _grid_of_means),
        (nn.LayerNorm, "forward", _layer_norm),
        (functional, "channel_shuffle", _channel_shuffle),
        (functional, "pad", _pad),
    )
    kept = [(owner, name, getattr(owner, name)) for owner, name, _ in replacements]
    try:
        for owner, name, replacement in replacements:
            setattr(owner, name, replacement)
        yield
    finally:
        for owner, name, own in kept:
            setattr(owner, name, own)


def _grid_of_means(layer: Any, x: Tensor) -> Tensor:
    size = layer._output_size
    grid_hw = (size, size) if isinstance(size, int) else tuple(size)
    if grid_hw == (1, 1) or None in grid_hw:
        return _own_means(layer, x)
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


def _pad(
    x: Tensor, pad: Any, mode: str = "constant", value: float = 0.0, data_format: str = "NCHW", **others: Any
) -> Tensor:
    amounts = isinstance(pad, (Tensor, paddle.pir.Value)) and list(pad.shape) == [4]
    if not amounts or mode != "constant" or x.ndim != 4:
        return _own_pad(x, pad, mode, value, data_format, **others)
    maps = to_nchw(x, data_format)
    for axis, before in ((3, 0), (2, 2)):
        parts = [_beside(maps, axis, pad[before], value), maps, _beside(maps, axis, pad[before + 1], value)]
        maps = paddle.concat(parts, axis=axis)
    return from_nchw(maps, data_format)


def _beside(maps: Tensor, axis: int, amount: Tensor, value: float) -> Tensor:
    """So many rows or columns of ``value``, as long as those of the maps."""
    sizes = list(paddle.shape(maps).unbind())
    sizes[axis] = amount.cast(sizes[axis].dtype)
    return paddle.full(paddle.stack(sizes), value, maps.dtype)

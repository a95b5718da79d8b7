"""Memory layouts and resizing: the few places that must know where the channels stand.

Outside a network every image and every map of logits is NCHW. A network built with ``data_format="NHWC"`` transposes
once at its entry and once at its exit; its weights are the same in both layouts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import paddle
import paddle.nn.functional as F  # noqa: N812
from paddle import Tensor

from dygraph.kernels import choice
from dygraph.kernels.bilinear import Positions

DATA_FORMATS = ("NCHW", "NHWC")


def check_data_format(data_format: str) -> str:
    """``data_format`` itself; ValueError unless it is NCHW or NHWC."""
    if data_format not in DATA_FORMATS:
        raise ValueError(f"data_format must be one of {', '.join(DATA_FORMATS)}, got {data_format!r}")
    return data_format


def channel_axis(data_format: str) -> int:
    """The axis of the channels: 1 for NCHW, 3 for NHWC."""
    return 1 if check_data_format(data_format) == "NCHW" else 3


def from_nchw(x: Tensor, data_format: str) -> Tensor:
    """``[N, C, H, W]`` to ``data_format``."""
    return x if check_data_format(data_format) == "NCHW" else paddle.transpose(x, [0, 2, 3, 1])


def to_nchw(x: Tensor, data_format: str) -> Tensor:
    """A four-dimensional tensor in ``data_format`` to ``[N, C, H, W]``."""
    return x if check_data_format(data_format) == "NCHW" else paddle.transpose(x, [0, 3, 1, 2])


def spatial_size(x: Tensor, data_format: str = "NCHW") -> list[Any]:
    """Height and width of ``x``: integers where they are known, scalar tensors where a program leaves them open."""
    first = 2 if check_data_format(data_format) == "NCHW" else 1
    known = x.shape[first : first + 2]
    if min(known) >= 0:
        return list(known)
    actual = paddle.shape(x)
    return [size if size >= 0 else actual[first + i] for i, size in enumerate(known)]


def resize(
    x: Tensor,
    size_hw: Sequence[Any],
    align_corners: bool = False,
    data_format: str = "NCHW",
    half_pixels: bool = True,
) -> Tensor:
    """Bilinear resize.

    Args:
        x: ``[N, C, H, W]``, or ``[N, H, W, C]`` for NHWC.
        size_hw: the new height and width, integers or scalar tensors (see :func:`spatial_size`).
        align_corners: whether the centres of the corner pixels stay where they are.
        half_pixels: without ``align_corners``: whether a pixel's position is its centre, so that row i of H is read at
            ``(i + 0.5) * h / H - 0.5``; False reads it at ``i * h / H``.
    """
    return choice.resize(x, size_hw, Positions(align_corners, half_pixels), check_data_format(data_format))


def resize_like(x: Tensor, reference: Tensor, align_corners: bool = False, data_format: str = "NCHW") -> Tensor:
    """Bilinear resize of ``x`` to the height and width of ``reference``; both are in ``data_format``."""
    return resize(x, spatial_size(reference, data_format), align_corners, data_format)


def pad_to_multiple(x: Tensor, multiple: int, data_format: str = "NCHW") -> Tensor:
    """``x`` with zeros on the right and at the bottom, so that height and width are multiples of ``multiple``."""
    if multiple == 1:
        return x
    height, width = spatial_size(x, data_format)
    return pad(x, [0, -width % multiple, 0, -height % multiple], data_format)


def pad(x: Tensor, amounts: Sequence[Any], data_format: str = "NCHW") -> Tensor:
    """``x`` with zeros on the left, on the right, at the top and at the bottom.

    Args:
        amounts: how many columns and rows, in that order: integers or scalar tensors (see :func:`spatial_size`).
    """
    if all(isinstance(amount, int) for amount in amounts):
        return F.pad(x, list(amounts), data_format=data_format) if any(amounts) else x
    zero = paddle.zeros([], "int32")
    scalars = [zero + (a if isinstance(a, int) else paddle.cast(a, "int32")) for a in amounts]
    return F.pad(x, paddle.stack(scalars), data_format=data_format)


def crop_to(x: Tensor, size_hw: Sequence[Any], data_format: str = "NCHW") -> Tensor:
    """The upper left ``size_hw`` of ``x``."""
    height, width = size_hw
    return x[:, :, :height, :width] if check_data_format(data_format) == "NCHW" else x[:, :height, :width]

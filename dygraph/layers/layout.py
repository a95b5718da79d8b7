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


def resize(x: Tensor, size_hw: Sequence[Any], align_corners: bool = False, data_format: str = "NCHW") -> Tensor:
    """Bilinear resize.

    Args:
        x: ``[N, C, H, W]``, or ``[N, H, W, C]`` for NHWC.
        size_hw: the new height and width, integers or scalar tensors (see :func:`spatial_size`).
        align_corners: whether the centres of the corner pixels stay where they are.
    """
    return F.interpolate(
        x, size=list(size_hw), mode="bilinear", align_corners=align_corners, data_format=check_data_format(data_format)
    )

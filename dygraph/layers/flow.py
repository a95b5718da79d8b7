"""Semantic flow: a feature sampled where a flow field says."""

from __future__ import annotations

from typing import Any

import paddle
import paddle.nn.functional as F  # noqa: N812
from paddle import Tensor

from dygraph.layers.layout import channel_axis, from_nchw, spatial_size, to_nchw


def flow_warp(x: Tensor, flow: Tensor, data_format: str = "NCHW") -> Tensor:
    """``x`` read, at every pixel of ``flow``, at that pixel's place plus the flow there, bilinearly.

    Li et al., "Semantic Flow for Fast and Accurate Scene Parsing", https://arxiv.org/abs/2002.10120, equation 2

    Places run from -1 to 1 between the centres of the corner pixels, whatever the size of ``x``, so that a flow of
    zero is a resize with aligned corners, and a flow as large as ``flow`` is wide (or high) moves by 1: half of ``x``.
    What lies outside ``x`` is zero.

    Args:
        x: ``[N, C, h, w]``, or ``[N, h, w, C]`` for NHWC.
        flow: ``[N, 2, H, W]``, or ``[N, H, W, 2]``: the displacement to the right and the one downwards.

    Returns:
        ``x``'s channels and type in ``flow``'s height and width.
    """
    # Half-precision numbers are too coarse to name the places of a wide feature.
    half = flow.dtype in (paddle.float16, paddle.bfloat16)
    dtype = paddle.float32 if half else flow.dtype
    if channel_axis(data_format) == 1:
        flow = paddle.transpose(flow, [0, 2, 3, 1])  # [N, H, W, 2]
    height, width = spatial_size(flow, "NHWC")
    rows, columns = paddle.meshgrid(_places(height, dtype), _places(width, dtype))  # each [H, W]
    extent = paddle.stack([_scalar(width, dtype), _scalar(height, dtype)])  # [2]
    grid = paddle.stack([columns, rows], axis=-1) + paddle.cast(flow, dtype) / extent  # [N, H, W, 2]
    source = to_nchw(paddle.cast(x, dtype), data_format)
    warped = F.grid_sample(source, grid, mode="bilinear", padding_mode="zeros", align_corners=True)  # [N, C, H, W]
    return from_nchw(paddle.cast(warped, x.dtype), data_format)


def _places(count: Any, dtype: paddle.dtype) -> Tensor:
    """``count`` equal steps from -1 to 1; a single one is -1."""
    one = paddle.ones([], dtype)
    last = paddle.maximum(_scalar(count, dtype) - one, one)
    return paddle.arange(count, dtype=dtype) * (paddle.full([], 2.0, dtype) / last) - one


def _scalar(size: Any, dtype: paddle.dtype) -> Tensor:
    """A size, integer or scalar tensor, in ``dtype``."""
    return paddle.full([], size, dtype) if isinstance(size, int) else paddle.cast(size, dtype)

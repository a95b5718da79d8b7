"""Attention over the pixels of a feature: weighted means of values, where queries and keys say the weights.

A block has its own projections, whose names published weights fix; what all have in common is here. For example, with
``query`` ``[N, C, h, w]`` and ``key`` and ``value`` features of C and D channels and any size::

    tokens = attend(to_tokens(query), to_tokens(key), to_tokens(value), scale=C**-0.5)  # [N, h * w, D]
    context = from_tokens(tokens, spatial_size(query))  # [N, D, h, w]
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import paddle
import paddle.nn.functional as F  # noqa: N812
from paddle import Tensor

from dygraph.layers.layout import check_data_format


def to_tokens(x: Tensor, data_format: str = "NCHW") -> Tensor:
    """A feature in ``data_format`` to ``[N, h * w, C]``, one row a pixel."""
    if check_data_format(data_format) == "NHWC":
        return paddle.flatten(x, 1, 2)
    return paddle.transpose(paddle.flatten(x, 2, 3), [0, 2, 1])


def from_tokens(tokens: Tensor, size_hw: Sequence[Any], data_format: str = "NCHW") -> Tensor:
    """``[N, h * w, C]`` to a feature of ``size_hw`` in ``data_format``; the inverse of :func:`to_tokens`.

    Args:
        size_hw: height and width, integers or scalar tensors (see ``spatial_size``).
    """
    height, width = size_hw
    channels = tokens.shape[2]
    if check_data_format(data_format) == "NHWC":
        return paddle.reshape(tokens, [-1, height, width, channels])
    return paddle.reshape(paddle.transpose(tokens, [0, 2, 1]), [-1, channels, height, width])


def attend(query: Tensor, key: Tensor, value: Tensor, scale: float = 1.0) -> Tensor:
    """``softmax(scale * query @ key^T) @ value``, the softmax over the keys.

    Vaswani et al., "Attention Is All You Need", https://arxiv.org/abs/1706.03762, equation 1

    Args:
        query: ``[N, Q, C]``.
        key: ``[N, P, C]``.
        value: ``[N, P, D]``.
        scale: of the similarities; ``C ** -0.5`` in the paper.

    Returns:
        ``[N, Q, D]``.
    """
    if scale != 1.0:
        query = query * paddle.full([], scale, dtype=query.dtype)  # a bare number is float32 in a program
    weights = F.softmax(paddle.matmul(query, key, transpose_y=True), axis=-1)  # [N, Q, P]
    return paddle.matmul(weights, value)

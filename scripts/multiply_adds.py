"""Counting multiply-adds in a static Program."""

from __future__ import annotations

import math
from collections.abc import Callable

import paddle

Operation = paddle.base.libpaddle.pir.Operation
Value = paddle.pir.Value


def multiply_adds(program: paddle.static.Program, output: Value) -> int:
    """Multiply-adds of every convolution and matrix product that ``output`` depends on.

    Args:
        program: built for a fixed image size.
        output: a value of it; what only other outputs need does not count.

    Raises:
        ValueError: a size is left open.
    """
    total = 0
    needed = {output.id}
    for op in reversed(program.global_block().ops):
        if needed.isdisjoint(value.id for value in op.results()):
            continue
        needed.update(value.id for value in op.operands_source() if value.initialized())  # optional ones are empty
        count = COUNTS.get(op.name().split(".")[-1])
        if count is not None:
            total += count(op)
    return total


def _size(value: Value) -> int:
    if min(value.shape, default=1) < 0:
        raise ValueError(f"the Program leaves a size open: {value.shape}; build it for one image size")
    return math.prod(value.shape)


def _convolution(op: Operation) -> int:
    """Each output element sums over one kernel: (in_channels / groups) * height * width."""
    kernel = op.operands_source()[1].shape
    return _size(op.results()[0]) * math.prod(kernel[1:])


def _transposed_convolution(op: Operation) -> int:
    """Each input element is spread by one kernel: (out_channels / groups) * height * width."""
    image, kernel = op.operands_source()[:2]
    return _size(image) * math.prod(kernel.shape[1:])


def _matrix_product(op: Operation) -> int:
    """Each output element sums over the common dimension."""
    left = op.operands_source()[0].shape
    transposed = op.name().endswith("matmul") and op.attrs().get("transpose_x", False)
    return _size(op.results()[0]) * left[-2 if transposed else -1]


COUNTS: dict[str, Callable[[Operation], int]] = {
    "conv2d": _convolution,
    "depthwise_conv2d": _convolution,
    "conv2d_transpose": _transposed_convolution,
    "matmul": _matrix_product,
    "bmm": _matrix_product,
}

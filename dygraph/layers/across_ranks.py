"""Sums over the ranks, for eager tensors and for Values of a program that is being built."""

from __future__ import annotations

import paddle
from paddle import Tensor


def all_reduced(x: Tensor, op: int = paddle.distributed.ReduceOp.SUM) -> Tensor:
    """A new tensor: ``x`` combined over all ranks, the same bits on each. Gradients pass it by."""
    y = paddle.assign(x)
    paddle.distributed.all_reduce(y, op)
    return y


class _Summed(paddle.autograd.PyLayer):
    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:  # noqa: ARG004 - PyLayer's signature
        return all_reduced(x)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:  # noqa: ARG004 - PyLayer's signature
        return all_reduced(gradient)


def summed_over_ranks(x: Tensor) -> Tensor:
    """``x`` summed over all ranks, differentiable.

    The gradient is that of the sum of all ranks' losses: what another rank's loss owes to this rank's ``x`` comes back
    as well.
    """
    if paddle.in_dynamic_mode():
        return _Summed.apply(x)
    return paddle.static.nn.static_pylayer(all_reduced, [x], all_reduced)


def gathered_from_ranks(x: Tensor) -> Tensor:
    """``[L]`` of every rank as ``[world, L]``, differentiable as :func:`summed_over_ranks` is, which makes it."""
    rank, world = paddle.distributed.get_rank(), paddle.distributed.get_world_size()
    length = x.shape[0]
    before, after = paddle.zeros([rank * length], x.dtype), paddle.zeros([(world - 1 - rank) * length], x.dtype)
    rows = [part for part in (before, x, after) if part.shape[0]]
    return summed_over_ranks(paddle.concat(rows)).reshape([world, length])

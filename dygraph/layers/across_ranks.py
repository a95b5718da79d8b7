"""Sums over the ranks, for eager tensors and for Values of a program that is being built."""

from __future__ import annotations

import paddle
from paddle import Tensor


def all_reduced(x: Tensor, op: int = paddle.distributed.ReduceOp.SUM) -> Tensor:
    """A new tensor: ``x`` combined over all ranks, the same bits on each. Not differentiable."""
    y = paddle.assign(x.detach())
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

"""Sums over the ranks, for eager tensors and for Values of a program that is being built."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import paddle
from paddle import Tensor
from paddle.base import libpaddle


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
    y = paddle.scale(x, 1.0)
    paddle.distributed.all_reduce(y)  # in place, and unseen by the backward pass: there y is x
    _sums_of_program.append(y)
    return y


#: Sums in the program that is being built, whose gradients are still to be summed.
_sums_of_program: list[Any] = []


@contextmanager
def collected_sums() -> Iterator[list[Any]]:
    """The Values that :func:`summed_over_ranks` makes in the program built in the body.

    A program's operators know nothing of ranks in their backward pass. Whoever builds it asks for the gradients of
    these Values too, and gives them to :func:`sum_gradients`. (``static_pylayer`` would do both by itself, but each one
    costs a block of its own, and the time to build them grows with the square of their number: a network of 300 batch
    norms takes many minutes.)
    """
    _sums_of_program.clear()
    try:
        yield _sums_of_program
    finally:
        _sums_of_program.clear()


def sum_gradients(gradients: Sequence[Any]) -> None:
    """Let each of these gradients, where a program computes it, be summed over the ranks, in place."""
    for gradient in gradients:
        libpaddle.pir.set_insertion_point_after(gradient.get_defining_op())
        paddle.distributed.all_reduce(gradient)
    libpaddle.pir.reset_insertion_point_to_end()


def gathered_from_ranks(x: Tensor) -> Tensor:
    """``[L]`` of every rank as ``[world, L]``, differentiable as :func:`summed_over_ranks` is, which makes it."""
    rank, world = paddle.distributed.get_rank(), paddle.distributed.get_world_size()
    length = x.shape[0]
    before, after = paddle.zeros([rank * length], x.dtype), paddle.zeros([(world - 1 - rank) * length], x.dtype)
    rows = [part for part in (before, x, after) if part.shape[0]]
    return summed_over_ranks(paddle.concat(rows)).reshape([world, length])

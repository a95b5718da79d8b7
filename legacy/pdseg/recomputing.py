"""Large maps that are computed once more in the backward pass, instead of being kept for it."""

from __future__ import annotations

import math

import paddle
from paddle import pir, static

_NORM = "pd_op.batch_norm_"
_CONVOLUTION, _GRADIENT = "pd_op.conv2d", "pd_op.conv2d_grad"
_LEAST_NUMBERS = 2**24


def recompute_norms(program: static.Program) -> None:
    """Have the gradient of a convolution normalise anew what the convolution read, where that is large.

    In a separable convolution a batch norm stands between the two. Its own gradient reads what it was given, so that
    one map is kept instead of two. The same operator gives the same bits.
    """
    with static.program_guard(program):
        for op in program.global_block().ops:
            if op.name() == _GRADIENT and _is_worth_it(op.operand_source(0)):
                pir.set_insertion_point(op)
                op.operand(0).set_source(_again(op.operand_source(0).get_defining_op()))
        pir.set_insertion_point_to_block_end(program.global_block())


def _is_worth_it(value: pir.Value) -> bool:
    """Whether it is a large map from a batch norm, which one convolution and its gradient read."""
    if value.get_defining_op().name() != _NORM or math.prod(value.shape) < _LEAST_NUMBERS:
        return False
    return sorted(user.name() for user in value.all_used_ops()) == [_CONVOLUTION, _GRADIENT]


def _again(norm: pir.Operation) -> pir.Value:
    """The first result of ``norm`` by another one, whose momentum leaves the running mean and variance as they are."""
    attributes = {**norm.attrs(), "momentum": 1.0}
    operands = [norm.operand_source(place) for place in range(norm.num_operands())]
    return paddle._C_ops.batch_norm(*operands, *(attributes[name] for name in norm.get_attr_names()))[0]

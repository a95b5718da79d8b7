"""Functions with a gradient of their own, for eager tensors and for Values of a program that is being built."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import paddle
from paddle import Tensor

Forward = Callable[..., tuple[Tensor, ...]]
Backward = Callable[[Sequence[Tensor], Sequence[Tensor], Tensor], "tuple[Tensor | None, ...]"]


class _Own(paddle.autograd.PyLayer):
    @staticmethod
    def forward(ctx, forward: Forward, backward: Backward, *inputs: Tensor) -> tuple[Tensor, ...]:
        outputs = forward(*inputs)
        ctx.own_backward, ctx.constant = backward, [x.stop_gradient for x in inputs]
        ctx.save_for_backward(*inputs, *outputs[1:])
        ctx.mark_non_differentiable(*outputs[1:])
        return outputs

    @staticmethod
    def backward(ctx, gradient: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        saved, count = ctx.saved_tensor(), len(ctx.constant)
        found = ctx.own_backward(saved[:count], saved[count:], gradient)
        return tuple(None if constant else one for one, constant in zip(found, ctx.constant))


def with_own_gradient(forward: Forward, backward: Backward, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """``forward(*inputs)``, differentiable in its first output by ``backward``.

    In a program the two are one operator each, with a block of its own. That matters beyond order: the time Paddle
    takes to prepare a block grows with the square of its operators.

    Args:
        forward: gives two outputs or more; the ones after the first carry no gradient.
        backward: called with the inputs, the outputs after the first and the gradient of the first; gives the gradient
            of every input, of its shape and type, or None for one that is constant (``stop_gradient``).
        inputs: what ``forward`` is called with.
    """
    if paddle.in_dynamic_mode():
        return _Own.apply(forward, backward, *inputs)
    outputs: list[Tensor] = []

    def backward_block(gradient: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        return backward(inputs, outputs[1:], gradient)

    outputs += paddle.static.nn.static_pylayer(forward, list(inputs), backward_block)
    for constant in outputs[1:]:
        constant.stop_gradient = True
    return tuple(outputs)

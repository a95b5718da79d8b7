"""A backward pass built without listing the block's operators three times for each operator.

Nor are gradients of zeros written for the statistics of every batch norm, which its own gradient does not read: Paddle
writes two operators for each, walks through all of them several times and removes them again.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

from paddle import pir
from paddle.autograd import ir_backward

_append = ir_backward.append_backward_ops
_append_full_like = ir_backward.append_full_like
_BATCH_NORMS = ("pd_op.batch_norm", "pd_op.batch_norm_")


@contextmanager
def quick_backward() -> Iterator[None]:
    """For the body, in which gradients are asked for: Paddle counts and takes new operators without a list of all."""
    ir_backward.append_backward_ops = _appended
    ir_backward.append_full_like = _without_statistics
    try:
        yield
    finally:
        ir_backward.append_backward_ops = _append
        ir_backward.append_full_like = _append_full_like


def _without_statistics(
    number: float, copied: pir.Value, value: pir.Value, state: Any, backward_ops: list[pir.Operation]
) -> Any:
    """Where the output itself has no gradient either, Paddle leaves the batch norm out."""
    source = value.get_defining_op()
    if source is None or source.name() not in _BATCH_NORMS:
        return _append_full_like(number, copied, value, state, backward_ops)
    state.value_to_valuegrad[value] = [[pir.fake_value()]]
    return None


def _appended(
    op: Any, inputs: Any, gradients: Any, forward: pir.Block, backward: pir.Block, *others: Any, **named: Any
) -> Any:
    # num_ops() counts those in branches too; where there are any, or in the block of one, Paddle does as it does
    is_plain = forward is backward and backward.num_ops() == len(backward.ops)
    return _append(op, inputs, gradients, forward, _Block(backward) if is_plain else backward, *others, **named)


class _Operators:
    """What ``Block.ops`` gives, listed when it has to be."""

    def __init__(self, block: _Block) -> None:
        self.block = block

    def __len__(self) -> int:
        return self.block.count()

    def __getitem__(self, place: Any) -> Any:
        return self.block.back() if place in (-1, len(self) - 1) else self._listed[place]

    @cached_property
    def _listed(self) -> list[pir.Operation]:
        return self.block.listed()


class _Block:
    """A block whose ``ops`` are :class:`_Operators`; all else is the block's own."""

    __hash__ = None

    def __init__(self, block: pir.Block) -> None:
        self._block = block
        self._last = self._count = -1

    @property
    def ops(self) -> _Operators:
        return _Operators(self)

    def listed(self) -> list[pir.Operation]:
        """All operators."""
        return self._block.ops

    def count(self) -> int:
        """How many there are; Paddle walks through all of them to say so, and only ever appends to this block.

        Operators are numbered as they are made: the next number at the end is one more operator.
        """
        last = self._block.back().id()
        if last != self._last:
            is_next = self._count >= 0 and last == self._last + 1
            self._last, self._count = last, self._count + 1 if is_next else self._block.num_ops()
        return self._count

    def __getattr__(self, name: str) -> Any:
        return getattr(self._block, name)

    def __eq__(self, other: object) -> bool:
        return self._block == other

    def __enter__(self) -> Any:
        return self._block.__enter__()

    def __exit__(self, *error: object) -> Any:
        return self._block.__exit__(*error)

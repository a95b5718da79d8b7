"""An optimiser's step as one operator of a Program, instead of one for every parameter.

Before a Program runs for the first time, Paddle spends a millisecond or more on each operator of its own and next to
nothing on one written in Python. This one calls the same functions of Paddle in the same order, on the Program's own
tensors: 3 of 10 s of FCN-HRNet-W18's first step.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

import paddle
from paddle import Tensor, pir, static

from legacy.pdseg.kernels import begin_inference, keeping_cause

_UPDATES = ("pd_op.momentum_", "pd_op.adam_", "pd_op.adamw_")
_CONSTANT = "pd_op.full"
_numbers = count()


class _Update:
    """One parameter's update.

    Args:
        op: the operator it stands for.
        place: gives each Value its place among the operands of the one operator.
    """

    def __init__(self, op: pir.Operation, place: Callable[[pir.Value], int]) -> None:
        self.compute = getattr(paddle._C_ops, op.name().removeprefix("pd_op."))
        self.operands: list[int | None] = []
        self.constants: list[Any] = []
        for i in range(op.num_operands()):
            value = op.operand_source(i)
            if not value.initialized():
                self.operands.append(None)
            elif value.get_defining_op().name() == _CONSTANT:  # after all tensors, as in every one of _UPDATES
                self.constants.append(value.get_defining_op().attrs()["value"])
            else:
                self.operands.append(place(value))
        attributes = op.attrs()
        self.constants += [attributes[name] for name in op.get_attr_names()]

    def __call__(self, tensors: tuple[Tensor, ...]) -> None:
        """Update the parameter and its state in place."""
        given = [None if place is None else tensors[place] for place in self.operands]
        self.compute(*given, *self.constants)


def join_updates(program: static.Program) -> None:
    """Replace all updates of an optimiser, in whichever branch of ``program`` they are, by one operator."""
    begin_inference()
    for branch in program.global_block().ops:
        for block in branch.blocks():
            updates = [op for op in block.ops if op.name() in _UPDATES]
            if updates:
                with static.program_guard(program):
                    _join(block, updates)
                    pir.set_insertion_point_to_block_end(program.global_block())


def _join(block: pir.Block, ops: list[pir.Operation]) -> None:
    operands: dict[int, pir.Value] = {}
    places: dict[int, int] = {}

    def place(value: pir.Value) -> int:
        key = value.hash()
        operands.setdefault(key, value)
        return places.setdefault(key, len(places))

    updates = [_Update(op, place) for op in ops]

    def run(*tensors: Tensor) -> Tensor:
        with paddle.base.dygraph.guard(), paddle.no_grad(), keeping_cause():
            for update in updates:
                update(tensors)
            return paddle.zeros([1])

    pir.set_insertion_point(ops[-1])
    paddle._C_ops._run_python_op(  # what static.register_op calls, which takes no varying number of operands
        *operands.values(),
        name=f"dualseg_optimizer_{next(_numbers)}",
        input_names=[f"operand{i}" for i in range(len(operands))],
        output_names=["done"],
        attrs={"infer_meta_fn_ptr": _describe, "fn_ptr": run},
        inplace_map={},
    )
    constants = [
        op.operand_source(i).get_defining_op()
        for op in ops
        for i in range(op.num_operands())
        if op.operand_source(i).initialized() and op.operand_source(i).get_defining_op().name() == _CONSTANT
    ]
    for op in [*ops, *constants]:
        block.remove_op(op)


def _describe(*_: static.MetaTensor) -> static.MetaTensor:
    return static.MetaTensor(dtype=paddle.float32, shape=[1])

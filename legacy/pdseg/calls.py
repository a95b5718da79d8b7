"""What an operator of a Program is as a call: a function of eager tensors with the same operands and results."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import paddle
from paddle import Tensor, pir

_PREFIX = "pd_op."
_CONSTANT = "pd_op.full"
_LIST = "builtin.combine"
_NUMBERS = ("beta1", "beta2", "epsilon")
_OVERWRITTEN = {"relu": 0, "relu_grad": 1, "add": 0}
_OWN_MEMORY = (
    *("conv2d", "depthwise_conv2d", "bilinear_interp", "batch_norm", "relu", "add"),
    "cross_entropy_with_softmax",
)
#: Operators whose results are in memory that nothing else reads, unless their operand's may be.
FRESH = {f"pd_op.{name}{kind}" for name in _OWN_MEMORY for kind in ("", "_", "_grad")} | {"pd_op.add_n"}


@dataclass(frozen=True)
class Call:
    """``compute(*operands, *constants)`` in the place of ``op``.

    Attributes:
        places: those among the operands of ``op`` that are tensors, or None for an operand that may be and is not.
        in_place: a result of ``op`` -> the operand whose memory it is.
        overwriting: the same as ``compute``, its first result in the memory of the operand ``overwritten``.
        is_kernel: whether ``compute`` is one of ``dygraph.kernels``, and not what Paddle itself runs.
    """

    op: pir.Operation
    compute: Callable[..., Tensor | Sequence[Tensor]]
    places: Sequence[int | None]
    constants: Sequence[Any]
    in_place: Mapping[int, int] = field(default_factory=dict)
    is_kernel: bool = False
    overwriting: Callable[..., Tensor | Sequence[Tensor]] | None = None
    overwritten: int = 0

    @property
    def name(self) -> str:
        """The operator's, in short."""
        return self.op.name().removeprefix(_PREFIX).rstrip("_")

    def operands(self) -> list[pir.Value | list[pir.Value] | None]:
        """The operands as they are now."""
        return [None if place is None else _tensors(self.op.operand_source(place)) for place in self.places]

    def results(self) -> list[pir.Value]:
        """Those that there are."""
        return [result for result in self.op.results() if result.initialized()]


def paddle_call(op: pir.Operation, in_place: Mapping[int, int] | None = None, absent: Collection[int] = ()) -> Call:
    """``op`` by Paddle's own function, which takes the operands, then the attributes, in the operator's order."""
    places: list[int | None] = []
    constants: list[Any] = []
    named = op.get_input_names()
    for place in range(op.num_operands()):
        value = op.operand_source(place)
        if place in absent or not value.initialized():
            places.append(None)
        elif named[place] in _NUMBERS and value.get_defining_op().name() == _CONSTANT:  # after all tensors
            constants.append(value.get_defining_op().attrs()["value"])
        else:
            places.append(place)
    attributes = op.attrs()
    constants += [attributes[name] for name in op.get_attr_names()]
    name = op.name().removeprefix(_PREFIX)
    compute = getattr(paddle._C_ops, name.removesuffix("_") if in_place else name)
    how = {}
    if name in _OVERWRITTEN:
        how = {"overwriting": getattr(paddle._C_ops, f"{name}_"), "overwritten": _OVERWRITTEN[name]}
    return Call(op, compute, places, constants, in_place or {}, **how)


def _tensors(value: pir.Value) -> pir.Value | list[pir.Value]:
    source = value.get_defining_op()
    return list(source.operands_source()) if source.name() == _LIST else value


def remove(call: Call) -> None:
    """Remove the operator, and the lists and constants that it alone took."""
    sources = [value.get_defining_op() for value in call.op.operands_source() if value.initialized()]
    block = call.op.get_parent_block()
    block.remove_op(call.op)
    for source in sources:
        if source.name() in (_LIST, _CONSTANT) and source.results()[0].use_empty():
            block.remove_op(source)

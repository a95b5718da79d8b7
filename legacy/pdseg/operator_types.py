"""Which type each operator of a static Program runs in under mixed precision, from the Program that Paddle builds.

Autocast writes its casts into the Program, so an operator's type is that of the operands it got there. Where this
machine's Paddle refuses to build an operator in the type autocast chose (float16 convolutions and every low-type batch
norm on a CPU), the refusal names the type; the operator is then built in float32 and its result cast, so that the next
one is decided on the right types.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import paddle
from paddle import static

from dygraph.engine.operator_calls import FLOATS, LOW_TYPES, OperatorCall, Recorder, tensors, watched
from dygraph.engine.precision import Precision, forward
from dygraph.engine.static_mode import building
from legacy.pdseg.program import NetworkBuilder

_REFUSED = re.compile(r"Check data type error for op: (\w+), input: \w+, \w+\.dtype: (\w+)")


def static_operator_types(
    build_network: NetworkBuilder, image_shape: Sequence[int], precision: Precision
) -> list[OperatorCall]:
    """Every operator of a training forward pass on ``image_shape`` ``[N, 3, H, W]``, in the order of the Program."""
    with building():
        network = build_network()
        network.train()
        image = static.data("image", list(image_shape), "float32")
        recorder = _StaticRecorder(precision.dtype)
        with watched(recorder, network):
            forward(network, image, precision)
    return recorder.calls


class _StaticRecorder(Recorder):
    def record(self, _: str, operator: Callable[..., Any], args: tuple, kwargs: dict, inputs: list) -> Any:
        try:
            result = operator(*args, **kwargs)
        except TypeError as error:
            refused = _REFUSED.search(str(error))
            if refused is None:
                raise
            runs_in = getattr(paddle, refused[2])
            result = self.in_float32(operator, args, kwargs, low=runs_in in LOW_TYPES)
            self.note(refused[1], inputs, runs_in)
        else:
            made_by = _made_by(next(tensors(result)))
            self.note(made_by.name().partition(".")[2], inputs, _operand_type(made_by, inputs[0].dtype))
        return result


def _made_by(result: Any) -> Any:
    """The operator of the Program that gave ``result``."""
    operator = result.get_defining_op()
    while operator.name() == "builtin.split":
        operator = operator.operand_source(0).get_defining_op()
    return operator


def _operand_type(operator: Any, otherwise: Any) -> Any:
    """The type of its first floating-point operand."""
    for operand in operator.operands_source():
        source = operand.get_defining_op() if operand.initialized() else None
        operands = source.operands_source() if source is not None and source.name() == "builtin.combine" else [operand]
        for value in operands:
            if value.initialized() and value.is_dense_tensor_type() and value.dtype in FLOATS:
                return value.dtype
    return otherwise

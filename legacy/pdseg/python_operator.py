"""Operators of a Program written in Python: they run in the executor's thread, on the Program's own tensors."""

from __future__ import annotations

import sys
import tempfile
import warnings
from collections.abc import Callable, Sequence
from functools import cache
from itertools import count
from pathlib import Path
from typing import NoReturn

import paddle
from paddle import Tensor, pir, static
from paddle.base import framework
from paddle.base.dygraph.tracer import Tracer

from dygraph.engine.export import cpu_predictor

_failures: list[Exception] = []
_numbers = count()


def write_operator(
    name: str,
    compute: Callable[..., Sequence[Tensor]],
    operands: Sequence[pir.Value],
    results: Sequence[tuple[Sequence[int], paddle.dtype]],
) -> Sequence[pir.Value]:
    """Write a call of ``compute`` at the insertion point.

    Args:
        name: what the operator is called, before a number of its own.
        compute: takes eager tensors, as many as ``operands``; may change them in place.
        results: shape and type of each tensor that ``compute`` gives; at least one.
    """
    begin_inference()
    described = [static.MetaTensor(dtype=dtype, shape=list(shape)) for shape, dtype in results]

    def run(*tensors: Tensor) -> Tensor | Sequence[Tensor]:
        with framework._dygraph_guard(_tracer()), paddle.no_grad():
            try:
                given = compute(*tensors)
            except Exception as error:
                _failures.append(error)
                raise
        return given[0] if len(described) == 1 else tuple(given)

    return paddle._C_ops._run_python_op(  # what static.register_op calls, which takes no varying number of operands
        *operands,
        # not "gradient": for a name with "_grad" Paddle looks for another operator, of the name before it
        name=f"dualseg_{name.replace('grad', 'slope')}_{next(_numbers)}",
        input_names=[f"operand{i}" for i in range(len(operands))],
        output_names=[f"result{i}" for i in range(len(described))],
        attrs={
            "infer_meta_fn_ptr": lambda *_: described[0] if len(described) == 1 else tuple(described),
            "fn_ptr": run,
        },
        inplace_map={},
    )


@cache
def _tracer() -> Tracer:
    """What makes Paddle compute eagerly. ``paddle.base.dygraph.guard`` makes a new one, which takes 60 us."""
    return Tracer()


def raise_cause(error: SystemError) -> NoReturn:
    """Raise what such an operator raised in an executor, which lets only a ``SystemError`` through; else that one."""
    if not _failures:
        raise error
    failure = _failures.pop()
    _forget_printed(failure)
    try:
        raise failure from error
    finally:
        del failure  # what it holds is freed with it, and not when Python looks for rings


def _forget_printed(failure: Exception) -> None:
    """Paddle prints what such an operator raises. Python then keeps it, with every tensor that was computed with."""
    if getattr(sys, "last_value", None) is failure:
        for name in ("last_type", "last_value", "last_traceback", "last_exc"):
            sys.__dict__.pop(name, None)


@cache
def begin_inference() -> None:
    """Have Paddle Inference take in the operators it does not know, which it does once in a process.

    It aborts the process where it finds one among them whose attributes are pointers, as those written in Python.
    """
    program = static.Program()
    with tempfile.TemporaryDirectory() as folder, static.program_guard(program, static.Program()):
        x = static.data("x", [1], "float32")
        place = str(Path(folder, "model"))
        executor = static.Executor(paddle.CPUPlace())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # no weights
            static.save_inference_model(place, [x], [paddle.nn.functional.relu(x)], executor, program=program)
        cpu_predictor(f"{place}.json", "")

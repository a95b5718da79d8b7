"""The kernels of ``dygraph.kernels`` in a Program: operators of Paddle are replaced by calls of the same functions.

The functions run in Python, in the thread of the executor, on eager tensors that are the Program's own.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import paddle
from paddle import Tensor, pir, static

from dygraph.engine.export import cpu_predictor
from dygraph.kernels import bilinear, convolution, cross_entropy
from dygraph.kernels.bilinear import Positions
from dygraph.kernels.convolution import Options

_CONVOLUTIONS = ("pd_op.conv2d", "pd_op.depthwise_conv2d")
_RESIZE = "pd_op.bilinear_interp"
_CROSS_ENTROPY = "pd_op.cross_entropy_with_softmax"
_failures: list[Exception] = []


class _Function(NamedTuple):
    """A function of eager tensors to be called in a Program.

    ``shapes`` gives the shapes of its results from those of its inputs and its constants; ``operands`` are the inputs'
    places among those of the operator it stands for; ``count`` is the number of results.
    """

    compute: Callable[..., Tensor | tuple[Tensor, ...]]
    shapes: Callable[..., Sequence[Sequence[int]]]
    operands: Sequence[int]
    count: int = 1


_FORWARD = _Function(convolution.forward, lambda x, kernel, options: [options.output_shape(x, kernel)], (0, 1))
_GRADIENTS = {  # by whether the image and the kernel have one
    (True, True): _Function(convolution.gradients, lambda x, kernel, *_: [x, kernel], (0, 1, 2), count=2),
    (True, False): _Function(convolution.image_gradient, lambda x, *_: [x], (0, 1, 2)),
    (False, True): _Function(convolution.kernel_gradient, lambda _, kernel, *__: [kernel], (0, 1, 2)),
}
_RESIZED = _Function(bilinear.forward, lambda x, size_hw, _: [[*x[:2], *size_hw]], (0,))
_LOSS = _Function(cross_entropy.forward, lambda x, label, _: [x, label], (0, 1), count=2)
_LOSS_GRADIENT = _Function(cross_entropy.gradient, lambda _, softmax, *__: [softmax], (0, 1, 2))
_RESIZE_GRADIENT = _Function(bilinear.gradient, lambda y, size_hw, _: [[*y[:2], *size_hw]], (4,))


def take_kernels(program: static.Program) -> Callable[[pir.Value], pir.Value]:
    """Replace operators which those kernels are faster for; Values of what was replaced must not be used any more.

    Returns:
        gives for a Value of ``program`` as it was the one that took its place: itself, if none did.
    """
    begin_inference()
    block = program.global_block()
    resized = {op.operand_source(0).hash() for op in block.ops if op.name() == f"{_RESIZE}_grad"}
    replaced = [op for op in block.ops if _is_slow(op, resized)]  # first: resized images may be new Values later
    new: dict[int, pir.Value] = {}
    with static.program_guard(program):
        for op in replaced:
            pir.set_insertion_point(op)
            for old, value in zip((result for result in op.results() if result.initialized()), _replacements(op)):
                new[old.hash()] = value
                old.replace_all_uses_with(value)
            block.remove_op(op)
        pir.set_insertion_point_to_block_end(block)
    return lambda value: new.get(value.hash(), value)


@contextmanager
def keeping_cause() -> Iterator[None]:
    """For the body, which an executor calls: what it raises is kept for :func:`raise_cause`."""
    try:
        yield
    except Exception as error:
        _failures.append(error)
        raise


def raise_cause(error: SystemError) -> NoReturn:
    """Raise what a kernel raised in an executor, which lets only a ``SystemError`` through; else that one."""
    if _failures:
        raise _failures.pop() from error
    raise error


def _is_slow(op: pir.Operation, resized: set[int]) -> bool:
    """Whether a kernel is faster than ``op``; a resize has to be one of those whose gradient is asked for."""
    name = op.name().removesuffix("_grad")
    if name not in (*_CONVOLUTIONS, _RESIZE, _CROSS_ENTROPY):
        return False
    attributes, x = op.attrs(), op.operand_source(0)
    if name == _CROSS_ENTROPY:
        logits = op.operand_source(0 if op.name() == name else 1)
        whole = logits.dtype == paddle.float32 and len(logits.shape) == 4 and attributes["axis"] == 1
        return whole and attributes["use_softmax"] and not attributes["soft_label"]
    if x.dtype != paddle.float32 or attributes["data_format"] != "NCHW":
        return False
    if name == _RESIZE:
        return x.hash() in resized and attributes["out_h"] > 0
    return _options(attributes).pays(op.operand_source(1).shape)


def _replacements(op: pir.Operation) -> Sequence[pir.Value]:
    """Results of a call written in the place of ``op``, for each of its own that there is."""
    attributes, name = op.attrs(), op.name()
    if name.startswith(_RESIZE):
        positions = Positions(attributes["align_corners"], attributes["align_mode"] == 0)
        if name == _RESIZE:
            return _call(_RESIZED, op, (attributes["out_h"], attributes["out_w"]), positions)
        return _call(_RESIZE_GRADIENT, op, tuple(op.operand_source(0).shape[2:]), positions)
    is_gradient = name.endswith("_grad")
    if name.startswith(_CROSS_ENTROPY):
        return _call(_LOSS_GRADIENT if is_gradient else _LOSS, op, attributes["ignore_index"])
    function = _GRADIENTS[tuple(result.initialized() for result in op.results())] if is_gradient else _FORWARD
    return _call(function, op, _options(attributes))


def _options(attributes: dict[str, Any]) -> Options:
    named = attributes["padding_algorithm"] != "EXPLICIT"
    padding = attributes["padding_algorithm"] if named else attributes["paddings"]
    return Options.of(attributes["strides"], padding, attributes["dilations"], attributes["groups"])


def _call(function: _Function, op: pir.Operation, *constants: Any) -> Sequence[pir.Value]:
    """Write a call of ``function`` with operands of ``op``."""
    results = _operator(function)(*[op.operand_source(i) for i in function.operands], constants=constants)
    return [results] if isinstance(results, pir.Value) else results


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


@cache
def _operator(function: _Function) -> Callable[..., pir.Value | list[pir.Value]]:
    """``function`` as an operator for Programs."""

    def compute(
        first: Tensor, second: Tensor | None = None, third: Tensor | None = None, constants: tuple = ()
    ) -> Tensor | tuple[Tensor, ...]:
        with keeping_cause():
            return function.compute(*_given(first, second, third), *constants)

    def describe(
        first: static.MetaTensor,
        second: static.MetaTensor | None = None,
        third: static.MetaTensor | None = None,
        constants: tuple = (),
    ) -> static.MetaTensor | tuple[static.MetaTensor, ...]:
        given = [tensor.shape for tensor in _given(first, second, third)]
        results = [static.MetaTensor(dtype=paddle.float32, shape=list(s)) for s in function.shapes(*given, *constants)]
        return results[0] if len(results) == 1 else tuple(results)

    module, name = function.compute.__module__.rpartition(".")[2], function.compute.__name__
    return static.register_op(
        compute,
        # not "gradient": for a name with "_grad" Paddle looks for another operator, of the name before it
        name=f"dualseg_{module}_{name.replace('gradient', 'slope')}",
        infer_meta=describe,
        input_names=[f"input{i}" for i in range(len(function.operands))],
        output_names=[f"result{i}" for i in range(function.count)],
    )


def _given(*values: Any) -> list[Any]:
    return [value for value in values if value is not None]

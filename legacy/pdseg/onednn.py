"""The convolutions of a training Program in oneDNN, where a config asks for it.

Paddle's own float32 convolutions on a CPU lay their input out in columns, on one thread, and multiply in MKL; oneDNN's
need no columns. Sums are made in another order, so that the last bits differ from eager mode's, which cannot reach
oneDNN. It keeps copies of its inputs, twice the memory of a step; kernels of one pixel, which need no columns, stay in
MKL. So do other operators: there its batch norm moves no statistics, and its ReLU has another gradient.
"""

from __future__ import annotations

import numpy as np
import paddle
from paddle import static
from paddle.base import core
from paddle.base.libpaddle import pir

from shared.config.run_config import RunConfig
from shared.errors import ConfigError

_has_onednn = getattr(core, "is_compiled_with_onednn", None) or core.is_compiled_with_mkldnn  # 3.3 or 3.0
_KEPT = ("strides", "paddings", "padding_algorithm", "dilations", "groups", "data_format")
_NOTHING = static.Scope()
_MOST_BLOCKS = 10**6
_CPU = core.Place()
_CPU.set_place(paddle.CPUPlace())
_INPUTS_AND_OUTPUTS = {"conv2d": (2, 1), "conv2d_grad": (3, 2)}


def require_onednn(run: RunConfig, place: paddle.CPUPlace | paddle.CUDAPlace) -> None:
    """Refuse what oneDNN cannot do.

    Raises:
        ConfigError: this Paddle has no oneDNN, the run is on a GPU, or its maps are NHWC.
    """
    if not _has_onednn():
        raise ConfigError(
            f"onednn: got true, and this Paddle ({paddle.__version__}) was built without oneDNN; set onednn: false "
            "(TRAIN.ONEDNN False)"
        )
    if not isinstance(place, paddle.CPUPlace):
        raise ConfigError(
            "onednn: got true for a run on a GPU, and oneDNN computes on CPUs; set onednn: false (TRAIN.ONEDNN False)"
        )
    if run.data_format != "NCHW":
        raise ConfigError(
            f"onednn: got true with data_format: {run.data_format}, whose gradients oneDNN lays out in another order; "
            "set data_format: NCHW, or onednn: false (TRAIN.ONEDNN False)"
        )


def move_convolutions(main: static.Program) -> None:
    """Let oneDNN compute convolutions of a float32 Program and their gradients; depthwise ones stay.

    Values that Python holds of the replaced operators (gradients of the kernels, say) must not be used any more. While
    ``main`` is in use, no Program with NHWC maps may run on this thread, see :func:`_forget_nhwc`.
    """
    _forget_nhwc()
    for name in _INPUTS_AND_OUTPUTS:
        _replace(name, main)


def _forget_nhwc() -> None:
    """Have oneDNN's results taken for NCHW again.

    Once a Program had NHWC maps, Paddle takes them for NHWC on this thread, until an executor ends. And that end does
    not count for as many executors as there were runs of conditional blocks since, of which a training step has one.
    """
    _end_an_executor()  # the first of a process makes oneDNN's operators known
    images, kernels = np.ones([1, 1, 2, 4], "float32"), np.ones([2, 1, 2, 2], "float32")
    program = static.Program()
    with static.program_guard(program, static.Program()):
        x, w = static.data("x", images.shape, "float32"), static.data("w", kernels.shape, "float32")
        result = paddle.nn.functional.relu(paddle.nn.functional.conv2d(x, w))
    _replace("conv2d", program)
    executor = static.Executor(paddle.CPUPlace())
    with static.scope_guard(_NOTHING):
        for _ in range(_MOST_BLOCKS):
            (found,) = executor.run(program, feed={"x": images, "w": kernels}, fetch_list=[result])
            if found.shape == (1, 2, 1, 3):
                return
            _end_an_executor()
    raise RuntimeError(f"oneDNN's results still come as NHWC after {_MOST_BLOCKS} executors; start another process")


def _end_an_executor() -> None:
    plan = core.Plan([core.Job("default")], {"default": static.Program()})
    core.StandaloneExecutor(_CPU, plan, _NOTHING)


def _replace(name: str, program: static.Program) -> None:
    passes = pir.PassManager()
    passes.register_pass(f"dualseg_{name}_in_onednn", _replacement(name))
    passes.run(program)


def _replacement(name: str) -> pir.DrrPatternContext:
    inputs, outputs = _INPUTS_AND_OUTPUTS[name]
    context = pir.DrrPatternContext()
    found = context.SourcePattern()
    kept = {attribute: found.Attr(attribute) for attribute in _KEPT}
    found.Op(f"pd_op.{name}", kept)(*_tensors(found, inputs, outputs))
    found.AddConstraint(_has_columns)
    new = found.ResultPattern()
    float32 = new.StrAttr("float32")
    added = {
        "is_test": new.BoolAttr(False),
        "force_fp32_output": new.BoolAttr(True),
        "mkldnn_data_type": float32,  # Paddle 3.0
        "onednn_data_type": float32,  # Paddle 3.3
    }
    new.Op(f"onednn_op.{name}", {**kept, **added})(*_tensors(new, inputs, outputs))
    return context


def _has_columns(match: pir.MatchContext) -> bool:
    """Whether the kernel, the second input of both operators, is larger than a pixel."""
    return max(match.Tensor("in1").shape[2:]) > 1


def _tensors(pattern: pir.SourcePattern | pir.ResultPattern, inputs: int, outputs: int) -> tuple[list, list]:
    return [pattern.Tensor(f"in{i}") for i in range(inputs)], [pattern.Tensor(f"out{i}") for i in range(outputs)]

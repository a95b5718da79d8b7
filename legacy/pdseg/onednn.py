"""The convolutions of a training Program in oneDNN, where a config asks for it.

Paddle's own float32 convolutions on a CPU lay their input out in columns, on one thread, and multiply in MKL; oneDNN's
need no columns. Sums are made in another order, so that the last bits differ from eager mode's, which cannot reach
oneDNN. It keeps copies of its inputs, twice the memory of a step; kernels of one pixel, which need no columns, stay in
MKL. So do other operators: in such a Program oneDNN's batch norm moves no statistics, and its ReLU has another gradient.
"""

from __future__ import annotations

import paddle
from paddle import static
from paddle.base.libpaddle import pir

from shared.config.run_config import RunConfig
from shared.errors import ConfigError

_KEPT = ("strides", "paddings", "padding_algorithm", "dilations", "groups", "data_format")
_INPUTS_AND_OUTPUTS = {"conv2d": (2, 1), "conv2d_grad": (3, 2)}


def require_onednn(run: RunConfig, place: paddle.CPUPlace | paddle.CUDAPlace) -> None:
    """Refuse what oneDNN cannot do.

    Raises:
        ConfigError: the run is on a GPU, or its maps are NHWC.
    """
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

    Values that Python holds of the replaced operators (gradients of the kernels, say) must not be used any more.
    """
    with static.scope_guard(static.Scope()):
        static.Executor(paddle.CPUPlace()).run(static.Program())  # the first run makes oneDNN's operators known
    for name in _INPUTS_AND_OUTPUTS:
        passes = pir.PassManager()
        passes.register_pass(f"dualseg_{name}_in_onednn", _replacement(name))
        passes.run(main)


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

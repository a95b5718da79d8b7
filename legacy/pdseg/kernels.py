"""Which operators of a Program the kernels of ``dygraph.kernels`` take the place of, and how they are called."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import paddle
from paddle import pir

from dygraph.kernels import bilinear, convolution, cross_entropy
from dygraph.kernels.bilinear import Positions
from dygraph.kernels.convolution import Options
from legacy.pdseg.calls import Call

_CONVOLUTIONS = ("pd_op.conv2d", "pd_op.depthwise_conv2d")
_RESIZE = "pd_op.bilinear_interp"
_CROSS_ENTROPY = "pd_op.cross_entropy_with_softmax"
_GRADIENTS = {  # by whether the image and the kernel have one
    (True, True): convolution.gradients,
    (True, False): convolution.image_gradient,
    (False, True): convolution.kernel_gradient,
}
_IN_PLACE = {  # by the operator; the number is that of the operand as the function takes them
    _CROSS_ENTROPY: {"overwriting": cross_entropy.forward_in_place, "overwritten": 0},
    f"{_CROSS_ENTROPY}_grad": {"overwriting": cross_entropy.gradient_in_place, "overwritten": 1},
}


def resized_images(block: pir.Block) -> set[int]:
    """Hashes of the images that are resized and whose gradient is asked for."""
    return {op.operand_source(0).hash() for op in block.ops if op.name() == f"{_RESIZE}_grad"}


def kernel_call(op: pir.Operation, resized: set[int]) -> Call | None:
    """``op`` by a kernel that is faster, or None; ``resized`` as :func:`resized_images` gives it."""
    if not _is_slow(op, resized):
        return None
    in_place = _IN_PLACE.get(op.name(), {})
    return Call(op, *_kernel(op), is_kernel=True, **in_place)


def _kernel(op: pir.Operation) -> tuple[Callable[..., Any], Sequence[int], Sequence[Any]]:
    """The function, which operands it takes, and its constants."""
    attributes, name = op.attrs(), op.name()
    is_gradient = name.endswith("_grad")
    if name.startswith(_RESIZE):
        positions = Positions(attributes["align_corners"], attributes["align_mode"] == 0)
        if is_gradient:
            return bilinear.gradient, (4,), (tuple(op.operand_source(0).shape[2:]), positions)
        return bilinear.forward, (0,), ((attributes["out_h"], attributes["out_w"]), positions)
    if name.startswith(_CROSS_ENTROPY):
        compute, places = (cross_entropy.gradient, (0, 1, 2)) if is_gradient else (cross_entropy.forward, (0, 1))
        return compute, places, (attributes["ignore_index"],)
    if is_gradient:
        compute = _GRADIENTS[tuple(result.initialized() for result in op.results())]
        return compute, (0, 1, 2), (_options(attributes),)
    return convolution.forward, (0, 1), (_options(attributes),)


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


def _options(attributes: dict[str, Any]) -> Options:
    named = attributes["padding_algorithm"] != "EXPLICIT"
    padding = attributes["padding_algorithm"] if named else attributes["paddings"]
    return Options.of(attributes["strides"], padding, attributes["dilations"], attributes["groups"])

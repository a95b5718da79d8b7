"""Mixed precision, decided once for both modes: which type a run uses, and which operator runs in which type.

Eager code runs under :func:`autocast` and a static Program is built under it; both ask Paddle, with the lists below.
An operator in neither list runs in the type of its inputs, and in float32 where these differ.

- **Losses** are outside of it, on logits cast to float32. **Evaluation and prediction** run in float32: an evaluation
  costs little beside the training, and its scores then do not depend on the type the weights were trained in.
- **Parameters are float32 and stay so**; they are the master weights. Where a parameter enters in the low type, a copy
  is cast from it at the beginning of each step (:func:`low_parameters`) and the gradient returns through that cast, so
  gradients, the optimiser's state and checkpoints are float32 too. At level O1 these are the biases of convolutions
  and linear layers (their weights are in the white list's operators, which cast them); at O2 every parameter outside
  the norms. ``paddle.amp.decorate`` with master weights is Paddle's way to that arithmetic; it has no counterpart in a
  PIR Program and needs the support of each optimiser, and this is the same code in both modes.
- **Norms** run in the type of their input; their parameters and statistics are float32, and Paddle's kernels add up
  the statistics in float32.

``scripts/precision_table.py`` prints what this comes to for a network.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import paddle
from paddle import nn

from shared.config.run_config import PrecisionConfig

#: Operators that run in the low type, by the names Paddle's lists have: products and sums of many terms, which its
#: kernels add up in float32.
LOW = frozenset(
    {
        "bmm",
        "conv2d",
        "conv2d_transpose",
        "depthwise_conv2d",
        "depthwise_conv2d_transpose",
        "einsum",
        "linear_v2",
        "matmul_v2",
    }
)

#: Operators that run in float32: what leaves the range of float16 or loses the digits that matter: softmax and what
#: it is made of, reductions, norms that have no kernel with float32 statistics, positions and resampling (the last
#: upsampling is among it).
FLOAT32 = frozenset(
    {
        *("softmax", "log_softmax", "softplus", "exp", "expm1", "log", "log2", "log10", "log1p"),
        *("pow", "elementwise_pow", "square", "rsqrt", "sqrt", "reciprocal"),
        *("reduce_sum", "reduce_mean", "mean", "reduce_prod", "cumsum", "cumprod", "logsumexp"),
        *("p_norm", "frobenius_norm", "squared_l2_norm", "dist"),
        *("group_norm", "layer_norm", "instance_norm"),
        *("bilinear_interp_v2", "nearest_interp_v2", "bicubic_interp_v2", "linear_interp_v2", "trilinear_interp_v2"),
        *("grid_sampler", "affine_grid"),
        *("softmax_with_cross_entropy", "cross_entropy", "cross_entropy2", "bce_loss", "nll_loss", "huber_loss"),
        *("sigmoid_cross_entropy_with_logits", "log_loss", "margin_cross_entropy"),
    }
)

_NORMS = (nn.layer.norm._BatchNormBase, nn.layer.norm._InstanceNormBase, nn.LayerNorm, nn.GroupNorm, nn.BatchNorm)
_WITH_BIAS = (nn.Conv2D, nn.Conv2DTranspose, nn.Linear)


@dataclass(frozen=True)
class Precision:
    """The type a training run really uses.

    Attributes:
        dtype: ``float32`` (nothing is cast), ``float16`` or ``bfloat16``.
        level: ``O1`` or ``O2``, see the module.
    """

    dtype: str = "float32"
    level: str = "O1"

    @property
    def mixed(self) -> bool:
        """Whether anything runs in a low type."""
        return self.dtype != "float32"

    def __str__(self) -> str:
        return f"{self.dtype} at level {self.level}" if self.mixed else self.dtype


FULL = Precision()


def effective_precision(
    config: PrecisionConfig, place: paddle.CPUPlace | paddle.CUDAPlace
) -> tuple[Precision, list[str]]:
    """The precision of a training run and, where it is not what was asked for, sentences for the log.

    A type the device cannot run is no error: the run goes on in float32. On a CPU that is float16 and bfloat16 alike:
    eager autocast leaves every operator in float32 there, and a Program has no such batch norm.
    """
    why = None if config.dtype == "float32" else _obstacle(config.dtype, place)
    precision = Precision("float32" if why else config.dtype, config.level)
    notes = [f"{config.dtype} is unavailable {why}: the run goes on in float32"] if why else []
    if not precision.mixed and config.loss_scale != "dynamic":
        notes.append(f"loss scale {config.loss_scale:g}: nothing is scaled in float32")
    if not precision.mixed and config.level != "O1":
        notes.append(f"amp level {config.level}: nothing is cast in float32")
    return precision, notes


def _obstacle(dtype: str, place: paddle.CPUPlace | paddle.CUDAPlace) -> str | None:
    if isinstance(place, paddle.CPUPlace):
        return "on a CPU"
    supported = {"float16": paddle.amp.is_float16_supported, "bfloat16": paddle.amp.is_bfloat16_supported}
    if supported[dtype]():
        return None
    needed = {"float16": "7.0", "bfloat16": "8.0"}
    return f"on this GPU, which is below compute capability {needed[dtype]}"


def autocast(precision: Precision) -> paddle.amp.auto_cast:
    """Paddle's autocast with the lists of this module, for eager code and for building a Program."""
    return paddle.amp.auto_cast(
        enable=precision.mixed,
        custom_white_list=LOW,
        custom_black_list=FLOAT32,
        level=precision.level,
        dtype=precision.dtype if precision.mixed else "float16",
    )


@contextmanager
def low_parameters(network: nn.Layer, precision: Precision) -> Iterator[None]:
    """Parameters seen by the layers as copies in the low type, through which gradients reach the float32 ones."""
    replaced: list[tuple[nn.Layer, str]] = []
    try:
        for layer in network.sublayers(include_self=True):
            for name, parameter in layer._parameters.items():
                if parameter is not None and _enters_low(layer, name, precision.level):
                    layer.__dict__[name] = paddle.cast(parameter, precision.dtype)
                    replaced.append((layer, name))
        yield
    finally:
        for layer, name in replaced:
            layer.__dict__.pop(name, None)


def _enters_low(layer: nn.Layer, name: str, level: str) -> bool:
    if level == "O2":
        return not isinstance(layer, _NORMS)
    return name == "bias" and isinstance(layer, _WITH_BIAS)


def forward(network: nn.Layer, image: Any, precision: Precision) -> list[Any]:
    """The network's maps of logits in training, in float32; ``image`` is ``[N, 3, H, W]``."""
    if not precision.mixed:
        return network(image)
    with low_parameters(network, precision), autocast(precision):
        maps = network(image)
    return [_in_float32(one) for one in maps]


def _in_float32(logits: Any) -> Any:
    if isinstance(logits, (list, tuple)):
        return tuple(_in_float32(one) for one in logits)
    return paddle.cast(logits, "float32")

"""Loss scaling, one class for both modes over Paddle's own two operators.

float16 loses gradients below 6e-8. The loss is therefore multiplied by a scale before the backward pass and the
gradients are divided by it afterwards; where that overflowed the step is skipped, weights and optimiser state staying
as they are. Scales are powers of two, so that in float32 a scaled run has the bits of an unscaled one.

Paddle's GradScaler switches itself off on a CPU, and ``static.amp`` cannot build a PIR Program; these operators take
float32 on a CPU, which is where the tests run them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import paddle
from paddle.static.amp import amp_nn

from dygraph.engine.precision import Precision
from shared.config.run_config import PrecisionConfig

#: Takes "found an infinity" (``[1]`` bool) of this rank, gives that of any rank.
Combine = Callable[[Any], Any]


class ScalerVariables(NamedTuple):
    """Where a scaler's state is: Tensors in eager mode, persistable Values of a Program in static mode.

    Attributes:
        scale: ``[1]`` float32 (float64 for a float64 network).
        good: ``[1]`` int32, finite steps since the scale last changed or a step was skipped.
        bad: ``[1]`` int32, skipped steps in a row.
    """

    scale: Any
    good: Any
    bad: Any


@dataclass(frozen=True)
class LossScaler:
    """What the scale begins with and how it moves; the state is in :class:`ScalerVariables`.

    Args:
        initial: the first scale, or the only one.
        dynamic: whether the scale moves. A fixed one skips overflowing steps as well.
        growth_interval: finite steps in a row after which the scale doubles.
        bad_steps: skipped steps in a row after which it is halved, never below 1.
        combine: with several ranks: makes "found an infinity" the same on all, so that all skip.
    """

    initial: float = 2.0**15
    dynamic: bool = True
    growth_interval: int = 1000
    bad_steps: int = 1
    combine: Combine | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if not (np.isfinite(self.initial) and self.initial > 0):
            raise ValueError(f"a loss scale is a finite number above 0, got {self.initial}")
        if self.growth_interval < 1 or self.bad_steps < 1:
            raise ValueError(
                f"growth_interval and bad_steps are 1 or more, got {self.growth_interval} and {self.bad_steps}"
            )

    def __str__(self) -> str:
        return f"dynamic loss scale from {self.initial:g}" if self.dynamic else f"loss scale {self.initial:g}"

    def variables(self, dtype: str) -> ScalerVariables:
        """The state at its beginning, in the current mode; ``dtype`` is that of the gradients."""
        kinds = {"scale": (dtype, self.initial), "good": ("int32", 0), "bad": ("int32", 0)}
        if paddle.in_dynamic_mode():
            made = {name: paddle.full([1], value, kind) for name, (kind, value) in kinds.items()}
        else:
            made = {name: _persistable(f"loss_scaling_{name}", kind, value) for name, (kind, value) in kinds.items()}
        return ScalerVariables(**made)

    def scale(self, loss: Any, state: ScalerVariables) -> Any:
        """The loss to begin the backward pass from, ``[1]``."""
        return loss * state.scale

    def unscale(self, pairs: Sequence[tuple[Any, Any]], state: ScalerVariables) -> tuple[list[tuple[Any, Any]], Any]:
        """Divide the gradients of ``(parameter, gradient)`` pairs by the scale, in place where the mode has places.

        Returns:
            the pairs, and ``[1]`` bool: whether a gradient, of any rank, was infinite or not a number.
        """
        gradients = [gradient for _, gradient in pairs]
        gradients, overflow = amp_nn.check_finite_and_unscale(gradients, state.scale)
        if self.combine is not None:
            overflow = self.combine(overflow)
        return [(parameter, gradient) for (parameter, _), gradient in zip(pairs, gradients)], overflow

    def update(self, pairs: Sequence[tuple[Any, Any]], overflow: Any, state: ScalerVariables) -> None:
        """Move the scale after a step; the gradients are used up by it (an overflow makes them zero)."""
        if not self.dynamic:
            return
        amp_nn.update_loss_scaling(
            [gradient for _, gradient in pairs],
            overflow,
            state.scale,
            state.good,
            state.bad,
            self.growth_interval,
            self.bad_steps,
            2.0,
            0.5,
        )

    def restored(self, saved: dict[str, float] | None) -> dict[str, float]:
        """The state to go on with: the saved one; a fixed scale, or a run that had none, begins anew."""
        if saved is None or not self.dynamic:
            return {"scale": self.initial, "good": 0, "bad": 0}
        return saved


def make_scaler(config: PrecisionConfig, precision: Precision, combine: Combine | None = None) -> LossScaler | None:
    """The scaler of a run, or None where nothing needs scaling.

    bfloat16 has the range of float32 and is not scaled, unless the config names a number. ``combine`` is the scaler's.
    """
    if not precision.mixed:
        return None
    if config.loss_scale == "dynamic":
        return LossScaler(combine=combine) if precision.dtype == "float16" else None
    return LossScaler(initial=float(config.loss_scale), dynamic=False, combine=combine)


def describe_precision(precision: Precision, scaler: LossScaler | None) -> str:
    """The words of the run plan."""
    return f"{precision}, {scaler or 'no loss scale'}" if precision.mixed else str(precision)


def _persistable(name: str, dtype: str, value: float) -> Any:
    return paddle.pir.core.create_persistable_value(
        dtype=dtype, shape=[1], name=name, initializer=paddle.nn.initializer.Constant(value)
    )

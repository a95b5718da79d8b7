"""The learning rate as a function of the iteration, in plain Python.

Both modes ask for the learning rate of every step by its number, so a resumed run needs no schedule state. The
formulas are those of ``paddle.optimizer.lr`` (PolynomialDecay, PiecewiseDecay, CosineAnnealingDecay, LinearWarmup).
"""

from __future__ import annotations

import math
from bisect import bisect_right
from typing import NamedTuple

from shared.config.run_config import ScheduleConfig
from shared.errors import ConfigError


class LearningRates(NamedTuple):
    """The learning rate of the first step, the largest one, and that of the last step."""

    start: float
    peak: float
    end: float


class Schedule:
    """Learning rate of step number ``iteration``, counted from 0.

    Let i be the iteration, lr = ``learning_rate`` and D = ``decay_iters`` (where None: what the run has left after
    the warm-up, or the whole run where the warm-up does not shift).

    * ``poly``: (lr - end_lr) * (1 - min(i, D) / D) ** power + end_lr
    * ``step``: lr * gamma ** (number of ``boundaries`` that are <= i); a boundary in epochs counts iters_per_epoch
    * ``cosine``: end_lr + (lr - end_lr) * (1 + cos(pi * i / D)) / 2. After D it rises again, with period 2 D, as
      Paddle's does. With ``step_unit: epoch`` i and D are counted in whole epochs: i // iters_per_epoch, and D
      rounded up to the next epoch.
    * ``constant``: lr

    ``warmup_iters`` W > 0 puts a straight line from ``warmup_start_lr`` towards lr before it: step i < W gets
    (lr - warmup_start_lr) * i / W + warmup_start_lr. The schedule proper then begins at its own step 0, so every
    formula above sees i - W. With ``warmup_shifts: false``, as the static recipes mean it, the schedule proper runs
    from the first step of the run and the line only hides its beginning.

    Args:
        config: the schedule, with the units of its fields.
        total_iters: length of the run, at least 1.
        iters_per_epoch: at least 1; only epoch units need it.

    Raises:
        ConfigError: fields outside their range or list, all in one message.
    """

    def __init__(self, config: ScheduleConfig, total_iters: int, iters_per_epoch: int) -> None:
        _check(config, total_iters, iters_per_epoch)
        self.config = config
        self.total_iters = total_iters
        self._per_epoch = iters_per_epoch
        self._offset = config.warmup_iters if config.warmup_shifts else 0
        left = max(1, total_iters - self._offset)
        self._decay_iters = left if config.decay_iters is None else config.decay_iters
        unit = iters_per_epoch if config.boundary_unit == "epoch" else 1
        self._boundaries = sorted(boundary * unit for boundary in config.boundaries)
        self._formula = {"poly": self._poly, "step": self._step, "cosine": self._cosine, "constant": self._constant}[
            config.type
        ]

    def __call__(self, iteration: int) -> float:
        """The learning rate that step number ``iteration`` (from 0) is done with."""
        if iteration < 0:
            raise ValueError(f"iteration is {iteration}; expected 0 or more")
        c = self.config
        if iteration < c.warmup_iters:
            return (c.learning_rate - c.warmup_start_lr) * iteration / c.warmup_iters + c.warmup_start_lr
        return self._formula(iteration - self._offset)

    def describe(self) -> LearningRates:
        """First, largest and last learning rate of the run."""
        warmup = self.config.warmup_iters
        turns = {0, self.total_iters - 1, min(warmup, self.total_iters - 1), max(0, min(warmup, self.total_iters) - 1)}
        if self.config.type == "cosine":
            turns |= self._cosine_tops()
        if self.config.type == "step":
            turns |= {b + self._offset for b in self._boundaries}
        peak = max(self(i) for i in turns if i < self.total_iters)
        return LearningRates(self(0), peak, self(self.total_iters - 1))

    def _poly(self, i: int) -> float:
        c = self.config
        return (c.learning_rate - c.end_lr) * (1 - min(i, self._decay_iters) / self._decay_iters) ** c.power + c.end_lr

    def _step(self, i: int) -> float:
        return self.config.learning_rate * self.config.gamma ** bisect_right(self._boundaries, i)

    def _cosine(self, i: int) -> float:
        c = self.config
        position, length = i, self._decay_iters
        if c.step_unit == "epoch":
            position, length = i // self._per_epoch, math.ceil(length / self._per_epoch)
        return c.end_lr + (c.learning_rate - c.end_lr) * (1 + math.cos(math.pi * position / length)) / 2

    def _constant(self, _: int) -> float:
        return self.config.learning_rate

    def _cosine_tops(self) -> set[int]:
        """Iterations where the cosine is largest or, with end_lr above lr, turns at its other end."""
        unit = self._per_epoch if self.config.step_unit == "epoch" else 1
        half = math.ceil(self._decay_iters / unit) * unit
        return set(range(self._offset, self.total_iters, half))


def _check(config: ScheduleConfig, total_iters: int, iters_per_epoch: int) -> None:
    choices = {
        "type": ("poly", "step", "cosine", "constant"),
        "boundary_unit": ("iter", "epoch"),
        "step_unit": ("iter", "epoch"),
    }
    problems = [
        f"schedule.{name}: got {getattr(config, name)!r}; expected one of {', '.join(allowed)}"
        for name, allowed in choices.items()
        if getattr(config, name) not in allowed
    ]
    at_least = {
        "total_iters": (total_iters, 1),
        "iters_per_epoch": (iters_per_epoch, 1),
        "decay_iters": (1 if config.decay_iters is None else config.decay_iters, 1),
        "warmup_iters": (config.warmup_iters, 0),
        "boundaries": (min(config.boundaries, default=0), 0),
        **{key: (getattr(config, key), 0) for key in ("learning_rate", "end_lr", "warmup_start_lr", "gamma", "power")},
    }
    problems += [
        f"schedule.{name}: got {value}; expected {least} or more"
        for name, (value, least) in at_least.items()
        if not value >= least  # NaN is caught too
    ]
    if problems:
        raise ConfigError(problems)

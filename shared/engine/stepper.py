"""The contract between the training loop, which knows nothing of Paddle, and the two modes.

``dygraph.engine.stepper.EagerStepper`` and ``legacy.pdseg.stepper.StaticStepper`` implement it; every array that
crosses the border is NumPy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np


@dataclass
class Batch:
    """What a reader yields.

    Attributes:
        images: ``[N, 3, H, W]`` float32.
        labels: ``[N, H, W]`` int64 (uint8 in an evaluation) in ``0..K-1`` or ignore_index; None when predicting.
        paths: the N image files.
        undo: per image, ``Sample.undo``.
        broken: image files that could not be read and the sentence about each: in their place stand other samples, or
            in an evaluation empty ones.
    """

    images: np.ndarray
    labels: np.ndarray | None
    paths: list[str]
    undo: list[list[tuple[str, tuple[int, ...]]]] = field(default_factory=list)
    broken: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class StepResult:
    """Host values of one training step.

    Attributes:
        loss: the sum, unscaled.
        terms: each loss after its coefficient.
        skipped: the scaled gradients overflowed, so weights and optimiser state are as they were.
    """

    loss: float
    terms: tuple[float, ...]
    skipped: bool = False


@dataclass
class StepperState:
    """Weights and optimiser state by structured name, so that either mode can read what the other wrote.

    Attributes:
        model: ``state_dict()`` name -> array (parameters and batch-norm statistics).
        optimizer: ``"<accumulator>/<parameter name>"`` -> array, e.g. ``"velocity/backbone.conv1.weight"``.
        scaler: ``scale``, and its counters ``good`` and ``bad``; None for a run that scales no loss.
    """

    model: dict[str, np.ndarray]
    optimizer: dict[str, np.ndarray]
    scaler: dict[str, float] | None = None


class Predictor(Protocol):
    """A network that is only looked through: what evaluation and prediction need."""

    def logits(self, images: np.ndarray) -> np.ndarray:
        """``[N, 3, H, W]`` float32 -> the main logits ``[N, K, H, W]`` float32, in evaluation mode."""
        ...

    def class_ids(self, images: np.ndarray) -> np.ndarray:
        """``[N, 3, H, W]`` float32 -> ``argmax`` over K of the main logits, ``[N, H, W]`` int32, on the device."""
        ...


class Stepper(Predictor, Protocol):
    """A network in training."""

    def reseed(self, seed: int) -> None:
        """Whatever the next step draws (dropout masks) is to depend on ``seed`` alone, alike in both modes."""
        ...

    def train_step(self, images: np.ndarray, labels: np.ndarray, lr: float) -> StepResult:
        """One forward, backward and optimiser step at learning rate ``lr``."""
        ...

    def rewind(self) -> None:
        """With several ranks, after a step that raised: put back the statistics that its forward pass had moved."""
        ...

    def statistics(self) -> dict[str, np.ndarray]:
        """Copies of what forward passes move and no optimiser (batch norm's statistics), by ``state_dict()`` name."""
        ...

    def load_statistics(self, values: Mapping[str, np.ndarray]) -> None:
        """Take over what another rank's :meth:`statistics` gave."""
        ...

    def state(self) -> StepperState:
        """Copies of all weights and optimiser state."""
        ...

    def load_state(self, state: StepperState) -> None:
        """Take over all weights and optimiser state; CheckpointError names what is missing or misshapen."""
        ...

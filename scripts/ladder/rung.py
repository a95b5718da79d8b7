"""A rung: the comparisons made on it, and what they come to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from scripts.ladder.bits import Comparison

#: Every rung in the order in which the ladder is climbed: first what a step is given, then the step, then its results.
RUNGS = (
    "samples",
    "schedule",
    "first weights",
    "layers, evaluation",
    "layers, training",
    "logits",
    "loss terms",
    "gradients",
    "one step",
    "steps",
    "evaluation",
    "checkpoint",
    "export",
)

#: What each rung compares, and what a first difference there means.
MEANING = {
    "samples": ("images and labels of every step, by every reader", "data, transforms or readers"),
    "schedule": ("the learning rate of every iteration", "the schedule"),
    "first weights": (
        "every tensor a run begins from",
        "initialisation, pretrained weights or their way into the Scope",
    ),
    "layers, evaluation": ("the output of every layer in evaluation mode", "this layer, or an operator before it"),
    "layers, training": (
        "the output of every layer in training mode",
        "this layer's batch statistics or dropout, or an operator before it",
    ),
    "logits": ("main logits and class ids as predictors give them", "how the inference pass is built or fed"),
    "loss terms": ("every loss term and their sum", "a loss, its coefficient or its labels"),
    "gradients": ("the gradient of every trainable tensor", "the backward pass, nearest to the loss first"),
    "one step": (
        "learning rate, losses, batch-norm statistics, optimiser state, weights",
        "the optimiser (decay, rate, clipping) or the update of statistics",
    ),
    "steps": ("the same after the following steps", "what a step leaves behind for the next: velocity, statistics"),
    "evaluation": (
        "logits, label maps and confusion matrix: whole image, sliding window, scales, flips",
        "how predictions are put together",
    ),
    "checkpoint": (
        "weights and optimiser state written in one mode and read in the other",
        "what is saved or taken over",
    ),
    "export": ("outputs of both exports under Paddle Inference", "what is exported"),
}


@dataclass(frozen=True)
class Rung:
    """What was compared on one rung, in the order in which it is computed.

    Attributes:
        name: one of :data:`RUNGS`.
        comparisons: one per tensor.
        left_out: why nothing was compared; empty where something was.
        seconds: what it took.
    """

    name: str
    comparisons: Sequence[Comparison] = field(default_factory=tuple)
    left_out: str = ""
    seconds: float = 0.0

    @property
    def different(self) -> list[Comparison]:
        """The comparisons that are not equal."""
        return [one for one in self.comparisons if not one.equal]

    @property
    def equal(self) -> bool:
        """Whether nothing differs."""
        return not self.different

    @property
    def first(self) -> Comparison | None:
        """The first tensor that differs."""
        return next(iter(self.different), None)

    @property
    def worst(self) -> Comparison | None:
        """The tensor that differs most; one that cannot be compared before all others."""
        return max(self.different, key=lambda one: (one.ulps < 0, one.ulps), default=None)


def first_red(rungs: Sequence[Rung]) -> Rung | None:
    """The first rung on which something differs."""
    return next((rung for rung in rungs if not rung.equal), None)

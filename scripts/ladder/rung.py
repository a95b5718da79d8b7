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

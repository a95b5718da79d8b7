"""Mirror images."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import numpy as np

from shared.registry import TRANSFORMS
from shared.transforms import checks
from shared.transforms import functional as F  # noqa: N812
from shared.transforms.base import Sample
from shared.transforms.drawn import RandomTransform


class _RandomFlip(RandomTransform[bool]):
    undoable = False
    flip: ClassVar[Callable[[np.ndarray], np.ndarray]]

    def __init__(self, prob: float) -> None:
        self.prob = checks.probability("prob", prob)

    def draw(self, rng: np.random.Generator, size_hw: tuple[int, int]) -> bool:  # noqa: ARG002
        """Whether to flip."""
        return bool(rng.random() < self.prob)

    def apply(self, sample: Sample, params: bool) -> None:
        """Flip image and label, or leave them."""
        if params:
            sample.image = self.flip(sample.image)
            if sample.label is not None:
                sample.label = self.flip(sample.label)


@TRANSFORMS.register()
class RandomHorizontalFlip(_RandomFlip):
    """Left and right exchanged with probability ``prob``."""

    flip = staticmethod(F.flip_horizontal)

    def __init__(self, prob: float = 0.5) -> None:
        super().__init__(prob)


@TRANSFORMS.register()
class RandomVerticalFlip(_RandomFlip):
    """Top and bottom exchanged with probability ``prob``."""

    flip = staticmethod(F.flip_vertical)

    def __init__(self, prob: float = 0.1) -> None:
        super().__init__(prob)

"""What every random transform shares: parameters are drawn first, then applied."""

from __future__ import annotations

from typing import Generic, TypeVar

import numpy as np

from shared.transforms.base import Sample, Transform

P = TypeVar("P")


class RandomTransform(Transform, Generic[P]):
    """A transform in two halves: :meth:`draw` is all its chance, :meth:`apply` all its work.

    The parameters are small and immutable, so they can be drawn ahead, looked at, and applied elsewhere.
    """

    def draw(self, rng: np.random.Generator, size_hw: tuple[int, int]) -> P:
        """The parameters for an image of ``size_hw``. How often ``rng`` is asked does not depend on the pixels."""
        raise NotImplementedError(f"{type(self).__name__} must define draw")

    def apply(self, sample: Sample, params: P) -> None:
        """Change image and label as ``params`` say."""
        raise NotImplementedError(f"{type(self).__name__} must define apply")

    def __call__(self, sample: Sample, rng: np.random.Generator) -> None:
        """Draw, then apply."""
        self.apply(sample, self.draw(rng, sample.size_hw))

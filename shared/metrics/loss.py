"""The cross entropy of a validation, on the host, so that both modes log the same number."""

from __future__ import annotations

import numpy as np

_ROWS = 64  # a band at a time: the exponentials of a whole image would be a second copy of its logits


class MeanLoss:
    """Mean cross entropy over all pixels that count.

    Attributes:
        total: the sum over these pixels, in nats.
        pixels: how many there were.
    """

    def __init__(self, ignore_index: int) -> None:
        self.ignore_index = ignore_index
        self.total = 0.0
        self.pixels = 0

    def update(self, logits: np.ndarray, label: np.ndarray) -> None:
        """Add one image.

        Args:
            logits: ``[K, H, W]`` float32, unnormalised.
            label: ``[H, W]`` in ``0..K-1`` or ``ignore_index``.
        """
        for top in range(0, label.shape[0], _ROWS):
            band, target = logits[:, top : top + _ROWS], label[top : top + _ROWS]
            counts = target != self.ignore_index
            largest = band.max(axis=0)
            spread = np.log(np.exp(band - largest).sum(axis=0))
            own = np.take_along_axis(band, np.where(counts, target, 0)[None].astype(np.intp), axis=0)[0]
            self.total += float((spread + largest - own)[counts].sum(dtype=np.float64))
            self.pixels += int(counts.sum())

    @property
    def mean(self) -> float:
        """In nats a pixel; nan before the first pixel that counts."""
        return self.total / self.pixels if self.pixels else float("nan")

"""The validation loss against Paddle-free arithmetic in float64."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import log_softmax

from shared.metrics.loss import MeanLoss


@pytest.mark.parametrize("size_hw", [(5, 7), (64, 3), (65, 3), (130, 4)])
@pytest.mark.parametrize("ignore_index", [255, 2])
def test_value_mean_cross_entropy(size_hw, ignore_index):
    rng = np.random.default_rng(0)
    mean = MeanLoss(ignore_index)
    terms = []
    for _ in range(3):
        logits = (30 * rng.standard_normal((4, *size_hw))).astype(np.float32)
        label = rng.integers(0, 4, size_hw)
        label[rng.random(size_hw) < 0.2] = ignore_index
        mean.update(logits, label)
        away = -log_softmax(logits.astype(np.float64), axis=0)
        terms += [away[label[y, x], y, x] for y, x in np.ndindex(size_hw) if label[y, x] != ignore_index]
    assert mean.pixels == len(terms)
    assert mean.mean == pytest.approx(np.mean(terms), rel=1e-6)


def test_value_nothing_counts():
    mean = MeanLoss(255)
    mean.update(np.zeros((3, 4, 4), np.float32), np.full((4, 4), 255))
    assert math.isnan(mean.mean)

"""Bilinear resizing by matrices against Paddle's own in float64."""

from __future__ import annotations

import numpy as np
import paddle
import paddle.nn.functional as F  # noqa: N812
import pytest

from dygraph.kernels import bilinear
from dygraph.kernels.bilinear import Positions

SIZES = [
    ((5, 7), (20, 28)),
    ((20, 28), (5, 7)),
    ((5, 7), (13, 6)),
    ((1, 1), (6, 4)),
    ((9, 8), (1, 1)),
    ((4, 6), (4, 6)),
]
POSITIONS = [Positions(), Positions(half_pixels=False), Positions(align_corners=True)]


@pytest.mark.parametrize("positions", POSITIONS, ids=["half pixels", "corners of pixels", "aligned"])
@pytest.mark.parametrize(("small", "large"), SIZES)
def test_value_and_gradient_are_paddles_in_float64(small, large, positions):
    rng = np.random.default_rng(0)
    image = rng.standard_normal((2, 3, *small))
    exact = paddle.to_tensor(image, stop_gradient=False)
    mode = {"align_corners": positions.align_corners, "align_mode": 0 if positions.half_pixels else 1}
    expected = F.interpolate(exact, list(large), mode="bilinear", **mode)
    weights = rng.standard_normal(expected.shape)
    (expected * paddle.to_tensor(weights)).sum().backward()

    found = bilinear.forward(paddle.to_tensor(image.astype(np.float32)), large, positions)
    np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-5, atol=2e-6)
    gradient = bilinear.gradient(paddle.to_tensor(weights.astype(np.float32)), small, positions)
    np.testing.assert_allclose(gradient.numpy(), exact.grad.numpy(), rtol=1e-5, atol=2e-5)


def test_value_every_row_of_weights_is_a_mean():
    for positions in POSITIONS:
        found = bilinear.weights(13, 40, positions)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-6)
        assert ((found > 0).sum(axis=1) <= 2).all()

"""Softmax with cross entropy against Paddle's own in float64, whose loss ends a little above 64."""

from __future__ import annotations

import numpy as np
import paddle
import paddle.nn.functional as F  # noqa: N812
import pytest

from dygraph.kernels import cross_entropy, onednn

pytestmark = pytest.mark.skipif(onednn.library() is None, reason="this Paddle carries no oneDNN 3")


@pytest.mark.parametrize("scale", [1.0, 40.0], ids=["near", "far apart"])
@pytest.mark.parametrize("classes", [2, 19, 33])
@pytest.mark.parametrize("ignore_index", [255, -1, 1])
def test_value_and_gradient_are_paddles_in_float64(classes, ignore_index, scale):
    rng = np.random.default_rng(0)
    values = scale * rng.standard_normal((2, classes, 9, 7))
    label = rng.integers(0, classes, (2, 1, 9, 7))
    label[:, :, :2] = ignore_index
    weights = rng.standard_normal((2, 1, 9, 7))
    exact = paddle.to_tensor(values.astype(np.float32).astype(np.float64), stop_gradient=False)
    ids = paddle.to_tensor(label)
    expected = F.cross_entropy(exact, ids, ignore_index=ignore_index, reduction="none", axis=1)
    (expected * paddle.to_tensor(weights)).sum().backward()

    softmax, loss = cross_entropy.forward(paddle.to_tensor(values.astype(np.float32)), ids, ignore_index)
    np.testing.assert_allclose(softmax.numpy(), F.softmax(exact, axis=1).numpy(), rtol=2e-5, atol=1e-7)
    np.testing.assert_allclose(loss.numpy(), np.minimum(expected.numpy(), 64), rtol=1e-5, atol=1e-6)
    gradient = cross_entropy.gradient(ids, softmax, paddle.to_tensor(weights.astype(np.float32)), ignore_index)
    np.testing.assert_allclose(gradient.numpy(), exact.grad.numpy(), rtol=2e-5, atol=1e-6)
    assert (gradient.numpy()[:, :, :2] == 0).all()


def test_value_in_place_are_the_same_bits_in_the_memory_that_was_given():
    rng = np.random.default_rng(0)
    values, weights = (rng.standard_normal((2, classes, 9, 7), np.float32) for classes in (5, 1))
    logits, ids, slope = (paddle.to_tensor(one) for one in (values, rng.integers(0, 5, (2, 1, 9, 7)), weights))
    softmax, loss = cross_entropy.forward(logits, ids, 3)
    gradient = cross_entropy.gradient(ids, softmax, slope, 3)
    assert np.array_equal(logits.numpy(), values)
    assert len({one.data_ptr() for one in (logits, softmax, gradient)}) == 3

    place = logits.data_ptr()
    found, losses = cross_entropy.forward_in_place(logits, ids, 3)
    assert found.data_ptr() == place
    assert np.array_equal(losses.numpy(), loss.numpy())
    assert np.array_equal(found.numpy(), softmax.numpy())
    found = cross_entropy.gradient_in_place(ids, found, slope, 3)
    assert found.data_ptr() == place
    assert np.array_equal(found.numpy(), gradient.numpy())


def test_value_an_unlikely_label_has_paddles_loss():
    logits = paddle.to_tensor(np.array([0.0, 200.0], np.float32).reshape(1, 2, 1, 1))
    label = paddle.zeros([1, 1, 1, 1], "int64")
    _, loss = cross_entropy.forward(logits, label, 255)
    assert loss.item() == F.cross_entropy(logits, label, reduction="none", axis=1).item() == 64.0

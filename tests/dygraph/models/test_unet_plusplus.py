"""Deep supervision of UNet++: what is averaged, and what is left untrained without it."""

from __future__ import annotations

import numpy as np
import paddle
import pytest

from dygraph.models import UNetPlusPlus
from scripts.oracle.fixed_weights import fixed_input
from tests.dygraph.networks import fill, run

IMAGES = fixed_input((2, 3, 32, 48)).astype(np.float32)


def _silence(network, kept):
    """Every classifier but ``kept`` gives zeros."""
    for step in {1, 2, 3, 4} - {kept}:
        for parameter in getattr(network, f"out_{step}").parameters():
            parameter.set_value(paddle.zeros_like(parameter))


@pytest.mark.parametrize("step", [1, 2, 3, 4])
def test_value_each_depth_is_a_quarter_of_the_mean(step):
    """One classifier with a bias of 1 in place of everything: the mean of four maps is 1/4."""
    network = fill(UNetPlusPlus(num_classes=3))
    _silence(network, kept=None)
    getattr(network, f"out_{step}").bias.set_value(paddle.ones([3]))
    np.testing.assert_allclose(run(network, IMAGES, False), 0.25, rtol=1e-6)


def test_value_without_deep_supervision_only_the_deepest_counts():
    network = fill(UNetPlusPlus(num_classes=3, is_ds=False))
    before = run(network, IMAGES, False)
    _silence(network, kept=4)
    np.testing.assert_array_equal(run(network, IMAGES, False), before)
    assert np.ptp(before) > 0


def test_grad_unread_classifiers_are_frozen():
    """A trainable parameter without a gradient has no optimiser state, and a checkpoint would miss it."""
    network = UNetPlusPlus(num_classes=3, is_ds=False)
    network.train()
    network(paddle.to_tensor(IMAGES))[0].square().mean().backward()
    unread = {f"out_{step}.{part}" for step in (1, 2, 3) for part in ("weight", "bias")}
    weights = {k: p for k, p in network.named_parameters() if not k.endswith(("._mean", "._variance"))}
    assert {k for k, p in weights.items() if p.grad is None} == unread
    assert {k for k, p in weights.items() if p.stop_gradient} == unread

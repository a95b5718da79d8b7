"""The classification-guided module of UNet 3+: all logits or none, image by image."""

from __future__ import annotations

import numpy as np
import paddle
import pytest

from dygraph.models import UNet3Plus
from scripts.oracle.fixed_weights import fixed_input
from tests.dygraph.networks import fill, run_all

IMAGES = fixed_input((2, 3, 32, 48)).astype(np.float32)


@pytest.mark.parametrize(("present", "factor"), [(5.0, 1.0), (-5.0, 0.0)])
def test_value_the_decision_multiplies_every_map(present, factor):
    plain = fill(UNet3Plus(num_classes=3, is_deepsup=True))
    guided = fill(UNet3Plus(num_classes=3, is_deepsup=True, is_CGM=True))
    guided.cls[1].weight.set_value(paddle.zeros_like(guided.cls[1].weight))
    guided.cls[1].bias.set_value(np.array([0.0, present], np.float32))
    expected, found = run_all(plain, IMAGES, False), run_all(guided, IMAGES, False)
    assert len(found) == 5
    for one, other in zip(expected, found):
        assert np.abs(one).max() > 0
        np.testing.assert_array_equal(other, one * np.float32(factor))


def test_value_each_image_is_decided_by_its_deepest_feature():
    """One pixel of the second image's deepest feature is enough."""
    network = fill(UNet3Plus(num_classes=3, is_CGM=True))
    network.cls[1].weight.set_value(np.stack([np.zeros((1024, 1, 1)), np.ones((1024, 1, 1))]).astype(np.float32))
    network.cls[1].bias.set_value(np.array([0.5, 0.0], np.float32))

    deepest = np.zeros((2, 1024, 2, 3), np.float32)
    deepest[1, 7, 1, 2] = 1.0
    maps = [paddle.ones([2, 3, 4, 4])]
    network.eval()
    (guided,) = network._guided(maps, paddle.to_tensor(deepest))
    np.testing.assert_array_equal(guided.numpy()[:, 0, 0, 0], [0.0, 1.0])


def test_shape_without_normalisation_in_the_encoder():
    names = list(UNet3Plus(is_batchnorm=False).state_dict())
    assert not [n for n in names if n.startswith("encoder") and "_mean" in n]
    assert [n for n in names if n.startswith("decoder") and "_mean" in n]


def test_shape_guidance_switches_deep_supervision_on():
    """Published weights of a guided network have the classifiers of deep supervision, whatever ``is_deepsup`` says."""
    alone, both = UNet3Plus(is_CGM=True), UNet3Plus(is_deepsup=True, is_CGM=True)
    assert list(alone.state_dict()) == list(both.state_dict())
    assert len(run_all(alone, IMAGES, False)) == 5


def test_grad_the_decision_is_not_trained_and_nothing_else_is_left_out():
    network = fill(UNet3Plus(num_classes=3, is_CGM=True))
    network.cls[1].bias.set_value(np.array([-5.0, 5.0], np.float32))  # everything is found
    network.train()
    maps = network(paddle.to_tensor(IMAGES))
    sum(x.square().mean() for x in maps).backward()
    weights = {k: p for k, p in network.named_parameters() if not k.endswith(("._mean", "._variance"))}
    assert {k for k, p in weights.items() if p.grad is None} == {"cls.1.weight", "cls.1.bias"}
    assert {k for k, p in weights.items() if p.stop_gradient} == {"cls.1.weight", "cls.1.bias"}

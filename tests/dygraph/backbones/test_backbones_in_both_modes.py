"""Backbones that no network of ``tests/zoo.py`` has: both modes and both layouts compute the same."""

from __future__ import annotations

import numpy as np
import pytest

from dygraph.build import build_model
from scripts.oracle.fixed_weights import fixed_input
from tests.dygraph.networks import default_dtype, fill, run
from tests.parity import ladder

SHAPE = (2, 3, 49, 65)
BACKBONES = [
    pytest.param("MobileNetV3_large_x0_35", [0, 3], id="mobilenetv3"),
    pytest.param("MobileNetV3_small_x1_0_os8", [0, 3], id="mobilenetv3_os8"),
    pytest.param("Xception41_deeplab", [0, 1], id="xception", marks=pytest.mark.slow),
]


def _spec(backbone, indices):
    return {
        "type": "DeepLabV3P",
        "backbone": {"type": backbone},
        "backbone_indices": indices,
        "aspp_ratios": [1, 2],
        "aspp_out_channels": 16,
    }


@pytest.mark.parametrize("data_format", ["NCHW", "NHWC"])
@pytest.mark.parametrize(("backbone", "indices"), BACKBONES)
def test_parity_two_steps(backbone, indices, data_format):
    pair = ladder.make_pair(_spec(backbone, indices), SHAPE, data_format=data_format)
    assert ladder.steps(pair.eager, SHAPE, 2) == ladder.steps(pair.static, SHAPE, 2)
    assert ladder.state_differences(pair.eager.state(), pair.static.state()) == []
    images, _ = ladder.images_and_labels((1, 3, 33, 57))  # a size the inference Program was not built for
    logits = {"eager": pair.eager.logits(images), "static": pair.static.logits(images)}
    assert np.array_equal(logits["eager"], logits["static"])


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(("backbone", "indices"), BACKBONES)
def test_value_nhwc_equals_nchw(backbone, indices, training):
    with default_dtype("float64"):
        networks = [fill(build_model(_spec(backbone, indices), num_classes=3, data_format=f)) for f in ("NCHW", "NHWC")]
    nchw, nhwc = (run(network, fixed_input((2, 3, 65, 33)), training) for network in networks)
    np.testing.assert_allclose(nhwc, nchw, rtol=0, atol=1e-9 * np.abs(nchw).max())
    for key, value in networks[0].state_dict().items():
        np.testing.assert_allclose(networks[1].state_dict()[key].numpy(), value.numpy(), rtol=1e-9, atol=1e-12)

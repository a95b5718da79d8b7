"""DecoupledSegNet beyond what is recorded: body and edge add up, and what each mode gives."""

from __future__ import annotations

import numpy as np
import paddle
import pytest

from dygraph.build import build_model
from dygraph.models.decoupled_segnet import SqueezeBodyEdge
from scripts.oracle.fixed_weights import fixed_input
from tests.dygraph.networks import default_dtype, fill, run_all

SMALL = {"type": "DecoupledSegNet", "backbone": {"type": "ResNet18_vd"}, "aspp_ratios": [1, 3], "aspp_out_channels": 16}


@pytest.mark.parametrize("data_format", ["NCHW", "NHWC"])
def test_value_body_and_edge_add_up_to_the_feature(data_format):
    with default_dtype("float64"):
        module = fill(SqueezeBodyEdge(4, align_corners=False, data_format=data_format))
    module.eval()
    feature = fixed_input((2, 4, 9, 6) if data_format == "NCHW" else (2, 9, 6, 4))
    body, edge = (x.numpy() for x in module(paddle.to_tensor(feature)))
    np.testing.assert_allclose(body + edge, feature, rtol=0, atol=1e-12)
    assert np.abs(edge).max() > 0.1

    module.flow_make.weight.set_value(np.zeros((2, 8, 3, 3)))
    body, edge = (x.numpy() for x in module(paddle.to_tensor(feature)))
    np.testing.assert_allclose(body, feature, rtol=0, atol=1e-12)  # nothing flows: all of it is body
    np.testing.assert_allclose(edge, 0, atol=1e-12)


def test_value_maps_of_each_mode():
    network = fill(build_model(SMALL, num_classes=3))
    images = fixed_input((2, 3, 33, 48))
    assert [x.shape for x in run_all(network, images, training=False)] == [(2, 3, 33, 48)]

    logits, body, edge, (same_logits, same_edge) = run_all(network, images, training=True)
    assert logits.shape == body.shape == (2, 3, 33, 48)
    assert edge.shape == (2, 1, 33, 48)
    assert 0 < edge.min() < edge.max() < 1
    assert np.array_equal(logits, same_logits)
    assert np.array_equal(edge, same_edge)

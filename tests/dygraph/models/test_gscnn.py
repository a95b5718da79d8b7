"""GSCNN beyond what is recorded: the edges it is given, its gate, the stem it reads."""

from __future__ import annotations

import cv2
import numpy as np
import paddle
import pytest

from dygraph.build import build_model
from dygraph.layers import ASPP
from dygraph.models.gscnn import GSCNN, GatedConv, image_edges
from scripts.oracle.fixed_weights import fixed_input
from tests.dygraph.networks import default_dtype, fill, run_all

SMALL = {"type": "GSCNN", "backbone": {"type": "ResNet18_vd"}, "aspp_ratios": [1, 3], "aspp_out_channels": 16}


@pytest.mark.parametrize("data_format", ["NCHW", "NHWC"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_value_edges_are_those_of_the_image_before_normalising(data_format, dtype):
    picture = np.zeros((40, 50, 3), np.uint8)
    cv2.circle(picture, (20, 15), 9, (255, 0, 255), -1)
    cv2.rectangle(picture, (28, 20), (45, 36), (0, 255, 0), -1)
    image = paddle.to_tensor(((picture / 255 - 0.5) / 0.5)[None].astype(dtype), stop_gradient=False)
    edges = image_edges(image if data_format == "NHWC" else image.transpose([0, 3, 1, 2]), data_format)
    assert edges.stop_gradient
    assert list(edges.shape) == ([1, 40, 50, 1] if data_format == "NHWC" else [1, 1, 40, 50])
    assert np.array_equal(255 * edges.numpy().reshape(40, 50), cv2.Canny(picture, 10, 100))


@pytest.mark.parametrize("data_format", ["NCHW", "NHWC"])
def test_value_gate_adds_its_share_of_the_feature(data_format):
    with default_dtype("float64"):
        layer = fill(GatedConv(3, data_format))
    layer.eval()
    closing = layer._gate_conv[4]  # the normalisation before the sigmoid: its shift alone is left
    closing.weight.set_value(np.zeros(1))
    closing.bias.set_value(np.array([-0.7]))
    x, seen = fixed_input((2, 3, 4, 5)), fixed_input((2, 1, 4, 5))
    expected = np.einsum("oc,nchw->nohw", layer.conv.weight.numpy()[:, :, 0, 0], x) * (1 + 1 / (1 + np.exp(0.7)))
    axes, back = ((0, 2, 3, 1), (0, 3, 1, 2)) if data_format == "NHWC" else ((0, 1, 2, 3),) * 2
    found = layer(*(paddle.to_tensor(np.ascontiguousarray(a.transpose(axes))) for a in (x, seen)))
    np.testing.assert_allclose(found.numpy().transpose(back), expected, rtol=1e-12)


@pytest.mark.parametrize("training", [False, True])
def test_value_maps_are_the_same_two_in_both_modes(training):
    network = fill(build_model(SMALL, num_classes=3))
    logits, pair, edge, again = run_all(network, fixed_input((2, 3, 33, 48)), training)
    assert logits.shape == (2, 3, 33, 48)
    assert edge.shape == (2, 1, 33, 48)
    assert 0 < edge.min() < edge.max() < 1
    assert np.array_equal(again, logits)
    assert np.array_equal(pair[0], logits)
    assert np.array_equal(pair[1], edge)


def test_error_a_backbone_without_the_stem():
    backbone = paddle.nn.Layer()
    backbone.feature_channels = [8, 8, 8, 8]
    with pytest.raises(ValueError, match=r"stem.*choose a ResNet"):
        GSCNN(3, backbone)


@pytest.mark.parametrize("edge", [False, True])
def test_error_pyramid_called_otherwise_than_built(edge):
    pyramid = ASPP(4, 4, [1], edge=edge)
    map_of_edges = None if edge else paddle.zeros([1, 1, 8, 8])
    with pytest.raises(ValueError, match=f"edge={edge} was called {'without' if edge else 'with'} a map"):
        pyramid(paddle.zeros([1, 4, 4, 4]), map_of_edges)

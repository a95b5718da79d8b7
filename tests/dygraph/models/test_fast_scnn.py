"""Fast-SCNN's bottlenecks have a shortcut where the shape stays; what its recipe does not build."""

from __future__ import annotations

import numpy as np
import paddle
import pytest

from dygraph.models import FastSCNN
from dygraph.models.fast_scnn import InvertedBottleneck
from scripts.oracle.fixed_weights import fixed_input
from tests.dygraph.networks import fill


@pytest.mark.parametrize(
    ("out_channels", "stride", "shortcut"), [(6, 1, True), (8, 1, False), (6, 2, False)], ids=["same", "wider", "half"]
)
def test_value_a_bottleneck_adds_its_input_where_the_shape_stays(out_channels, stride, shortcut):
    """With the last scale and shift at zero the convolutions give zero, and what is left is the shortcut."""
    unit = fill(InvertedBottleneck(6, out_channels, stride, "NCHW"))
    unit.eval()
    last = unit.block[2]._batch_norm
    last.weight.set_value(paddle.zeros([out_channels]))
    last.bias.set_value(paddle.zeros([out_channels]))
    images = fixed_input((2, 6, 9, 8)).astype("float32")
    found = unit(paddle.to_tensor(images)).numpy()
    assert found.shape == (2, out_channels, *((9, 8) if stride == 1 else (5, 4)))
    np.testing.assert_array_equal(found, images if shortcut else np.zeros_like(found))


def test_shape_images_of_four_channels():
    network = FastSCNN(3, in_channels=4, enable_auxiliary_loss=False)
    network.eval()
    (logits,) = network(paddle.zeros([1, 4, 33, 40]))
    assert logits.shape == [1, 3, 33, 40]

"""Convolutions with a cheap bias, against Paddle's own layers of the same parameters."""

from __future__ import annotations

import numpy as np
import paddle
import pytest
from paddle import nn

from dygraph.build import build_model
from dygraph.layers import Conv2D, Conv2DTranspose
from shared.registry import MODELS
from tests.dygraph.networks import static_mode
from tests.zoo import ZOO

CONVOLUTIONS = {
    "plain": {"padding": 1},
    "same": {"padding": "same", "stride": 2},
    "dilated": {"padding": [2, 3], "dilation": [2, 3], "stride": [2, 1]},
    "grouped": {"padding": 1, "groups": 2},
    "depthwise": {"padding": 1, "groups": 4},
    "no bias": {"padding": 1, "bias_attr": False},
}


def _filled(layer, like):
    layer.set_state_dict(like.state_dict())
    return layer


def _values_and_gradients(layer, images):
    x = paddle.to_tensor(images, stop_gradient=False)
    y = layer(x)
    weights = paddle.to_tensor(np.random.default_rng(1).standard_normal(y.shape).astype("float32"))
    (y * weights).sum().backward()
    return [y.numpy(), x.grad.numpy(), *(p.grad.numpy() for p in layer.parameters())]


def _assert_equal_bits(ours, paddles, images):
    assert list(ours.state_dict()) == list(paddles.state_dict())
    found, expected = (_values_and_gradients(layer, images) for layer in (ours, paddles))
    for ours_, paddles_ in zip(found, expected):
        np.testing.assert_array_equal(ours_, paddles_)


@pytest.mark.parametrize("data_format", ["NCHW", "NHWC"])
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_value_conv2d_is_paddles(name, data_format):
    options = {**CONVOLUTIONS[name], "data_format": data_format}
    paddles = nn.Conv2D(4, 8, 3, **options)
    if paddles.bias is not None:
        paddles.bias.set_value(np.linspace(-3, 3, 8, dtype="float32"))
    images = np.random.default_rng(0).standard_normal((2, 4, 9, 7)).astype("float32")
    images = images if data_format == "NCHW" else images.transpose(0, 2, 3, 1).copy()
    _assert_equal_bits(_filled(Conv2D(4, 8, 3, **options), paddles), paddles, images)


@pytest.mark.parametrize("data_format", ["NCHW", "NHWC"])
def test_value_conv2d_transpose_is_paddles(data_format):
    paddles = nn.Conv2DTranspose(4, 6, 2, stride=2, data_format=data_format)
    paddles.bias.set_value(np.linspace(-3, 3, 6, dtype="float32"))
    images = np.random.default_rng(0).standard_normal((2, 4, 5, 4) if data_format == "NCHW" else (2, 5, 4, 4))
    ours = _filled(Conv2DTranspose(4, 6, 2, 2, data_format=data_format), paddles)
    _assert_equal_bits(ours, paddles, images.astype("float32"))


def test_shape_the_bias_stays_one_row_of_channels_in_a_program():
    with static_mode() as (program, _):
        Conv2D(3, 8, 1)(paddle.static.data("x", [None, 3, None, None]))
        added = [op for op in program.global_block().ops if op.name() == "pd_op.add"]
        assert [op.operand_source(1).shape for op in added] == [[8, 1, 1]]


@pytest.mark.parametrize("name", sorted(MODELS))
def test_every_network_has_the_cheap_bias(name):
    network = build_model(ZOO[name].small_spec, num_classes=3)
    slow = [
        key
        for key, layer in network.named_sublayers()
        if type(layer) in (nn.Conv2D, nn.Conv2DTranspose) and layer.bias is not None
    ]
    assert slow == []

"""Blocks and layout helpers, against Paddle's own functions and NumPy."""

from __future__ import annotations

import numpy as np
import paddle
import paddle.nn.functional as F  # noqa: N812
import pytest

from dygraph.layers import ASPP, ConvBNAct, SeparableConvBNAct, from_nchw, resize, spatial_size, to_nchw
from scripts.oracle.fixed_weights import fixed_input
from tests.dygraph.networks import default_dtype, fill, static_mode


def test_value_conv_bn_act_is_its_three_parts():
    with default_dtype("float64"):
        layer = fill(ConvBNAct(3, 8, 3, stride=2, dilation=2, bias=True))
    layer.eval()
    x = paddle.to_tensor(fixed_input((2, 3, 9, 7)))
    s = {k: v.numpy() for k, v in layer.state_dict().items()}
    y = F.conv2d(x, layer._conv.weight, layer._conv.bias, stride=2, padding=2, dilation=2).numpy()
    mean, variance, scale, shift = (
        s[f"_batch_norm.{k}"].reshape(1, 8, 1, 1) for k in ("_mean", "_variance", "weight", "bias")
    )
    expected = np.maximum((y - mean) / np.sqrt(variance + 1e-5) * scale + shift, 0)
    np.testing.assert_allclose(layer(x).numpy(), expected, rtol=1e-12, atol=1e-12)
    assert expected.min() == 0


def test_value_padding_same_pads_right_and_bottom_first():
    with default_dtype("float64"):
        layer = fill(ConvBNAct(1, 1, 3, stride=2, padding="same", act=None))
    layer.eval()
    x = fixed_input((1, 1, 6, 5))
    kernel = layer._conv.weight.numpy()[0, 0]
    padded = np.pad(x[0, 0], ((0, 1), (1, 1)))  # 6 rows need one more, 5 columns two
    expected = [[(padded[i : i + 3, j : j + 3] * kernel).sum() for j in (0, 2, 4)] for i in (0, 2, 4)]
    np.testing.assert_allclose(layer._conv(paddle.to_tensor(x)).numpy()[0, 0], expected, rtol=1e-12)


@pytest.mark.parametrize("use_sep_conv", [False, True])
def test_shape_aspp_keeps_the_size(use_sep_conv):
    layer = ASPP(6, 5, [1, 3, 7], use_sep_conv=use_sep_conv)
    assert list(layer(paddle.zeros([2, 6, 9, 11])).shape) == [2, 5, 9, 11]
    assert layer.conv_bn_relu._conv.weight.shape[1] == 4 * 5
    assert ASPP(6, 5, [1, 3], image_pooling=False).conv_bn_relu._conv.weight.shape[1] == 2 * 5


def test_shape_separable_conv_is_depthwise_then_pointwise():
    layer = SeparableConvBNAct(6, 4, 3, dilation=2)
    assert layer.depthwise_conv._conv.weight.shape == [6, 1, 3, 3]
    assert layer.piontwise_conv._conv.weight.shape == [4, 6, 1, 1]
    assert (layer(paddle.randn([1, 6, 8, 9])).numpy() >= 0).all()
    assert list(layer(paddle.zeros([1, 6, 8, 9])).shape) == [1, 4, 8, 9]


def test_value_layouts_there_and_back():
    x = fixed_input((2, 3, 4, 5))
    inner = from_nchw(paddle.to_tensor(x), "NHWC")
    np.testing.assert_array_equal(inner.numpy(), np.moveaxis(x, 1, 3))
    np.testing.assert_array_equal(to_nchw(inner, "NHWC").numpy(), x)
    assert spatial_size(inner, "NHWC") == [4, 5]


@pytest.mark.parametrize("data_format", ["NCHW", "NHWC"])
def test_value_resize_with_aligned_corners(data_format):
    """A ramp stays a ramp."""
    ramp = np.linspace(0.0, 1.0, 4)[None, None, None, :].repeat(3, axis=2)
    x = from_nchw(paddle.to_tensor(ramp), data_format)
    y = to_nchw(resize(x, [5, 7], True, data_format), data_format).numpy()
    np.testing.assert_allclose(y[0, 0], np.linspace(0.0, 1.0, 7)[None].repeat(5, axis=0), atol=1e-7)


def test_value_resize_without_aligned_corners():
    """Doubling a row of two pixels samples at -1/4, 1/4, 3/4 and 5/4, held at the border."""
    x = paddle.to_tensor([[[[0.0, 4.0]]]])
    np.testing.assert_allclose(resize(x, [1, 4]).numpy()[0, 0, 0], [0.0, 1.0, 3.0, 4.0], atol=1e-6)


def test_value_sizes_unknown_to_a_program():
    with static_mode() as (main, _):
        known = spatial_size(paddle.static.data("known", [None, 3, 6, 8], "float32"))
        x = paddle.static.data("x", [None, 3, None, 8], "float32")
        size = spatial_size(x)
        out = resize(x, [size[0] * 2, size[1] * 2])
        (y,) = paddle.static.Executor(paddle.CPUPlace()).run(
            main, {"x": np.ones([2, 3, 5, 8], "float32"), "known": np.ones([1, 3, 6, 8], "float32")}, [out]
        )
    assert known == [6, 8]
    assert size[1] == 8
    assert y.shape == (2, 3, 10, 16)


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: ConvBNAct(1, 1, 3, act="elu6"), "elu6"),
        (lambda: ConvBNAct(1, 1, 3, padding="same", dilation=2), "dilation 2"),
        (lambda: ConvBNAct(1, 1, 3, data_format="HWC"), "'HWC'"),
        (lambda: ASPP(1, 1, [1, 0]), "positive"),
    ],
)
def test_error_arguments(build, words):
    with pytest.raises(ValueError, match=words):
        build()

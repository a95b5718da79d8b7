"""What layers compute while a network is traced for ONNX, against what they compute otherwise."""

from __future__ import annotations

import numpy as np
import paddle
import paddle.nn.functional as F  # noqa: N812
import pytest
from paddle import nn

from dygraph.converted.onnx_operators import onnx_operators

MAPS = {"NCHW": (2, 6, 7, 11), "NHWC": (2, 7, 11, 6)}


def drawn(shape):
    return paddle.to_tensor(np.random.default_rng(0).standard_normal(shape).astype(np.float32))


def both(compute):
    """As Paddle computes it, and as it is traced."""
    expected = compute()
    with onnx_operators():
        given = compute()
    assert given.shape == expected.shape
    return given.numpy(), expected.numpy()


@pytest.mark.parametrize("layout", MAPS)
@pytest.mark.parametrize("grid", [1, 2, 3, 6, (4, 5), (7, 11), (9, 13)])
def test_value_means_over_cells(grid, layout):
    pool = nn.AdaptiveAvgPool2D(grid, data_format=layout)
    given, expected = both(lambda: pool(drawn(MAPS[layout])))
    np.testing.assert_allclose(given, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_value_layer_norm_of_several_axes(axes):
    shape = MAPS["NCHW"]
    norm = nn.LayerNorm(list(shape[-axes:]))
    norm.weight.set_value(drawn([int(np.prod(shape[-axes:]))]))
    norm.bias.set_value(drawn([int(np.prod(shape[-axes:]))]) * 2)
    given, expected = both(lambda: norm(drawn(shape)))
    np.testing.assert_allclose(given, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("layout", MAPS)
@pytest.mark.parametrize("groups", [2, 3])
def test_value_shuffled_channels(groups, layout):
    given, expected = both(lambda: F.channel_shuffle(drawn(MAPS[layout]), groups, layout))
    np.testing.assert_array_equal(given, expected)


@pytest.mark.parametrize("layout", MAPS)
@pytest.mark.parametrize(("amounts", "value"), [([1, 2, 3, 4], 0.0), ([0, 3, 0, 0], -1.5), ([0, 0, 0, 0], 2.0)])
def test_value_padded_by_tensors(amounts, value, layout):
    given, expected = both(
        lambda: F.pad(drawn(MAPS[layout]), paddle.to_tensor(amounts, "int32"), value=value, data_format=layout)
    )
    np.testing.assert_array_equal(given, expected)


def test_value_other_paddings_are_left_to_paddle():
    maps = drawn(MAPS["NCHW"])
    for pad in ([1, 2, 3, 4], paddle.to_tensor([1, 2, 3, 4], "int32")):
        given, expected = both(lambda: F.pad(maps, pad, mode="reflect"))  # noqa: B023 - called at once
        np.testing.assert_array_equal(given, expected)


def test_value_layers_are_themselves_again():
    before = nn.AdaptiveAvgPool2D.forward, nn.LayerNorm.forward, F.channel_shuffle, F.pad
    with onnx_operators():
        assert nn.LayerNorm.forward is not before[1]
    assert (nn.AdaptiveAvgPool2D.forward, nn.LayerNorm.forward, F.channel_shuffle, F.pad) == before

"""U2-Net: pooling that keeps odd rows, dilations in place of it in the deepest stages, the fused map."""

from __future__ import annotations

import numpy as np
import paddle
import pytest

from dygraph.models import U2Net, U2Netp
from dygraph.models.u2net import halve
from scripts.oracle.fixed_weights import fixed_input
from tests.dygraph.networks import fill, run_all


@pytest.mark.parametrize("data_format", ["NCHW", "NHWC"])
def test_value_halving_keeps_the_odd_row_and_column(data_format):
    image = np.arange(15, dtype=np.float32).reshape(3, 5)
    x = image.reshape((1, 1, 3, 5) if data_format == "NCHW" else (1, 3, 5, 1))
    found = halve(paddle.to_tensor(x), data_format).numpy().reshape(2, 3)
    np.testing.assert_array_equal(found, [[6, 8, 9], [11, 13, 14]])


@pytest.mark.parametrize("size_hw", [(32, 32), (16, 9), (5, 3)])
def test_shape_small_images(size_hw):
    """Below 32 pixels stages work on single pixels."""
    maps = run_all(U2Netp(num_classes=2), fixed_input((1, 3, *size_hw)), False)
    assert [x.shape for x in maps] == [(1, 2, *size_hw)] * 7


@pytest.mark.parametrize("network", [U2Net, U2Netp])
def test_value_dilations_of_the_paper(network):
    """Figure 5: RSU-4F in stages 5 and 6 of the encoder and 5 of the decoder, elsewhere 2 at the bottom alone."""
    with paddle.LazyGuard():
        layers = dict(network(num_classes=2).named_sublayers())
    dilated = {"in": 1, "1": 1, "2": 2, "3": 4, "4": 8, "3d": 4, "2d": 2, "1d": 1}
    for stage in ("stage5", "stage6", "stage5d"):
        assert {k: layers[f"{stage}.rebnconv{k}.conv_s1"]._dilation[0] for k in dilated} == dilated
    heights = {"stage1": 7, "stage2": 6, "stage3": 5, "stage4": 4, "stage4d": 4, "stage3d": 5, "stage2d": 6}
    for stage, height in {**heights, "stage1d": 7}.items():
        found = {k: v._dilation[0] for k, v in layers.items() if k.startswith(f"{stage}.") and k.endswith("conv_s1")}
        assert {k for k, dilation in found.items() if dilation != 1} == {f"{stage}.rebnconv{height}.conv_s1"}
        assert found[f"{stage}.rebnconv{height}.conv_s1"] == 2


def test_value_the_first_map_fuses_the_other_six():
    network = fill(U2Netp(num_classes=2))
    fused, *sides = run_all(network, fixed_input((1, 3, 33, 40)), False)
    weight, bias = network.outconv.weight.numpy()[:, :, 0, 0], network.outconv.bias.numpy()
    expected = np.einsum("ks,nshw->nkhw", weight, np.concatenate(sides, axis=1)) + bias[None, :, None, None]
    np.testing.assert_allclose(fused, expected, rtol=0, atol=1e-5 * np.abs(expected).max())

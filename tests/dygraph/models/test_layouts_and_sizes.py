"""Constructor options that no recipe uses, in both layouts; batch norm that can be synchronised."""

from __future__ import annotations

import numpy as np
import paddle
import pytest

from dygraph.build import build_model
from scripts.oracle.fixed_weights import fixed_input
from tests.dygraph.networks import SMALL, default_dtype, fill, run


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", ["fcn_se", "deeplabv3p_plain"])
def test_value_nhwc_equals_nchw(name, training):
    with default_dtype("float64"):
        networks = [fill(build_model(SMALL[name], num_classes=3, data_format=f)) for f in ("NCHW", "NHWC")]
    images = fixed_input((2, 3, 65, 33))
    nchw, nhwc = (run(network, images, training) for network in networks)
    np.testing.assert_allclose(nhwc, nchw, rtol=0, atol=1e-9 * np.abs(nchw).max())
    if training:
        for key, value in networks[0].state_dict().items():
            np.testing.assert_allclose(networks[1].state_dict()[key].numpy(), value.numpy(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("data_format", ["NCHW", "NHWC"])
def test_value_batch_norm_converts_to_its_synchronised_kind(data_format):
    network = build_model(SMALL["fcn"], num_classes=3, data_format=data_format)
    names = {k: tuple(v.shape) for k, v in network.state_dict().items()}
    network = paddle.nn.SyncBatchNorm.convert_sync_batchnorm(network)
    norms = [x for x in network.sublayers() if isinstance(x, (paddle.nn.BatchNorm2D, paddle.nn.SyncBatchNorm))]
    assert all(type(x) is paddle.nn.SyncBatchNorm and x._data_format == data_format for x in norms)
    assert {k: tuple(v.shape) for k, v in network.state_dict().items()} == names


def test_value_plain_convolutions_replace_separable_ones():
    names = list(build_model(SMALL["deeplabv3p_plain"], num_classes=3).state_dict())
    assert not [n for n in names if "depthwise" in n]
    assert "head.aspp.aspp_blocks.1._conv.weight" in names
    assert "head.decoder.conv_bn_relu2._conv.weight" in names

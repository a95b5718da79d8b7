"""NHWC against NCHW, and heights and widths that no stride divides."""

from __future__ import annotations

import numpy as np
import paddle
import pytest

from dygraph.build import build_model
from scripts.oracle.fixed_weights import fixed_input
from tests.dygraph.networks import SMALL, default_dtype, fill, run


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", list(SMALL))
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
def test_value_the_inner_layout_is_the_one_asked_for(data_format):
    network = build_model(SMALL["deeplabv3p"], num_classes=3, data_format=data_format)
    seen = {}
    for key, layer in network.named_sublayers():
        if isinstance(layer, paddle.nn.Conv2D):
            layer.register_forward_post_hook(lambda _, x, y, key=key: seen.update({key: (x[0].shape, y.shape)}))
    run(network, fixed_input((1, 3, 32, 48)), training=False)
    channels = slice(1, 2) if data_format == "NCHW" else slice(3, 4)
    assert len(seen) == sum(isinstance(layer, paddle.nn.Conv2D) for layer in network.sublayers())
    assert list(seen["backbone.conv1_1._conv"][0])[channels] == [3]
    assert list(seen["head.decoder.conv"][1])[channels] == [3]


@pytest.mark.parametrize("size_hw", [(129, 257), (65, 33), (31, 50)])
@pytest.mark.parametrize("name", ["fcn", "deeplabv3p", "deeplabv3p_plain"])
def test_shape_logits_have_the_size_of_the_image(name, size_hw):
    network = build_model(SMALL[name], num_classes=7)
    network.eval()
    with paddle.no_grad():
        outputs = network(paddle.zeros([1, 3, *size_hw]))
    assert [list(x.shape) for x in outputs] == [[1, 7, *size_hw]]


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


def test_grad_reaches_every_parameter():
    for name, spec in SMALL.items():
        network = fill(build_model(spec, num_classes=3))
        network.train()
        network(paddle.to_tensor(fixed_input((2, 3, 64, 64)).astype("float32")))[0].square().mean().backward()
        trainable = {k: p for k, p in network.named_parameters() if not p.stop_gradient}
        without = [k for k, p in trainable.items() if p.grad is None or not np.isfinite(p.grad.numpy()).all()]
        assert without == [], name

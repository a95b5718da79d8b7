"""What a backbone declares, against what it gives; learning-rate factors and first weights."""

from __future__ import annotations

import math

import numpy as np
import paddle
import pytest

import dygraph.backbones as backbones
from shared.registry import BACKBONES
from tests.dygraph.networks import static_mode

TENSORS_AND_PARAMETERS = {  # PaddleSeg 2.8.0's
    "HRNet_W18_Small_V1": (355, 1_484_672),
    "HRNet_W18_Small_V2": (720, 3_876_668),
    "HRNet_W18": (1525, 9_596_196),
    "HRNet_W30": (1525, 25_866_276),
    "HRNet_W32": (1525, 29_362_880),
    "HRNet_W40": (1525, 45_591_936),
    "HRNet_W44": (1525, 55_052_048),
    "HRNet_W48": (1525, 65_409_216),
    "HRNet_W60": (1525, 101_863_056),
    "HRNet_W64": (1525, 115_808_448),
    "ResNet18_vd": (115, 11_209_824),
    "ResNet34_vd": (195, 21_325_408),
    "ResNet50_vd": (275, 23_580_512),
    "ResNet101_vd": (530, 42_624_864),
    "ResNet152_vd": (785, 58_314_592),
}


@pytest.mark.parametrize("name", list(TENSORS_AND_PARAMETERS))
def test_value_tensors_and_parameters(name):
    with paddle.LazyGuard():  # shapes without memory
        backbone = BACKBONES[name]()
        size = sum(math.prod(p.shape) for p in backbone.parameters())
    assert (len(backbone.state_dict()), size) == TENSORS_AND_PARAMETERS[name]


@pytest.mark.parametrize("data_format", ["NCHW", "NHWC"])
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("HRNet_W18_Small_V1", {}),
        ("HRNet_W18_Small_V2", {}),
        *[("ResNet18_vd", {"output_stride": s}) for s in (8, 16, 32, None)],
        ("ResNet50_vd", {"output_stride": 8, "multi_grid": [1, 2, 4]}),
    ],
)
def test_shape_features_are_as_declared(name, arguments, data_format):
    backbone = BACKBONES[name](data_format=data_format, **arguments)
    backbone.eval()
    shape = [1, 3, 65, 97] if data_format == "NCHW" else [1, 65, 97, 3]
    with paddle.no_grad():
        features = backbone(paddle.zeros(shape))
    assert len(features) == len(backbone.feature_channels) == len(backbone.feature_strides)
    for feature, channels, stride in zip(features, backbone.feature_channels, backbone.feature_strides):
        height, width = math.ceil(65 / stride), math.ceil(97 / stride)
        expected = [1, channels, height, width] if data_format == "NCHW" else [1, height, width, channels]
        assert list(feature.shape) == expected
    assert backbone.feat_channels == backbone.feature_channels


def test_value_declared_strides():
    with paddle.LazyGuard():
        strides = {s: backbones.ResNet18_vd(output_stride=s).feature_strides for s in (8, 16, 32, None)}
    assert strides == {8: [4, 8, 8, 8], 16: [4, 8, 16, 16], 32: [4, 8, 16, 32], None: [4, 8, 16, 32]}
    assert backbones.HRNet_W18_Small_V1().feature_strides == [4]
    assert backbones.HRNet_W18_Small_V1().feature_channels == [16 + 32 + 64 + 128]


def test_value_dilations_of_the_last_stages():
    network = backbones.ResNet50_vd(output_stride=8, multi_grid=[1, 2, 4])
    dilations = [getattr(network, f"bb_{s}_{i}").conv1._conv._dilation[0] for s in (1, 2, 3) for i in range(3)]
    assert dilations == [1, 1, 1, 2, 2, 2, 4, 8, 16]


def test_value_hrnet_of_other_widths():
    network = backbones.HRNet(
        stage2_num_channels=[8, 12], stage3_num_channels=[10, 12, 16], stage4_num_channels=[10, 12, 16, 20]
    )
    assert network.feature_channels == [58]
    assert network.state_dict()["tr2.transition_tr2_layer_1._conv.weight"].shape == [10, 8, 3, 3]  # a change of width
    assert "tr2.transition_tr2_layer_2._conv.weight" not in network.state_dict()


def test_value_first_weights():
    paddle.seed(3)
    hrnet = backbones.HRNet_W18_Small_V1().state_dict()
    kernel = hrnet["la1.bb_layer2_1.conv2._conv.weight"].numpy()
    assert kernel.std() == pytest.approx(0.001, rel=0.05)
    resnet = backbones.ResNet18_vd().state_dict()
    kernel = resnet["bb_1_0.conv1._conv.weight"].numpy()  # 128 channels in, 3x3
    assert kernel.std() == pytest.approx(math.sqrt(2 / (9 * 128)), rel=0.05)
    for state in (hrnet, resnet):
        for key, value in state.items():
            constants = {"_batch_norm.weight": 1, "_variance": 1, "_mean": 0, ".bias": 0}
            for ending, constant in constants.items():
                if key.endswith(ending):
                    assert (value.numpy() == constant).all(), key


@pytest.mark.parametrize("is_static", [False, True])
def test_value_learning_rate_factors(is_static):
    moved = (_moved_static if is_static else _moved_eager)([0.0, 0.5, 1.0, 2.0, 4.0])
    factors = {"conv1": 0.0, "bb_0": 0.5, "bb_1": 1.0, "bb_2": 2.0, "bb_3": 4.0}
    statistics = ("_mean", "_variance")
    for key, distance in moved.items():
        expected = 0.0 if key.endswith(statistics) else 1e-3 * factors[key[: 5 if key.startswith("conv") else 4]]
        assert distance == pytest.approx(expected, rel=1e-3), key


def _sum_of_parameters(backbone):
    """A loss whose gradient is 1 on every parameter."""
    return sum(p.sum() for p in backbone.parameters() if not p.stop_gradient)


def _moved_eager(factors):
    backbone = backbones.ResNet18_vd(lr_mult_list=factors)
    before = {k: v.numpy() for k, v in backbone.named_parameters()}
    optimizer = paddle.optimizer.SGD(1e-3, parameters=backbone.parameters())
    _sum_of_parameters(backbone).backward()
    optimizer.step()
    return {k: np.abs(v.numpy() - before[k]).max() for k, v in backbone.named_parameters()}


def _moved_static(factors):
    with static_mode() as (main, startup):
        backbone = backbones.ResNet18_vd(lr_mult_list=factors)
        optimizer = paddle.optimizer.SGD(1e-3, parameters=backbone.parameters())
        optimizer.apply_gradients(optimizer.backward(_sum_of_parameters(backbone), parameters=backbone.parameters()))
        executor = paddle.static.Executor(paddle.CPUPlace())
        executor.run(startup)
        scope = paddle.static.global_scope()
        values = {k: scope.find_var(v.name).get_tensor() for k, v in backbone.named_parameters()}
        before = {k: np.array(v) for k, v in values.items()}
        executor.run(main)
        return {k: np.abs(np.array(v) - before[k]).max() for k, v in values.items()}


def test_error_se_needs_sixteen_channels():
    with pytest.raises(ValueError, match="16 channels, got 8"):
        backbones.HRNet(stage2_num_channels=[8, 16], has_se=True)

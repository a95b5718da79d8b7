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
    "MobileNetV3_small_x0_35": (206, 126_026),
    "MobileNetV3_small_x0_5": (206, 244_080),
    "MobileNetV3_small_x0_75": (206, 517_546),
    "MobileNetV3_small_x1_0": (206, 876_222),
    "MobileNetV3_small_x1_25": (206, 1_350_770),
    "MobileNetV3_small_x1_0_os8": (206, 876_222),
    "MobileNetV3_large_x0_35": (262, 381_680),
    "MobileNetV3_large_x0_5": (262, 750_070),
    "MobileNetV3_large_x0_75": (262, 1_638_816),
    "MobileNetV3_large_x1_0": (262, 2_837_398),
    "MobileNetV3_large_x1_25": (262, 4_412_148),
    "MobileNetV3_large_x1_0_os8": (262, 2_837_398),
    "Xception41_deeplab": (420, 25_035_872),
    "Xception65_deeplab": (660, 38_052_512),
    "Xception71_deeplab": (730, 40_488_712),
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
        ("MobileNetV3_large_x0_35", {}),
        ("MobileNetV3_small_x1_25", {}),
        ("MobileNetV3_large_x1_0_os8", {}),
        ("MobileNetV3", {"size": "small", "scale": 0.5, "output_stride": 16}),
        *[("Xception41_deeplab", {"output_stride": s}) for s in (8, 16, 32)],
        ("Xception71_deeplab", {}),
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
    mobilenet = backbones.MobileNetV3_large_x1_0().state_dict()
    kernel = mobilenet["blocks.6.bottleneck_conv.conv.weight"].numpy()  # depthwise, 240 channels, 3x3
    assert kernel.std() == pytest.approx(math.sqrt(2 / (9 * 240)), rel=0.1)
    xception = backbones.Xception41_deeplab().state_dict()
    kernel = xception["xception_41/middle_flow/block3._conv2._conv2.weight"].numpy()  # 728 channels in, 1x1
    assert kernel.std() == pytest.approx(math.sqrt(2 / 728), rel=0.05)
    norms = dict.fromkeys(("_batch_norm.weight", ".bn.weight", "._bn.weight", "._bn1.weight", "._bn2.weight"), 1)
    constants = {**norms, "_variance": 1, "_mean": 0, ".bias": 0}
    for state in (hrnet, resnet, mobilenet, xception):
        for key, value in state.items():
            for ending, constant in constants.items():
                if key.endswith(ending):
                    assert (value.numpy() == constant).all(), key


@pytest.mark.parametrize(
    ("size", "output_stride", "channels", "strides"),  # PaddleSeg 2.8.0's; output stride 16 is not in it
    [
        ("large", 32, [24, 40, 112, 160], [4, 8, 16, 32]),
        ("large", 16, [24, 40, 112, 160], [4, 8, 16, 16]),
        ("large", 8, [24, 40, 112, 160], [4, 8, 8, 8]),
        ("small", 8, [16, 24, 48, 96], [4, 8, 8, 8]),
    ],
)
def test_value_mobilenetv3_declared(size, output_stride, channels, strides):
    with paddle.LazyGuard():
        network = backbones.MobileNetV3(size, output_stride=output_stride)
    assert (network.feature_channels, network.feature_strides) == (channels, strides)
    with paddle.LazyGuard():
        variant = BACKBONES[f"MobileNetV3_{size}_x1_0"](output_stride=output_stride)
    assert (variant.feature_channels, variant.feature_strides) == (channels, strides)


@pytest.mark.parametrize(
    ("size", "output_stride", "strides", "dilations"),  # those of output stride 8 are PaddleSeg 2.8.0's
    [
        ("large", 8, [1, 2, 1, 2, *[1] * 11], [*[1] * 7, *[2] * 6, 4, 4]),
        ("large", 16, [1, 2, 1, 2, 1, 1, 2, *[1] * 8], [*[1] * 13, 2, 2]),
        ("small", 8, [2, 2, *[1] * 9], [*[1] * 4, *[2] * 5, 4, 4]),
        ("small", 32, [2, 2, 1, 2, *[1] * 4, 2, 1, 1], [1] * 11),
    ],
)
def test_value_mobilenetv3_trades_strides_for_dilations(size, output_stride, strides, dilations):
    with paddle.LazyGuard():
        network = backbones.MobileNetV3(size, output_stride=output_stride)
    depthwise = [block.bottleneck_conv.conv for block in network.blocks]
    assert [conv._stride[0] for conv in depthwise] == strides
    assert [conv._dilation[0] for conv in depthwise] == dilations


@pytest.mark.parametrize("is_static", [False, True])
def test_value_mobilenetv3_norms_do_not_decay(is_static):
    moved = (_moved_static if is_static else _moved_eager)(
        lambda: backbones.MobileNetV3_small_x0_35(), weight_decay=0.5, gradient=0.0
    )
    assert {key for key, distance in moved.items() if distance > 0} == {
        key for key in moved if key.endswith((".conv.weight", ".conv1.weight", ".conv2.weight"))
    }


@pytest.mark.parametrize(
    ("layers", "output_stride", "actual"), [(41, 16, 16), (65, 8, 16), (65, 32, 32), (71, 16, 64), (71, 32, 128)]
)
def test_value_xception_says_what_its_stride_is(layers, output_stride, actual, caplog):
    with paddle.LazyGuard():
        network = backbones.XceptionDeeplab(layers, output_stride=output_stride)
    assert network.feature_strides == [4, actual]
    expected = (
        f"Xception{layers}_deeplab: the coarse feature has stride {actual}, as in PaddleSeg, not the output_stride "
        f"{output_stride}"
    )
    assert caplog.messages == ([] if actual == output_stride else [expected])


@pytest.mark.parametrize("is_static", [False, True])
def test_value_learning_rate_factors(is_static):
    factors = [0.0, 0.5, 1.0, 2.0, 4.0]
    moved = (_moved_static if is_static else _moved_eager)(lambda: backbones.ResNet18_vd(lr_mult_list=factors))
    factors = {"conv1": 0.0, "bb_0": 0.5, "bb_1": 1.0, "bb_2": 2.0, "bb_3": 4.0}
    statistics = ("_mean", "_variance")
    for key, distance in moved.items():
        expected = 0.0 if key.endswith(statistics) else 1e-3 * factors[key[: 5 if key.startswith("conv") else 4]]
        assert distance == pytest.approx(expected, rel=1e-3), key


def _optimizer(backbone, weight_decay):
    trainable = [p for p in backbone.parameters() if not p.stop_gradient]
    return paddle.optimizer.Momentum(1e-3, 0.0, parameters=trainable, weight_decay=weight_decay)


def _loss(backbone, gradient):
    """A loss whose gradient is ``gradient`` on every parameter."""
    return sum(p.sum() for p in backbone.parameters() if not p.stop_gradient) * gradient


def _moved_eager(build, weight_decay=None, gradient=1.0):
    """How far one step moves each parameter."""
    backbone = build()
    before = {k: v.numpy() for k, v in backbone.named_parameters()}
    optimizer = _optimizer(backbone, weight_decay)
    _loss(backbone, gradient).backward()
    optimizer.step()
    return {k: np.abs(v.numpy() - before[k]).max() for k, v in backbone.named_parameters()}


def _moved_static(build, weight_decay=None, gradient=1.0):
    with static_mode() as (main, startup):
        backbone = build()
        optimizer = _optimizer(backbone, weight_decay)
        optimizer.apply_gradients(optimizer.backward(_loss(backbone, gradient)))
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


@pytest.mark.parametrize(
    ("build", "arguments", "words"),
    [
        ("MobileNetV3", {"size": "tiny"}, "size must be one of .*large.*small.*, got 'tiny'"),
        ("MobileNetV3", {"scale": 0}, "scale must be positive, got 0"),
        ("MobileNetV3", {"output_stride": 4}, r"output_stride must be one of \[8, 16, 32\], got 4"),
        ("XceptionDeeplab", {"layers": 50}, r"layers must be one of \[41, 65, 71\], got 50"),
        ("Xception65_deeplab", {"output_stride": 4}, "output_stride must be 8, 16 or 32, got 4"),
        ("Xception41_deeplab", {"data_format": "NCWH"}, "data_format must be one of NCHW, NHWC, got 'NCWH'"),
    ],
)
def test_error_arguments(build, arguments, words):
    with pytest.raises(ValueError, match=words):
        BACKBONES[build](**arguments)

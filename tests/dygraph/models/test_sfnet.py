"""SFNet beyond what is recorded: the levels' width, and what alignment does where nothing flows."""

from __future__ import annotations

import numpy as np
import paddle
import pytest

from dygraph.backbones.resnet_vd import ResNet18_vd
from dygraph.build import build_model
from dygraph.layers import resize
from dygraph.models.sfnet import AlignedModule, SFNet
from scripts.oracle.fixed_weights import fixed_input
from tests.dygraph.networks import default_dtype, fill

SPEC = {"type": "SFNet", "backbone_indices": [0, 1, 2, 3]}


@pytest.mark.parametrize(("layers", "width"), [(18, 128), (34, 128), (50, 256)])
def test_shape_levels_are_half_as_wide_on_shallow_backbones(layers, width):
    with paddle.LazyGuard():
        network = build_model({**SPEC, "backbone": {"type": f"ResNet{layers}_vd"}}, num_classes=3)
    shapes = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    assert shapes["head.fpn_in.2.0.weight"][0] == width
    assert shapes["head.fpn_out_align.0.flow_make.weight"] == (2, width, 3, 3)
    assert shapes["head.conv_last.0._conv.weight"] == (width, 4 * width, 3, 3)


@pytest.mark.parametrize("data_format", ["NCHW", "NHWC"])
def test_value_without_flow_the_coarse_map_is_resized(data_format):
    with default_dtype("float64"):
        module = fill(AlignedModule(4, 2, data_format))
    module.flow_make.weight.set_value(np.zeros((2, 4, 3, 3)))
    coarse = fixed_input((2, 4, 4, 5))
    shapes = {"NCHW": (2, 4, 7, 9), "NHWC": (2, 7, 9, 4)}
    axes = {"NCHW": (0, 1, 2, 3), "NHWC": (0, 2, 3, 1)}[data_format]
    fine = paddle.to_tensor(fixed_input(shapes[data_format]))
    found = module(fine, paddle.to_tensor(np.ascontiguousarray(coarse.transpose(axes)))).numpy()
    expected = resize(paddle.to_tensor(coarse), (7, 9), align_corners=True).numpy().transpose(axes)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


def test_error_too_few_backbone_features():
    with pytest.raises(ValueError, match=r"needs 4 number\(s\), got \[2, 3\]"):
        SFNet(3, ResNet18_vd(), [2, 3])

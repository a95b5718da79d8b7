"""Names, shapes and logits against what PaddleSeg 2.8.0 computed with the same weights; see ``scripts/oracle``."""

from __future__ import annotations

import math
import re

import numpy as np
import paddle
import pytest

from dygraph.build import build_model
from scripts.oracle.cases import CASES
from scripts.oracle.fixed_weights import fixed_input, from_tree
from shared.registry import BACKBONES, MODELS
from tests.dygraph.networks import build_case, case_spec, recorded, run_all
from tests.zoo import ZOO

#: In the default run: one network of each family that is quick to build, in evaluation and in training.
CORE = (
    *("fcn_hrnet_w18", "deeplabv3p_resnet18_os8", "ann_resnet18", "bisenetv2", "decoupledsegnet_resnet18"),
    *("emanet_resnet18", "fastscnn", "hardnet", "sfnet_resnet18_recipe", "shufflenetv2", "u2netp", "unetplusplus"),
)
RUNS = [
    pytest.param(
        name,
        i,
        id=f"{name}-{'x'.join(map(str, shape))}-{corners=}-{training=}",
        marks=[] if name in CORE and i in (0, len(case.runs) - 1) else [pytest.mark.slow],
    )
    for name, case in CASES.items()
    for i, (shape, corners, training) in enumerate(case.runs)
]
#: One of each kind of network in float32; the others in float64 alone, where the comparison is sharper.
FLOAT32 = ["fcn_hrnet_w18", "deeplabv3p_resnet18_os8"]
TENSORS_AND_PARAMETERS = {  # PaddleSeg 2.x's networks of 19 classes
    "fcn_hrnet_w18": (1533, 9_675_595),
    "fcn_hrnet_w48": (1533, 65_944_915),
    "deeplabv3p_resnet50_os8": (360, 26_794_243),
    "deeplabv3_resnet50_os8": (312, 39_124_851),
    "ann": (335, 48_659_590),
    "bisenetv2": (356, 2_532_215),
    "danet": (315, 47_580_206),
    "fastscnn": (246, 1_444_086),
    "gcnet": (311, 49_688_839),
    "gscnn": (430, 39_465_132),
    "hardnet": (347, 4_126_701),
    "ocrnet": (1583, 12_123_230),
    "pspnet": (315, 67_923_846),
    "unet": (112, 13_414_163),
    "u2net": (686, 44_289_787),
    "u2netp": (686, 1_201_371),
    "attentionunet": (206, 34_895_367),
    "unetplusplus": (208, 8_371_116),
    "unet3plus": (206, 27_036_691),
    "decoupledsegnet": (348, 41_709_392),
    "emanet": (312, 42_408_582),
    "isanet": (348, 37_769_350),
    "dnlnet": (312, 50_082_183),
    "sfnet_resnet18_recipe": (194, 13_806_835),
    "sfnet": (354, 42_034_291),
}


@pytest.mark.parametrize("name", list(CASES))
def test_value_state_dict_names_and_shapes(name):
    with paddle.LazyGuard():  # shapes without memory
        network = build_model(case_spec(CASES[name]))
    own = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    expected = from_tree(recorded(name)["state"])
    assert list(own) == list(expected)
    different = [key for key in own if own[key] != expected[key]]
    assert [key for key in different if not key.startswith(CASES[name].not_compared or "-")] == []
    if name in TENSORS_AND_PARAMETERS:
        assert (len(own), sum(math.prod(p.shape) for p in network.parameters())) == TENSORS_AND_PARAMETERS[name]


@pytest.mark.parametrize(("name", "index"), RUNS)
def test_value_logits(name, index):
    expected = recorded(name)["runs"][index]
    # Without align_corners the sampling points of a resize carry float32 rounding, which differs between versions.
    tolerance = 1e-10 if expected["align_corners"] else 1e-6
    _compare(name, expected, "float64", tolerance)


@pytest.mark.parametrize("name", FLOAT32)
@pytest.mark.parametrize("training", [False, True])
def test_value_logits_float32(name, training):
    expected = next(r for r in recorded(name)["runs"] if r["training"] is training)
    _compare(name, expected, "float32", 1e-4)


def test_every_network_and_backbone_is_recorded():
    assert set(CORE) <= set(CASES)
    assert {case.model["type"] for case in CASES.values()} == {n for n in MODELS if ZOO[n].in_paddleseg}
    recorded_backbones = {case.backbone["type"] for case in CASES.values() if case.backbone}
    assert {_family(name) for name in BACKBONES} == {_family(name) for name in recorded_backbones}


def _family(backbone):
    """``HRNet_W48`` -> ``HRNet``: variants differ in sizes, which tests/dygraph/backbones compares for each."""
    return re.sub(r"(HRNet|ResNet|MobileNetV3|Xception).*", r"\1", backbone)


def _compare(name, expected, dtype, tolerance):
    network = build_case(name, expected["align_corners"], dtype)
    outputs = run_all(network, fixed_input(expected["input"]), expected["training"])
    _compare_maps(outputs, expected["logits"], tolerance)


def _compare_maps(outputs, summaries, tolerance):
    assert len(outputs) == len(summaries)
    for logits, summary in zip(outputs, summaries):
        if isinstance(summary, list):
            _compare_maps(logits, summary, tolerance)
            continue
        assert list(logits.shape) == summary["shape"]
        scale = summary["absmax"]
        values = logits.reshape(-1)[:: summary["stride"]]
        np.testing.assert_allclose(values, summary["values"], rtol=0, atol=tolerance * scale)
        for statistic in (np.mean(logits) - summary["mean"], np.std(logits) - summary["std"]):
            assert abs(statistic) < tolerance * scale
        assert np.abs(logits).max() == pytest.approx(scale, rel=tolerance)

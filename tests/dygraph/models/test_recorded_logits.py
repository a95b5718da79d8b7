"""Names, shapes and logits against what PaddleSeg 2.8.0 computed with the same weights; see ``scripts/oracle``."""

from __future__ import annotations

import math

import numpy as np
import paddle
import pytest

from dygraph.build import build_model
from scripts.oracle.cases import CASES
from scripts.oracle.fixed_weights import fixed_input, from_tree
from tests.dygraph.networks import build_case, case_spec, recorded, run

RUNS = [
    pytest.param(name, i, id=f"{name}-{'x'.join(map(str, shape))}-{corners=}-{training=}")
    for name, case in CASES.items()
    for i, (shape, corners, training) in enumerate(case.runs)
]
TENSORS_AND_PARAMETERS = {  # PaddleSeg 2.8.0's networks of 19 classes
    "fcn_hrnet_w18": (1533, 9_675_595),
    "fcn_hrnet_w48": (1533, 65_944_915),
    "deeplabv3p_resnet50_os8": (360, 26_794_243),
    "deeplabv3_resnet50_os8": (312, 39_124_851),
}


@pytest.mark.parametrize("name", list(CASES))
def test_value_state_dict_names_and_shapes(name):
    with paddle.LazyGuard():  # shapes without memory
        network = build_model(case_spec(CASES[name]))
    own = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    expected = from_tree(recorded(name)["state"])
    assert own == expected
    assert list(own) == list(expected)
    if name in TENSORS_AND_PARAMETERS:
        assert (len(own), sum(math.prod(p.shape) for p in network.parameters())) == TENSORS_AND_PARAMETERS[name]


@pytest.mark.parametrize(("name", "index"), RUNS)
def test_value_logits_float64(name, index):
    expected = recorded(name)["runs"][index]
    # Without align_corners the sampling points of a resize carry float32 rounding, which differs between versions.
    tolerance = 1e-10 if expected["align_corners"] else 1e-6
    _compare(name, expected, "float64", tolerance)


@pytest.mark.parametrize("name", ["fcn_hrnet_w18", "deeplabv3p_resnet18_os8"])
@pytest.mark.parametrize("training", [False, True])
def test_value_logits_float32(name, training):
    expected = next(r for r in recorded(name)["runs"] if r["training"] is training)
    _compare(name, expected, "float32", 1e-4)


def _compare(name, expected, dtype, tolerance):
    network = build_case(name, expected["align_corners"], dtype)
    logits = run(network, fixed_input(expected["input"]), expected["training"])
    (summary,) = expected["logits"]
    assert list(logits.shape) == summary["shape"]
    scale = summary["absmax"]
    np.testing.assert_allclose(
        logits.reshape(-1)[:: summary["stride"]], summary["values"], rtol=0, atol=tolerance * scale
    )
    for statistic in (np.mean(logits) - summary["mean"], np.std(logits) - summary["std"]):
        assert abs(statistic) < tolerance * scale
    assert np.abs(logits).max() == pytest.approx(scale, rel=tolerance)

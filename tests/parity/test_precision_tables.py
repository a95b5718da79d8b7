"""Which operator runs in which type: the two modes, each asked by machinery of its own, agree for every network."""

from __future__ import annotations

import pytest

import dygraph.build  # noqa: F401 - fills the registry
from dygraph.engine.precision import FLOAT32
from shared.registry import MODELS
from tests.parity.operator_tables import in_a_process_of_its_own

pytestmark = pytest.mark.xdist_group("precision tables")  # made once, not once a worker

#: Between them every operator that the policy names and the networks use.
CORE = ("DNLNet", "DeepLabV3P", "EMANet", "FCN", "GSCNN", "SFNet")
PRODUCTS = {"conv2d", "depthwise_conv2d", "conv2d_transpose", "matmul", "bmm"}
#: The policy's names, which are those of Paddle's lists, as the operators are called in a table.
IN_FLOAT32 = {name.removesuffix("_v2") for name in FLOAT32} | {"sum", "mean", "prod", "grid_sample"}
NETWORKS = [name if name in CORE else pytest.param(name, marks=pytest.mark.slow) for name in sorted(MODELS)]


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """Tables by network, made for the core, or for all others, when the first of them is asked for."""
    made = {}

    def of(name, dtype, level="O1", data_format="NCHW"):
        group = CORE if name in CORE else tuple(sorted(set(MODELS) - set(CORE)))
        key = (group, dtype, level, data_format)
        if key not in made:
            out = tmp_path_factory.mktemp("tables") / "tables.json"
            made[key] = in_a_process_of_its_own(out, names=group, dtype=dtype, level=level, data_format=data_format)
        return made[key][name]

    return of


@pytest.mark.parametrize("name", NETWORKS)
def test_parity_both_modes_run_each_operator_in_the_same_type(tables, name):
    found = tables(name, "float16")
    assert found["eager"] == found["static"]
    assert len(found["eager"]) > 50


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(MODELS))
@pytest.mark.parametrize(
    ("dtype", "level", "data_format"),
    [("bfloat16", "O1", "NCHW"), ("float16", "O2", "NCHW"), ("bfloat16", "O2", "NHWC")],
)
def test_parity_other_types_levels_and_layouts(tables, name, dtype, level, data_format):
    found = tables(name, dtype, level, data_format)
    assert found["eager"] == found["static"]


@pytest.mark.parametrize("mode", ["eager", "static"])
@pytest.mark.parametrize("name", NETWORKS)
def test_value_the_policy_is_what_happens(tables, name, mode):
    calls = tables(name, "float16")[mode]
    low = {operator for _, operator, _, runs_in in calls if runs_in == "float16"}
    assert low >= {"conv2d", "batch_norm"}
    assert low & IN_FLOAT32 == set()
    assert {runs_in for _, operator, _, runs_in in calls if operator in PRODUCTS} == {"float16"}
    for _, operator, inputs, _ in calls:
        if operator == "batch_norm":
            assert inputs[1:] == ["float32"] * 4, "its parameters and statistics"


@pytest.mark.parametrize("mode", ["eager", "static"])
def test_value_deeplab_by_hand(tables, mode):
    """The first block, the pooled branch of ASPP, and the last resize, worked out from the lists."""
    calls = [(c[0], c[1], tuple(c[2]), c[3]) for c in tables("DeepLabV3P", "float16")[mode]]
    norm = ("float16", *["float32"] * 4)
    assert calls[:3] == [
        ("backbone.conv1_1._conv", "conv2d", ("float32", "float32"), "float16"),
        ("backbone.conv1_1._batch_norm", "batch_norm", norm, "float16"),
        ("backbone.conv1_1", "relu", ("float16",), "float16"),
    ]
    assert calls[-1] == ("", "bilinear_interp", ("float16",), "float32")
    assert [c[3] for c in calls if c[1] == "concat"] == ["float32", "float32"], "with resized features in it"


def test_value_a_list_changed_in_one_mode_turns_the_comparison_red(tmp_path):
    found = in_a_process_of_its_own(
        tmp_path / "tables.json", names=["DeepLabV3P"], dtype="float16", static_only_without=["depthwise_conv2d"]
    )["DeepLabV3P"]
    different = {eager[1] for eager, static in zip(found["eager"], found["static"]) if eager[3] != static[3]}
    assert "depthwise_conv2d" in different
    assert "conv2d" not in different, "it is in the list of both"

"""``build_model``, ``build_losses`` and ``compute_losses``: what they fill in and how they refuse."""

from __future__ import annotations

import paddle
import pytest

import dygraph
from dygraph.build import build_losses, build_model, compute_losses
from shared.config.run_config import Component, LossTerm
from shared.errors import ConfigError
from tests.dygraph.networks import SMALL

FCN = SMALL["fcn"]


def _problems(call, *args, **kwargs):
    with pytest.raises(ConfigError) as caught:
        call(*args, **kwargs)
    return caught.value.problems


def test_value_num_classes_of_the_block_comes_first():
    assert build_model({**FCN, "num_classes": 4}, num_classes=9).head.cls.weight.shape[0] == 4
    assert build_model(FCN, num_classes=9).head.cls.weight.shape[0] == 9
    assert dygraph.build_model(Component.from_dict(FCN), num_classes=9).head.cls.weight.shape[0] == 9


def test_value_the_block_is_left_as_it_was():
    spec = {"type": "FCN", "backbone": {"type": "HRNet_W18_Small_V1"}}
    build_model(spec, num_classes=2, data_format="NHWC")
    assert spec == {"type": "FCN", "backbone": {"type": "HRNet_W18_Small_V1"}}


def test_value_data_format_reaches_the_backbone():
    network = build_model(FCN, num_classes=2, data_format="NHWC")
    assert network.backbone.data_format == network.data_format == "NHWC"


def test_value_pretrained_weights_are_asked_for(monkeypatch):
    asked = []
    monkeypatch.setattr("dygraph.pretrained.load_pretrained", lambda layer, source: asked.append((layer, source)))
    spec = {**FCN, "pretrained": "whole.pdparams", "backbone": {**FCN["backbone"], "pretrained": "https://x/y.tar.gz"}}
    network = build_model(spec, num_classes=2)
    assert asked == [(network.backbone, "https://x/y.tar.gz"), (network, "whole.pdparams")]
    build_model({"type": "DeepLabV3P", "pretrained": "p", "backbone": {"type": "ResNet18_vd"}}, num_classes=2)
    assert [source for _, source in asked[2:]] == ["p"]
    build_model({**FCN, "pretrained": None}, num_classes=2)
    assert len(asked) == 3


def test_error_unknown_types_name_the_closest():
    assert _problems(build_model, {**FCN, "type": "FNC"}, num_classes=2)[0].startswith("model.type: ")
    (problem,) = _problems(build_model, {**FCN, "backbone": {"type": "HRNet_W19"}}, num_classes=2)
    assert problem.startswith("model.backbone.type: ")
    assert "HRNet_W18" in problem


def test_error_unknown_and_missing_arguments_are_reported_together():
    spec = {"type": "DeepLabV3P", "aspp_ratio": [1], "backbone": {"type": "ResNet18_vd", "output_strid": 8}}
    problems = _problems(build_model, spec)
    keys = {p.split(":")[0] for p in problems}
    assert keys == {"model.aspp_ratio", "model.num_classes", "model.backbone.output_strid"}
    assert any("'output_stride'" in p for p in problems)
    assert any("'aspp_ratios'" in p for p in problems)


@pytest.mark.parametrize(
    ("spec", "key", "words"),
    [
        ({**FCN, "backbone_indices": [1]}, "model", "1 feature"),
        ({**FCN, "backbone_indices": [0, 0]}, "model", "1 number"),
        ({**FCN, "data_format": "CHWN"}, "model", "NHWC"),
        ({"type": "FCN", "backbone": {"type": "ResNet18_vd", "output_stride": 4}}, "model.backbone", "8, 16, 32"),
        ({"type": "FCN", "backbone": {"type": "ResNet18_vd", "multi_grid": [1]}}, "model.backbone", "2 positive"),
        ({"type": "FCN", "backbone": {"type": "ResNet_vd", "layers": 51}}, "model.backbone", "152"),
        ({"type": "FCN", "backbone": {"type": "HRNet", "stage2_num_blocks": [4]}}, "model.backbone", "2 numbers"),
        ({"type": "DeepLabV3", "aspp_ratios": [], "backbone": {"type": "ResNet18_vd"}}, "model", "at least one"),
    ],
)
def test_error_refused_arguments_carry_the_key(spec, key, words):
    if spec.get("data_format") == "CHWN":
        spec = {**spec, "backbone": {**spec["backbone"], "data_format": "CHWN"}}
        key = "model.backbone"
    (problem,) = _problems(build_model, spec, num_classes=2)
    assert problem.startswith(f"{key}: ")
    assert words in problem


def test_error_layouts_that_contradict_each_other():
    spec = {**FCN, "backbone": {"type": "HRNet_W18_Small_V1", "data_format": "NHWC"}}
    (problem,) = _problems(build_model, spec, num_classes=2)
    assert problem.startswith("model.backbone.data_format: ")
    (problem,) = _problems(build_model, {**FCN, "data_format": "NCHW"}, num_classes=2, data_format="NHWC")
    assert problem.startswith("model.data_format: ")


def test_error_a_block_without_type():
    assert _problems(build_model, {"num_classes": 2})[0].startswith("model.type: ")
    assert _problems(build_model, {**FCN, "backbone": "HRNet_W18"}, num_classes=2)[0].startswith("model.backbone")


def test_value_ignore_index_is_filled_in_unless_given():
    terms = [
        LossTerm(Component("CrossEntropyLoss")),
        LossTerm(Component("CrossEntropyLoss", {"ignore_index": 3}), 0.4),
        LossTerm(Component("MixedLoss", {"losses": [{"type": "DiceLoss"}, Component("BCELoss")], "coef": [1, 2]})),
    ]
    plain, own, mixed = build_losses(terms, ignore_index=7)
    assert (plain.loss.ignore_index, own.loss.ignore_index) == (7, 3)
    assert [inner.ignore_index for inner in mixed.loss.losses] == [7, 7]
    assert (plain.coef, own.coef) == (1.0, 0.4)


def test_value_each_term_times_its_coefficient():
    logits = [paddle.zeros([1, 4, 2, 2], "float64"), paddle.zeros([1, 8, 2, 2], "float64")]
    losses = build_losses([LossTerm(Component("CrossEntropyLoss"), c) for c in (1.0, 0.4)])
    terms = compute_losses(losses, logits, paddle.zeros([1, 2, 2], "int64"))
    assert [float(t) for t in terms] == pytest.approx([1.3862943611198906, 0.4 * 2.0794415416798357], rel=1e-12)


def test_error_as_many_losses_as_logits():
    losses = build_losses([LossTerm(Component("CrossEntropyLoss"))])
    (problem,) = _problems(compute_losses, losses, [paddle.zeros([1, 2, 4, 4])] * 3, paddle.zeros([1, 4, 4], "int64"))
    assert problem.startswith("loss.types: 1 loss(es)")
    assert "3 map(s)" in problem


def test_error_loss_blocks():
    terms = [LossTerm(Component("CrossEntropyLoss", {"weigth": [1]})), LossTerm(Component("CrossEntropy"))]
    problems = _problems(build_losses, terms)
    assert "'weight'" in problems[0]
    assert problems[0].startswith("loss.types.0.weigth: ")
    assert problems[1].startswith("loss.types.1.type: ")
    nested = Component("MixedLoss", {"losses": [{"type": "DiceLoss", "smooth": 0}], "coef": [1]})
    assert _problems(build_losses, [LossTerm(nested)])[0].startswith("loss.types.0.losses.0: DiceLoss")

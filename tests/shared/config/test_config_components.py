from __future__ import annotations

import json
import pickle
from collections.abc import Sequence

import pytest

from shared.config.components import as_component, check_component
from shared.config.run_config import Component
from shared.registry import BACKBONES, LOSSES, MODELS, Registry

pytestmark = pytest.mark.usefixtures("registries")

SHAPES = Registry("shape")


@SHAPES.register()
class Square:
    def __init__(self, side: int, colour: str = "red", corners: Sequence[int] = (1, 2)) -> None:
        self.values = colour, corners
        if side < 0:
            raise ValueError(f"side must be 0 or more; got {side}")


@SHAPES.register()
class Anything:
    def __init__(self, size: float, **options: object) -> None: ...


def test_smoke_right_block_has_no_problem():
    assert check_component(SHAPES, {"type": "Square", "side": 3, "corners": [4]}, "s", construct=True) == []


@pytest.mark.parametrize(
    ("spec", "problems"),
    [
        (None, ["s: expected a mapping with 'type' and its arguments, got None"]),
        ([1], ["s: expected a mapping with 'type' and its arguments, got [1]"]),
        ({"side": 3}, ["s.type: missing; name the shape: one of Anything, Square"]),
        (
            {"type": "Sqare"},
            ["s.type: there is no shape 'Sqare'; did you mean 'Square'? known: Anything, Square"],
        ),
        ({"type": [5]}, ["s.type: there is no shape [5]; known: Anything, Square"]),
        ({"type": "Square"}, ["s.side: required by Square and missing"]),
        (
            {"type": "Square", "side": 3, "color": "red"},
            ["s.color: Square has no argument 'color'; did you mean 'colour'?"],
        ),
        (
            {"type": "Square", "side": 3, "zzz": 1},
            ["s.zzz: Square has no argument 'zzz'; known: side, colour, corners"],
        ),
        ({"type": "Square", "side": True}, ["s.side: expected an integer, got true"]),
        ({"type": "Anything", "size": 1, "what": "ever"}, []),
        ({"type": "Anything", "what": "ever"}, ["s.size: required by Anything and missing"]),
        ({"type": "Square", "side": -1}, ["s: side must be 0 or more; got -1"]),
    ],
)
def test_error_sentences(spec, problems):
    assert check_component(SHAPES, spec, "s", construct=True) == problems


def test_value_constructor_is_called_only_on_request():
    assert check_component(SHAPES, {"type": "Square", "side": -1}, "s") == []


def test_value_provided_arguments_may_be_missing():
    spec = {"type": "FCN"}
    assert check_component(MODELS, spec, "model", provided=("num_classes", "backbone")) == []
    assert len(check_component(MODELS, spec, "model")) == 2


def test_error_everything_is_reported_at_once():
    spec = {"type": "FCN", "backbone": {"type": "HRNet_W18", "has_se": 1, "x": 2}, "chanels": 3, "pretrained": 4}
    assert check_component(MODELS, spec, "model", provided=("num_classes",)) == [
        "model.chanels: FCN has no argument 'chanels'; did you mean 'channels'?",
        "model.backbone.x: HRNet_W18 has no argument 'x'; known: pretrained, has_se, align_corners",
        "model.backbone.has_se: expected true or false, got 1",
        "model.pretrained: expected text or null, got 4",
    ]


@pytest.mark.parametrize("backbone", ["HRNet_W18", {"type": "FCN"}])
def test_error_backbone_is_looked_up_among_backbones(backbone):
    (problem,) = check_component(MODELS, {"type": "FCN", "backbone": backbone}, "model", provided=("num_classes",))
    assert problem.startswith("model.backbone")
    assert BACKBONES["HRNet_W18"]


def test_error_nested_losses_carry_their_index():
    spec = {"type": "MixedLoss", "losses": [{"type": "BCELoss"}, {"type": "BCELos"}], "coef": [1, "a"]}
    problems = check_component(LOSSES, spec, "loss.types.0")
    assert [p.split(":")[0] for p in problems] == ["loss.types.0.losses.1.type", "loss.types.0.coef"]


def test_value_as_component_nests_in_mappings_and_lists():
    spec = {"type": "MixedLoss", "losses": [{"type": "A", "x": [1, 2]}, {"type": "B"}], "extra": {"type": "C"}}
    component = as_component(spec)
    assert component.type == "MixedLoss"
    assert component.args["losses"] == [Component("A", {"x": [1, 2]}), Component("B")]
    assert component.args["extra"] == Component("C")
    assert component.to_dict() == spec
    assert Component.from_dict(json.loads(json.dumps(component.to_dict()))) == component
    assert pickle.loads(pickle.dumps(component)) == component

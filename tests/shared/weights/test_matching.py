from __future__ import annotations

import numpy as np
import pytest

from shared.errors import CheckpointError
from shared.weights.matching import match_lenient, match_strict

SHAPES = {
    "backbone.conv1.weight": (8, 3, 3, 3),
    "backbone.bn1.weight": (8,),
    "backbone.bn1.bias": (8,),
    "backbone.bn1._mean": (8,),
    "backbone.bn1._variance": (8,),
    "head.conv.weight": (2, 8, 1, 1),
    "head.conv.bias": (2,),
}


def _arrays(shapes):
    return {name: np.full(shape, i, np.float32) for i, (name, shape) in enumerate(shapes.items())}


def _with_classes(count):
    return {**SHAPES, "head.conv.weight": (count, 8, 1, 1), "head.conv.bias": (count,)}


def test_value_strict_returns_the_arrays_in_the_networks_order():
    arrays = _arrays(SHAPES)
    backwards = dict(reversed(list(arrays.items())))
    matched = match_strict(SHAPES, backwards, "m.pdparams")
    assert list(matched) == list(SHAPES)
    assert all(matched[name] is arrays[name] for name in SHAPES)


def test_error_strict_class_count():
    with pytest.raises(CheckpointError) as caught:
        match_strict(SHAPES, _arrays(_with_classes(19)), "m.pdparams")
    message = str(caught.value)
    assert message.startswith("m.pdparams does not fit the network")
    assert "2: head.conv.weight (file [19, 8, 1, 1], network [2, 8, 1, 1])" in message
    assert "num_classes is 19 in the file and 2 in the config" in message
    assert "missing" not in message


def test_error_strict_width_is_not_taken_for_classes():
    wide = {**SHAPES, "backbone.conv1.weight": (16, 3, 3, 3), "backbone.bn1._mean": (16,)}
    with pytest.raises(CheckpointError, match="another variant") as caught:
        match_strict(SHAPES, _arrays(wide), "m")
    assert "num_classes" not in str(caught.value)


def test_error_strict_another_network():
    shapes = {f"stage{i}.weight": (4,) for i in range(12)}
    with pytest.raises(CheckpointError, match="belongs to another network") as caught:
        match_strict(shapes, _arrays(SHAPES), "m")
    message = str(caught.value)
    assert "missing in the file: 12: stage0.weight" in message
    assert "stage9.weight, ..." in message
    assert "stage10" not in message
    assert "unknown to the network: 7: backbone.conv1.weight" in message


def test_error_strict_backbone_alone():
    alone = {f"backbone.{name}": (4,) for name in "abcdef"}
    with pytest.raises(CheckpointError, match="holds a backbone alone"):
        match_strict(alone, _arrays(dict.fromkeys("abcdef", (4,))), "m")


def test_error_strict_one_unexpected_tensor():
    with pytest.raises(CheckpointError, match=r"unknown to the network: 1: aux\.weight"):
        match_strict(SHAPES, _arrays({**SHAPES, "aux.weight": (3,)}), "m")


def test_value_lenient_adds_a_prefix():
    file = _arrays({"conv1.weight": (8, 3, 3, 3), "bn1.bias": (8,), "fc.weight": (10, 8), "fc.bias": (10,)})
    report = match_lenient(SHAPES, file, source="resnet.pdparams")
    assert set(report.loaded) == {"backbone.conv1.weight", "backbone.bn1.bias"}
    assert report.loaded["backbone.conv1.weight"] is file["conv1.weight"]
    assert report.unused == ["fc.weight", "fc.bias"]
    assert report.missing == [n for n in SHAPES if n not in report.loaded]
    assert report.misshapen == []


def test_value_lenient_removes_a_prefix():
    network = {"conv1.weight": (8, 3, 3, 3), "bn1.bias": (8,)}
    report = match_lenient(network, _arrays(SHAPES))
    assert set(report.loaded) == set(network)
    assert (report.loaded["bn1.bias"] == 2).all()
    assert len(report.unused) == 5


def test_value_lenient_reads_all_names_in_one_way():
    """A backbone file whose ``conv.weight`` would also fit the head must not land in the head."""
    network = {"conv.weight": (4,), "backbone.conv.weight": (4,), "backbone.bn.weight": (4,)}
    report = match_lenient(network, _arrays({"conv.weight": (4,), "bn.weight": (4,)}))
    assert set(report.loaded) == {"backbone.conv.weight", "backbone.bn.weight"}
    assert report.missing == ["conv.weight"]


def test_value_lenient_summary_has_three_lines():
    file = _arrays({**_with_classes(19), "aux.weight": (3,)})
    report = match_lenient(SHAPES, file, source="m.pdparams")
    assert report.class_mismatch == (19, 2)
    assert report.summary().splitlines() == [
        "loaded 5 of 7 tensors from m.pdparams",
        "left out because the shape differs: 2: head.conv.weight (file [19, 8, 1, 1], network [2, 8, 1, 1]), "
        "head.conv.bias (file [19], network [2]) (num_classes 19 in the file, 2 here)",
        "unused in the file: 1: aux.weight",
    ]


def test_value_lenient_summary_of_a_full_match():
    assert match_lenient(SHAPES, _arrays(SHAPES), source="m").summary().splitlines() == [
        "loaded 7 of 7 tensors from m",
        "left out because the shape differs: 0",
        "unused in the file: 0",
    ]


def test_value_lenient_names_what_is_missing():
    file = _arrays({n: s for n, s in SHAPES.items() if not n.startswith("head")})
    first = match_lenient(SHAPES, file, source="m").summary().splitlines()[0]
    assert first == "loaded 5 of 7 tensors from m; not in the file: 2: head.conv.weight, head.conv.bias"


def test_value_lenient_scalar_and_vector_differ():
    report = match_lenient({"a": (), "b": (1,)}, {"a": np.zeros(()), "b": np.zeros(())})
    assert list(report.loaded) == ["a"]
    assert [item.name for item in report.misshapen] == ["b"]


def test_error_lenient_nothing_fits():
    with pytest.raises(CheckpointError, match=r"no tensor of m fits the network: the file holds 1: x, the network 7: "):
        match_lenient(SHAPES, {"x": np.zeros(3)}, source="m")
    with pytest.raises(CheckpointError, match="no tensor"):
        match_lenient(SHAPES, {"backbone.bn1.bias": np.zeros(9)})

"""Resizings rewritten to maps of one class each against OpenVINO's own, and which of them are rewritten."""

from __future__ import annotations

import numpy as np
import pytest

openvino = pytest.importorskip("openvino")
from openvino import opset13 as op  # noqa: E402 - after the package is known to be there

from dygraph.converted.last_resizing import resize_class_by_class  # noqa: E402

SHAPE = (2, 5, 6, 7)
HALF_PIXELS = {"mode": "linear_onnx", "coordinate_transformation_mode": "half_pixel"}


def numbers(*values):
    return op.constant(np.array(values, np.int64))


def resized(maps, target=(2, 5, 24, 21), **attributes):
    words = {"shape_calculation_mode": "sizes", **HALF_PIXELS, **attributes}
    size = numbers(*target) if words["shape_calculation_mode"] == "sizes" else op.constant(np.float32(target))
    return op.interpolate(maps, size, **words)


def classes(maps, axis=1):
    return op.topk(maps, op.constant(np.int64(1)), axis, "max", "value").output(1)


def model_of(build, shape=SHAPE):
    """What ``build`` makes of maps behind a convolution of one pixel, which leaves channels last."""
    image = op.parameter(list(shape), np.float32)
    weights = np.random.default_rng(0).standard_normal((5, 5, 1, 1)).astype(np.float32)
    maps = op.convolution(image, op.constant(weights), [1, 1], [0, 0], [0, 0], [1, 1])
    return openvino.Model([op.result(build(maps))], [image])


def run(model):
    image = np.random.default_rng(1).standard_normal(SHAPE).astype(np.float32)
    return openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})([image])[0].copy()


@pytest.mark.parametrize("shape", [SHAPE, (-1, 5, -1, -1)], ids=["fixed", "any"])
@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"coordinate_transformation_mode": "align_corners"},
        {"coordinate_transformation_mode": "asymmetric", "mode": "nearest", "nearest_mode": "floor"},
        {"target": (1, 1, 3.5, 2), "shape_calculation_mode": "scales"},
    ],
    ids=["half pixels", "aligned corners", "nearest", "scales"],
)
@pytest.mark.parametrize("behind", [lambda maps: maps, classes], ids=["logits", "classes"])
def test_value_of_openvino(behind, attributes, shape):
    plain = model_of(lambda maps: behind(resized(maps, **attributes)), shape)
    rewritten = plain.clone()
    assert resize_class_by_class(rewritten) == 1
    expected, given = run(plain), run(rewritten)
    assert (given.shape, given.dtype) == (expected.shape, expected.dtype)
    np.testing.assert_allclose(given, expected, rtol=1e-6, atol=1e-6)
    assert len(np.unique(given)) > 4


def test_value_every_map_is_resized_by_itself():
    model = model_of(resized)
    assert resize_class_by_class(model) == 1
    (resizing,) = [node for node in model.get_ordered_ops() if node.get_type_name() == "Interpolate"]
    assert list(resizing.get_output_shape(0)) == [10, 1, 24, 21]


def with_the_largest(maps):
    """A resizing that the choice of a class is not the only reader of."""
    big = resized(maps)
    return op.concat([big, op.convert(classes(big), np.float32)], 1)


@pytest.mark.parametrize(
    "build",
    [lambda maps: op.relu(resized(maps)), lambda maps: classes(resized(maps), axis=2), with_the_largest],
    ids=["followed by something else", "the largest of a row", "read twice"],
)
def test_value_others_are_left_alone(build):
    model = model_of(build)
    before = [node.get_friendly_name() for node in model.get_ops()]
    assert resize_class_by_class(model) == 0
    assert [node.get_friendly_name() for node in model.get_ops()] == before

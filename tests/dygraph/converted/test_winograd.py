"""Convolutions rewritten as products of sums against float64, and which of them are rewritten."""

from __future__ import annotations

import numpy as np
import pytest

openvino = pytest.importorskip("openvino")
from openvino import opset13 as op  # noqa: E402 - after the package is known to be there

from dygraph.converted import winograd  # noqa: E402
from dygraph.converted.winograd import replace_convolutions  # noqa: E402

CHANNELS = winograd.LEAST_CHANNELS


@pytest.fixture
def of_any_size(monkeypatch):
    monkeypatch.setattr(winograd, "LEAST_TILES", 1)
    monkeypatch.setattr(winograd, "LEAST_MULTIPLICATIONS", 1)


def model_of(shape, weights, dilations=(1, 1), before=(1, 1), behind=None, strides=(1, 1)):
    image = op.parameter(list(shape), np.float32)
    behind = before if behind is None else behind
    convolution = op.convolution(
        image, op.constant(weights), list(strides), list(before), list(behind), list(dilations)
    )
    return openvino.Model([op.result(convolution)], [image])


def run(model, image):
    settings = {"INFERENCE_PRECISION_HINT": "f32"}
    return openvino.Core().compile_model(model, "CPU", settings)([image])[0].copy()


def drawn(shape, out=CHANNELS, taps=(3, 3)):
    rng = np.random.default_rng(0)
    image = rng.standard_normal(shape).astype(np.float32)
    spread = np.sqrt(shape[1] * taps[0] * taps[1])
    return image, (rng.standard_normal((out, shape[1], *taps)) / spread).astype(np.float32)


def exact(image, weights, dilations, before, behind):
    """The convolution in float64, tap by tap."""
    pads = ((0, 0), (0, 0), *zip(before, behind))
    padded = np.pad(image.astype(np.float64), pads)
    rows, columns = (padded.shape[2 + axis] - 2 * dilations[axis] for axis in (0, 1))
    return sum(
        np.einsum("kc,nchw->nkhw", weights[:, :, i, j].astype(np.float64), padded[:, :, y : y + rows, x : x + columns])
        for i, y in enumerate(range(0, 3 * dilations[0], dilations[0]))
        for j, x in enumerate(range(0, 3 * dilations[1], dilations[1]))
    )


@pytest.mark.usefixtures("of_any_size")
@pytest.mark.parametrize(
    ("size", "dilations", "before", "behind"),
    [
        ((8, 16), (1, 1), (1, 1), (1, 1)),
        ((13, 9), (1, 1), (1, 1), (1, 1)),
        ((11, 14), (1, 1), (0, 0), (0, 0)),
        ((12, 10), (2, 3), (2, 3), (2, 3)),
        ((4, 32), (2, 8), (2, 8), (2, 8)),
        ((10, 12), (1, 1), (2, 0), (0, 3)),
        ((8, 7), (4, 8), (4, 8), (4, 8)),  # pairs and single ones between zeros
        ((12, 11), (4, 2), (4, 2), (4, 2)),  # triples, and tiles of three
    ],
)
def test_value_in_float64(size, dilations, before, behind):
    image, weights = drawn((2, CHANNELS, *size), CHANNELS + 32)
    plain = model_of(image.shape, weights, dilations, before, behind)
    rewritten = plain.clone()
    assert replace_convolutions(rewritten) == 1
    expected = exact(image, weights, dilations, before, behind)
    given = run(rewritten, image)
    assert given.shape == expected.shape
    np.testing.assert_allclose(given, expected, rtol=1e-4, atol=2e-5)
    error, plain_error = (np.sqrt(np.mean((found - expected) ** 2)) for found in (given, run(plain, image)))
    assert error < 10 * plain_error


@pytest.mark.usefixtures("of_any_size")
def test_value_in_several_products(monkeypatch):
    monkeypatch.setattr(winograd, "TILES_AT_ONCE", 5)
    image, weights = drawn((1, CHANNELS, 12, 20))
    model = model_of(image.shape, weights)
    assert replace_convolutions(model) == 1
    assert sum(node.get_type_name() == "MatMul" for node in model.get_ops()) == 3 * 2  # 15 tiles
    np.testing.assert_allclose(run(model, image), exact(image, weights, (1, 1), (1, 1), (1, 1)), rtol=1e-4, atol=2e-5)


@pytest.mark.usefixtures("of_any_size")
@pytest.mark.parametrize(
    "changes",
    [
        {"channels": CHANNELS - 1},
        {"out": CHANNELS - 1},
        {"strides": (2, 2)},
        {"taps": (1, 1), "before": (0, 0)},
        {"taps": (5, 5)},
        {"size": (7, 7), "dilations": (3, 3), "before": (0, 0)},  # a tile of one output
    ],
    ids=["few channels", "few outputs", "stride", "one tap", "five taps", "no gain"],
)
def test_value_others_are_left_alone(changes):
    changes = dict(changes)
    shape = (1, changes.pop("channels", CHANNELS), *changes.pop("size", (8, 8)))
    _, weights = drawn(shape, changes.pop("out", CHANNELS), changes.pop("taps", (3, 3)))
    model = model_of(shape, weights, **changes)
    before = [node.get_friendly_name() for node in model.get_ops()]
    assert replace_convolutions(model) == 0
    assert [node.get_friendly_name() for node in model.get_ops()] == before


@pytest.mark.usefixtures("of_any_size")
def test_value_every_reader_reads_the_rewritten_one():
    image, weights = drawn((1, CHANNELS, 8, 8))
    model = model_of(image.shape, weights)
    (convolution,) = [node for node in model.get_ops() if node.get_type_name() == "Convolution"]
    both = op.add(op.relu(convolution), convolution)
    model = openvino.Model([op.result(both)], model.get_parameters())
    assert replace_convolutions(model) == 1
    assert "Convolution" not in {node.get_type_name() for node in model.get_ops()}
    expected = exact(image, weights, (1, 1), (1, 1), (1, 1))
    np.testing.assert_allclose(run(model, image), np.maximum(expected, 0) + expected, rtol=1e-4, atol=4e-5)


@pytest.mark.usefixtures("of_any_size")
@pytest.mark.parametrize("read_twice", [False, True])
def test_value_what_follows_channel_by_channel_stays_channels_last(read_twice):
    image, weights = drawn((1, CHANNELS, 8, 8))
    rng = np.random.default_rng(1)
    scale, shift, mean = (rng.standard_normal(CHANNELS).astype(np.float32) for _ in range(3))
    variance = rng.uniform(0.5, 2, CHANNELS).astype(np.float32)
    model = model_of(image.shape, weights)
    (convolution,) = [node for node in model.get_ops() if node.get_type_name() == "Convolution"]
    normed = op.batch_norm_inference(convolution, *map(op.constant, (scale, shift, mean, variance)), 1e-5)
    relu = op.relu(normed)
    last = op.add(relu, normed) if read_twice else relu
    model = openvino.Model([op.result(last)], model.get_parameters())
    assert replace_convolutions(model) == 1
    assert list(normed.get_output_shape(0)) == [64, CHANNELS]
    assert list(relu.get_output_shape(0)) == ([1, CHANNELS, 8, 8] if read_twice else [64, CHANNELS])
    found = exact(image, weights, (1, 1), (1, 1), (1, 1))
    factor = (scale / np.sqrt(variance + np.float64(1e-5)))[:, None, None]
    expected = (found - mean[:, None, None]) * factor + shift[:, None, None]
    expected = np.maximum(expected, 0) + (expected if read_twice else 0)
    np.testing.assert_allclose(run(model, image), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("height", "count"), [(28, 0), (32, 1)])
def test_value_few_tiles_do_not_pay(height, count, monkeypatch):
    monkeypatch.setattr(winograd, "LEAST_MULTIPLICATIONS", 1)
    image, weights = drawn((1, CHANNELS, height, 16))  # tiles of 4x4: 28 and 32
    assert replace_convolutions(model_of(image.shape, weights)) == count


@pytest.mark.parametrize(("width", "count"), [(60, 0), (64, 1)])
def test_value_a_small_one_does_not_pay(width, count, monkeypatch):
    image, weights = drawn((1, CHANNELS, 32, width))
    monkeypatch.setattr(winograd, "LEAST_MULTIPLICATIONS", 9 * CHANNELS**2 * 32 * 64)
    assert replace_convolutions(model_of(image.shape, weights)) == count

"""Sliding windows, scales and flips: against recorded paddleseg 2.8.0, by brute force, and by properties."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.special import softmax

from shared.config.run_config import EvalConfig
from shared.engine.inference import (
    argmax_classes,
    predict_ids,
    predict_logits,
    predict_probabilities,
    softmax_classes,
)
from shared.errors import ConfigError

RECORDED = json.loads(
    (Path(__file__).parents[2] / "fixtures" / "inference" / "paddleseg.json").read_text(encoding="utf-8")
)


class FakePredictor:
    """Records what it was given; ``class_ids`` is marked so that its use can be told from an argmax outside."""

    def __init__(self) -> None:
        self.seen: list[np.ndarray] = []

    def logits(self, images: np.ndarray) -> np.ndarray:
        assert images.dtype == np.float32
        assert images.flags.c_contiguous
        self.seen.append(images.copy())
        return self.network(images)

    def network(self, images: np.ndarray) -> np.ndarray:
        raise NotImplementedError

    def class_ids(self, images: np.ndarray) -> np.ndarray:
        return (self.network(images).argmax(axis=1) + 100).astype(np.int32)


class Pixelwise(FakePredictor):
    """A linear map of each pixel: windows and flips cannot change it."""

    weight = np.array([[0.5, -1, 2], [1, 1, 0.25], [-0.5, 0, 1], [0, 2, -1]], np.float32)

    def network(self, images):
        return np.einsum("kc,nchw->nkhw", self.weight, images).astype(np.float32)


class Convolution(FakePredictor):
    """A 3x3 convolution with zero padding, summed up tap by tap."""

    def __init__(self, kernel: np.ndarray) -> None:
        super().__init__()
        self.kernel = kernel.astype(np.float64)

    def network(self, images):
        padded = np.pad(images.astype(np.float64), ((0, 0), (0, 0), (1, 1), (1, 1)))
        h, w = images.shape[2:]
        taps = [
            np.einsum("kc,nchw->nkhw", self.kernel[:, :, y, x], padded[:, :, y : y + h, x : x + w])
            for y in range(3)
            for x in range(3)
        ]
        return sum(taps).astype(np.float32)


def draw(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def slide(crop_hw, stride_hw, **more) -> EvalConfig:
    return EvalConfig(is_slide=True, crop_hw=crop_hw, stride_hw=stride_hw, **more)


@pytest.mark.parametrize("name", sorted(RECORDED["cases"]))
def test_value_paddleseg(name):
    case = RECORDED["cases"][name]
    config = EvalConfig(
        aug_eval="scales" in case,
        scales=tuple(case.get("scales", (1.0,))),
        flip_horizontal=case.get("horizontal", False),
        flip_vertical=case.get("vertical", False),
        is_slide="crop" in case,
        crop_hw=tuple(case["crop"][::-1]) if "crop" in case else None,
        stride_hw=tuple(case["stride"][::-1]) if "crop" in case else None,
    )
    predictor = Convolution(np.array(RECORDED["kernel"]))
    image, expected = np.array(RECORDED["image"], np.float32), np.array(case["logits"])
    np.testing.assert_allclose(predict_logits(predictor, image, config), expected, rtol=1e-6, atol=5e-6)
    np.testing.assert_array_equal(predict_ids(predictor, image, config), expected.argmax(axis=1))


def test_value_plain_uses_the_predictors_argmax():
    images = draw(2, 3, 5, 7)
    plain = EvalConfig(scales=(0.5,), flip_horizontal=True, crop_hw=(2, 2), stride_hw=(1, 1))  # neither switch is on
    ids = predict_ids(Pixelwise(), images, plain)
    np.testing.assert_array_equal(ids, Pixelwise().network(images).argmax(axis=1) + 100)
    np.testing.assert_array_equal(predict_logits(Pixelwise(), images, plain), Pixelwise().network(images))


@pytest.mark.parametrize("crop", [(1, 1), (4, 6), (7, 9), (40, 3), (64, 64)])
@pytest.mark.parametrize("stride", [(1, 1), (3, 2), (4, 3)])
def test_value_windows_leave_a_pixelwise_map_alone(crop, stride):
    if any(s > c for s, c in zip(stride, crop)):
        stride = crop
    images = draw(2, 3, 17, 23)
    values = predict_logits(Pixelwise(), images, slide(crop, stride))
    assert values.dtype == np.float32
    np.testing.assert_allclose(values, Pixelwise().network(images), rtol=0, atol=1e-5)


def test_value_windows_by_hand():
    predictor = Pixelwise()
    images = draw(1, 3, 5, 8)
    predict_ids(predictor, images, slide((4, 3), (2, 3)))
    corners = [(0, 0), (0, 3), (0, 5), (1, 0), (1, 3), (1, 5)]  # the last ones shifted back to the border
    assert len(predictor.seen) == len(corners)
    for seen, (y, x) in zip(predictor.seen, corners):
        np.testing.assert_array_equal(seen, images[:, :, y : y + 4, x : x + 3])


def brute_force_slide(network, images, crop, stride):
    n, _, h, w = images.shape
    sums, counts = {}, np.zeros((h, w))
    total = np.zeros((n, 4, h, w))
    tops = sorted({max(0, min(y, h - crop[0])) for y in range(0, max(1, h - crop[0] + stride[0]), stride[0])})
    lefts = sorted({max(0, min(x, w - crop[1])) for x in range(0, max(1, w - crop[1] + stride[1]), stride[1])})
    for y in tops:
        for x in lefts:
            sums[y, x] = network(images[:, :, y : y + crop[0], x : x + crop[1]])
    for (y, x), part in sums.items():
        for row in range(part.shape[2]):
            for column in range(part.shape[3]):
                total[:, :, y + row, x + column] += part[:, :, row, column]
                counts[y + row, x + column] += 1
    return total / counts


@pytest.mark.parametrize(
    ("size", "crop", "stride"),
    [((13, 17), (5, 6), (3, 4)), ((13, 17), (13, 4), (1, 3)), ((4, 17), (9, 5), (9, 5)), ((12, 12), (4, 4), (4, 4))],
)
def test_value_windows_brute_force(size, crop, stride):
    predictor = Convolution(np.random.default_rng(1).normal(size=(4, 3, 3, 3)))
    images = draw(2, 3, *size)
    expected = brute_force_slide(predictor.network, images, crop, stride)
    np.testing.assert_allclose(predict_logits(predictor, images, slide(crop, stride)), expected, rtol=0, atol=1e-5)


def bilinear(values: np.ndarray, size_hw: tuple[int, int]) -> np.ndarray:
    """Half-pixel bilinear resize of the last two axes, one axis after the other."""
    for axis, length in zip((2, 3), size_hw):
        old = values.shape[axis]
        centre = np.clip((np.arange(length) + 0.5) * old / length - 0.5, 0, old - 1)
        low = np.floor(centre).astype(int)
        share = (centre - low).reshape((-1, 1) if axis == 2 else (-1,))
        high = np.minimum(low + 1, old - 1)
        values = np.take(values, low, axis) * (1 - share) + np.take(values, high, axis) * share
    return values


def test_value_augmented_brute_force():
    predictor = Convolution(np.random.default_rng(1).normal(size=(4, 3, 3, 3)))
    images = draw(2, 3, 10, 13)
    config = EvalConfig(aug_eval=True, scales=(0.5, 1.0, 1.5), flip_horizontal=True, flip_vertical=True)
    passes = []
    for size in ((5, 7), (10, 13), (15, 20)):
        scaled = bilinear(images.astype(np.float64), size)
        for y, x in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
            logits = predictor.network(scaled[:, :, ::y, ::x].astype(np.float32))[:, :, ::y, ::x]
            passes.append(bilinear(logits.astype(np.float64), (10, 13)))
    expected = np.mean(passes, axis=0)
    np.testing.assert_allclose(predict_logits(predictor, images, config), expected, rtol=0, atol=1e-5)
    np.testing.assert_array_equal(predict_ids(predictor, images, config), expected.argmax(axis=1))


@pytest.mark.parametrize(
    ("horizontal", "vertical", "axes"),
    [
        (False, False, [()]),
        (True, False, [(), (3,)]),
        (False, True, [(), (2,)]),
        (True, True, [(), (3,), (2,), (2, 3)]),
    ],
)
def test_value_flips_seen(horizontal, vertical, axes):
    predictor = Pixelwise()
    images = draw(1, 3, 4, 6)
    config = EvalConfig(aug_eval=True, flip_horizontal=horizontal, flip_vertical=vertical)
    values = predict_logits(predictor, images, config)
    assert len(predictor.seen) == len(axes)
    for seen, flipped in zip(predictor.seen, axes):
        np.testing.assert_array_equal(seen, np.flip(images, flipped))
    np.testing.assert_allclose(values, predictor.network(images), rtol=0, atol=1e-5)


def test_value_probabilities():
    predictor = Convolution(np.random.default_rng(1).normal(size=(4, 3, 3, 3)))
    images = draw(2, 3, 9, 8)
    for config in (EvalConfig(), slide((5, 5), (3, 3)), EvalConfig(aug_eval=True, scales=(0.75, 1.0))):
        expected = softmax(predict_logits(predictor, images, config).astype(np.float64), axis=1)
        np.testing.assert_allclose(predict_probabilities(predictor, images, config), expected, rtol=0, atol=1e-6)


def test_value_many_classes_at_a_scale():
    # More classes than OpenCV allows channels.
    class Many(FakePredictor):
        def network(self, images):
            return np.repeat(images, 250, axis=1) * np.linspace(-1, 1, 750, dtype=np.float32)[:, None, None]

    images = draw(1, 3, 6, 6)
    network = Many().network
    expected = bilinear(network(bilinear(images.astype(np.float64), (3, 3))), (6, 6))
    values = predict_logits(Many(), images, EvalConfig(aug_eval=True, scales=(0.5,)))
    np.testing.assert_allclose(values, expected, rtol=0, atol=1e-5)


def test_value_images_are_left_alone():
    images = draw(1, 3, 9, 8)
    before = images.copy()
    config = slide((4, 4), (2, 2), aug_eval=True, scales=(1.0, 0.5), flip_horizontal=True, flip_vertical=True)
    predict_ids(Pixelwise(), images, config)
    np.testing.assert_array_equal(images, before)


def test_value_predictor_may_reuse_its_output():
    class Reusing(Pixelwise):
        buffer = np.empty((1, 4, 9, 8), np.float32)

        def logits(self, images):
            self.buffer[...] = self.network(images)
            return self.buffer

    images = draw(1, 3, 9, 8)
    for config in (EvalConfig(aug_eval=True, flip_horizontal=True), slide((9, 8), (9, 8))):
        values = predict_logits(Reusing(), images, config)
        np.testing.assert_allclose(values, Pixelwise().network(images), rtol=0, atol=1e-5)


def test_value_argmax_and_softmax():
    values = draw(2, 7, 5, 6).round(0)  # with ties
    np.testing.assert_array_equal(argmax_classes(values), values.argmax(axis=1))
    assert argmax_classes(values).dtype == np.int32
    np.testing.assert_allclose(
        softmax_classes(values * 300), softmax(values.astype(np.float64) * 300, axis=1), atol=1e-6
    )


@pytest.mark.parametrize("config", [EvalConfig(), slide((5, 5), (3, 3)), EvalConfig(aug_eval=True, scales=(0.1, 2.0))])
def test_shape(config):
    images = draw(2, 3, 6, 9)
    ids, logits = predict_ids(Pixelwise(), images, config), predict_logits(Pixelwise(), images, config)
    assert (ids.shape, ids.dtype) == ((2, 6, 9), np.int32)
    assert (logits.shape, logits.dtype) == ((2, 4, 6, 9), np.float32)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (EvalConfig(is_slide=True, stride_hw=(2, 2)), r"crop_size: missing; .*--crop_size W H and --stride W H"),
        (EvalConfig(is_slide=True, crop_hw=(2, 2)), r"stride: missing; .*--crop_size W H and --stride W H"),
        (slide((0, 4), (1, 1)), r"crop_size: \(height, width\) is \(0, 4\)"),
        (slide((4, 4), (1, 0)), r"stride: \(height, width\) is \(1, 0\)"),
        (slide((4, 4), (1, 5)), r"stride: \(height, width\) is \(1, 5\) with crop_size \(4, 4\); .* leave gaps"),
        (EvalConfig(aug_eval=True, scales=()), r"scales: got \[\]"),
        (EvalConfig(aug_eval=True, scales=(1.0, 0.0)), r"scales: got \[1.0, 0.0\]"),
    ],
)
@pytest.mark.parametrize("predict", [predict_ids, predict_logits, predict_probabilities])
def test_error_config(predict, config, words):
    with pytest.raises(ConfigError, match=words):
        predict(Pixelwise(), draw(1, 3, 8, 8), config)


def test_error_all_at_once():
    config = EvalConfig(is_slide=True, aug_eval=True, scales=(-1.0,))
    with pytest.raises(ConfigError) as caught:
        predict_ids(Pixelwise(), draw(1, 3, 8, 8), config)
    assert [p.split(":")[0] for p in caught.value.problems] == ["crop_size", "stride", "scales"]


@pytest.mark.parametrize("shape", [(3, 8, 8), (1, 8, 8, 3), (0, 3, 8, 8)])
@pytest.mark.parametrize("predict", [predict_ids, predict_logits])
def test_error_images(predict, shape):
    with pytest.raises(ValueError, match=r"expected \[N, 3, height, width\]"):
        predict(Pixelwise(), np.zeros(shape, np.float32), EvalConfig())

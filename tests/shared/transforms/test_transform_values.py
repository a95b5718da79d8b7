"""The arithmetic of ``functional`` against formulas written out, the standard library and NumPy."""

from __future__ import annotations

import colorsys

import numpy as np
import pytest

from shared.transforms import Sample
from shared.transforms import functional as F  # noqa: N812
from shared.transforms.photometric import Normalize
from shared.transforms.warps import AffineParams, RandomAffine, RandomRotation, RandomScaleAspect
from tests.shared.transforms.transform_cases import photograph

NOISE = np.random.default_rng(1).integers(0, 256, (23, 31, 3)).astype(np.uint8)
LUMA = np.array([0.299, 0.587, 0.114])


def rounded(levels: np.ndarray) -> np.ndarray:
    return np.clip(np.round(levels), 0, 255)


def off_by(actual: np.ndarray, levels: np.ndarray) -> float:
    assert actual.dtype == np.uint8
    return float(np.abs(actual.astype(float) - rounded(levels)).max())


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_value_normalize_is_the_formula(dtype: type) -> None:
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    sample = Sample(NOISE.astype(dtype))
    Normalize(mean, std)(sample, np.random.default_rng(0))
    assert sample.image.dtype == np.float32
    np.testing.assert_allclose(sample.image, (NOISE / 255.0 - mean) / std, rtol=0, atol=1e-6)


def test_value_normalize_default_is_minus_one_to_one() -> None:
    sample = Sample(np.array([[[0, 255, 51]]], np.uint8))
    Normalize()(sample, np.random.default_rng(0))
    np.testing.assert_allclose(sample.image[0, 0], [-1.0, 1.0, -0.6], atol=1e-6)


@pytest.mark.parametrize("factor", [0.5, 0.83, 1.0, 1.27, 1.5])
def test_value_brightness_contrast_saturation(factor: float) -> None:
    luma = NOISE @ LUMA
    assert off_by(F.brightness(NOISE, factor), factor * NOISE) <= 1
    assert off_by(F.contrast(NOISE, factor), factor * NOISE + (1 - factor) * luma.mean()) <= 1
    assert off_by(F.saturation(NOISE, factor), factor * NOISE + (1 - factor) * luma[..., None]) <= 1


@pytest.mark.parametrize("steps", [-128, -60.5, -18, 0, 3.3, 18, 60, 127])
def test_value_hue_is_the_standard_librarys(steps: float) -> None:
    def turned(pixel: np.ndarray) -> tuple[float, float, float]:
        h, s, v = colorsys.rgb_to_hsv(*(pixel / 255.0))
        return colorsys.hsv_to_rgb((h + steps / 255) % 1.0, s, v)

    expected = np.array([[turned(pixel) for pixel in row] for row in NOISE]) * 255
    assert off_by(F.hue(NOISE, steps), expected) <= 1


@pytest.mark.parametrize("operation", ["contrast", "saturation", "hue"])
def test_value_colour_order_is_respected(operation: str) -> None:
    change = getattr(F, operation)
    tinted = (NOISE * (1.0, 0.6, 0.2)).astype(np.uint8)
    bgr = np.ascontiguousarray(tinted[..., ::-1])
    expected = change(tinted, 1.4, True).astype(int)
    assert np.abs(change(bgr, 1.4, False)[..., ::-1] - expected).max() <= 1
    assert np.abs(change(bgr, 1.4, True)[..., ::-1] - expected).max() > 3  # red and blue mistaken for each other


@pytest.mark.parametrize("factor", [0.5, 1.5])
def test_value_sharpness_is_a_blend_with_the_smoothed_image(factor: float) -> None:
    source = NOISE.astype(float)
    smooth = source.copy()
    total = sum(source[1 + dy : 22 + dy, 1 + dx : 30 + dx] for dy in (-1, 0, 1) for dx in (-1, 0, 1))
    smooth[1:-1, 1:-1] = (total + 4 * source[1:-1, 1:-1]) / 13
    assert off_by(F.sharpness(NOISE, factor), smooth + factor * (source - smooth)) <= 1


@pytest.mark.parametrize(("kind", "kernel"), [("blur", 3), ("blur", 5), ("median", 3), ("median", 5)])
def test_value_blur_away_from_the_edge(kind: str, kernel: int) -> None:
    windows = np.lib.stride_tricks.sliding_window_view(NOISE, (kernel, kernel), axis=(0, 1))
    expected = np.median(windows, axis=(3, 4)) if kind == "median" else windows.mean(axis=(3, 4))
    edge = kernel // 2
    assert off_by(F.blur(NOISE, kind, kernel)[edge:-edge, edge:-edge], expected) <= (kind != "median")


@pytest.mark.parametrize("kernel", [3, 5, 7, 9])
def test_value_gaussian_blur_keeps_the_mean_and_narrows_with_distance(kernel: int) -> None:
    impulse = np.zeros((19, 19, 3), np.uint8)
    impulse[9, 9] = 255
    profile = F.blur(impulse, "gaussian", kernel)[9, :, 0].astype(int)
    assert np.count_nonzero(profile) == kernel
    assert np.array_equal(profile, profile[::-1])
    assert np.all(np.diff(profile[: 9 + 1]) >= 0)
    flat = np.full((19, 19, 3), 77, np.uint8)
    assert np.array_equal(F.blur(flat, "gaussian", kernel), flat)


def test_value_noise_has_its_standard_deviation_and_is_independent_between_channels() -> None:
    grey = np.full((200, 300, 3), 128, np.uint8)
    noise = F.add_noise(grey, 8.0, seed=3).astype(float) - 128
    assert abs(noise.mean()) < 0.1
    assert np.allclose(noise.std(axis=(0, 1)), 8.0, atol=0.15)
    assert np.abs(np.corrcoef(noise.reshape(-1, 3).T) - np.eye(3)).max() < 0.02
    assert F.add_noise(np.zeros_like(grey), 300.0, seed=3).max() == 255  # limited, not wrapped
    assert F.add_noise(np.zeros_like(grey), 30.0, seed=3).min() == 0


@pytest.mark.parametrize(("degrees", "turns"), [(90, 1), (-90, -1), (180, 2), (0, 0)])
@pytest.mark.parametrize("shape", [(23, 31), (20, 30), (20, 31)])
def test_value_quarter_turns_are_numpys(degrees: float, turns: int, shape: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3)).astype(np.uint8)
    sample = Sample(image, image[..., 0].copy())
    RandomRotation(180).apply(sample, degrees)
    assert np.array_equal(sample.image, np.rot90(image, turns))
    assert np.array_equal(sample.label, np.rot90(image[..., 0], turns))


def test_shape_rotated_canvas_by_hand() -> None:
    assert F.rotated_size((100, 200), 30) == (
        186,
        223,
    )  # 100 cos 30 + 200 sin 30 = 186.6, 200 cos 30 + 100 sin 30 = 223.2
    assert F.rotated_size((100, 200), -30) == (186, 223)


def test_value_rotation_fills_the_corners() -> None:
    sample = Sample(np.full((40, 60, 3), 9, np.uint8), np.ones((40, 60), np.uint8))
    RandomRotation(180, im_padding_value=[1, 2, 3], label_padding_value=250).apply(sample, 30)
    assert sample.image[0, 0].tolist() == [1, 2, 3]
    assert sample.label[0, 0] == 250
    assert set(np.unique(sample.label)) == {1, 250}
    assert np.count_nonzero(sample.label == 1) == pytest.approx(40 * 60, rel=0.03)  # the area does not change


def test_value_affine_doubles_in_the_middle() -> None:
    image = np.zeros((11, 21, 3), np.uint8)
    image[5, 10] = 200  # the middle pixel
    sample = Sample(image, (image[..., 0] > 0).astype(np.uint8))
    RandomAffine(size=(63, 33)).apply(sample, AffineParams(0.0, 1.0, (0.0, 0.0)))  # three times as wide and high
    assert sample.size_hw == (33, 63)
    rows, columns = np.nonzero(sample.label == 1)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (15, 17, 30, 32)
    assert sample.image[16, 31].tolist() == [200] * 3


def test_value_affine_shift_is_in_pixels_of_the_result() -> None:
    image = np.random.default_rng(0).integers(0, 256, (30, 40, 3)).astype(np.uint8)
    sample = Sample(image)
    RandomAffine(size=(40, 30), im_padding_value=5).apply(sample, AffineParams(0.0, 1.0, (3.0, -4.0)))
    assert np.array_equal(sample.image[3:, :-4], image[:-3, 4:])
    assert np.all(sample.image[:3] == 5)
    assert np.all(sample.image[:, -4:] == 5)


def test_value_affine_fit_is_the_mean_of_both_ratios() -> None:
    rows, columns = np.mgrid[:50, :50]
    image = np.stack([rows, columns, columns], -1).astype(np.float32)
    sample = Sample(image)
    RandomAffine(size=(100, 50)).apply(sample, AffineParams(0.0, 1.0, (0.0, 0.0)))  # ratios 2 and 1: 1.5
    steps = np.diff(sample.image[20:30, 25, 0])
    np.testing.assert_allclose(steps, 1 / 1.5, atol=0.05)


def test_value_scale_aspect_stretches_the_window_back() -> None:
    sample = photograph()
    image, label = sample.image, sample.label
    RandomScaleAspect().apply(sample, (10, 15, 20, 30))  # a quarter, of the same shape
    assert sample.size_hw == (40, 60)
    window = image[10:30, 15:45].astype(float)
    assert np.abs(sample.image[::2, ::2] - window).max() < 25  # a smooth picture, a quarter of a pixel apart
    assert np.array_equal(sample.label, np.kron(label[10:30, 15:45], np.ones((2, 2), np.uint8)))


def test_value_fractional_fill_is_kept_exactly() -> None:
    padded = F.pad(NOISE, (0, 2, 0, 3), (127.5, 10.25, 3))
    assert padded.dtype == np.float32
    assert padded[-1, -1].tolist() == [127.5, 10.25, 3.0]
    assert np.array_equal(padded[:23, :31], NOISE)
    assert F.pad(NOISE, (0, 2, 0, 3), (127.0, 10, 3)).dtype == np.uint8
    assert F.pad(NOISE, (0, 0, 0, 0), (127.5,) * 3) is NOISE


def test_value_photometric_rounds_a_float_image() -> None:
    levels = np.array([[[127.5, -3.0, 300.0], [0.49, 1.51, 254.6]]], np.float32)
    assert F.as_uint8(levels).tolist() == [[[128, 0, 255], [0, 2, 255]]]

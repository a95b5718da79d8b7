"""What random transforms draw: ranges, frequencies and the meaning of each key."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from shared.transforms import Sample
from shared.transforms.cropping import RandomCenterCrop, RandomPaddingCrop
from shared.transforms.drawn import RandomTransform
from shared.transforms.flips import RandomHorizontalFlip, RandomVerticalFlip
from shared.transforms.photometric import RandomBlur, RandomDistort, RandomNoise
from shared.transforms.resizing import Resize, ResizeRangeScaling, ResizeStepScaling
from shared.transforms.warps import RandomAffine, RandomRotation, RandomScaleAspect

DRAWS = 4000


def draws(transform: RandomTransform, size_hw: tuple[int, int] = (100, 200), count: int = DRAWS) -> list:
    rng = np.random.default_rng(0)
    return [transform.draw(rng, size_hw) for _ in range(count)]


def assert_even(values: list[float], low: float, high: float) -> None:
    """Uniform on [low, high]: both ends nearly reached, quartiles in place."""
    spread = high - low
    assert low <= min(values) <= low + 0.02 * spread
    assert high - 0.02 * spread <= max(values) <= high
    quartiles = np.percentile(values, [25, 50, 75])
    np.testing.assert_allclose(quartiles, low + spread * np.array([0.25, 0.5, 0.75]), atol=0.04 * spread)


@pytest.mark.parametrize("flip", [RandomHorizontalFlip, RandomVerticalFlip])
@pytest.mark.parametrize("prob", [0.0, 0.3, 1.0])
def test_value_flip_probability(flip: type, prob: float) -> None:
    assert np.mean(draws(flip(prob))) == pytest.approx(prob, abs=0.03 if 0 < prob < 1 else 0)


def test_value_flips_turn_the_right_axis() -> None:
    image = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    for flip, expected in ((RandomHorizontalFlip(1), image[:, ::-1]), (RandomVerticalFlip(1), image[::-1])):
        sample = Sample(image, image[..., 0])
        flip(sample, np.random.default_rng(0))
        assert np.array_equal(sample.image, expected)
        assert np.array_equal(sample.label, expected[..., 0])


def test_value_default_probabilities() -> None:
    assert np.mean(draws(RandomHorizontalFlip())) == pytest.approx(0.5, abs=0.03)
    assert np.mean(draws(RandomVerticalFlip())) == pytest.approx(0.1, abs=0.03)
    assert np.mean([p is not None for p in draws(RandomBlur())]) == pytest.approx(0.1, abs=0.03)
    assert np.mean([p is not None for p in draws(RandomNoise())]) == pytest.approx(0.5, abs=0.03)


def test_value_resize_random_interpolation_uses_all_five() -> None:
    counts = Counter(draws(Resize(interp="RANDOM"), count=1000))
    assert set(counts) == {"NEAREST", "LINEAR", "CUBIC", "AREA", "LANCZOS4"}
    assert min(counts.values()) > 150


def test_value_range_scaling_ends_come_half_as_often() -> None:
    counts = Counter(draws(ResizeRangeScaling(10, 14)))
    share = {side: count / DRAWS for side, count in counts.items()}
    assert share == pytest.approx({10: 1 / 8, 11: 1 / 4, 12: 1 / 4, 13: 1 / 4, 14: 1 / 8}, abs=0.03)


def test_value_step_scaling_draws_each_scale_alike() -> None:
    counts = Counter(draws(ResizeStepScaling(0.5, 2.0, 0.25)))
    assert sorted(counts) == [0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0]
    assert min(counts.values()) > 0.8 * DRAWS / 7
    assert_even(draws(ResizeStepScaling(0.5, 2.0, 0)), 0.5, 2.0)
    assert set(draws(ResizeStepScaling(0.7, 0.7, 0.25), count=10)) == {0.7}


def test_value_padding_crop_reaches_every_place_alike() -> None:
    counts = Counter(corner for (corner,) in draws(RandomPaddingCrop((4, 3)), size_hw=(5, 6)))
    assert set(counts) == {(top, left) for top in range(3) for left in range(3)}
    assert min(counts.values()) > 0.8 * DRAWS / 9
    assert set(draws(RandomPaddingCrop((9, 9)), size_hw=(5, 6), count=20)) == {((0, 0),)}


def test_value_padding_crop_takes_the_first_mixed_window() -> None:
    """Columns 0..9 are class 1, columns 10..19 class 2; a quarter of each window's rows is ignored."""
    label = np.ones((8, 20), np.uint8)
    label[:, 10:] = 2
    label[:2] = 255
    crop = RandomPaddingCrop((8, 8), category_max_ratio=0.75)
    corners = ((0, 0), (0, 12), (0, 8), (0, 5), (0, 6))  # shares of the larger class: 1, 1, 6/8, 5/8, 4/8
    assert crop.pick(label, corners) == (0, 5)  # 0.75 itself is too much
    assert crop.pick(label, corners[:2]) == (0, 12)  # none is mixed: the last
    assert crop.pick(None, corners) == (0, 0)
    by_two = RandomPaddingCrop((8, 8), category_max_ratio=0.75, ignore_index=2)
    assert by_two.pick(label, corners) == (0, 8)  # now 255 counts, 16 of 28
    assert len(draws(crop, (8, 20), 1)[0]) == 10
    assert len(draws(RandomPaddingCrop((8, 8), category_max_ratio=0.75, loop_times=3), (8, 20), 1)[0]) == 3


def test_value_padding_crop_ignored_pixels_do_not_count() -> None:
    label = np.full((4, 4), 255, np.uint8)
    label[0, :2], label[1, :2] = 1, 2
    everything_else = np.full((4, 4), 255, np.uint8)
    wide = np.concatenate([everything_else, label], axis=1)
    crop = RandomPaddingCrop((4, 4), category_max_ratio=0.6)
    assert crop.pick(wide, ((0, 0), (0, 4), (0, 1))) == (0, 4)  # 255 fills 3/4 of it, yet each class has one half
    counting = RandomPaddingCrop((4, 4), category_max_ratio=0.6, ignore_index=0)
    assert counting.pick(wide, ((0, 0), (0, 4), (0, 1))) == (0, 1)


def test_value_center_crop_keeps_its_shares() -> None:
    windows = np.array(draws(RandomCenterCrop((0.5, 0.3)), size_hw=(50, 70)))
    top, left, height, width = windows.T
    assert (height.min(), height.max()) == (15, 50)
    assert (width.min(), width.max()) == (35, 70)
    assert top.min() == left.min() == 0
    assert np.all(top + height <= 50)
    assert np.all(left + width <= 70)
    assert np.any(top + height == 50)
    nothing_kept = np.array(draws(RandomCenterCrop((0, 0)), size_hw=(5, 7), count=300))
    assert nothing_kept[:, 2:].min() == 1
    assert np.all(np.array(draws(RandomCenterCrop((1, 1)), (50, 70), 20)) == (0, 0, 50, 70))


def test_value_rotation_angles() -> None:
    assert_even(draws(RandomRotation(30)), -30, 30)
    sample = Sample(np.ones((4, 5, 3), np.uint8))
    RandomRotation(0)(sample, np.random.default_rng(0))
    assert sample.size_hw == (4, 5)


def test_value_affine_ranges() -> None:
    found = draws(RandomAffine(translation_offset=20, max_rotation=30, min_scale_factor=0.5, max_scale_factor=2))
    assert_even([p.degrees for p in found], -30, 30)
    assert_even([p.scale for p in found], 0.5, 2)
    assert_even([p.shift_yx[0] for p in found], -20, 20)
    assert_even([p.shift_yx[1] for p in found], -20, 20)


def test_value_scale_aspect_windows() -> None:
    """A square image: the shares of area start at 0.5 and a side is never longer than the image's."""
    windows = [w for w in draws(RandomScaleAspect(0.5, 0.33), size_hw=(300, 300)) if w is not None]
    top, left, height, width = np.array(windows).T
    area, shape = height * width / 300**2, width / height
    assert 0.495 < area.min() < 0.51
    assert area.max() <= 1
    assert 0.49 < shape.min() < 0.55  # area 0.5 within the square: sides at most 2 to 1
    assert shape.max() == pytest.approx(1 / shape.min(), rel=0.1)
    assert np.all(top + height <= 300)
    assert np.all(left + width <= 300)
    assert 0.85 < len(windows) / DRAWS < 0.99  # the rest found no window that fits
    assert set(draws(RandomScaleAspect(0, 0.33), count=5)) == {None}
    assert set(draws(RandomScaleAspect(0.5, 0), count=5)) == {None}


def test_value_noise_draws() -> None:
    found = draws(RandomNoise(prob=1, max_sigma=12))
    assert_even([p.sigma for p in found], 0, 12)
    assert len({p.seed for p in found}) == DRAWS


def test_value_blur_kernels_and_kinds() -> None:
    found = draws(RandomBlur(prob=1, blur_type="random"))
    kernels, kinds = Counter(p.kernel for p in found), Counter(p.kind for p in found)
    assert sorted(kernels) == [3, 5, 7, 9]
    assert kernels[3] / DRAWS == pytest.approx(1 / 7, abs=0.03)
    assert kernels[9] / DRAWS == pytest.approx(2 / 7, abs=0.03)
    assert set(kinds) == {"gaussian", "median", "blur"}
    assert {p.kind for p in draws(RandomBlur(1, "median"), count=50)} == {"median"}


def test_value_distort_factors_probabilities_and_order() -> None:
    transform = RandomDistort(
        brightness_range=0.4, brightness_prob=1, contrast_prob=0.2, saturation_prob=0, hue_range=10, hue_prob=1
    )
    found = draws(transform)
    amounts = {name: [dict(p)[name] for p in found if name in dict(p)] for name in ("brightness", "contrast", "hue")}
    assert_even(amounts["brightness"], 0.6, 1.4)
    assert_even(amounts["hue"], -10, 10)
    assert len(amounts["contrast"]) / DRAWS == pytest.approx(0.2, abs=0.03)
    assert {name for p in found for name, _ in p} == {"brightness", "contrast", "hue"}
    first = Counter(p[0][0] for p in found if len(p) == 2)
    assert first["hue"] / sum(first.values()) == pytest.approx(0.5, abs=0.05)


def test_value_distort_of_range_zero_changes_nothing() -> None:
    image = np.random.default_rng(0).integers(0, 256, (9, 9, 3)).astype(np.uint8)
    names = ("brightness", "contrast", "saturation", "hue", "sharpness")
    keys = {f"{name}_prob": 1.0 for name in names} | {f"{name}_range": 0 for name in names}
    sample = Sample(image)
    RandomDistort(**keys)(sample, np.random.default_rng(0))
    assert np.abs(sample.image.astype(int) - image).max() <= 1


def test_value_distort_applies_in_the_order_drawn() -> None:
    image = np.full((2, 2, 3), 200, np.uint8)
    image[0] = 0  # mean 100
    for order, expected in (
        ((("brightness", 2.0), ("contrast", 0.5)), 191),  # 400 -> 255; half way to 127.5
        ((("contrast", 0.5), ("brightness", 2.0)), 255),  # 150, then 300 -> 255
    ):
        sample = Sample(image)
        RandomDistort().apply(sample, order)
        assert abs(int(sample.image[1, 1, 0]) - expected) <= 1

"""A crop of a resized image is made without the rest: against resizing all of it and cutting."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.config.run_config import Component
from shared.transforms import Sample, build_transforms
from shared.transforms.windows import linear_window, nearest_window

CHECKED = settings(max_examples=300, deadline=None, derandomize=True)
SCALES = st.one_of(st.sampled_from([0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0]), st.floats(0.2, 3.0))
CROP = ("RandomPaddingCrop", {"crop_size": [96, 64]})
CHAINS = (
    [("ResizeStepScaling", {"min_scale_factor": 0.5, "max_scale_factor": 2.0}), CROP, ("RandomHorizontalFlip", {})],
    [("ResizeStepScaling", {"min_scale_factor": 0.3, "max_scale_factor": 2.0, "scale_step_size": 0}), CROP],
    [("ResizeRangeScaling", {"min_value": 60, "max_value": 400}), CROP, ("RandomVerticalFlip", {"prob": 0.5})],
    [
        ("Resize", {"target_size": [160, 120]}),
        ("RandomPaddingCrop", {"crop_size": [96, 64], "category_max_ratio": 0.4}),
    ],
    [("ResizeByLong", {"long_size": 300}), ("ResizeByShort", {"short_size": 90}), CROP],
    [("Resize", {"target_size": [160, 120], "interp": "CUBIC"}), CROP],
    [("RandomHorizontalFlip", {}), ("Resize", {"target_size": [160, 120]}), ("RandomCenterCrop", {})],
)


class WholeSample(Sample):
    """Puts nothing off: every resize is done at once and to all pixels."""

    def resize(self, size_hw: tuple[int, int], interpolation: str = "LINEAR") -> None:
        super().resize(size_hw, interpolation)
        self.image, self.label = self.image, self.label


def noise(height: int, width: int, seed: int) -> np.ndarray:
    """The hardest picture: neighbours have nothing in common."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@st.composite
def windows(draw: st.DrawFn) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int], tuple[int, int]]:
    """Source size, result size, corner and size of a window."""
    source = draw(st.integers(1, 300)), draw(st.integers(1, 300))
    result = tuple(max(1, round(side * draw(SCALES))) for side in source)
    size = tuple(draw(st.integers(1, side)) for side in result)
    corner = tuple(draw(st.integers(0, full - part)) for full, part in zip(result, size))
    return source, result, corner, size


@CHECKED
@given(windows(), st.integers(0, 99))
def test_value_a_window_is_cut_out_of_the_resized_image(window, seed):
    source, (height, width), (top, left), size = window
    image = noise(*source, seed)
    whole = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
    expected = whole[top : top + size[0], left : left + size[1]].astype(int)
    found = linear_window(image, (height, width), top, left, size)
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= 1


@CHECKED
@given(windows(), st.integers(0, 99))
def test_value_a_label_window_is_exact(window, seed):
    source, (height, width), (top, left), size = window
    label = noise(*source, seed)[..., 0]
    whole = cv2.resize(label, (width, height), interpolation=cv2.INTER_NEAREST)
    expected = whole[top : top + size[0], left : left + size[1]]
    np.testing.assert_array_equal(nearest_window(label, (height, width), top, left, size), expected)


@pytest.mark.parametrize("steps", CHAINS, ids=lambda steps: "-".join(name for name, _ in steps))
@pytest.mark.parametrize("size_hw", [(128, 256), (93, 211)])
@pytest.mark.parametrize("to_rgb", [True, False])
def test_value_a_pipeline_gives_what_the_whole_image_gives(steps, size_hw, to_rgb):
    chain = build_transforms([Component(name, args) for name, args in steps], to_rgb)
    for seed in range(12):
        image = noise(*size_hw, seed)
        label = np.random.default_rng(seed).choice(np.array([0, 1, 18, 255], np.uint8), size_hw)
        ours, plain = Sample(image, label), WholeSample(image, label)
        chain(ours, np.random.default_rng(seed))
        chain(plain, np.random.default_rng(seed))
        np.testing.assert_array_equal(ours.label, plain.label)
        assert np.abs(ours.image - plain.image).max() <= 1
        assert ours.undo == plain.undo


def test_value_channels_are_ordered_when_the_image_is_read():
    image = noise(8, 10, 0)
    sample = Sample(image, rgb=True)
    sample.order_channels(False)
    sample.resize((4, 5))
    sample.crop(1, 1, (2, 3))
    assert not sample.rgb
    expected = cv2.resize(image, (5, 4), interpolation=cv2.INTER_LINEAR)[1:3, 1:4, ::-1].astype(int)
    assert np.abs(sample.image - expected).max() <= 1
    sample.order_channels(True)
    sample.order_channels(False)
    sample.image = image
    np.testing.assert_array_equal(sample.image, image)


def test_value_a_second_resize_sees_the_first():
    image, label = noise(40, 60, 1), noise(40, 60, 2)[..., 0]
    sample = Sample(image, label)
    sample.resize((10, 15))
    sample.resize((40, 60), "NEAREST")
    small = cv2.resize(image, (15, 10), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_array_equal(sample.image, cv2.resize(small, (60, 40), interpolation=cv2.INTER_NEAREST))
    few = cv2.resize(label, (15, 10), interpolation=cv2.INTER_NEAREST)
    np.testing.assert_array_equal(sample.label, cv2.resize(few, (60, 40), interpolation=cv2.INTER_NEAREST))
    assert sample.size_hw == (40, 60)

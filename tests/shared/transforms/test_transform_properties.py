"""What holds of chains of transforms on images of any size: alignment, ranges, the way back."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.config.run_config import Component
from shared.transforms import Sample
from shared.transforms.compose import build_transforms, undo_geometry

CHECKED = settings(max_examples=60, deadline=None, derandomize=True)
SIZES = st.integers(2, 60)
SIDES = st.integers(4, 70)
LONG_SIDES = st.integers(32, 70)  # an image of 60x4 that were made shorter would vanish, which is an error

#: Transforms that move pixels by whole ones or take the nearest, so that a colour stays beside its class.
MOVES = st.one_of(
    st.builds(lambda p: Component("RandomHorizontalFlip", {"prob": p}), st.floats(0, 1)),
    st.builds(lambda p: Component("RandomVerticalFlip", {"prob": p}), st.floats(0, 1)),
    st.builds(
        lambda w, h: Component("RandomPaddingCrop", {"crop_size": [w, h], "im_padding_value": [0, 0, 0]}), SIDES, SIDES
    ),
    st.builds(
        lambda w, h: Component("Resize", {"target_size": [w, h], "interp": "NEAREST"}),
        SIDES,
        SIDES,
    ),
)
UNDOABLE = st.one_of(
    st.builds(lambda n: Component("ResizeByLong", {"long_size": n}), LONG_SIDES),
    st.builds(lambda n: Component("ResizeByShort", {"short_size": n}), LONG_SIDES),
    st.builds(lambda n: Component("LimitLong", {"max_long": n}), LONG_SIDES),
    st.builds(lambda w, h: Component("Resize", {"target_size": [w, h]}), LONG_SIDES, LONG_SIDES),
    st.builds(lambda r: Component("PaddingByAspectRatio", {"aspect_ratio": r}), st.floats(0.5, 2.0)),
    st.builds(lambda w, h: Component("ScalePadding", {"target_size": [w, h]}), LONG_SIDES, LONG_SIDES),
)
VALUES = st.one_of(
    st.builds(lambda p: Component("RandomNoise", {"prob": p}), st.floats(0, 1)),
    st.builds(lambda p: Component("RandomBlur", {"prob": p}), st.floats(0, 1)),
    st.builds(lambda r: Component("RandomDistort", {"brightness_range": r}), st.floats(0, 1)),
)


def coloured(height: int, width: int, seed: int) -> Sample:
    """Class ids 0 to 4 in noise, and an image whose grey is 40 times the id plus 20."""
    label = np.random.default_rng(seed).integers(0, 5, (height, width)).astype(np.uint8)
    return Sample(np.repeat((label * 40 + 20)[..., None], 3, axis=2), label)


@CHECKED
@given(SIZES, SIZES, st.lists(MOVES, min_size=1, max_size=4), st.integers(0, 2**32 - 1))
def test_value_image_and_label_stay_aligned(height, width, steps, seed):
    sample = coloured(height, width, seed)
    build_transforms(steps, to_rgb=True)(sample, np.random.default_rng(seed))
    assert sample.image.shape == (3, *sample.label.shape)
    expected = np.where(sample.label == 255, 0, sample.label.astype(np.float32) * 40 + 20)
    np.testing.assert_array_equal(sample.image, np.broadcast_to(expected, sample.image.shape))


@CHECKED
@given(SIZES, SIZES, st.lists(st.one_of(MOVES, VALUES), max_size=4), st.integers(0, 2**32 - 1))
def test_value_ranges_types_and_one_result_per_seed(height, width, steps, seed):
    chain = build_transforms([*steps, Component("Normalize")], to_rgb=False)
    one, other = coloured(height, width, seed), coloured(height, width, seed)
    chain(one, np.random.default_rng(seed))
    chain(other, np.random.default_rng(seed))
    assert (one.image.dtype, one.label.dtype) == (np.float32, np.uint8)
    assert one.image.min() >= -1
    assert one.image.max() <= 1
    assert set(np.unique(one.label)) <= {0, 1, 2, 3, 4, 255}
    np.testing.assert_array_equal(one.image, other.image)
    np.testing.assert_array_equal(one.label, other.label)


@CHECKED
@given(st.integers(4, 60), st.integers(4, 60), st.lists(UNDOABLE, min_size=1, max_size=3))
def test_value_the_way_back_has_the_first_size(height, width, steps):
    sample = coloured(height, width, 0)
    sample.label = None
    build_transforms(steps, to_rgb=True)(sample, np.random.default_rng(0))
    assert undo_geometry(sample.image, sample.undo).shape == (3, height, width)


@CHECKED
@given(SIZES, SIZES, st.integers(0, 40), st.integers(0, 40), st.integers(0, 99))
def test_value_padding_is_undone_to_the_bit(height, width, more, wider, seed):
    sample = coloured(height, width, seed)
    before = sample.image.transpose(2, 0, 1).astype(np.float32)
    size = [width + wider, height + more]
    build_transforms([Component("Padding", {"target_size": size})], to_rgb=False)(sample, np.random.default_rng(0))
    assert sample.image.shape == (3, height + more, width + wider)
    np.testing.assert_array_equal(undo_geometry(sample.image, sample.undo), before)

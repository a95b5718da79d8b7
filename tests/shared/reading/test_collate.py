"""Stacking samples."""

from __future__ import annotations

import numpy as np
import pytest

from shared.errors import DataError
from shared.reading import collate
from shared.transforms.base import Sample


def sample(height=4, width=6, name="a.png", dtype=np.float32, label=True, undo=()):
    rng = np.random.default_rng(len(name))
    image = (rng.random((3, height, width)) * 255).astype(dtype)
    ids = rng.integers(0, 5, (height, width)).astype(np.uint8) if label else None
    return Sample(image, ids, name, list(undo))


@pytest.mark.parametrize("dtype", [np.float32, np.uint8])
def test_value_images_become_float32_and_labels_int64(dtype):
    steps = [[("pad", (3, 6))], [("resize", (9, 9)), ("pad", (3, 6))]]
    samples = [sample(name="a" * (n + 1), dtype=dtype, undo=undo) for n, undo in enumerate(steps)]
    batch = collate(samples)
    assert (batch.images.dtype, batch.images.shape) == (np.float32, (2, 3, 4, 6))
    assert (batch.labels.dtype, batch.labels.shape) == (np.int64, (2, 4, 6))
    assert batch.images.flags.c_contiguous
    for n, one in enumerate(samples):
        np.testing.assert_array_equal(batch.images[n], one.image)
        np.testing.assert_array_equal(batch.labels[n], one.label)
    assert batch.paths == ["a", "aa"]
    assert batch.undo == steps


def test_value_evaluation_keeps_labels_in_their_original_size():
    resized = sample(undo=[("resize", (7, 9))])
    resized.label = np.arange(63, dtype=np.uint8).reshape(7, 9)
    batch = collate([resized])
    assert batch.images.shape == (1, 3, 4, 6)
    np.testing.assert_array_equal(batch.labels, np.arange(63).reshape(1, 7, 9))


def test_value_without_labels():
    assert collate([sample(label=False)]).labels is None


def test_error_sizes_differ():
    with pytest.raises(
        DataError, match=r"a\.png \(height 4 x width 6\) and b\.png \(height 5 x width 6\): add a crop.*batch size to 1"
    ):
        collate([sample(), sample(height=5, name="b.png")])


def test_error_some_without_label():
    for pair in ([sample(), sample(name="b.png", label=False)], [sample(name="b.png", label=False), sample()]):
        with pytest.raises(DataError, match=r"b\.png has no label, but a\.png in the same batch has"):
            collate(pair)


def test_error_label_of_another_size_than_its_image():
    torn = sample()
    torn.label = torn.label[:3]
    with pytest.raises(DataError, match=r"a\.png: after the transforms the image is height 4 x width 6, .* \(3, 6\)"):
        collate([torn])


def test_error_labels_of_different_original_sizes():
    pair = [sample(name=name, undo=[("resize", (7, 9))]) for name in ("a.png", "b.png")]
    pair[1].label = np.zeros((7, 9), np.uint8)
    with pytest.raises(DataError, match=r"labels of a\.png \(4, 6\) and b\.png \(7, 9\): set the batch size to 1"):
        collate(pair)


def test_error_nothing():
    with pytest.raises(ValueError, match="at least one"):
        collate([])

"""Stacking samples."""

from __future__ import annotations

import numpy as np
import pytest

from shared.errors import DataError
from shared.reading import collate
from shared.transforms.base import Sample


def sample(height=4, width=6, name="a.png", dtype=np.float32, label=True):
    rng = np.random.default_rng(len(name))
    image = (rng.random((height, width, 3)) * 255).astype(dtype)
    ids = rng.integers(0, 5, (height, width)).astype(np.uint8) if label else None
    return Sample(image, ids, name, [("pad", (height - 1, width))])


@pytest.mark.parametrize("dtype", [np.float32, np.uint8])
def test_value_channels_first_and_wide_labels(dtype):
    samples = [sample(name="a.png", dtype=dtype), sample(name="bb.png", dtype=dtype)]
    batch = collate(samples)
    assert (batch.images.dtype, batch.images.shape) == (np.float32, (2, 3, 4, 6))
    assert (batch.labels.dtype, batch.labels.shape) == (np.int64, (2, 4, 6))
    assert batch.images.flags.c_contiguous
    for n, one in enumerate(samples):
        for channel in range(3):
            np.testing.assert_array_equal(batch.images[n, channel], one.image[:, :, channel])
        np.testing.assert_array_equal(batch.labels[n], one.label)
    assert batch.paths == ["a.png", "bb.png"]
    assert batch.undo == [[("pad", (3, 6))], [("pad", (3, 6))]]


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


def test_error_nothing():
    with pytest.raises(ValueError, match="at least one"):
        collate([])

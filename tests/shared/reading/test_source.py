"""A sample is a function of (seed, epoch, index)."""

from __future__ import annotations

import pickle

import cv2
import numpy as np
import pytest

from shared.datasets import Dataset
from shared.errors import DataError
from shared.reading import SampleSource
from tests.shared.reading.sources import always_fails, flip_and_scale, scale


@pytest.fixture
def dataset(tmp_path):
    rng = np.random.default_rng(0)
    for index in range(3):
        cv2.imwrite(str(tmp_path / f"{index}.png"), rng.integers(0, 256, (4, 6, 3)).astype(np.uint8))
        cv2.imwrite(str(tmp_path / f"{index}_label.png"), rng.integers(0, 3, (4, 6)).astype(np.uint8))
    (tmp_path / "train.txt").write_text("".join(f"{index}.png {index}_label.png\n" for index in range(3)))
    return Dataset(str(tmp_path), num_classes=3, train_path="train.txt")


def test_value_decodes_and_transforms_with_the_generator_of_the_sample(dataset):
    source = SampleSource(dataset, scale, seed=4)
    sample = source.get(epoch=2, index=1)
    factor = np.float32(np.random.default_rng([4, 2, 1]).uniform(0.5, 2))
    rgb = cv2.imread(dataset.records[1].image)[..., ::-1]
    np.testing.assert_array_equal(sample.image, rgb.astype(np.float32) * factor)
    assert sample.rgb
    np.testing.assert_array_equal(sample.label, cv2.imread(dataset.records[1].label, cv2.IMREAD_UNCHANGED))
    assert sample.path == dataset.records[1].image
    assert len(source) == 3


def test_value_depends_on_nothing_else(dataset):
    source = SampleSource(dataset, flip_and_scale, seed=4)
    first = source.get(0, 0)
    source.get(5, 2)
    for other in (source, SampleSource(dataset, flip_and_scale, 4), pickle.loads(pickle.dumps(source))):
        again = other.get(0, 0)
        np.testing.assert_array_equal(again.image, first.image)
        np.testing.assert_array_equal(again.label, first.label)
    for seed, epoch in ((5, 0), (4, 1)):
        assert not np.array_equal(SampleSource(dataset, flip_and_scale, seed).get(epoch, 0).image, first.image)


def test_error_label_value_names_the_label_file(dataset):
    path = dataset.records[2].label
    cv2.imwrite(path, np.full((4, 6), 9, np.uint8))
    with pytest.raises(DataError, match=r"2_label\.png: label value 9 \(100 % of the pixels\), expected 0 to 2"):
        SampleSource(dataset, scale, seed=0).get(0, 2)


def test_error_in_a_transform_names_the_image_and_the_place(dataset):
    with pytest.raises(DataError, match=r"1\.png: a transform failed on it: IndexError: .*sources\.py:\d+") as caught:
        SampleSource(dataset, always_fails, seed=0).get(0, 1)
    assert caught.value.cause == "transform"
    assert isinstance(caught.value.__cause__, IndexError)


def test_error_seed(dataset):
    with pytest.raises(ValueError, match="seed is -3"):
        SampleSource(dataset, scale, seed=-3)

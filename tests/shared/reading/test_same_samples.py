"""Every reader gives the same samples for the same seed: in the loop, threads, processes, and Paddle's own loader."""

from __future__ import annotations

import numpy as np
import pytest

from scripts.ladder.samples import data_loader_batches
from shared.engine.data import TrainData
from shared.reading.reader import open_reader
from tests.parity.runs import tiny_run, write_images

ITERATIONS = 5  # two and a half epochs of two batches
READERS = [("thread", 1), ("thread", 2), ("thread", 3), ("process", 1), ("process", 2), ("process", 3)]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Random crops, flips and colours of a tiny data set."""
    folder = write_images(tmp_path_factory.mktemp("images"))
    return TrainData(tiny_run("FCN", folder), seed=4, batch_size=2)


@pytest.fixture(scope="module")
def in_the_loop(data):
    return _read(data, "inline", 0)


def _asked(data):
    return [data.sampler.batch_at(iteration) for iteration in range(ITERATIONS)]


def _read(data, kind, workers):
    with open_reader(data.source, _asked(data), kind=kind, workers=workers) as reader:
        return list(reader)


def _assert_same(one, other):
    assert len(one) == len(other) == ITERATIONS
    for left, right in zip(one, other):
        np.testing.assert_array_equal(left.images, right.images)
        np.testing.assert_array_equal(left.labels, right.labels)
        assert (left.images.dtype, left.labels.dtype) == (right.images.dtype, right.labels.dtype)


def test_value_the_transforms_are_random(data, in_the_loop):
    """Otherwise the comparisons would show nothing: an image comes out otherwise in another epoch."""
    first, later = (data.source.get(epoch, 0).image for epoch in (0, 1))
    assert not np.array_equal(first, later)
    paths = [path for batch in in_the_loop for path in batch.paths]
    assert sorted(paths[:4]) == sorted(paths[4:8])
    assert len(set(paths[:4])) == 4


@pytest.mark.parametrize(("kind", "workers"), READERS)
def test_parity_readers(data, in_the_loop, kind, workers):
    _assert_same(in_the_loop, _read(data, kind, workers))


@pytest.mark.parametrize("workers", [0, 1, 2, 3])
def test_parity_paddle_data_loader(data, in_the_loop, workers):
    _assert_same(in_the_loop, data_loader_batches(data.source, _asked(data), workers))

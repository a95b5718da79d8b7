"""Batches as a pure function of the iteration."""

from __future__ import annotations

import itertools
import pickle

import numpy as np
import pytest

from shared.errors import DataError
from shared.reading import TrainSampler, eval_batches


def epoch_of(sampler, epoch):
    n = sampler.iters_per_epoch
    return [sampler.batch_at(i) for i in range(epoch * n, (epoch + 1) * n)]


def test_value_without_shuffle_the_order_is_that_of_the_data_set():
    sampler = TrainSampler(7, 3, seed=0, shuffle=False)
    assert sampler.iters_per_epoch == 2
    assert [sampler.batch_at(i) for i in range(3)] == [
        [(0, 0), (0, 1), (0, 2)],
        [(0, 3), (0, 4), (0, 5)],
        [(1, 0), (1, 1), (1, 2)],
    ]


def test_value_shuffle_is_the_permutation_of_seed_and_epoch():
    sampler = TrainSampler(10, 5, seed=3)
    for epoch in (0, 1, 4):
        indices = [index for batch in epoch_of(sampler, epoch) for _, index in batch]
        assert indices == np.random.default_rng([3, epoch]).permutation(10).tolist()
        assert {e for batch in epoch_of(sampler, epoch) for e, _ in batch} == {epoch}


def test_value_batch_at_needs_no_history():
    fresh = [TrainSampler(11, 2, seed=5).batch_at(i) for i in (23, 4, 17)]
    walked = list(TrainSampler(11, 2, seed=5).batches(0, 30))
    assert fresh == [walked[23], walked[4], walked[17]]
    resumed = TrainSampler(11, 2, seed=5).batches(start=13)
    assert list(itertools.islice(resumed, 6)) == walked[13:19]
    assert pickle.loads(pickle.dumps(TrainSampler(11, 2, seed=5))).batch_at(23) == walked[23]


@pytest.mark.parametrize("world", [1, 2, 4])
def test_value_ranks_together_read_each_sample_once(world):
    samplers = [TrainSampler(48, 3, seed=1, rank=rank, world=world) for rank in range(world)]
    for epoch in (0, 1):
        seen = [index for sampler in samplers for batch in epoch_of(sampler, epoch) for _, index in batch]
        assert sorted(seen) == list(range(48))


def test_value_global_batches_do_not_depend_on_the_number_of_ranks():
    one = TrainSampler(50, 8, seed=2)
    four = [TrainSampler(50, 2, seed=2, rank=rank, world=4) for rank in range(4)]
    for iteration in range(2 * one.iters_per_epoch):
        together = [pair for sampler in four for pair in sampler.batch_at(iteration)]
        assert together == one.batch_at(iteration)


@pytest.mark.parametrize(
    ("length", "batch_size", "world", "iters", "last_sizes", "extra"),
    [(10, 4, 1, 3, [2], 0), (10, 2, 3, 2, [2, 2, 2], 2), (8, 4, 2, 1, [4, 4], 0), (2, 4, 3, 1, [1, 1, 1], 1)],
)
def test_value_keeping_the_last_batch(length, batch_size, world, iters, last_sizes, extra):
    samplers = [
        TrainSampler(length, batch_size, seed=0, drop_last=False, rank=rank, world=world) for rank in range(world)
    ]
    assert samplers[0].iters_per_epoch == iters
    assert [len(sampler.batch_at(iters - 1)) for sampler in samplers] == last_sizes
    seen = [index for sampler in samplers for batch in epoch_of(sampler, 0) for _, index in batch]
    assert set(seen) == set(range(length))
    assert len(seen) == length + extra


@pytest.mark.parametrize(("length", "batch_size", "world"), [(10, 3, 1), (10, 2, 3), (2, 4, 3), (0, 2, 2), (9, 9, 1)])
def test_value_evaluation_sees_each_index_once(length, batch_size, world):
    batches = [batch for rank in range(world) for batch in eval_batches(length, batch_size, rank, world)]
    assert sorted(index for batch in batches for _, index in batch) == list(range(length))
    assert all(0 < len(batch) <= batch_size for batch in batches)
    assert {epoch for batch in batches for epoch, _ in batch} <= {0}


def test_error_fewer_images_than_a_batch():
    with pytest.raises(DataError, match=r"has 5 images, fewer than one batch of 8 \(4 a card x 2 cards\): .* to 2 or"):
        TrainSampler(5, 4, seed=0, world=2)
    with pytest.raises(DataError, match="use 1 cards or fewer"):
        TrainSampler(1, 1, seed=0, world=2)
    with pytest.raises(DataError, match="the training set is empty"):
        TrainSampler(0, 1, seed=0, drop_last=False)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch_size": 0}, "batch_size is 0"),
        ({"rank": 2, "world": 2}, "rank is 2 of world 2"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_error_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        TrainSampler(**{"length": 5, "batch_size": 1, "seed": 0, **arguments})

"""Which samples make up which batch, as a pure function of the iteration: resuming anywhere costs nothing.

>>> sampler = TrainSampler(length=5, batch_size=2, seed=0, shuffle=False)
>>> sampler.iters_per_epoch
2
>>> [sampler.batch_at(i) for i in range(3)]
[[(0, 0), (0, 1)], [(0, 2), (0, 3)], [(1, 0), (1, 1)]]
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from shared.errors import DataError


class TrainSampler:
    """Epoch after epoch of batches of ``(epoch, index)``.

    All ranks together read one global batch of ``batch_size * world`` samples an iteration, each its own contiguous
    slice, so the global batches do not depend on ``world`` as long as ``batch_size * world`` stays the same.

    Args:
        length: number of samples.
        batch_size: samples per rank and iteration.
        seed: the order of an epoch is ``default_rng([seed, epoch]).permutation(length)``.
        shuffle: False keeps the order of the data set.
        drop_last: leave out the samples that do not fill a global batch. False: they make a smaller last batch, of
            equal size on every rank, for which up to ``world - 1`` samples from the epoch's beginning come twice.
        rank, world: this process among all.

    Raises:
        DataError: no sample, or fewer samples than one global batch needs.
    """

    def __init__(
        self,
        length: int,
        batch_size: int,
        seed: int,
        shuffle: bool = True,
        drop_last: bool = True,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        _check(batch_size, rank, world)
        if seed < 0:
            raise ValueError(f"seed is {seed}; expected 0 or more")
        if length < 1:
            raise DataError("the training set is empty; add images to its list or folder")
        if drop_last and length < batch_size * world:
            raise DataError(
                f"the training set has {length} images, fewer than one batch of {batch_size * world} ({batch_size} a "
                f"card x {world} cards): set the batch size to {length // world or 1} or less"
                + (f", use {length} cards or fewer" if length < world else "")
                + ", or add images"
            )
        self.length = length
        self.batch_size = batch_size
        self.seed = seed
        self.shuffle = shuffle
        self.drop_last = drop_last
        self.rank = rank
        self.world = world
        self._order_of: tuple[int, np.ndarray] | None = None

    @property
    def iters_per_epoch(self) -> int:
        """Batches each rank reads in an epoch."""
        global_batch = self.batch_size * self.world
        return self.length // global_batch if self.drop_last else -(-self.length // global_batch)

    def batch_at(self, iteration: int) -> list[tuple[int, int]]:
        """This rank's batch of ``(epoch, index)`` at a global iteration, counted from 0 over all epochs."""
        epoch, position = divmod(iteration, self.iters_per_epoch)
        order = self._order(epoch)
        start = position * self.batch_size * self.world
        members = order[start : start + self.batch_size * self.world]
        size = -(-len(members) // self.world)
        missing = size * self.world - len(members)
        members = np.concatenate([members, np.resize(order, missing)])
        return [(epoch, int(index)) for index in members[self.rank * size : (self.rank + 1) * size]]

    def batches(self, start: int = 0, stop: int | None = None) -> Iterator[list[tuple[int, int]]]:
        """The batches of iterations ``start`` to ``stop - 1``; without end where ``stop`` is None."""
        return map(self.batch_at, itertools.count(start) if stop is None else range(start, stop))

    def _order(self, epoch: int) -> np.ndarray:
        if self._order_of is None or self._order_of[0] != epoch:
            rng = np.random.default_rng([self.seed, epoch])
            order = rng.permutation(self.length) if self.shuffle else np.arange(self.length)
            self._order_of = (epoch, order)
        return self._order_of[1]


def eval_batches(length: int, batch_size: int, rank: int = 0, world: int = 1) -> list[list[tuple[int, int]]]:
    """Batches of ``(0, index)`` for evaluation: over all ranks each index comes exactly once.

    Rank r takes r, r + world, ...; its last batch may be smaller, and ranks may differ by one batch.
    """
    _check(batch_size, rank, world)
    mine = [(0, index) for index in range(rank, length, world)]
    return [mine[start : start + batch_size] for start in range(0, len(mine), batch_size)]


def _check(batch_size: int, rank: int, world: int) -> None:
    if batch_size < 1:
        raise ValueError(f"batch_size is {batch_size}; expected 1 or more")
    if not 0 <= rank < world:
        raise ValueError(f"rank is {rank} of world {world}; expected 0 <= rank < world")

"""The rungs before the network: samples of every reader, and learning rates."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import paddle

from scripts.ladder.bits import Both, Comparison, compare, incomparable
from shared.config.run_config import RunConfig
from shared.engine.data import TrainData
from shared.engine.schedule import Schedule
from shared.engine.stepper import Batch
from shared.errors import ConfigError
from shared.reading.collate import collate
from shared.reading.reader import open_reader
from shared.reading.source import SampleSource

MOST_RATES = 100_000
READERS = {"threads": ("thread", 2), "processes": ("process", 2)}
READ_BY_ALL = 2  # batches that every kind of reader reads


class PairsDataset:
    """What ``paddle.io.DataLoader`` reads: a source, asked for ``(epoch, index)``."""

    def __init__(self, source: SampleSource, pairs: list[tuple[int, int]]) -> None:
        self.source = source
        self.pairs = pairs

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, position: int):
        return self.source.get(*self.pairs[position])


def data_loader_batches(source: SampleSource, batches: list[list[tuple[int, int]]], workers: int) -> list[Batch]:
    """Batches of ``(epoch, index)`` as Paddle's own loader reads them."""
    flat = [pair for batch in batches for pair in batch]
    bounds = np.cumsum([0, *(len(batch) for batch in batches)])
    positions = [list(range(first, end)) for first, end in zip(bounds, bounds[1:])]
    loader = paddle.io.DataLoader(
        PairsDataset(source, flat),
        places=[paddle.CPUPlace()],
        batch_sampler=positions,
        collate_fn=_arrays,
        num_workers=workers,
        return_list=True,
    )
    return [Batch(images.numpy(), labels.numpy(), []) for images, labels in loader]


def _arrays(samples: list) -> list[np.ndarray]:
    batch = collate(samples)
    return [batch.images, batch.labels]


def compare_samples(data: Both[TrainData], iterations: int) -> list[Comparison]:
    """Every batch of ``iterations`` steps, read in the loop for eager mode and by threads for static mode.

    The first ones also by worker processes and by ``paddle.io.DataLoader``.
    """
    found: list[Comparison] = []
    for number, batches in enumerate(_side_by_side(data, iterations), 1):
        found += compare_batches(f"batch {number}", batches)
    few = [data.eager.sampler.batch_at(iteration) for iteration in range(min(READ_BY_ALL, iterations))]
    kept = [collate([data.eager.source.get(*pair) for pair in batch]) for batch in few]
    static_few = [data.static.sampler.batch_at(iteration) for iteration in range(len(few))]
    for name, read in (("processes", _by_processes), ("paddle.io.DataLoader", _by_data_loader)):
        for number, batches in enumerate(zip(kept, read(data.static.source, static_few)), 1):
            found += compare_batches(f"batch {number} of {name}", Both(*batches))
    return found


def _side_by_side(data: Both[TrainData], iterations: int) -> Iterator[Both[Batch]]:
    asked = Both(*((one.sampler.batch_at(iteration) for iteration in range(iterations)) for one in data))
    kind, workers = READERS["threads"]
    with (
        open_reader(data.eager.source, asked.eager) as eager,
        open_reader(data.static.source, asked.static, kind=kind, workers=workers) as static,
    ):
        yield from (Both(*batches) for batches in zip(eager, static))


def _by_processes(source: SampleSource, batches: list[list[tuple[int, int]]]) -> list[Batch]:
    kind, workers = READERS["processes"]
    with open_reader(source, batches, kind=kind, workers=workers) as reader:
        return list(reader)


def _by_data_loader(source: SampleSource, batches: list[list[tuple[int, int]]]) -> list[Batch]:
    return data_loader_batches(source, batches, workers=0)


def compare_batches(name: str, batches: Both[Batch]) -> list[Comparison]:
    """Images and labels of one batch."""
    if batches.eager.labels is None or batches.static.labels is None:
        raise ConfigError("train_dataset: its images have no labels; training needs them")
    return [
        compare(f"{name}: images", batches.eager.images, batches.static.images),
        compare(f"{name}: labels", batches.eager.labels, batches.static.labels),
    ]


def schedule_of(run: RunConfig, data: TrainData) -> Schedule:
    """The run's learning rates, over its whole length."""
    per_epoch = data.sampler.iters_per_epoch
    total = run.train.iters if run.train.iters is not None else (run.train.epochs or 1) * per_epoch
    return Schedule(run.schedule, total, per_epoch)


def compare_schedules(schedules: Both[Schedule]) -> list[Comparison]:
    """The learning rate of every iteration of the run; of a very long run's first ones."""
    lengths = [schedule.total_iters for schedule in schedules]
    if lengths[0] != lengths[1]:
        return [
            incomparable("length of the run", f"{lengths[0]} iterations in eager mode, {lengths[1]} in static mode")
        ]
    count = min(lengths[0], MOST_RATES)
    rates = [np.array([schedule(iteration) for iteration in range(count)]) for schedule in schedules]
    found = compare(f"learning rates of {count} iterations", *rates)
    if not found.equal:
        where = int(np.flatnonzero(rates[0] != rates[1])[0])
        one, other = (values[where] for values in rates)
        note = f"first at iteration {where + 1}: {one:g} in eager mode, {other:g} in static mode"
        return [dataclasses.replace(found, note=note)]
    return [found]

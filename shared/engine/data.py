"""From the data sections of a ``RunConfig`` to readers of batches."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from contextlib import AbstractContextManager

import numpy as np

import shared.datasets
import shared.transforms  # noqa: F401 - both imports fill the registries
from shared.config.run_config import Component, DatasetConfig, ReaderConfig, RunConfig
from shared.datasets.base import SegmentationDataset
from shared.datasets.png import HAS_FAST_PNG
from shared.engine.stepper import Batch
from shared.errors import ConfigError
from shared.reading.broken import BrokenSamples
from shared.reading.cache import DecodedCache
from shared.reading.cache_folder import open_folder
from shared.reading.collate import collate
from shared.reading.reader import Reader, open_reader
from shared.reading.sampler import TrainSampler, eval_batches
from shared.reading.source import SampleSource
from shared.registry import DATASETS
from shared.runtime import usable_cores
from shared.transforms.base import Sample
from shared.transforms.compose import Compose, build_transforms


class ImageOnly:
    """Applies transforms to the image alone; the label keeps its size, as evaluation needs it."""

    def __init__(self, transforms: Compose) -> None:
        self.transforms = transforms

    def __call__(self, sample: Sample, rng: np.random.Generator) -> None:
        label, sample.label = sample.label, None
        self.transforms(sample, rng)
        sample.label = label


def fixed_size_hw(config: DatasetConfig) -> tuple[int, int] | None:
    """(height, width) to which the last crop, padding or resize of a section brings every image; None without one."""
    for step in reversed(config.transforms):
        size = step.args.get("crop_size", step.args.get("target_size"))
        if isinstance(size, (list, tuple)) and len(size) == 2:
            return int(size[1]), int(size[0])
    return None


def build_dataset(config: DatasetConfig | None, name: str) -> SegmentationDataset:
    """The data set of one section; ``name`` (``train_dataset``, ``val_dataset``) is for the message."""
    if config is None:
        option = "DATASET.VAL_FILE_LIST" if name == "val_dataset" else "DATASET.TRAIN_FILE_LIST"
        raise ConfigError(
            f"{name}: missing, and this command needs it; add the section (a static recipe: set {option})"
        )
    try:
        return DATASETS[config.dataset.type](**config.dataset.args)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{name}: {config.dataset.type} refuses its arguments: {error}") from error


def inference_section(run: RunConfig) -> DatasetConfig:
    """What is done to images that are predicted: the validation set's section, or of a run without one what its
    training set's section does to every image alike (``Resize``, ``Normalize``).
    """
    if run.val_data is not None:
        return run.val_data
    if run.train_data is None:
        raise ConfigError(
            "val_dataset: missing; its transforms say how images enter the network (train_dataset would do too)"
        )
    kept = tuple(t for t in run.train_data.transforms if t.type in ("Resize", "Normalize"))
    return dataclasses.replace(run.train_data, transforms=kept or (Component("Normalize"),))


def inference_transforms(config: DatasetConfig, name: str) -> Compose:
    """The transforms of a section whose results go back to the image's own size and place."""
    transforms = build_transforms(config.transforms, config.to_rgb)
    if transforms.not_undoable():
        raise ConfigError(
            f"{name}.transforms: {', '.join(transforms.not_undoable())} moves pixels so that a prediction cannot be "
            "brought back to its image; remove it here (it belongs to training)"
        )
    return transforms


class TrainData:
    """The training samples of a run: each a function of (seed, epoch, index), in an order fixed by the seed.

    Args:
        run: the run; its ``train_data`` and ``reader`` sections are used.
        seed: of the order and of every random transform.
        batch_size: images per step and rank.
        dataset: the one of ``train_data`` where it has been built already.
        rank, world: this process among all; each reads its own share of every global batch.
    """

    def __init__(
        self,
        run: RunConfig,
        seed: int,
        batch_size: int,
        rank: int = 0,
        world: int = 1,
        dataset: SegmentationDataset | None = None,
    ) -> None:
        self.dataset = dataset or build_dataset(run.train_data, "train_dataset")
        transforms = build_transforms(run.train_data.transforms, run.train_data.to_rgb)
        self.source = SampleSource(self.dataset, transforms, seed, run.reader.on_bad_sample)
        self.broken = BrokenSamples("train_dataset", len(self.dataset))
        self.sampler = TrainSampler(len(self.dataset), batch_size, seed, rank=rank, world=world)
        self.reader = run.reader
        self.batch_size = batch_size

    def batch_shape(self) -> tuple[int, int, int, int]:
        """``[N, 3, H, W]`` of the first batch; later batches have it too wherever a crop or resize fixes the size."""
        return collate([self.source.get(*sample) for sample in self.sampler.batch_at(0)]).images.shape

    def open(self, first: int, end: int) -> AbstractContextManager[Iterable[Batch]]:
        """A reader of the batches of iterations ``first`` to ``end`` - 1."""
        batches = (self.sampler.batch_at(iteration) for iteration in range(first, end))
        return _open(self.source, batches, self.reader)


def batch_per_rank(run: RunConfig, world: int) -> int:
    """Images per step and rank: the eager ``batch_size`` as it is, the static ``BATCH_SIZE`` divided over the ranks.

    Raises:
        ConfigError: it does not divide.
    """
    size = run.train.batch_size
    if not run.train.batch_is_global:
        return size
    if size % world:
        near = [n for n in (size // world * world, (size // world + 1) * world) if n]
        raise ConfigError(
            f"BATCH_SIZE: got {size}, which does not divide over {world} processes (it is the global batch); set "
            f"BATCH_SIZE {' or '.join(map(str, near))}, or start another number of processes"
        )
    return size // world


def reading_advice(reader: ReaderConfig) -> str:
    """What makes batches come faster than with these settings, on this machine."""
    cores = usable_cores()
    advice = []
    if reader.kind == "inline":
        advice.append(f"set num_workers to {max(1, cores - 1)} (static: DATALOADER.NUM_WORKERS)")
    elif reader.workers < cores:
        advice.append(f"raise num_workers from {reader.workers} to {cores} (static: DATALOADER.NUM_WORKERS)")
    if reader.kind == "thread":
        advice.append("read with processes (reader.kind: process, static: --use_mpio)")
    if reader.cache == "off":
        advice.append("keep decoded images (reader.cache: ram or disk, static: DATALOADER.CACHE)")
    if not HAS_FAST_PNG:
        advice.append("install the faster PNG decoder (pip install -e '.[png]')")
    return ", or ".join(advice) or "every setting is at its best: use fewer or cheaper transforms, or more cores"


class EvalData:
    """The labelled samples of an evaluation, one image a batch, labels uint8 at their own size.

    Args:
        run: the run; its ``val_data`` and ``reader`` sections are used.
        rank, world: this process among all; over all of them every image comes once.
        dataset: the one of ``val_data`` where it has been built already.
    """

    def __init__(
        self, run: RunConfig, rank: int = 0, world: int = 1, dataset: SegmentationDataset | None = None
    ) -> None:
        self.rank, self.world = rank, world
        self.dataset = dataset or build_dataset(run.val_data, "val_dataset")
        transforms = inference_transforms(run.val_data, "val_dataset")
        self.source = SampleSource(self.dataset, ImageOnly(transforms), 0, run.reader.on_bad_sample, replaces=False)
        self.broken = BrokenSamples("val_dataset", len(self.dataset))
        self.reader = run.reader

    def __len__(self) -> int:
        return len(self._batches())

    def open(self) -> AbstractContextManager[Iterable[Batch]]:
        """A reader over every sample of this rank once."""
        return _open(self.source, self._batches(), self.reader, np.uint8)

    def _batches(self) -> list[list[tuple[int, int]]]:
        return eval_batches(len(self.dataset), 1, self.rank, self.world)


def _open(
    source: SampleSource,
    batches: Iterable[list[tuple[int, int]]],
    reader: ReaderConfig,
    label_type: type = np.int64,
) -> Reader:
    if reader.cache != "off" and source.cache is None:
        source.cache = DecodedCache(open_folder(reader))
    sizes = {"workers": reader.workers, "prefetch": reader.prefetch}
    return open_reader(source, batches, kind=reader.kind, label_type=label_type, **sizes)

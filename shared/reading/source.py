"""One sample, decoded, checked and transformed, as a function of (seed, epoch, index) alone."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from shared.config.run_config import SKIP, STOP
from shared.datasets.base import Record, SegmentationDataset
from shared.datasets.reading import check_label, read_sample
from shared.errors import DataError, RunFailedError, UserError
from shared.reading.cache import DecodedCache
from shared.transforms.base import Sample

_REPLACEMENTS = 10


class Source(Protocol):
    """What a reader reads from."""

    def get(self, epoch: int, index: int) -> Sample:
        """The sample ``index`` as epoch ``epoch`` sees it."""
        ...

    def name(self, index: int) -> str:
        """What messages call the sample: its image file."""
        ...


class SampleSource:
    """Reads a data set through its transforms.

    Args:
        dataset: the records, and what their labels may hold.
        transforms: changes a sample in place, drawing from the generator it is given.
        seed: non-negative; the generator of a sample is ``default_rng([seed, epoch, index])``, so that neither the
            worker nor the order of reading changes the result.
        on_bad_sample: ``stop`` raises what is wrong with a sample; ``skip`` puts another one in its place, drawn by the
            seed, the epoch and the index, and says so in its ``broken``.
        replaces: False: a skipped sample comes as an empty one (``[3, 1, 1]``, nothing but ignored), for an
            evaluation, where no sample may count twice.

    Attributes:
        cache: keeps decoded samples where the config asks for it; whoever opens a reader sets it.

    Picklable where its parts are, for worker processes.
    """

    cache: DecodedCache | None = None

    def __init__(
        self,
        dataset: SegmentationDataset,
        transforms: Callable[[Sample, np.random.Generator], object],
        seed: int,
        on_bad_sample: str = STOP,
        replaces: bool = True,
    ) -> None:
        if seed < 0:
            raise ValueError(f"seed is {seed}; expected 0 or more")
        self.dataset = dataset
        self.transforms = transforms
        self.seed = seed
        self.on_bad_sample = on_bad_sample
        self.replaces = replaces

    def __len__(self) -> int:
        return len(self.dataset)

    def name(self, index: int) -> str:
        """The image file of a sample."""
        return str(self.dataset.records[index].image)

    def get(self, epoch: int, index: int) -> Sample:
        """Read sample ``index`` (0 to ``len - 1``) for epoch ``epoch`` (0 or more).

        Raises:
            DataError: the files are unreadable, differ in size, the label holds a value that is no class, or a
                transform fails on them; with ``skip`` only where ten others in its place are broken too.
        """
        try:
            return self._read(index, (epoch, index))
        except DataError as error:
            if self.on_bad_sample != SKIP:
                raise
            broken = [(self.name(index), str(error))]
        if self.replaces:
            return self._another(epoch, index, broken)
        label = np.full((1, 1), self.dataset.ignore_index, np.uint8)
        return Sample(np.zeros((3, 1, 1), np.float32), label, self.name(index), broken=broken)

    def _another(self, epoch: int, index: int, broken: list[tuple[str, str]]) -> Sample:
        """A sample in the place of a broken one; its transforms draw by both indices, so that it is no copy."""
        others = np.random.default_rng([self.seed, epoch, index, len(self)]).permutation(len(self))
        for other in [int(n) for n in others if n != index][:_REPLACEMENTS]:
            try:
                sample = self._read(other, (epoch, index, other))
            except DataError as error:
                broken.append((self.name(other), str(error)))
            else:
                sample.broken = broken
                return sample
        raise RunFailedError(
            f"{len(broken)} samples in a row are broken, {broken[0][0]} first: {broken[0][1]}; repair the data set: "
            "scripts/check_data.py or pdseg/check.py lists what is wrong"
        )

    def _read(self, index: int, drawn_by: Sequence[int]) -> Sample:
        record = self.dataset.records[index]
        sample = self._decoded(record)
        rng = np.random.default_rng([self.seed, *drawn_by])
        try:
            self.transforms(sample, rng)
        except (UserError, MemoryError):
            raise
        except Exception as error:
            raise DataError(_failed(str(record.image), error), "transform") from error
        return sample

    def _decoded(self, record: Record) -> Sample:
        data = self.dataset
        if self.cache is None:
            return self._decode(record)
        meaning = (data.label_map, data.num_classes, data.ignore_index)
        return self.cache.get(record, meaning, lambda: self._decode(record))

    def _decode(self, record: Record) -> Sample:
        sample = read_sample(record, self.dataset.label_map)
        if sample.label is not None:
            check_label(sample.label, self.dataset.num_classes, self.dataset.ignore_index, str(record.label))
        return sample


def _failed(image: str, error: Exception) -> str:
    place = traceback.extract_tb(error.__traceback__)[-1]
    return (
        f"{image}: a transform failed on it: {type(error).__name__}: {error} ({place.filename}:{place.lineno}); look "
        "at the image and its label, or take the transform out"
    )

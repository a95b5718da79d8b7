"""One sample, decoded, checked and transformed, as a function of (seed, epoch, index) alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from shared.datasets.base import Record, SegmentationDataset
from shared.datasets.reading import check_label, read_sample
from shared.reading.cache import DecodedCache
from shared.transforms.base import Sample


class Source(Protocol):
    """What a reader reads from."""

    def get(self, epoch: int, index: int) -> Sample:
        """The sample ``index`` as epoch ``epoch`` sees it."""
        ...


class SampleSource:
    """Reads a data set through its transforms.

    Args:
        dataset: the records, and what their labels may hold.
        transforms: changes a sample in place, drawing from the generator it is given.
        seed: non-negative; the generator of a sample is ``default_rng([seed, epoch, index])``, so that neither the
            worker nor the order of reading changes the result.

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
    ) -> None:
        if seed < 0:
            raise ValueError(f"seed is {seed}; expected 0 or more")
        self.dataset = dataset
        self.transforms = transforms
        self.seed = seed

    def __len__(self) -> int:
        return len(self.dataset)

    def get(self, epoch: int, index: int) -> Sample:
        """Read sample ``index`` (0 to ``len - 1``) for epoch ``epoch`` (0 or more).

        Raises:
            DataError: the files are unreadable, differ in size, or the label holds a value that is no class.
        """
        record = self.dataset.records[index]
        sample = self._read(record)
        rng = np.random.default_rng([self.seed, epoch, index])
        try:
            self.transforms(sample, rng)
        except Exception as error:
            if hasattr(error, "add_note"):  # Python 3.11
                error.add_note(f"while transforming {record.image}")
            raise
        return sample

    def _read(self, record: Record) -> Sample:
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

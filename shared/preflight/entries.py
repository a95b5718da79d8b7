"""Decoding entries and looking at their labels, several at a time."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from shared.datasets.base import Record, SegmentationDataset
from shared.datasets.reading import check_label, read_sample
from shared.errors import DataError

_VALUES = 256
_THREADS = 4


@dataclass(frozen=True)
class Look:
    """What one entry showed: an error or None, and how many pixels of its label have each value, ``[256]`` int64."""

    error: DataError | None
    values: np.ndarray

    @property
    def is_mask_of_ignored(self) -> bool:
        """Whether the label holds 0 and 255 and nothing else."""
        return self.error is None and self.values[0] > 0 and self.values[255] > 0 and not self.values[1:255].any()


def look_at(record: Record, dataset: SegmentationDataset) -> Look:
    """Decode one entry and look at its label."""
    values = np.zeros(_VALUES, np.int64)
    try:
        label = read_sample(record, dataset.label_map).label
        if label is None:
            return Look(None, values)
        check_label(label, dataset.num_classes, dataset.ignore_index, str(record.label))
    except DataError as error:
        return Look(error, values)
    return Look(None, np.bincount(label.reshape(-1), minlength=_VALUES))


def look_at_all(
    records: Sequence[Record], dataset: SegmentationDataset, title: str = "", show_progress: bool = False
) -> list[Look]:
    """One :class:`Look` a record, in order; with ``show_progress`` a bar called ``title`` on stderr."""
    with ThreadPoolExecutor(_THREADS) as pool:
        looks = pool.map(lambda record: look_at(record, dataset), records)
        bar = tqdm(looks, total=len(records), desc=title, unit="img", file=sys.stderr, disable=not show_progress)
        return list(bar)


def class_pixels(looks: Sequence[Look], dataset: SegmentationDataset) -> np.ndarray:
    """Pixels of each class over all looks, ``[num_classes]`` int64; ignored pixels are left out."""
    values = np.sum([look.values for look in looks], axis=0) if looks else np.zeros(_VALUES, np.int64)
    counts = values[: dataset.num_classes].copy()
    if dataset.ignore_index < dataset.num_classes:
        counts[dataset.ignore_index] = 0
    return counts

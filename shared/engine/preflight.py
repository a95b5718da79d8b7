"""Looking at a data set before it is used: every finding in one report, not only the first."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from shared.datasets.base import Record, SegmentationDataset
from shared.datasets.reading import check_label, read_sample
from shared.errors import DataError

SAMPLED = 16
_THREADS = 4


def check_record(record: Record, dataset: SegmentationDataset) -> tuple[str | None, np.ndarray]:
    """Decode one entry and look at its label.

    Returns:
        What is wrong with it or None, and the label's pixel counts ``[num_classes]`` int64.
    """
    counts = np.zeros(dataset.num_classes, np.int64)
    try:
        label = read_sample(record, dataset.label_map).label
        if label is None:
            return None, counts
        check_label(label, dataset.num_classes, dataset.ignore_index, record.label)
    except DataError as error:
        return str(error), counts
    valid = label[label != dataset.ignore_index]
    return None, np.bincount(valid.reshape(-1), minlength=dataset.num_classes)[: dataset.num_classes]


def check_records(records: Sequence[Record], dataset: SegmentationDataset) -> tuple[list[str], np.ndarray]:
    """All findings over ``records``, and the summed pixel counts ``[num_classes]``."""
    with ThreadPoolExecutor(_THREADS) as pool:
        results = list(pool.map(lambda record: check_record(record, dataset), records))
    counts = np.sum([count for _, count in results], axis=0) if results else np.zeros(dataset.num_classes, np.int64)
    return [problem for problem, _ in results if problem], counts


def check_sampled(datasets: Sequence[SegmentationDataset], most: int = SAMPLED) -> None:
    """Look at up to ``most`` evenly spread entries of each data set.

    Raises:
        DataError: with every finding; nothing has been written yet.
    """
    problems = []
    for dataset in datasets:
        chosen = np.unique(np.linspace(0, len(dataset) - 1, min(most, len(dataset))).astype(int))
        problems += check_records([dataset.records[i] for i in chosen], dataset)[0]
    raise_findings(problems)


def raise_findings(problems: Sequence[str]) -> None:
    """DataError with every finding, if there is one."""
    if problems:
        head = f"{len(problems)} problems in the data set:" if len(problems) > 1 else "the data set has a problem:"
        raise DataError(head + "".join(f"\n  - {problem}" for problem in problems))

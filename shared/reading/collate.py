"""Samples -> one batch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from shared.engine.stepper import Batch
from shared.errors import DataError
from shared.transforms.base import Sample


def collate(samples: Sequence[Sample]) -> Batch:
    """Stack samples of equal size.

    Args:
        samples: N >= 1 samples, images ``[H, W, 3]`` (uint8 or float32), labels ``[H, W]`` or all None.

    Returns:
        images ``[N, 3, H, W]`` float32, labels ``[N, H, W]`` int64 or None.

    Raises:
        DataError: images of different sizes, or some samples with and some without label; names two files.
    """
    if not samples:
        raise ValueError("collate needs at least one sample")
    first = samples[0]
    for other in samples[1:]:
        if other.image.shape != first.image.shape:
            raise DataError(
                f"one batch cannot hold {first.path} ({_size(first)}) and {other.path} ({_size(other)}): add a crop, "
                "padding or resize transform that makes all images equal, or set the batch size to 1"
            )
        if (other.label is None) != (first.label is None):
            unlabelled, labelled = (first, other) if first.label is None else (other, first)
            raise DataError(
                f"{unlabelled.path} has no label, but {labelled.path} in the same batch has: give every line of the "
                "list a label, or none"
            )
    count, (height, width) = len(samples), first.size_hw
    images = np.empty((count, first.image.shape[2], height, width), np.float32)
    labels = None if first.label is None else np.empty((count, height, width), np.int64)
    for position, sample in enumerate(samples):
        images[position] = sample.image.transpose(2, 0, 1)
        if labels is not None and sample.label is not None:
            _check_label_size(sample, sample.label)
            labels[position] = sample.label
    return Batch(images, labels, [sample.path for sample in samples], [list(sample.undo) for sample in samples])


def _check_label_size(sample: Sample, label: np.ndarray) -> None:
    if label.shape != sample.size_hw:
        raise DataError(
            f"{sample.path}: after the transforms the image is {_size(sample)}, but its label has the shape "
            f"{label.shape}; a transform changes one without the other"
        )


def _size(sample: Sample) -> str:
    return f"height {sample.size_hw[0]} x width {sample.size_hw[1]}"

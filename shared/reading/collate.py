"""Samples -> one batch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from shared.engine.stepper import Batch
from shared.errors import DataError
from shared.transforms.base import Sample


def collate(samples: Sequence[Sample], label_type: type = np.int64) -> Batch:
    """Stack samples of equal size.

    Args:
        samples: N >= 1 samples, images ``[3, H, W]`` as ``Compose`` leaves them, labels ``[h, w]`` or all None.
            A label has its image's size, except where an evaluation's transforms changed the image alone.
        label_type: int64 as a loss takes them, or uint8 as they are.

    Returns:
        images ``[N, 3, H, W]`` float32, labels ``[N, h, w]`` of ``label_type`` or None.

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
    images = np.empty((len(samples), *first.image.shape), np.float32)
    labels = None if first.label is None else np.empty((len(samples), *first.label.shape), label_type)
    for position, sample in enumerate(samples):
        images[position] = sample.image
        if labels is not None and sample.label is not None:
            _check_label_size(sample, sample.label, first)
            labels[position] = sample.label
    paths, undo = [sample.path for sample in samples], [list(sample.undo) for sample in samples]
    return Batch(images, labels, paths, undo, [broken for sample in samples for broken in sample.broken])


def _check_label_size(sample: Sample, label: np.ndarray, first: Sample) -> None:
    if label.shape != sample.image.shape[1:] and not sample.undo:
        raise DataError(
            f"{sample.path}: after the transforms the image is {_size(sample)}, but its label has the shape "
            f"{label.shape}; a transform changes one without the other"
        )
    if first.label is not None and label.shape != first.label.shape:
        raise DataError(
            f"one batch cannot hold the labels of {first.path} {first.label.shape} and {sample.path} {label.shape}: "
            "set the batch size to 1"
        )


def _size(sample: Sample) -> str:
    return f"height {sample.image.shape[1]} x width {sample.image.shape[2]}"

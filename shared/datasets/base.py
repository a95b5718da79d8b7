"""The contract of a data set: a sequence of file pairs and what their labels mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Record:
    """One entry: absolute paths, and where it was listed (``train.txt:3``). ``label`` is None in test sets."""

    image: str
    label: str | None
    origin: str


class SegmentationDataset:
    """A list of :class:`Record` with class names. Reading and decoding is done by ``shared.datasets.reading``.

    Attributes:
        records: every entry, in a fixed order.
        num_classes: labels are in ``0..num_classes-1`` or ``ignore_index``.
        class_names: one name per class (``"class 7"`` where the data set gives none).
        label_map: the class id (or ``ignore_index``) of each value stored in the label files, from 0 up; None where
            they hold class ids already.
        palette: ``[num_classes, 3]`` nested list of RGB values 0..255, or None for the default palette.
    """

    records: Sequence[Record]
    num_classes: int
    ignore_index: int = 255
    label_map: Sequence[int] | None = None
    class_names: Sequence[str]
    palette: Sequence[Sequence[int]] | None = None

    def __len__(self) -> int:
        return len(self.records)

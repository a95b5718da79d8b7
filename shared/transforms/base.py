"""The contract of a transform, and the sample it works on.

>>> import numpy as np
>>> sample = Sample(image=np.zeros((4, 6, 3), np.uint8), label=np.zeros((4, 6), np.uint8), path="a.png")
>>> sample.size_hw
(4, 6)
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

UndoStep = tuple[str, tuple[int, ...]]


@dataclass
class Sample:
    """One image and its label on the way to the network.

    Attributes:
        image: ``[H, W, 3]``; uint8 as decoded, float32 after ``Normalize``; RGB or BGR as ``to_rgb`` says.
        label: ``[H, W]`` uint8 class ids or ignore_index; None when predicting.
        path: the image file, for messages.
        undo: geometry steps in the order applied, for bringing logits back to the original size:
            ``("resize", (h, w))`` and ``("pad", (h, w))`` carry the size *before* the step; where the image was not
            put into the top left corner of the padded one, ``("pad", (h, w, top, left))``.
        broken: files that this sample stands in for, each with the sentence about it.
        rgb: whether channel 0 of the image is red; ``Compose`` sets it when it turns BGR into RGB.
    """

    image: np.ndarray
    label: np.ndarray | None = None
    path: str = ""
    undo: list[UndoStep] = field(default_factory=list)
    rgb: bool = False
    broken: list[tuple[str, str]] = field(default_factory=list)

    @property
    def size_hw(self) -> tuple[int, int]:
        """Height and width of the image as it is now."""
        height, width = self.image.shape[:2]
        return height, width


class Transform:
    """Changes a sample in place. Random ones draw their parameters from ``rng`` first, then apply them to image
    and label alike, so that one generator state means one result.

    Constructor arguments are plain values, checked in ``__init__`` (ValueError names value and range). Sizes in
    configs are (width, height), PaddleSeg's order; attributes are stored as ``*_hw``.

    Attributes:
        undoable: whether logits can be brought back to the image's place: nothing moved, or ``undo`` says how.
    """

    undoable: ClassVar[bool] = True

    def __call__(self, sample: Sample, rng: np.random.Generator) -> None:
        """Change ``sample`` in place."""
        raise NotImplementedError(f"{type(self).__name__} must define __call__")

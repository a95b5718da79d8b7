"""The contract of a transform, and the sample it works on.

>>> import numpy as np
>>> sample = Sample(image=np.zeros((4, 6, 3), np.uint8), label=np.zeros((4, 6), np.uint8), path="a.png")
>>> sample.resize((8, 12))
>>> sample.size_hw, sample.label.shape
((8, 12), (8, 12))
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from shared.transforms import functional as F  # noqa: N812
from shared.transforms.windows import linear_window, nearest_window

UndoStep = tuple[str, tuple[int, ...]]


class Sample:
    """One image and its label on the way to the network.

    Work on pixels that a crop may throw away is put off: :meth:`resize` and :meth:`order_channels` note what is to be
    done, :meth:`crop` does it to the window alone, and whoever reads ``image`` or ``label`` before gets it done to all.

    Attributes:
        path: the image file, for messages.
        undo: geometry steps in the order applied, for bringing logits back to the original size:
            ``("resize", (h, w))`` and ``("pad", (h, w))`` carry the size *before* the step; where the image was not
            put into the top left corner of the padded one, ``("pad", (h, w, top, left))``.
        broken: files that this sample stands in for, each with the sentence about it.
        rgb: whether channel 0 of the image is red.
    """

    def __init__(
        self,
        image: np.ndarray,
        label: np.ndarray | None = None,
        path: str = "",
        undo: Sequence[UndoStep] = (),
        rgb: bool = False,
        broken: Sequence[tuple[str, str]] = (),
    ) -> None:
        self._image, self._label = image, label
        self._image_resize: tuple[tuple[int, int], str] | None = None  # still to be done: size and interpolation
        self._label_resize: tuple[int, int] | None = None
        self._swap = False
        self.path = path
        self.undo = list(undo)
        self.rgb = rgb
        self.broken = list(broken)

    @property
    def image(self) -> np.ndarray:
        """``[H, W, 3]``; uint8 as decoded, float32 after ``Normalize``; RGB or BGR as ``rgb`` says."""
        if self._image_resize is not None:
            self._image = F.resize(self._image, *self._image_resize)
            self._image_resize = None
        if self._swap:
            self._image, self._swap = F.swap_channels(self._image), False
        return self._image

    @image.setter
    def image(self, image: np.ndarray) -> None:
        """Replace the pixels; nothing is left to be done to them."""
        self._image, self._image_resize, self._swap = image, None, False

    @property
    def label(self) -> np.ndarray | None:
        """``[H, W]`` uint8 class ids or ignore_index; None when predicting."""
        if self._label is not None and self._label_resize is not None:
            self._label = F.resize(self._label, self._label_resize, "NEAREST")
        self._label_resize = None
        return self._label

    @label.setter
    def label(self, label: np.ndarray | None) -> None:
        """Replace the class ids; nothing is left to be done to them."""
        self._label, self._label_resize = label, None

    @property
    def size_hw(self) -> tuple[int, int]:
        """Height and width of the image as it is now."""
        height, width = self._image.shape[:2] if self._image_resize is None else self._image_resize[0]
        return height, width

    def order_channels(self, rgb: bool) -> None:
        """Make the image RGB or BGR."""
        self._swap ^= rgb != self.rgb
        self.rgb = rgb

    def resize(self, size_hw: tuple[int, int], interpolation: str = "LINEAR") -> None:
        """Image by ``interpolation`` and label by nearest."""
        if self._image_resize is not None:
            self.image = self.image  # two resizes are not one
        if self._label_resize is not None:
            self.label = self.label
        self._image_resize = (size_hw, interpolation)
        self._label_resize = size_hw

    def crop(self, top: int, left: int, size_hw: tuple[int, int]) -> None:
        """The same window of image and label: at full size, or within one grey level of the resized image's."""
        if self._image_resize is not None and self._image_resize[1] == "LINEAR":
            self._image = linear_window(self._image, self._image_resize[0], top, left, size_hw)
            self._image_resize = None
        elif self._image_resize is not None:
            self.image = F.crop(self.image, top, left, size_hw)
        else:
            self._image = F.crop(self._image, top, left, size_hw)
        if self._label is None:
            return
        if self._label_resize is None:
            self._label = F.crop(self._label, top, left, size_hw)
        else:
            self.label = nearest_window(self._label, self._label_resize, top, left, size_hw)


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

"""Geometry applied to image and label together, and undone on logits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from shared.transforms import functional as F  # noqa: N812
from shared.transforms.base import Sample, UndoStep


def resize_sample(sample: Sample, size_hw: tuple[int, int], interpolation: str = "LINEAR") -> None:
    """Image by ``interpolation`` and label by nearest to ``size_hw``; noted in ``undo``."""
    before = sample.size_hw
    if before == size_hw:
        return
    sample.resize(size_hw, interpolation)
    sample.undo.append(("resize", before))


def place_sample(
    sample: Sample,
    size_hw: tuple[int, int],
    corner: tuple[int, int],
    fills: tuple[Sequence[float], int],
) -> None:
    """The sample inside a larger one of ``size_hw``, its top left corner at ``corner``; noted in ``undo``.

    ``fills`` are the image's grey levels (three) and the label's id.
    """
    (height, width), (top, left) = sample.size_hw, corner
    if size_hw == (height, width):
        return
    margins = (top, size_hw[0] - height - top, left, size_hw[1] - width - left)
    im_fill, label_fill = fills
    sample.image = F.pad(sample.image, margins, im_fill)
    if sample.label is not None:
        sample.label = F.pad(sample.label, margins, (label_fill,))
    sample.undo.append(("pad", (height, width) if corner == (0, 0) else (height, width, top, left)))


def warp_sample(
    sample: Sample, matrix: np.ndarray, out_hw: tuple[int, int], fills: tuple[Sequence[float], int]
) -> None:
    """Image (linear) and label (nearest) under one affine matrix."""
    im_fill, label_fill = fills
    sample.image = F.warp(sample.image, matrix, out_hw, im_fill, "LINEAR")
    if sample.label is not None:
        sample.label = F.warp(sample.label, matrix, out_hw, (label_fill,), "NEAREST")


def undo_geometry(logits_or_ids: np.ndarray, undo: Sequence[UndoStep]) -> np.ndarray:
    """Network output brought back to the size of the image before the transforms.

    Args:
        logits_or_ids: ``[K, H, W]`` float32 logits (resized bilinearly, half-pixel centres) or ``[H, W]`` integer
            class ids (resized by nearest); H and W are those of the transformed image.
        undo: ``Sample.undo``; its steps are undone from the last to the first.

    Raises:
        ValueError: for another shape or dtype, an unknown step, or an array smaller than what was padded.
    """
    array = logits_or_ids
    is_ids = array.ndim == 2 and np.issubdtype(array.dtype, np.integer)
    if not is_ids and not (array.ndim == 3 and array.dtype == np.float32):
        raise ValueError(
            f"expected float32 logits [K, H, W] or integer class ids [H, W]; got {array.dtype} {list(array.shape)}"
        )
    for kind, numbers in reversed(undo):
        if kind == "resize":
            array = _resize_planes(array, (numbers[0], numbers[1]), is_ids)
        elif kind == "pad":
            array = _cut_out(array, numbers)
        else:
            raise ValueError(f"cannot undo step {kind!r}; known: resize, pad")
    return np.ascontiguousarray(array)


def _resize_planes(array: np.ndarray, size_hw: tuple[int, int], is_ids: bool) -> np.ndarray:
    if is_ids:  # by index: OpenCV has no resize for int64
        rows, columns = (np.arange(out) * size // out for out, size in zip(size_hw, array.shape))
        return array[rows[:, None], columns]
    resized = np.empty((len(array), *size_hw), np.float32)
    for index, plane in enumerate(array):
        resized[index] = F.resize(plane, size_hw)
    return resized


def _cut_out(array: np.ndarray, numbers: tuple[int, ...]) -> np.ndarray:
    height, width = numbers[:2]
    top, left = numbers[2:] or (0, 0)
    if array.shape[-2] < top + height or array.shape[-1] < left + width:
        raise ValueError(
            f"cannot undo a padding of a {height}x{width} image at row {top}, column {left}: "
            f"the array is only {array.shape[-2]}x{array.shape[-1]}"
        )
    return array[..., top : top + height, left : left + width]

"""Colours of the classes. A palette is ``[K, 3]`` uint8 in RGB order."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from shared.errors import ConfigError


def default_palette(num_classes: int) -> np.ndarray:
    """The colours PaddleSeg's users know: Pascal VOC's colour map without its black first entry.

    VOC deals the bits of a class number out in turn to red, green and blue, each filled from its highest bit down, so
    neighbouring numbers differ strongly. Class k gets VOC's colour k + 1: 0 is dark red, 1 green, 2 olive.

    >>> default_palette(3).tolist()
    [[128, 0, 0], [0, 128, 0], [128, 128, 0]]

    Returns:
        ``[num_classes, 3]`` uint8, all different; the first rows do not depend on ``num_classes``.

    Raises:
        ValueError: ``num_classes`` below 1.
    """
    if num_classes < 1:
        raise ValueError(f"num_classes is {num_classes}; expected at least 1")
    numbers = np.arange(1, num_classes + 1)[:, None]
    palette = np.zeros((num_classes, 3), np.uint8)
    for turn in range(8):
        bits = numbers >> (3 * turn + np.arange(3)) & 1
        palette |= (bits << (7 - turn)).astype(np.uint8)
    return palette


def resolve_palette(
    custom: Sequence[int] | None, num_classes: int, dataset_palette: Sequence[Sequence[int]] | None = None
) -> np.ndarray:
    """The colours to draw with: the user's, else the data set's, else the default ones.

    Args:
        custom: ``--custom_color`` as a flat list, red green blue for one class after the other; further colours than
            classes are left out.
        dataset_palette: ``SegmentationDataset.palette``.

    Returns:
        ``[num_classes, 3]`` uint8.

    Raises:
        ConfigError: ``custom`` has not three numbers a class, or one outside 0..255.
        ValueError: ``dataset_palette`` has not one colour in 0..255 per class.
    """
    if custom is not None:
        return _from_flat(custom, num_classes)
    if dataset_palette is None:
        return default_palette(num_classes)
    colours = np.asarray(dataset_palette)
    if colours.shape != (num_classes, 3) or colours.min() < 0 or colours.max() > 255:
        raise ValueError(
            f"the data set's palette has shape {colours.shape}; expected ({num_classes}, 3) with values in 0..255"
        )
    return colours.astype(np.uint8)


def _from_flat(custom: Sequence[int], num_classes: int) -> np.ndarray:
    values = list(custom)
    example = "three numbers in 0..255 per class, like --custom_color 0 0 0 255 0 0"
    problems = []
    wrong = [value for value in values if not 0 <= value <= 255 or value != int(value)]
    if wrong:
        problems.append(f"custom_color: got the value {wrong[0]}; expected {example}")
    if len(values) % 3:
        problems.append(f"custom_color: got {len(values)} numbers, which is no multiple of 3; expected {example}")
    elif len(values) < 3 * num_classes:
        problems.append(
            f"custom_color: got {len(values) // 3} colours for {num_classes} classes; expected {example}, "
            f"{3 * num_classes} in all"
        )
    if problems:
        raise ConfigError(problems)
    return np.array(values, np.uint8).reshape(-1, 3)[:num_classes]

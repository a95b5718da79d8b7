"""Every registered transform with arguments to run it by. A transform without an entry turns the suite red."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from shared.registry import TRANSFORMS
from shared.transforms import Sample, Transform

HEIGHT, WIDTH = 40, 60
MARK = 200  # third channel of `coordinates`


@dataclass(frozen=True)
class Case:
    """One way to run a transform.

    Attributes:
        out_hw: the size of the result for a 40 x 60 image, or None where it is random.
        moves: whether pixels change place; ``slack`` is then how far (in source pixels) image and label may be
            apart, because one is interpolated and the other takes the nearest.
        random: whether two seeds can give two results.
    """

    type: str
    args: dict[str, Any] = field(default_factory=dict)
    out_hw: tuple[int, int] | None = (HEIGHT, WIDTH)
    moves: bool = True
    slack: float = 0.0
    random: bool = True
    undoable: bool = True

    def build(self) -> Transform:
        return TRANSFORMS[self.type](**self.args)

    def __str__(self) -> str:
        return f"{self.type}({', '.join(f'{k}={v}' for k, v in self.args.items())})"


CASES = (
    Case("Normalize", moves=False, random=False),
    Case("RandomNoise", {"prob": 0.8}, moves=False),
    Case("RandomBlur", {"prob": 0.8, "blur_type": "random"}, moves=False),
    Case("RandomDistort", {"sharpness_prob": 0.5}, moves=False),
    Case("Resize", {"target_size": [33, 70]}, (70, 33), slack=1.6, random=False),
    Case("Resize", {"target_size": [90, 70], "keep_ratio": True}, (60, 90), slack=1.1, random=False),
    Case("Resize", {"target_size": [33, 70], "interp": "RANDOM", "size_divisor": 8}, (72, 40), slack=1.6),
    Case("ResizeByLong", {"long_size": 45}, (30, 45), slack=1.1, random=False),
    Case("ResizeByShort", {"short_size": 80}, (80, 120), slack=1.1, random=False),
    Case("LimitLong", {"max_long": 30}, (20, 30), slack=1.1, random=False),
    Case("ResizeRangeScaling", {"min_value": 30, "max_value": 90}, None, slack=1.6),
    Case("ResizeStepScaling", {"min_scale_factor": 0.5, "max_scale_factor": 2.0}, None, slack=1.6),
    Case("Padding", {"target_size": [64, 50]}, (50, 64), random=False),
    Case("PaddingByAspectRatio", {"aspect_ratio": 2}, (40, 80), random=False),
    Case("PaddingByAspectRatio", {"aspect_ratio": 1.2}, (50, 60), random=False),
    Case("ScalePadding", {"target_size": [90, 75]}, (75, 90), slack=1.1, random=False),
    Case("RandomPaddingCrop", {"crop_size": [32, 16]}, (16, 32), undoable=False),
    Case("RandomPaddingCrop", {"crop_size": [32, 64]}, (64, 32), undoable=False),
    Case("RandomPaddingCrop", {"crop_size": [32, 16], "category_max_ratio": 0.5}, (16, 32), undoable=False),
    Case("RandomCenterCrop", {}, None, undoable=False),
    Case("RandomHorizontalFlip", {}, undoable=False),
    Case("RandomVerticalFlip", {"prob": 0.5}, undoable=False),
    Case("RandomRotation", {"max_rotation": 60}, None, slack=0.8, undoable=False),
    Case("RandomAffine", {"size": [70, 50], "translation_offset": 6}, (50, 70), slack=0.8, undoable=False),
    Case("RandomScaleAspect", {}, slack=1.1, undoable=False),
)


def coordinates() -> np.ndarray:
    """``[40, 60, 3]`` uint8: four times the row, four times the column, and a constant."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    return np.stack([rows * 4, columns * 4, np.full_like(rows, MARK)], axis=-1).astype(np.uint8)


def rows_and_columns() -> tuple[np.ndarray, np.ndarray]:
    """Two label maps: each pixel's row, and each pixel's column."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH].astype(np.uint8)
    return rows, columns


def photograph(seed: int = 0) -> Sample:
    """A smooth random picture of 40 x 60 with a blocky label of ids 0, 1, 2, 7 and 255."""
    rng = np.random.default_rng(seed)
    waves = rng.uniform(0.05, 0.4, (3, 2))
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    image = np.stack([127 + 120 * np.sin(a * rows + b * columns) for a, b in waves], axis=-1)
    label = np.kron(rng.choice([0, 1, 2, 7, 255], (5, 6)), np.ones((8, 10), int))
    return Sample(image.astype(np.uint8), label.astype(np.uint8), "street.png")

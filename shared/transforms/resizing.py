"""Transforms that change the size of image and label: image by interpolation, label by nearest neighbour."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from shared.errors import DataError
from shared.registry import TRANSFORMS
from shared.transforms import checks
from shared.transforms.base import Sample, Transform
from shared.transforms.drawn import RandomTransform
from shared.transforms.functional import INTERPOLATIONS
from shared.transforms.geometry import resize_sample


def _scaled(size_hw: tuple[int, int], scale: float, path: str = "") -> tuple[int, int]:
    """Both sides times ``scale``, rounded half to even."""
    height, width = round(size_hw[0] * scale), round(size_hw[1] * scale)
    if height < 1 or width < 1:
        raise DataError(
            f"{path or 'an image'} of {size_hw[1]}x{size_hw[0]} (width x height) would vanish when scaled by "
            f"{scale:.4g}; expected at least one pixel on each side: leave it out or use a larger size"
        )
    return height, width


@TRANSFORMS.register()
class Resize(RandomTransform[str]):
    """To a fixed size, or to the largest size of the same shape that fits it.

    Args:
        target_size: (width, height).
        keep_ratio: keep the image's shape: its long side is at most the long side of ``target_size`` and its short
            side at most the short one, whichever way round the image lies.
        size_divisor: both sides are then rounded up to its multiples; None leaves them.
        interp: ``NEAREST``, ``LINEAR``, ``CUBIC``, ``AREA``, ``LANCZOS4``, or ``RANDOM`` for one of these each time.
    """

    def __init__(
        self,
        target_size: Sequence[int] = (512, 512),
        keep_ratio: bool = False,
        size_divisor: int | None = None,
        interp: str = "LINEAR",
    ) -> None:
        self.target_hw = checks.size_hw("target_size", target_size)
        self.keep_ratio = checks.flag("keep_ratio", keep_ratio)
        self.size_divisor = None if size_divisor is None else checks.whole_number("size_divisor", size_divisor, 1)
        self.interp = checks.choice("interp", interp, [*INTERPOLATIONS, "RANDOM"])

    def draw(self, rng: np.random.Generator, size_hw: tuple[int, int]) -> str:  # noqa: ARG002
        """The name of the interpolation."""
        names = list(INTERPOLATIONS)
        return names[rng.integers(len(names))] if self.interp == "RANDOM" else self.interp

    def apply(self, sample: Sample, params: str) -> None:
        """Resize by the interpolation drawn."""
        resize_sample(sample, self.output_hw(sample.size_hw), params)

    def output_hw(self, size_hw: tuple[int, int]) -> tuple[int, int]:
        """The size an image of ``size_hw`` gets."""
        height, width = self.target_hw
        if self.keep_ratio:
            scale = min(max(self.target_hw) / max(size_hw), min(self.target_hw) / min(size_hw))
            height, width = (max(1, int(side * scale + 0.5)) for side in size_hw)
        if self.size_divisor is not None:
            height, width = (-(-side // self.size_divisor) * self.size_divisor for side in (height, width))
        return height, width


@TRANSFORMS.register()
class ResizeByLong(Transform):
    """The long side becomes ``long_size``, the shape is kept."""

    def __init__(self, long_size: int) -> None:
        self.long_size = checks.whole_number("long_size", long_size, 1)

    def __call__(self, sample: Sample, rng: np.random.Generator) -> None:  # noqa: ARG002
        """Resize; nothing is random."""
        resize_sample(sample, _scaled(sample.size_hw, self.long_size / max(sample.size_hw), sample.path))


@TRANSFORMS.register()
class ResizeByShort(Transform):
    """The short side becomes ``short_size``, or less where the long side would exceed ``max_size``."""

    def __init__(self, short_size: int, max_size: float = 1e10) -> None:
        self.short_size = checks.whole_number("short_size", short_size, 1)
        self.max_size = checks.real_number("max_size", max_size, 1)

    def __call__(self, sample: Sample, rng: np.random.Generator) -> None:  # noqa: ARG002
        """Resize; nothing is random."""
        short_side, long_side = sorted(sample.size_hw)
        target = self.short_size
        if target * long_side / short_side > self.max_size:
            target = int(self.max_size * short_side / long_side)
        resize_sample(sample, _scaled(sample.size_hw, target / short_side, sample.path))


@TRANSFORMS.register()
class LimitLong(Transform):
    """The long side is brought into ``[min_long, max_long]``; None is no limit."""

    def __init__(self, max_long: int | None = None, min_long: int | None = None) -> None:
        self.max_long = None if max_long is None else checks.whole_number("max_long", max_long, 1)
        self.min_long = None if min_long is None else checks.whole_number("min_long", min_long, 1)
        if self.max_long is not None and self.min_long is not None:
            checks.ordered_pair("min_long", self.min_long, "max_long", self.max_long)

    def __call__(self, sample: Sample, rng: np.random.Generator) -> None:  # noqa: ARG002
        """Resize an image that is outside the limits; nothing is random."""
        long_side = target = max(sample.size_hw)
        if self.max_long is not None:
            target = min(target, self.max_long)
        if self.min_long is not None:
            target = max(target, self.min_long)
        if target != long_side:
            resize_sample(sample, _scaled(sample.size_hw, target / long_side, sample.path))


@TRANSFORMS.register()
class ResizeRangeScaling(RandomTransform[int]):
    """The long side becomes a whole number drawn evenly from ``[min_value, max_value]`` (the ends half as often)."""

    def __init__(self, min_value: int = 400, max_value: int = 600) -> None:
        self.min_value = checks.whole_number("min_value", min_value, 1)
        self.max_value = checks.whole_number("max_value", max_value, 1)
        checks.ordered_pair("min_value", self.min_value, "max_value", self.max_value)

    def draw(self, rng: np.random.Generator, size_hw: tuple[int, int]) -> int:  # noqa: ARG002
        """The long side."""
        return int(rng.uniform(self.min_value, self.max_value) + 0.5)

    def apply(self, sample: Sample, params: int) -> None:
        """Resize to the long side drawn."""
        resize_sample(sample, _scaled(sample.size_hw, params / max(sample.size_hw), sample.path))


@TRANSFORMS.register()
class ResizeStepScaling(RandomTransform[float]):
    """Both sides times one scale, drawn from evenly spaced scales that include both ends.

    Args:
        min_scale_factor: smallest scale.
        max_scale_factor: largest scale.
        scale_step_size: distance between the scales (stretched a little where it does not divide the range);
            0 draws any scale of the range.
    """

    def __init__(
        self, min_scale_factor: float = 0.75, max_scale_factor: float = 1.25, scale_step_size: float = 0.25
    ) -> None:
        self.min_scale_factor = checks.real_number("min_scale_factor", min_scale_factor, 0, above=True)
        self.max_scale_factor = checks.real_number("max_scale_factor", max_scale_factor, 0, above=True)
        checks.ordered_pair("min_scale_factor", self.min_scale_factor, "max_scale_factor", self.max_scale_factor)
        self.scale_step_size = checks.real_number("scale_step_size", scale_step_size, 0)

    def scales(self) -> np.ndarray | None:
        """The scales to choose from, float64; None where any scale of the range may come."""
        if self.min_scale_factor == self.max_scale_factor:
            return np.array([self.min_scale_factor])
        if self.scale_step_size == 0:
            return None
        count = int((self.max_scale_factor - self.min_scale_factor) / self.scale_step_size + 1)
        return np.linspace(self.min_scale_factor, self.max_scale_factor, count)

    def draw(self, rng: np.random.Generator, size_hw: tuple[int, int]) -> float:  # noqa: ARG002
        """The scale."""
        scales = self.scales()
        if scales is None:
            return float(rng.uniform(self.min_scale_factor, self.max_scale_factor))
        return float(scales[rng.integers(len(scales))])

    def apply(self, sample: Sample, params: float) -> None:
        """Resize by the scale drawn."""
        resize_sample(sample, _scaled(sample.size_hw, params, sample.path))

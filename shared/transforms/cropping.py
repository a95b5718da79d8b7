"""Transforms that add margins or cut windows out. Image margins are grey, label margins are the ignored id."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from shared.errors import DataError
from shared.registry import TRANSFORMS
from shared.transforms import checks
from shared.transforms import functional as F  # noqa: N812
from shared.transforms.base import Sample, Transform
from shared.transforms.drawn import RandomTransform
from shared.transforms.geometry import place_sample, resize_sample

GREY = (127.5, 127.5, 127.5)


def _fills(im_padding_value: float | Sequence[float], label_padding_value: int) -> tuple[tuple[float, ...], int]:
    return (
        checks.fill_value("im_padding_value", im_padding_value),
        checks.label_value("label_padding_value", label_padding_value),
    )


@TRANSFORMS.register()
class Padding(Transform):
    """Margins at the bottom and at the right, up to ``target_size``; a larger image is an error.

    Args:
        target_size: (width, height).
        im_padding_value: grey level of the margins, or one per channel, 0..255.
        label_padding_value: label id of the margins.
    """

    def __init__(
        self,
        target_size: Sequence[int],
        im_padding_value: float | Sequence[float] = GREY,
        label_padding_value: int = 255,
    ) -> None:
        self.target_hw = checks.size_hw("target_size", target_size)
        self.fills = _fills(im_padding_value, label_padding_value)

    def __call__(self, sample: Sample, rng: np.random.Generator) -> None:  # noqa: ARG002
        """Pad; nothing is random."""
        height, width = sample.size_hw
        target_height, target_width = self.target_hw
        if height > target_height or width > target_width:
            raise DataError(
                f"{sample.path or 'an image'} is {width}x{height} (width x height), larger than Padding's target_size "
                f"{target_width}x{target_height}: put a Resize, ResizeByLong or LimitLong before Padding, "
                "or raise target_size"
            )
        place_sample(sample, self.target_hw, (0, 0), self.fills)


@TRANSFORMS.register()
class PaddingByAspectRatio(Transform):
    """Margins at the bottom or at the right until width / height is ``aspect_ratio``."""

    def __init__(
        self,
        aspect_ratio: float = 1,
        im_padding_value: float | Sequence[float] = GREY,
        label_padding_value: int = 255,
    ) -> None:
        self.aspect_ratio = checks.real_number("aspect_ratio", aspect_ratio, 0, above=True)
        self.fills = _fills(im_padding_value, label_padding_value)

    def __call__(self, sample: Sample, rng: np.random.Generator) -> None:  # noqa: ARG002
        """Pad; nothing is random."""
        height, width = sample.size_hw
        if width / height > self.aspect_ratio:
            target = (max(height, int(width / self.aspect_ratio)), width)
        else:
            target = (height, max(width, int(height * self.aspect_ratio)))
        place_sample(sample, target, (0, 0), self.fills)


@TRANSFORMS.register()
class ScalePadding(Transform):
    """Into the middle of a square, then resized to ``target_size`` (width, height): image cubic, label nearest.

    The image stays uint8 (a float32 one is rounded), and its margins have whole grey levels: 127.5 becomes 127.
    """

    def __init__(
        self,
        target_size: Sequence[int] = (512, 512),
        im_padding_value: float | Sequence[float] = GREY,
        label_padding_value: int = 255,
    ) -> None:
        self.target_hw = checks.size_hw("target_size", target_size)
        im_fill, label_fill = _fills(im_padding_value, label_padding_value)
        self.fills = tuple(float(int(level)) for level in im_fill), label_fill

    def __call__(self, sample: Sample, rng: np.random.Generator) -> None:  # noqa: ARG002
        """Pad and resize; nothing is random."""
        height, width = sample.size_hw
        side = max(height, width)
        sample.image = F.as_uint8(sample.image)
        place_sample(sample, (side, side), ((side - height) // 2, (side - width) // 2), self.fills)
        resize_sample(sample, self.target_hw, "CUBIC")


@TRANSFORMS.register()
class RandomPaddingCrop(RandomTransform[tuple[tuple[int, int], ...]]):
    """A window of exactly ``crop_size``; a smaller image is first padded at the bottom and at the right.

    Args:
        crop_size: (width, height).
        im_padding_value: grey level of the margins, or one per channel, 0..255.
        label_padding_value: label id of the margins.
        category_max_ratio: a window in which one class has this share of the labelled pixels or more is drawn again.
        ignore_index: the label id that does not count for that share.
        loop_times: how many windows are tried; the last one is taken as it is.
    """

    undoable = False

    def __init__(
        self,
        crop_size: Sequence[int] = (512, 512),
        im_padding_value: float | Sequence[float] = GREY,
        label_padding_value: int = 255,
        category_max_ratio: float = 1.0,
        ignore_index: int = 255,
        loop_times: int = 10,
    ) -> None:
        self.crop_hw = checks.size_hw("crop_size", crop_size)
        self.fills = _fills(im_padding_value, label_padding_value)
        self.category_max_ratio = checks.real_number("category_max_ratio", category_max_ratio, 0, 1, above=True)
        self.ignore_index = checks.label_value("ignore_index", ignore_index)
        self.loop_times = checks.whole_number("loop_times", loop_times, 1)

    def padded_hw(self, size_hw: tuple[int, int]) -> tuple[int, int]:
        """The size an image of ``size_hw`` has before the window is cut."""
        return max(size_hw[0], self.crop_hw[0]), max(size_hw[1], self.crop_hw[1])

    def draw(self, rng: np.random.Generator, size_hw: tuple[int, int]) -> tuple[tuple[int, int], ...]:
        """The (top, left) corners to try, in order: one, or ``loop_times`` where the classes in the window matter."""
        height, width = self.padded_hw(size_hw)
        tries = 1 if self.category_max_ratio == 1.0 else self.loop_times
        tops = rng.integers(height - self.crop_hw[0] + 1, size=tries)
        lefts = rng.integers(width - self.crop_hw[1] + 1, size=tries)
        return tuple((int(top), int(left)) for top, left in zip(tops, lefts))

    def apply(self, sample: Sample, params: tuple[tuple[int, int], ...]) -> None:
        """Pad where needed, then cut out the first window that is mixed enough."""
        place_sample(sample, self.padded_hw(sample.size_hw), (0, 0), self.fills)
        top, left = self.pick(sample.label, params)
        sample.crop(top, left, self.crop_hw)

    def pick(self, label: np.ndarray | None, corners: Sequence[tuple[int, int]]) -> tuple[int, int]:
        """The first corner whose window is mixed enough, else the last; without a label the first."""
        if label is None:
            return corners[0]
        for top, left in corners[:-1]:
            if self._is_mixed(F.crop(label, top, left, self.crop_hw)):
                return top, left
        return corners[-1]

    def _is_mixed(self, window: np.ndarray) -> bool:
        counts = np.bincount(window.ravel(), minlength=256)
        counts[self.ignore_index] = 0
        return bool(counts.max() < self.category_max_ratio * counts.sum())


@TRANSFORMS.register()
class RandomCenterCrop(RandomTransform[tuple[int, int, int, int]]):
    """A window of random size, placed at random (not in the centre, in spite of the name it keeps).

    Args:
        retain_ratio: smallest share of the width and of the height that stays, each in [0, 1].
    """

    undoable = False

    def __init__(self, retain_ratio: Sequence[float] = (0.5, 0.5)) -> None:
        pair = isinstance(retain_ratio, Sequence) and not isinstance(retain_ratio, str) and len(retain_ratio) == 2
        if not pair or not all(checks.is_number(v) and 0 <= v <= 1 for v in retain_ratio):
            raise ValueError(
                f"retain_ratio must be [share of width, share of height], each in [0, 1]; got {retain_ratio!r}"
            )
        self.retain_hw = float(retain_ratio[1]), float(retain_ratio[0])

    def draw(self, rng: np.random.Generator, size_hw: tuple[int, int]) -> tuple[int, int, int, int]:
        """(top, left, height, width) of the window."""
        (height, top), (width, left) = (self._side(rng, n, keep) for n, keep in zip(size_hw, self.retain_hw))
        return top, left, height, width

    def apply(self, sample: Sample, params: tuple[int, int, int, int]) -> None:
        """Cut the window out."""
        top, left, height, width = params
        sample.crop(top, left, (height, width))

    @staticmethod
    def _side(rng: np.random.Generator, length: int, keep: float) -> tuple[int, int]:
        removed = int(rng.integers(min(int(length * (1 - keep)), length - 1) + 1))
        return length - removed, int(rng.integers(removed + 1))

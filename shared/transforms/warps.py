"""Rotation, scaling and stretching: image by linear interpolation, label by nearest neighbour."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from shared.registry import TRANSFORMS
from shared.transforms import checks
from shared.transforms import functional as F  # noqa: N812
from shared.transforms.base import Sample
from shared.transforms.drawn import RandomTransform
from shared.transforms.geometry import warp_sample


@TRANSFORMS.register()
class RandomRotation(RandomTransform[float]):
    """Turned by an angle even in [-``max_rotation``, ``max_rotation``] degrees, on a canvas that holds all of it.

    Args:
        max_rotation: in [0, 180]; 0 leaves the image as it is.
        im_padding_value: grey level of the corners, or one per channel, 0..255; rounded in a uint8 image.
        label_padding_value: label id of the corners.
    """

    undoable = False

    def __init__(
        self,
        max_rotation: float = 15,
        im_padding_value: float | Sequence[float] = (127.5, 127.5, 127.5),
        label_padding_value: int = 255,
    ) -> None:
        self.max_rotation = checks.real_number("max_rotation", max_rotation, 0, 180)
        self.fills = (
            checks.fill_value("im_padding_value", im_padding_value),
            checks.label_value("label_padding_value", label_padding_value),
        )

    def draw(self, rng: np.random.Generator, size_hw: tuple[int, int]) -> float:  # noqa: ARG002
        """The angle in degrees, counter-clockwise."""
        return float(rng.uniform(-self.max_rotation, self.max_rotation))

    def apply(self, sample: Sample, params: float) -> None:
        """Turn image and label."""
        if self.max_rotation == 0:
            return
        out_hw = F.rotated_size(sample.size_hw, params)
        warp_sample(sample, F.similarity_matrix(sample.size_hw, out_hw, params), out_hw, self.fills)


@dataclass(frozen=True)
class AffineParams:
    """Counter-clockwise degrees, scale on top of the fit to the output, shift in output pixels."""

    degrees: float
    scale: float
    shift_yx: tuple[float, float]


@TRANSFORMS.register()
class RandomAffine(RandomTransform[AffineParams]):
    """Turned, scaled and shifted onto a canvas of ``size``, middle on middle.

    At scale 1 the image is fitted to the canvas by the mean of the two ratios of canvas to image.

    Args:
        size: (width, height) of the result.
        translation_offset: largest shift in pixels of the result, along each axis.
        max_rotation: largest angle in degrees, in [0, 180].
        min_scale_factor: smallest scale.
        max_scale_factor: largest scale.
        im_padding_value: grey level of what lies outside, or one per channel, 0..255; rounded in a uint8 image.
        label_padding_value: label id of what lies outside.
    """

    undoable = False

    def __init__(
        self,
        size: Sequence[int] = (224, 224),
        translation_offset: float = 0,
        max_rotation: float = 15,
        min_scale_factor: float = 0.75,
        max_scale_factor: float = 1.25,
        im_padding_value: float | Sequence[float] = 128,
        label_padding_value: int = 255,
    ) -> None:
        self.out_hw = checks.size_hw("size", size)
        self.translation_offset = checks.real_number("translation_offset", translation_offset, 0)
        self.max_rotation = checks.real_number("max_rotation", max_rotation, 0, 180)
        self.min_scale_factor = checks.real_number("min_scale_factor", min_scale_factor, 0, above=True)
        self.max_scale_factor = checks.real_number("max_scale_factor", max_scale_factor, 0, above=True)
        checks.ordered_pair("min_scale_factor", self.min_scale_factor, "max_scale_factor", self.max_scale_factor)
        self.fills = (
            checks.fill_value("im_padding_value", im_padding_value),
            checks.label_value("label_padding_value", label_padding_value),
        )

    def draw(self, rng: np.random.Generator, size_hw: tuple[int, int]) -> AffineParams:  # noqa: ARG002
        """Angle, scale and shift."""
        offset = self.translation_offset
        return AffineParams(
            degrees=float(rng.uniform(-self.max_rotation, self.max_rotation)),
            scale=float(rng.uniform(self.min_scale_factor, self.max_scale_factor)),
            shift_yx=(float(rng.uniform(-offset, offset)), float(rng.uniform(-offset, offset))),
        )

    def apply(self, sample: Sample, params: AffineParams) -> None:
        """Warp image and label onto the canvas."""
        (height, width), (out_height, out_width) = sample.size_hw, self.out_hw
        scale = params.scale * (out_height / height + out_width / width) / 2
        matrix = F.similarity_matrix(sample.size_hw, self.out_hw, params.degrees, scale, params.shift_yx)
        warp_sample(sample, matrix, self.out_hw, self.fills)


@TRANSFORMS.register()
class RandomScaleAspect(RandomTransform["tuple[int, int, int, int] | None"]):
    """A window of random area and shape, stretched back to the size of the image.

    The random-sized crop of Szegedy et al., "Going Deeper with Convolutions", https://arxiv.org/abs/1409.4842.

    Args:
        min_scale: smallest share of the image's area, in [0, 1]; 0 leaves the image as it is.
        aspect_ratio: the window's sides are in a ratio between this and its inverse, in [0, 1]; 0 likewise.
    """

    undoable = False
    TRIES = 10

    def __init__(self, min_scale: float = 0.5, aspect_ratio: float = 0.33) -> None:
        self.min_scale = checks.real_number("min_scale", min_scale, 0, 1)
        self.aspect_ratio = checks.real_number("aspect_ratio", aspect_ratio, 0, 1)

    def draw(self, rng: np.random.Generator, size_hw: tuple[int, int]) -> tuple[int, int, int, int] | None:
        """(top, left, height, width) of the first of ten windows that fits into the image, or None."""
        if self.min_scale == 0 or self.aspect_ratio == 0:
            return None
        for _ in range(self.TRIES):
            area = size_hw[0] * size_hw[1] * rng.uniform(self.min_scale, 1)
            ratio = rng.uniform(self.aspect_ratio, 1 / self.aspect_ratio)
            height, width = round(math.sqrt(area / ratio)), round(math.sqrt(area * ratio))
            if rng.random() < 0.5:
                height, width = width, height
            if 1 <= height <= size_hw[0] and 1 <= width <= size_hw[1]:
                top, left = (int(rng.integers(full - part + 1)) for full, part in zip(size_hw, (height, width)))
                return top, left, height, width
        return None

    def apply(self, sample: Sample, params: tuple[int, int, int, int] | None) -> None:
        """Cut the window out and stretch it."""
        if params is None:
            return
        size_hw = sample.size_hw
        top, left, height, width = params
        sample.crop(top, left, (height, width))
        sample.image = F.resize(sample.image, size_hw)
        if sample.label is not None:
            sample.label = F.resize(sample.label, size_hw, "NEAREST")

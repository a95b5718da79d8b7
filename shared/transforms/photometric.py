"""Transforms that change values and leave every pixel, and so the label, in its place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from shared.registry import TRANSFORMS
from shared.transforms import checks
from shared.transforms import functional as F  # noqa: N812
from shared.transforms.base import Sample, Transform
from shared.transforms.drawn import P, RandomTransform


class ValueTransform(Transform):
    """Expects grey levels 0..255, so it cannot follow ``Normalize``."""


class _RandomValueTransform(ValueTransform, RandomTransform[P]):
    """Works on uint8: a float32 image is rounded first."""


@TRANSFORMS.register()
class Normalize(ValueTransform):
    """``(image / 255 - mean) / std``, float32.

    Args:
        mean: one number, or one per channel, in the order of the image's channels.
        std: likewise, above 0.
    """

    def __init__(self, mean: float | Sequence[float] = (0.5,), std: float | Sequence[float] = (0.5,)) -> None:
        self.mean = self._three("mean", mean)
        self.std = self._three("std", std)
        if min(self.std) <= 0:
            raise ValueError(f"std must be above 0 in every channel; got {std!r}")

    @staticmethod
    def _three(name: str, value: Any) -> tuple[float, ...]:
        numbers = list(value) if isinstance(value, (list, tuple)) else [value]
        if len(numbers) not in (1, 3) or not all(checks.is_number(v) for v in numbers):
            raise ValueError(f"{name} must be one number or three (one per channel); got {value!r}")
        return tuple(float(v) for v in (numbers * 3 if len(numbers) == 1 else numbers))

    def __call__(self, sample: Sample, rng: np.random.Generator) -> None:  # noqa: ARG002
        """Normalise; nothing is random."""
        sample.image = F.normalize(sample.image, self.mean, self.std)


@dataclass(frozen=True)
class NoiseParams:
    """Standard deviation in grey levels, and the seed of the noise itself."""

    sigma: float
    seed: int


@TRANSFORMS.register()
class RandomNoise(_RandomValueTransform["NoiseParams | None"]):
    """Normal noise on every value, with probability ``prob``; its standard deviation is even in [0, ``max_sigma``]."""

    def __init__(self, prob: float = 0.5, max_sigma: float = 10.0) -> None:
        self.prob = checks.probability("prob", prob)
        self.max_sigma = checks.real_number("max_sigma", max_sigma, 0)

    def draw(self, rng: np.random.Generator, size_hw: tuple[int, int]) -> NoiseParams | None:  # noqa: ARG002
        """Noise, or None for none."""
        params = NoiseParams(float(rng.uniform(0, self.max_sigma)), int(rng.integers(2**63)))
        return params if rng.random() < self.prob else None

    def apply(self, sample: Sample, params: NoiseParams | None) -> None:
        """Add the noise."""
        if params is not None:
            sample.image = F.add_noise(sample.image, params.sigma, params.seed)


@dataclass(frozen=True)
class BlurParams:
    """``gaussian``, ``median`` or ``blur`` (box), and the odd width of the kernel."""

    kind: str
    kernel: int


@TRANSFORMS.register()
class RandomBlur(_RandomValueTransform["BlurParams | None"]):
    """A blur with a kernel of 3 (one time in seven), 5, 7 or 9 pixels, with probability ``prob``.

    Args:
        prob: how often.
        blur_type: ``gaussian``, ``median``, ``blur`` (box), or ``random`` for one of these each time.
    """

    KINDS = ("gaussian", "median", "blur")

    def __init__(self, prob: float = 0.1, blur_type: str = "gaussian") -> None:
        self.prob = checks.probability("prob", prob)
        self.blur_type = checks.choice("blur_type", blur_type, [*self.KINDS, "random"])

    def draw(self, rng: np.random.Generator, size_hw: tuple[int, int]) -> BlurParams | None:  # noqa: ARG002
        """The blur, or None for none."""
        kind = self.KINDS[rng.integers(len(self.KINDS))] if self.blur_type == "random" else self.blur_type
        params = BlurParams(kind, int(rng.integers(3, 10)) | 1)
        return params if rng.random() < self.prob else None

    def apply(self, sample: Sample, params: BlurParams | None) -> None:
        """Blur the image."""
        if params is not None:
            sample.image = F.blur(F.as_uint8(sample.image), params.kind, params.kernel)


@TRANSFORMS.register()
class RandomDistort(_RandomValueTransform[tuple[tuple[str, float], ...]]):
    """Brightness, contrast, saturation, hue and sharpness, each with its own probability, in random order.

    Args:
        brightness_range: the factor is even in [1 - range, 1 + range]; likewise contrast, saturation and sharpness.
        brightness_prob: how often; likewise the others.
        hue_range: the hue turns by up to this many 1/255 of a full turn, either way.
    """

    def __init__(
        self,
        brightness_range: float = 0.5,
        brightness_prob: float = 0.5,
        contrast_range: float = 0.5,
        contrast_prob: float = 0.5,
        saturation_range: float = 0.5,
        saturation_prob: float = 0.5,
        hue_range: float = 18,
        hue_prob: float = 0.5,
        sharpness_range: float = 0.5,
        sharpness_prob: float = 0,
    ) -> None:
        self.operations = (
            ("brightness", checks.real_number("brightness_range", brightness_range, 0, 1), brightness_prob),
            ("contrast", checks.real_number("contrast_range", contrast_range, 0, 1), contrast_prob),
            ("saturation", checks.real_number("saturation_range", saturation_range, 0, 1), saturation_prob),
            ("hue", checks.real_number("hue_range", hue_range, 0, 128), hue_prob),
            ("sharpness", checks.real_number("sharpness_range", sharpness_range, 0, 1), sharpness_prob),
        )
        for name, _, prob in self.operations:
            checks.probability(f"{name}_prob", prob)

    def draw(self, rng: np.random.Generator, size_hw: tuple[int, int]) -> tuple[tuple[str, float], ...]:  # noqa: ARG002
        """(operation, amount) in the order of application: a factor, or the turn for ``hue``."""
        chosen = []
        for name, extent, prob in self.operations:
            amount = float(rng.uniform(-extent, extent)) + (0.0 if name == "hue" else 1.0)
            if rng.random() < prob:
                chosen.append((name, amount))
        order = rng.permutation(len(self.operations))
        return tuple(chosen[i] for i in order if i < len(chosen))

    def apply(self, sample: Sample, params: tuple[tuple[str, float], ...]) -> None:
        """Change the colours."""
        if not params:
            return
        image = F.as_uint8(sample.image)
        for name, amount in params:
            if name in ("brightness", "sharpness"):
                image = getattr(F, name)(image, amount)
            else:
                image = getattr(F, name)(image, amount, sample.rgb)
        sample.image = image

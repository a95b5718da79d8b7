"""A list of transforms as one, from the decoded file to the array the network takes."""

from __future__ import annotations

import inspect
from collections.abc import Sequence

import numpy as np

from shared.config.run_config import Component
from shared.errors import ConfigError, DataError
from shared.registry import TRANSFORMS, closest
from shared.transforms.base import Sample, Transform
from shared.transforms.geometry import undo_geometry
from shared.transforms.photometric import Normalize, ValueTransform

__all__ = ["Compose", "build_transforms", "undo_geometry"]


class Compose:
    """Applies transforms in order, between the decoded ``[H, W, 3]`` uint8 and the network's ``[3, H, W]`` float32.

    Args:
        transforms: applied first to last.
        to_rgb: they and the network see RGB; False: BGR.

    Raises:
        ValueError: when a transform that needs grey levels 0..255 comes after ``Normalize``.
    """

    def __init__(self, transforms: Sequence[Transform], to_rgb: bool = True) -> None:
        self.transforms = tuple(transforms)
        self.to_rgb = to_rgb
        names = [type(t).__name__ for t in self.transforms]
        after = names.index("Normalize") + 1 if "Normalize" in names else len(names)
        late = [name for name, t in zip(names[after:], self.transforms[after:]) if isinstance(t, ValueTransform)]
        if late:
            raise ValueError(f"{', '.join(late)} must come before {Normalize.__name__}, which takes 0..255 away")

    def __call__(self, sample: Sample, rng: np.random.Generator) -> None:
        """Change ``sample`` in place: image ``[3, H, W]`` float32, label ``[H, W]``, both contiguous.

        Raises:
            DataError: when image and label differ in size, or a transform cannot take the image.
        """
        self._check(sample)
        sample.order_channels(self.to_rgb)
        for transform in self.transforms:
            transform(sample, rng)
        sample.image = np.ascontiguousarray(sample.image.transpose(2, 0, 1), dtype=np.float32)
        if sample.label is not None:
            sample.label = np.ascontiguousarray(sample.label)

    def not_undoable(self) -> list[str]:
        """Names of the transforms after which logits cannot be brought back to the image's place."""
        return [type(t).__name__ for t in self.transforms if not t.undoable]

    @staticmethod
    def _check(sample: Sample) -> None:
        if sample.image.ndim != 3 or sample.image.shape[2] != 3:
            raise ValueError(f"expected an image [H, W, 3]; got {list(sample.image.shape)} of {sample.path!r}")
        if sample.label is not None and sample.label.shape != sample.size_hw:
            height, width = sample.size_hw
            raise DataError(
                f"the label of {sample.path or 'an image'} has shape {list(sample.label.shape)}, expected "
                f"[{height}, {width}] like its image: correct the file or its entry in the list"
            )


def build_transforms(components: Sequence[Component], to_rgb: bool) -> Compose:
    """The transforms a config names, checked and built.

    Raises:
        ConfigError: with every unknown type, unknown or missing key and bad value at once.
    """
    problems: list[str] = []
    transforms: list[Transform] = []
    for index, component in enumerate(components):
        where = f"transforms[{index}]"
        if component.type not in TRANSFORMS:
            problems.append(f"{where}: {TRANSFORMS.unknown(component.type)}")
            continue
        found = _key_problems(component)
        if not found:
            try:
                transforms.append(TRANSFORMS[component.type](**component.args))
            except ValueError as error:
                found.append(str(error))
        problems += [f"{where} ({component.type}): {problem}" for problem in found]
    if not problems:
        try:
            return Compose(transforms, to_rgb)
        except ValueError as error:
            problems.append(f"transforms: {error}")
    raise ConfigError(problems)


def _key_problems(component: Component) -> list[str]:
    parameters = TRANSFORMS.parameters(component.type)
    problems = []
    for key in component.args:
        if key not in parameters:
            near = closest(key, list(parameters))
            hint = f"did you mean {near!r}? " if near else ""
            problems.append(f"unknown key {key!r}; {hint}known: {', '.join(parameters) or 'none'}")
    for key, parameter in parameters.items():
        if parameter.default is inspect.Parameter.empty and key not in component.args:
            problems.append(f"key {key!r} is missing; it has no default")
    return problems

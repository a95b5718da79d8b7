"""From decoded image and label to network input. Importing this package registers every transform.

``base`` states the contract, ``functional`` holds the arithmetic, ``geometry`` moves image and label together, the
other files hold one kind of transform each, and ``compose`` makes a pipeline of them.
"""

from shared.transforms import cropping, flips, photometric, resizing, warps
from shared.transforms.base import Sample, Transform, UndoStep
from shared.transforms.compose import Compose, build_transforms, undo_geometry
from shared.transforms.drawn import RandomTransform

__all__ = [
    "Compose",
    "RandomTransform",
    "Sample",
    "Transform",
    "UndoStep",
    "build_transforms",
    "cropping",
    "flips",
    "photometric",
    "resizing",
    "undo_geometry",
    "warps",
]

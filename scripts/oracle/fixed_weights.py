"""Weights and inputs that follow from names and shapes alone, so that two toolkits can be filled alike.

Only NumPy's uniform generator is used, seeded by the CRC-32 of the name: the values are the same on every machine
and under every NumPy since 1.17.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np


def fixed_array(name: str, shape: Sequence[int]) -> np.ndarray:
    """The value of one tensor of a ``state_dict()``, float64.

    Kernels and matrices keep the scale of their input; batch-norm scales lie below 1, so that residual sums stay
    small in evaluation mode, where the stored statistics are not those of the input.
    """
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    u = rng.random(tuple(shape))  # [0, 1)
    if name.endswith("._variance"):
        return 0.75 + 0.5 * u
    if name.endswith(("._mean", ".bias")):
        return 0.4 * u - 0.2
    if len(shape) == 1:  # batch-norm scale
        return 0.5 + 0.4 * u
    fan_in = int(np.prod(shape[1:])) if len(shape) == 4 else shape[0]
    return (2.0 * u - 1.0) * (3.0 / fan_in) ** 0.5


def fixed_input(shape: Sequence[int]) -> np.ndarray:
    """An image batch of ``shape``, float64 in [-1.5, 1.5)."""
    rng = np.random.default_rng(zlib.crc32(repr(tuple(int(s) for s in shape)).encode()))
    return 3.0 * rng.random(tuple(shape)) - 1.5


def sample(logits: np.ndarray, count: int = 257) -> dict[str, object]:
    """A short description of ``logits``: shape, mean, std, largest magnitude and every n-th value."""
    flat = logits.reshape(-1).astype(np.float64)
    return {
        "shape": list(logits.shape),
        "mean": float(flat.mean()),
        "std": float(flat.std()),
        "absmax": float(np.abs(flat).max()),
        "stride": max(1, flat.size // count),
        "values": [float(f"{v:.12g}") for v in flat[:: max(1, flat.size // count)]],
    }


def to_tree(shapes: dict[str, Sequence[int]]) -> dict[str, object]:
    """``{"a.b.weight": [1]}`` to ``{"a": {"b": {"weight": [1]}}}``: dotted names repeat themselves, a tree does not."""
    tree: dict[str, object] = {}
    for name, shape in shapes.items():
        *path, leaf = name.split(".")
        node = tree
        for part in path:
            node = node.setdefault(part, {})  # type: ignore[assignment]
        node[leaf] = list(shape)
    return tree


def from_tree(tree: dict[str, object], prefix: str = "") -> dict[str, tuple[int, ...]]:
    """The inverse of :func:`to_tree`, in the same order."""
    shapes: dict[str, tuple[int, ...]] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            shapes.update(from_tree(value, f"{prefix}{key}."))
        else:
            shapes[prefix + key] = tuple(value)  # type: ignore[arg-type]
    return shapes

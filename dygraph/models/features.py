"""Which of a backbone's features a head reads."""

from __future__ import annotations

from collections.abc import Sequence

from paddle import nn


def pick_features(backbone: nn.Layer, indices: Sequence[int], count: int) -> list[int]:
    """``indices`` as non-negative integers.

    Raises:
        ValueError: there are not ``count`` of them, or the backbone has no such feature.
    """
    available = len(backbone.feature_channels)
    if len(indices) != count:
        raise ValueError(f"backbone_indices needs {count} number(s), got {list(indices)}")
    for index in indices:
        if not -available <= index < available:
            raise ValueError(
                f"backbone_indices {list(indices)}: {type(backbone).__name__} has {available} feature(s), "
                f"so each must lie in 0..{available - 1}"
            )
    return [index % available for index in indices]

"""Where classes meet: the binary label that edge losses learn, and class labels of edge pixels alone."""

from __future__ import annotations

import paddle
import paddle.nn.functional as F  # noqa: N812
from paddle import Tensor

from dygraph.losses.common import constant, full_precision

_NO_CLASS = -1


def edge_label(label: Tensor, ignore_index: int, radius: int = 2) -> Tensor:
    """1 where some pixel within ``radius`` has another class, else 0.

    Ignored pixels have no class, and neither has anything outside the image. So a labelled pixel beside the image's
    border or beside an ignored one is an edge; an ignored pixel is one where a labelled pixel is near.

    Args:
        label: ``[N, H, W]`` int64 class ids or ``ignore_index``.
        ignore_index: the label of pixels without a class.
        radius: Euclidean distance in pixels, at least 1.

    Returns:
        ``[N, H, W]`` int64 zeros and ones.
    """
    if radius < 1:
        raise ValueError(f"radius must be at least 1, got {radius}")
    ids = paddle.where(label == ignore_index, paddle.full_like(label, _NO_CLASS), label)
    padded = F.pad(ids.unsqueeze(1), [radius] * 4, value=_NO_CLASS).squeeze(1)  # [N, H + 2 radius, W + 2 radius]
    differs = None
    for down in range(-radius, radius + 1):
        for right in range(-radius, radius + 1):
            if 0 < down * down + right * right <= radius * radius:
                neighbour = padded[:, _shifted(down, radius), _shifted(right, radius)]  # [N, H, W]
                other = neighbour != ids
                differs = other if differs is None else paddle.logical_or(differs, other)
    return paddle.cast(differs, label.dtype)


def _shifted(offset: int, radius: int) -> slice:
    """The window of the padded axis that lies ``offset`` after the image; the image's size may be unknown."""
    return slice(radius + offset, (offset - radius) or None)


def label_on_edges(label: Tensor, edges: Tensor, threshold: float, ignore_index: int) -> Tensor:
    """``label`` where the probability of an edge exceeds ``threshold``, and ``ignore_index`` elsewhere.

    Args:
        label: ``[N, H, W]`` int64.
        edges: ``[N, 1, H, W]`` probabilities; no gradient flows to them.
        threshold: probability.
        ignore_index: the label of pixels that do not count.
    """
    edges = full_precision(edges.detach()).squeeze(1)
    return paddle.where(edges > constant(threshold, edges), label, paddle.full_like(label, ignore_index))

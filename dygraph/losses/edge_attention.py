"""Cross entropy on edges: the loss that couples GSCNN's two streams."""

from __future__ import annotations

from paddle import Tensor, nn

from dygraph.losses.cross_entropy import CrossEntropyLoss
from dygraph.losses.edges import label_on_edges
from shared.registry import LOSSES


@LOSSES.register()
class EdgeAttentionLoss(nn.Layer):
    """Mean cross entropy over the pixels whose edge probability exceeds a threshold.

    Takikawa et al., "Gated-SCNN: Gated Shape CNNs for Semantic Segmentation", https://arxiv.org/abs/1907.05740

    Args:
        edge_threshold: probability in [0, 1].
        ignore_index: the label of pixels that do not count.

    Input a pair: logits ``[N, K, H, W]`` and edge probabilities ``[N, 1, H, W]``, which no gradient flows to; label
    ``[N, H, W]`` int64. Output a scalar, 0 with zero gradients where no labelled pixel is on an edge.
    """

    maps = 2

    def __init__(self, edge_threshold: float = 0.8, ignore_index: int = 255) -> None:
        super().__init__()
        self.edge_threshold = check_edge_threshold(edge_threshold)
        self.ignore_index = ignore_index
        self.cross_entropy = CrossEntropyLoss(ignore_index=ignore_index)

    def forward(self, maps: tuple[Tensor, Tensor], label: Tensor) -> Tensor:
        logits, edges = maps
        return self.cross_entropy(logits, label_on_edges(label, edges, self.edge_threshold, self.ignore_index))


def check_edge_threshold(threshold: float) -> float:
    """``threshold``; ValueError unless it is a probability."""
    if not 0.0 <= threshold <= 1.0:
        raise ValueError(f"edge_threshold must lie in [0, 1], got {threshold}")
    return float(threshold)

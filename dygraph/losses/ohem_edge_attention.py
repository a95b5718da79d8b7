"""Cross entropy over the hard pixels of edges."""

from __future__ import annotations

from paddle import Tensor, nn

from dygraph.losses.edge_attention import check_edge_threshold
from dygraph.losses.edges import label_on_edges
from dygraph.losses.ohem_cross_entropy import OhemCrossEntropyLoss
from shared.registry import LOSSES


@LOSSES.register()
class OhemEdgeAttentionLoss(nn.Layer):
    """Cross entropy with online hard example mining among the pixels whose edge probability exceeds a threshold.

    Li et al., "Improving Semantic Segmentation via Decoupled Body and Edge Supervision",
    https://arxiv.org/abs/2007.10035

    Args:
        edge_threshold: probability in [0, 1].
        thresh, min_kept: as for :class:`~dygraph.losses.ohem_cross_entropy.OhemCrossEntropyLoss`, which sees the edge
            pixels only.
        ignore_index: the label of pixels that do not count.

    Input and output as in :class:`~dygraph.losses.edge_attention.EdgeAttentionLoss`.
    """

    maps = 2

    def __init__(
        self, edge_threshold: float = 0.8, thresh: float = 0.7, min_kept: int = 5000, ignore_index: int = 255
    ) -> None:
        super().__init__()
        self.edge_threshold = check_edge_threshold(edge_threshold)
        self.ignore_index = ignore_index
        self.mined_cross_entropy = OhemCrossEntropyLoss(thresh, min_kept, ignore_index)

    def forward(self, maps: tuple[Tensor, Tensor], label: Tensor) -> Tensor:
        logits, edges = maps
        return self.mined_cross_entropy(logits, label_on_edges(label, edges, self.edge_threshold, self.ignore_index))

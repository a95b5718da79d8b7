"""Losses, one a file, registered in ``shared.registry.LOSSES``.

A loss maps logits ``[N, K, H, W]`` and labels ``[N, H, W]`` (int64, class ids or ignore_index) to a scalar. It is 0
with zero gradients, never NaN, where every pixel is ignored, and it reads nothing back to the host, so that a static
program can be built from it.

Two attributes say what else a loss reads: ``maps = 2`` for one that takes a pair (logits, edge probabilities) in place
of logits, and ``edge_label = True`` for one whose label is that of ``edges.edge_label``; see
``dygraph.build.compute_losses``.
"""

from dygraph.paddle_check import require_paddle

require_paddle()

from dygraph.losses.bce import BCELoss  # noqa: E402
from dygraph.losses.bootstrapped_cross_entropy import BootstrappedCrossEntropyLoss  # noqa: E402
from dygraph.losses.cross_entropy import CrossEntropyLoss  # noqa: E402
from dygraph.losses.dice import DiceLoss  # noqa: E402
from dygraph.losses.dual_task import DualTaskLoss  # noqa: E402
from dygraph.losses.edge_attention import EdgeAttentionLoss  # noqa: E402
from dygraph.losses.focal import FocalLoss  # noqa: E402
from dygraph.losses.lovasz_hinge import LovaszHingeLoss  # noqa: E402
from dygraph.losses.lovasz_softmax import LovaszSoftmaxLoss  # noqa: E402
from dygraph.losses.mixed import MixedLoss  # noqa: E402
from dygraph.losses.multi_class_focal import MultiClassFocalLoss  # noqa: E402
from dygraph.losses.ohem_cross_entropy import OhemCrossEntropyLoss  # noqa: E402
from dygraph.losses.ohem_edge_attention import OhemEdgeAttentionLoss  # noqa: E402
from dygraph.losses.relax_boundary import RelaxBoundaryLoss  # noqa: E402

__all__ = [
    "BCELoss",
    "BootstrappedCrossEntropyLoss",
    "CrossEntropyLoss",
    "DiceLoss",
    "DualTaskLoss",
    "EdgeAttentionLoss",
    "FocalLoss",
    "LovaszHingeLoss",
    "LovaszSoftmaxLoss",
    "MixedLoss",
    "MultiClassFocalLoss",
    "OhemCrossEntropyLoss",
    "OhemEdgeAttentionLoss",
    "RelaxBoundaryLoss",
]

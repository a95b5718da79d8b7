"""Losses, one a file, registered in ``shared.registry.LOSSES``.

A loss maps logits ``[N, K, H, W]`` and labels ``[N, H, W]`` (int64, class ids or ignore_index) to a scalar. It is 0
with zero gradients, never NaN, where every pixel is ignored, and it reads nothing back to the host, so that a static
program can be built from it.
"""

from dygraph.paddle_check import require_paddle

require_paddle()

from dygraph.losses.bce import BCELoss  # noqa: E402
from dygraph.losses.cross_entropy import CrossEntropyLoss  # noqa: E402
from dygraph.losses.dice import DiceLoss  # noqa: E402
from dygraph.losses.lovasz_softmax import LovaszSoftmaxLoss  # noqa: E402
from dygraph.losses.mixed import MixedLoss  # noqa: E402
from dygraph.losses.ohem_cross_entropy import OhemCrossEntropyLoss  # noqa: E402

__all__ = [
    "BCELoss",
    "CrossEntropyLoss",
    "DiceLoss",
    "LovaszSoftmaxLoss",
    "MixedLoss",
    "OhemCrossEntropyLoss",
]

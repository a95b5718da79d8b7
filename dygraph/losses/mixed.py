"""Several losses on one map of logits."""

from __future__ import annotations

from collections.abc import Sequence

from paddle import Tensor, nn

from dygraph.losses.common import scaled
from shared.registry import LOSSES


@LOSSES.register()
class MixedLoss(nn.Layer):
    """The sum of ``coef[i] * losses[i](logits, label)``.

    Args:
        losses: loss layers; in a config, blocks with a ``type``.
        coef: one number per loss.
    """

    def __init__(self, losses: Sequence[nn.Layer], coef: Sequence[float]) -> None:
        super().__init__()
        if not losses or len(losses) != len(coef):
            raise ValueError(f"MixedLoss needs one coef per loss, got {len(losses)} losses and coef {list(coef)}")
        self.losses = nn.LayerList(losses)
        self.coef = [float(c) for c in coef]

    def forward(self, logits: Tensor, label: Tensor) -> Tensor:
        terms = [scaled(loss(logits, label), coef) for loss, coef in zip(self.losses, self.coef)]
        total = terms[0]
        for term in terms[1:]:
            total = total + term
        return total

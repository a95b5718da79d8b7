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

    Raises:
        ValueError: a loss reads edges instead of classes, or only some of the losses take a pair of maps.
    """

    def __init__(self, losses: Sequence[nn.Layer], coef: Sequence[float]) -> None:
        super().__init__()
        if not losses or len(losses) != len(coef):
            raise ValueError(f"MixedLoss needs one coef per loss, got {len(losses)} losses and coef {list(coef)}")
        if any(getattr(loss, "edge_label", False) for loss in losses):
            raise ValueError("a loss with edge_label cannot be mixed: give it a map of its own in loss.types")
        maps = {getattr(loss, "maps", 1) for loss in losses}
        if len(maps) > 1:
            names = ", ".join(type(loss).__name__ for loss in losses)
            raise ValueError(f"MixedLoss needs losses that all take one map or all a pair, got {names}")
        (self.maps,) = maps
        self.losses = nn.LayerList(losses)
        self.coef = [float(c) for c in coef]

    def forward(self, logits: Tensor, label: Tensor) -> Tensor:
        terms = [scaled(loss(logits, label), coef) for loss, coef in zip(self.losses, self.coef)]
        total = terms[0]
        for term in terms[1:]:
            total = total + term
        return total

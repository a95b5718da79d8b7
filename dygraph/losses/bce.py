"""Binary cross entropy with logits."""

from __future__ import annotations

import paddle
import paddle.nn.functional as F  # noqa: N812
from paddle import Tensor, nn

from dygraph.losses.common import constant, full_precision, one_hot_nchw, ratio_or_zero, valid_mask
from shared.registry import LOSSES


@LOSSES.register()
class BCELoss(nn.Layer):
    """Mean binary cross entropy over the pixels that are not ignored.

    Args:
        weight: a factor on every pixel's loss; ``"dynamic"`` weighs positive and negative pixels against each other,
            each with twice the other's share of the batch.
        pos_weight: a factor on the loss of positive pixels; ``"dynamic"`` takes twice the share of negative ones.
        ignore_index: the label of pixels that do not count.
        edge_label: the label is not the classes but their edges (:func:`~dygraph.losses.edges.edge_label`), made with
            ``ignore_index``; all pixels count then, also those without a class.

    Input logits ``[N, 1, H, W]`` with label ``[N, H, W]`` int64 of zeros and ones, or ``[N, K, H, W]`` with class ids,
    one binary problem per class and the mean over them; output a scalar, 0 with zero gradients where every pixel is
    ignored (in an edge label: where there is no edge).
    """

    def __init__(
        self,
        weight: float | str | None = None,
        pos_weight: float | str | None = None,
        ignore_index: int = 255,
        edge_label: bool = False,
    ) -> None:
        super().__init__()
        self.weight = _check_factor("weight", weight)
        self.pos_weight = _check_factor("pos_weight", pos_weight)
        self.ignore_index = ignore_index
        self.edge_label = bool(edge_label)

    def forward(self, logits: Tensor, label: Tensor) -> Tensor:
        logits = full_precision(logits)
        loss_type = logits.dtype
        if self.edge_label and logits.shape[1] != 1:
            raise ValueError(f"BCELoss with edge_label needs a map of 1 channel, got {logits.shape[1]}")
        valid = self._valid(label, loss_type).unsqueeze(1)  # [N, 1, H, W]
        if logits.shape[1] == 1:
            target = paddle.cast(label == 1, loss_type).unsqueeze(1) * valid
        else:
            target = one_hot_nchw(label, logits.shape[1], self.ignore_index, loss_type)
        loss = F.binary_cross_entropy_with_logits(logits, target, reduction="none")  # [N, K, H, W]
        loss = loss * valid
        for factor in self._factors(target, valid):
            loss = loss * factor
        return ratio_or_zero(loss.mean(), valid.mean())

    def _valid(self, label: Tensor, dtype: paddle.dtype) -> Tensor:
        if not self.edge_label:
            return valid_mask(label, self.ignore_index, dtype)
        # A labelled region ends somewhere, at the image's border if nowhere else: no edge means that all is ignored.
        has_edges = paddle.cast((label == 1).any(), dtype)
        return paddle.ones_like(label, dtype) * has_edges

    def _factors(self, target: Tensor, valid: Tensor) -> list[Tensor]:
        """What each pixel's loss is multiplied by."""
        positive = target.sum()
        negative = ((1.0 - target) * valid).sum()
        share_positive = ratio_or_zero(positive, positive + negative)
        share_negative = ratio_or_zero(negative, positive + negative)
        factors = []
        if self.weight == "dynamic":
            factors.append(2.0 * (share_negative * target + share_positive * (1.0 - target)))
        elif self.weight is not None:
            factors.append(constant(self.weight, target))
        if self.pos_weight is not None:
            is_dynamic = self.pos_weight == "dynamic"
            on_positive = 2.0 * share_negative if is_dynamic else constant(self.pos_weight, target)
            factors.append(on_positive * target + (1.0 - target))
        return factors


def _check_factor(name: str, value: float | str | None) -> float | str | None:
    if value is None or value == "dynamic":
        return value
    if isinstance(value, str) or value <= 0:
        raise ValueError(f"{name} must be a positive number or 'dynamic', got {value!r}")
    return float(value)

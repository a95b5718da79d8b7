"""Focal loss for two classes, each a binary problem."""

from __future__ import annotations

import paddle
import paddle.nn.functional as F  # noqa: N812
from paddle import Tensor, nn

from dygraph.losses.common import constant, full_precision, one_hot_nchw, ratio_or_zero, valid_mask
from shared.registry import LOSSES


@LOSSES.register()
class FocalLoss(nn.Layer):
    """Mean of ``-alpha_t * (1 - p_t)**gamma * log(p_t)`` over the pixels that are not ignored and both channels.

    Lin et al., "Focal Loss for Dense Object Detection", https://arxiv.org/abs/1708.02002

    A channel is a binary problem of its own: ``p_t`` is the sigmoid of its logit where the pixel has its class and
    one minus it elsewhere, and ``alpha_t`` is ``alpha`` or ``1 - alpha`` in the same way.

    Differs from the paper: divided by the number of pixels, not of positive ones.

    Args:
        alpha: weight in [0, 1] of a channel's positive pixels.
        gamma: not negative; 0 leaves a weighted binary cross entropy.
        ignore_index: the label of pixels that do not count.

    Input logits ``[N, 2, H, W]`` floating and label ``[N, H, W]`` int64 of zeros and ones; output a scalar, 0 with
    zero gradients where every pixel is ignored.
    """

    def __init__(self, alpha: float = 0.25, gamma: float = 2.0, ignore_index: int = 255) -> None:
        super().__init__()
        if not 0.0 <= alpha <= 1.0:
            raise ValueError(f"alpha must lie in [0, 1], got {alpha}")
        self.alpha = float(alpha)
        self.gamma = check_gamma(gamma)
        self.ignore_index = ignore_index

    def forward(self, logits: Tensor, label: Tensor) -> Tensor:
        if logits.shape[1] != 2:
            raise ValueError(
                f"FocalLoss needs logits of 2 classes, got {logits.shape[1]}; MultiClassFocalLoss takes any number"
            )
        logits = full_precision(logits)
        target = one_hot_nchw(label, 2, self.ignore_index, logits.dtype)  # [N, 2, H, W]
        margin = logits * (2.0 * target - 1.0)  # p_t is its sigmoid
        wrong = F.log_sigmoid(-margin)  # log(1 - p_t): its powers have a finite slope where p_t rounds to 1
        loss = -paddle.exp(constant(self.gamma, logits) * wrong) * F.log_sigmoid(margin)
        alpha = constant(self.alpha, logits)
        valid = valid_mask(label, self.ignore_index, logits.dtype).unsqueeze(1)  # [N, 1, H, W]
        loss = loss * (alpha * target + (1.0 - alpha) * (1.0 - target)) * valid
        return ratio_or_zero(loss.mean(), valid.mean())


def check_gamma(gamma: float) -> float:
    """``gamma``; ValueError if it is negative."""
    if gamma < 0:
        raise ValueError(f"gamma must not be negative, got {gamma}")
    return float(gamma)

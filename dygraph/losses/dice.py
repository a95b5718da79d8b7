"""Dice loss."""

from __future__ import annotations

from collections.abc import Sequence

import paddle.nn.functional as F  # noqa: N812
from paddle import Tensor, nn

from dygraph.losses.common import (
    check_class_weight,
    check_num_classes,
    constant,
    full_precision,
    one_hot_nchw,
    valid_mask,
)
from shared.registry import LOSSES


@LOSSES.register()
class DiceLoss(nn.Layer):
    """Mean over images and classes of ``1 - (2 * overlap + smooth) / (area + smooth)``, with soft areas.

    Milletari et al., "V-Net: Fully Convolutional Neural Networks for Volumetric Medical Image Segmentation",
    https://arxiv.org/abs/1606.04797

    Differs from the paper: areas are sums of probabilities, not of their squares.

    Args:
        weight: one factor per class; the weighted terms are still divided by the number of classes.
        ignore_index: the label of pixels that do not count.
        smooth: positive; with it a class that is neither labelled nor predicted costs nothing.

    Input logits ``[N, K, H, W]`` floating and label ``[N, H, W]`` int64; output a scalar, 0 where every pixel is
    ignored.
    """

    def __init__(self, weight: Sequence[float] | None = None, ignore_index: int = 255, smooth: float = 1.0) -> None:
        super().__init__()
        if smooth <= 0:
            raise ValueError(f"smooth must be positive, got {smooth}")
        self.weight = check_class_weight(weight)
        self.ignore_index = ignore_index
        self.smooth = float(smooth)

    def forward(self, logits: Tensor, label: Tensor) -> Tensor:
        check_num_classes(self.weight, logits)
        prob = F.softmax(full_precision(logits), axis=1)  # [N, K, H, W]
        valid = valid_mask(label, self.ignore_index, prob.dtype).unsqueeze(1)  # [N, 1, H, W]
        target = one_hot_nchw(label, logits.shape[1], self.ignore_index, prob.dtype)
        prob = prob * valid
        overlap = (prob * target).sum(axis=[2, 3])  # [N, K]
        area = prob.sum(axis=[2, 3]) + target.sum(axis=[2, 3])
        smooth = constant(self.smooth, prob)
        loss = 1.0 - (2.0 * overlap + smooth) / (area + smooth)  # 0 where an image is all ignored
        if self.weight is not None:
            loss = loss * constant(self.weight, loss)
        return loss.mean()

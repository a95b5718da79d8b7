"""Focal loss on the softmax of any number of classes."""

from __future__ import annotations

import paddle
from paddle import Tensor, nn

from dygraph.losses.common import constant, ratio_or_zero, valid_mask
from dygraph.losses.cross_entropy import pixel_cross_entropy
from dygraph.losses.focal import check_gamma
from shared.registry import LOSSES

_LEAST_WRONG = 1e-8  # below what float32 tells from 0, where a power under 1 would have no slope


@LOSSES.register()
class MultiClassFocalLoss(nn.Layer):
    """Mean of ``-alpha * (1 - p)**gamma * log(p)`` over the pixels that are not ignored, p of the true class.

    Lin et al., "Focal Loss for Dense Object Detection", https://arxiv.org/abs/1708.02002

    Differs from the paper: a softmax over the classes in place of binary problems, one ``alpha`` for all of them, and
    the mean over all pixels.

    Args:
        num_class: K, which the logits must have.
        alpha: positive factor on the whole loss.
        gamma: not negative; 0 leaves the cross entropy.
        ignore_index: the label of pixels that do not count.

    Input logits ``[N, K, H, W]`` floating and label ``[N, H, W]`` int64; output a scalar, 0 with zero gradients where
    every pixel is ignored.
    """

    def __init__(self, num_class: int, alpha: float = 1.0, gamma: float = 2.0, ignore_index: int = 255) -> None:
        super().__init__()
        if num_class < 1:
            raise ValueError(f"num_class must be at least 1, got {num_class}")
        if alpha <= 0:
            raise ValueError(f"alpha must be positive, got {alpha}")
        self.num_class = int(num_class)
        self.alpha = float(alpha)
        self.gamma = check_gamma(gamma)
        self.ignore_index = ignore_index

    def forward(self, logits: Tensor, label: Tensor) -> Tensor:
        if logits.shape[1] != self.num_class:
            raise ValueError(f"num_class is {self.num_class}, but the logits have {logits.shape[1]} classes")
        loss = pixel_cross_entropy(logits, label, self.ignore_index)  # [N, H, W]
        wrong = paddle.maximum(1.0 - paddle.exp(-loss), constant(_LEAST_WRONG, loss))
        loss = loss * paddle.pow(wrong, constant(self.gamma, loss)) * constant(self.alpha, loss)
        valid = valid_mask(label, self.ignore_index, loss.dtype)
        return ratio_or_zero((loss * valid).sum(), valid.sum())

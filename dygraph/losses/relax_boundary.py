"""Cross entropy with relaxed labels along the borders of classes."""

from __future__ import annotations

import paddle
import paddle.nn.functional as F  # noqa: N812
from paddle import Tensor, nn

from dygraph.losses.common import constant, full_precision, one_hot_nchw, ratio_or_zero
from shared.registry import LOSSES

_LOG_ZERO = -1e30  # finite, so that a window without a class can be multiplied away


@LOSSES.register()
class RelaxBoundaryLoss(nn.Layer):
    """Mean of ``-log`` of the summed probability of all classes in a window around each pixel.

    Zhu et al., "Improving Semantic Segmentation via Video Propagation and Label Relaxation",
    https://arxiv.org/abs/1812.01593

    Inside an object this is cross entropy; at a border any of the classes that meet there will do. A pixel counts
    where its window holds a class, so an ignored pixel beside a labelled one counts too.

    Args:
        border: the window reaches so many pixels to each side; 0 is cross entropy.
        calculate_weights: multiply a pixel's loss by the mean weight of its window's classes, where a class weighs
            ``1 + upper_bound * (1 - share)`` and its share is that among all classes of the image's windows.
        upper_bound: what the rarest class weighs above 1.
        ignore_index: the label of pixels without a class.

    Input logits ``[N, K, H, W]`` floating and label ``[N, H, W]`` int64; output a scalar, 0 with zero gradients where
    every pixel is ignored.
    """

    def __init__(
        self, border: int = 1, calculate_weights: bool = False, upper_bound: float = 1.0, ignore_index: int = 255
    ) -> None:
        super().__init__()
        if border < 0:
            raise ValueError(f"border must not be negative, got {border}")
        if upper_bound < 0:
            raise ValueError(f"upper_bound must not be negative, got {upper_bound}")
        if upper_bound != 1.0 and not calculate_weights:
            raise ValueError(f"upper_bound {upper_bound} bounds class weights: set calculate_weights, or leave it out")
        self.border = int(border)
        self.calculate_weights = bool(calculate_weights)
        self.upper_bound = float(upper_bound)
        self.ignore_index = ignore_index

    def forward(self, logits: Tensor, label: Tensor) -> Tensor:
        log_prob = F.log_softmax(full_precision(logits), axis=1)  # [N, K, H, W]
        present = self._classes_in_window(label, log_prob)  # [N, K, H, W] zeros and ones
        count = present.sum(axis=1)  # [N, H, W]
        counts = paddle.cast(count > 0, log_prob.dtype)
        inside = paddle.where(present > 0, log_prob, constant(_LOG_ZERO, log_prob))
        loss = -paddle.logsumexp(inside, axis=1) * counts  # [N, H, W]
        if self.calculate_weights:
            loss = loss * ratio_or_zero((present * self._class_weights(present)).sum(axis=1), count)
        return ratio_or_zero(loss.sum(), counts.sum())

    def _classes_in_window(self, label: Tensor, log_prob: Tensor) -> Tensor:
        one_hot = one_hot_nchw(label, log_prob.shape[1], self.ignore_index, log_prob.dtype)
        if self.border == 0:
            return one_hot
        return F.max_pool2d(one_hot, 2 * self.border + 1, stride=1, padding=self.border)

    def _class_weights(self, present: Tensor) -> Tensor:
        """``[N, K, 1, 1]``, from how often each class stands in the windows of an image."""
        area = present.sum(axis=[2, 3], keepdim=True)
        share = ratio_or_zero(area, area.sum(axis=1, keepdim=True))
        return 1.0 + constant(self.upper_bound, share) * (1.0 - share)

"""Cross entropy over the hardest pixels of each image."""

from __future__ import annotations

from collections.abc import Sequence

import paddle
from paddle import Tensor, nn

from dygraph.losses.common import (
    check_class_weight,
    check_num_classes,
    class_ids,
    constant,
    ratio_or_zero,
)
from dygraph.losses.cross_entropy import pixel_cross_entropy
from shared.registry import LOSSES


@LOSSES.register()
class BootstrappedCrossEntropyLoss(nn.Layer):
    """Wu et al., "Bridging Category-level and Instance-level Semantic Image Segmentation",
    https://arxiv.org/abs/1605.06885

    Of each image, the mean over the pixels whose loss exceeds ``loss_th``, or over the ``min_K`` largest losses where
    fewer exceed it; then the mean over the images. An ignored pixel has loss 0: it comes last, and counts only where
    an image has fewer than ``min_K`` others.

    Differs from the paper: the threshold is on the loss, not on the probability.

    Args:
        min_K: the least number of pixels per image; all of a smaller image.
        loss_th: cross entropy (times the class weight) above which a pixel is hard.
        weight: one non-negative factor per class.
        ignore_index: the label of pixels that do not count.

    Input logits ``[N, K, H, W]`` floating and label ``[N, H, W]`` int64; output a scalar, 0 with zero gradients where
    every pixel is ignored.
    """

    def __init__(
        self,
        min_K: int,  # noqa: N803 (as configs spell it)
        loss_th: float,
        weight: Sequence[float] | None = None,
        ignore_index: int = 255,
    ) -> None:
        super().__init__()
        if min_K < 1:
            raise ValueError(f"min_K must be at least 1, got {min_K}")
        if loss_th < 0:
            raise ValueError(f"loss_th must not be negative, got {loss_th}")
        self.min_kept = int(min_K)
        self.threshold = float(loss_th)
        self.weight = check_class_weight(weight)
        self.ignore_index = ignore_index

    def forward(self, logits: Tensor, label: Tensor) -> Tensor:
        check_num_classes(self.weight, logits)
        loss = pixel_cross_entropy(logits, label, self.ignore_index)  # [N, H, W]
        if self.weight is not None:
            ids = class_ids(label, self.ignore_index)
            loss = loss * paddle.gather(constant(self.weight, loss), ids.flatten()).reshape(paddle.shape(ids))
        loss = loss.flatten(1)  # [N, H * W]
        is_hard = loss > constant(self.threshold, loss)
        hard = paddle.cast(is_hard, loss.dtype)
        count = hard.sum(axis=1)  # [N]
        above = ratio_or_zero((loss * hard).sum(axis=1), count)
        largest = paddle.topk(loss, self._least(loss), axis=1)[0].mean(axis=1)
        return paddle.where(count > self.min_kept, above, largest).mean()

    def _least(self, loss: Tensor) -> int | Tensor:
        """``min_K``, or all pixels of a smaller image: a scalar tensor where the size is not known."""
        pixels = loss.shape[1]
        if pixels > 0:
            return min(self.min_kept, pixels)
        return paddle.clip(paddle.shape(loss)[1], max=self.min_kept)

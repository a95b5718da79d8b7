"""Cross entropy with online hard example mining."""

from __future__ import annotations

import paddle
import paddle.nn.functional as F  # noqa: N812
from paddle import Tensor, nn

from dygraph.losses.common import class_ids, constant, full_precision, ratio_or_zero, valid_mask
from dygraph.losses.cross_entropy import pixel_cross_entropy
from shared.registry import LOSSES


@LOSSES.register()
class OhemCrossEntropyLoss(nn.Layer):
    """Mean cross entropy over the hard pixels: those whose true class has a probability below a threshold.

    Shrivastava et al., "Training Region-based Object Detectors with Online Hard Example Mining",
    https://arxiv.org/abs/1604.03540

    The threshold is ``thresh``, raised to the ``min_kept``-th smallest probability where that is larger. With at most
    ``min_kept`` pixels that are not ignored, all of them are kept. The kept set is chosen over the whole batch.

    Args:
        thresh: probability in [0, 1].
        min_kept: pixels; 0 leaves the threshold alone.
        ignore_index: the label of pixels that do not count.

    Input and output as in :class:`~dygraph.losses.cross_entropy.CrossEntropyLoss`.
    """

    def __init__(self, thresh: float = 0.7, min_kept: int = 10000, ignore_index: int = 255) -> None:
        super().__init__()
        if not 0.0 <= thresh <= 1.0:
            raise ValueError(f"thresh must lie in [0, 1], got {thresh}")
        if min_kept < 0:
            raise ValueError(f"min_kept must not be negative, got {min_kept}")
        self.thresh = float(thresh)
        self.min_kept = int(min_kept)
        self.ignore_index = ignore_index

    def forward(self, logits: Tensor, label: Tensor) -> Tensor:
        loss = pixel_cross_entropy(logits, label, self.ignore_index)  # [N, H, W]
        kept = paddle.cast(self._is_kept(logits.detach(), label), loss.dtype)
        return ratio_or_zero((loss * kept).sum(), kept.sum())

    def _is_kept(self, logits: Tensor, label: Tensor) -> Tensor:
        """``[N, H, W]`` bool."""
        ids = class_ids(label, self.ignore_index).unsqueeze(1)
        prob = F.softmax(full_precision(logits), axis=1)  # [N, K, H, W]
        prob = paddle.take_along_axis(prob, ids, axis=1).squeeze(1)  # of the true class, [N, H, W]
        is_valid = label != self.ignore_index
        if self.min_kept == 0:
            return paddle.logical_and(is_valid, prob < constant(self.thresh, prob))
        valid = valid_mask(label, self.ignore_index, prob.dtype)
        ranked = paddle.sort((prob * valid + (1.0 - valid)).flatten())  # ignored pixels count as certain
        place = paddle.clip(paddle.numel(ranked), max=self.min_kept) - 1
        threshold = paddle.maximum(paddle.gather(ranked, place.reshape([1])), constant(self.thresh, prob))  # [1]
        too_few = paddle.cast(is_valid, "int64").sum() <= self.min_kept
        return paddle.logical_and(is_valid, paddle.logical_or(prob < threshold, too_few))

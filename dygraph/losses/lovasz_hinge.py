"""Lovász hinge: a surrogate of the intersection over union of one foreground class."""

from __future__ import annotations

import paddle.nn.functional as F  # noqa: N812
from paddle import Tensor, nn

from dygraph.losses.common import full_precision, valid_mask
from dygraph.losses.lovasz_softmax import lovasz_extension
from shared.registry import LOSSES


@LOSSES.register()
class LovaszHingeLoss(nn.Layer):
    """Berman et al., "The Lovász-Softmax loss", https://arxiv.org/abs/1705.08790: its form for binary segmentation.

    The Lovász extension of the foreground's Jaccard loss, of hinge errors ``max(0, 1 - score * sign)`` over all pixels
    of the batch at once. The score is the logit of one channel, or the second channel's logit less the first's.

    Args:
        ignore_index: the label of pixels that do not count.

    Input logits ``[N, 1, H, W]`` or ``[N, 2, H, W]`` floating and label ``[N, H, W]`` int64, 1 for the foreground and
    0 for the background; output a scalar, 0 with zero gradients where every pixel is ignored.
    """

    def __init__(self, ignore_index: int = 255) -> None:
        super().__init__()
        self.ignore_index = ignore_index

    def forward(self, logits: Tensor, label: Tensor) -> Tensor:
        num_classes = logits.shape[1]
        if num_classes not in (1, 2):
            raise ValueError(
                f"LovaszHingeLoss is for one foreground class, in logits of 1 or 2 channels, got {num_classes}; "
                f"LovaszSoftmaxLoss takes any number"
            )
        logits = full_precision(logits)
        score = logits[:, 0] if num_classes == 1 else logits[:, 1] - logits[:, 0]  # [N, H, W]
        valid = valid_mask(label, self.ignore_index, score.dtype)
        target = (label == 1).astype(score.dtype) * valid
        # An ignored pixel has error 0 and is background: it is sorted behind all others and adds nothing.
        errors = F.relu(1.0 - score * (2.0 * target - 1.0)) * valid
        return lovasz_extension(errors.reshape([1, -1]), target.reshape([1, -1])).sum()

"""Lovász-softmax: a surrogate of the mean intersection over union."""

from __future__ import annotations

from collections.abc import Sequence

import paddle
import paddle.nn.functional as F  # noqa: N812
from paddle import Tensor, nn

from dygraph.losses.common import constant, full_precision, one_hot_nchw, ratio_or_zero, valid_mask
from shared.registry import LOSSES


@LOSSES.register()
class LovaszSoftmaxLoss(nn.Layer):
    """Berman et al., "The Lovász-Softmax loss", https://arxiv.org/abs/1705.08790

    The loss of a class is the Lovász extension of its Jaccard loss, over all pixels of the batch at once.

    Args:
        ignore_index: the label of pixels that do not count.
        classes: ``"present"`` takes the mean over the classes the labels hold, ``"all"`` over all, a list over those
            of its classes that the labels hold.

    Input logits ``[N, K, H, W]`` floating with K at least 2 and label ``[N, H, W]`` int64; output a scalar, 0 with
    zero gradients where every pixel is ignored.
    """

    def __init__(self, ignore_index: int = 255, classes: str | Sequence[int] = "present") -> None:
        super().__init__()
        if isinstance(classes, str):
            if classes not in ("present", "all"):
                raise ValueError(f"classes must be 'present', 'all' or a list of class ids, got {classes!r}")
        elif not classes or min(classes) < 0:
            raise ValueError(f"classes needs at least one class id, none negative, got {list(classes)}")
        self.ignore_index = ignore_index
        self.classes = classes if isinstance(classes, str) else [int(c) for c in classes]

    def forward(self, logits: Tensor, label: Tensor) -> Tensor:
        num_classes = logits.shape[1]
        if num_classes < 2:
            raise ValueError(f"LovaszSoftmaxLoss needs logits of at least 2 classes, got {num_classes}")
        prob = F.softmax(full_precision(logits), axis=1)  # [N, K, H, W]
        valid = valid_mask(label, self.ignore_index, prob.dtype).unsqueeze(1)  # [N, 1, H, W]
        target = one_hot_nchw(label, num_classes, self.ignore_index, prob.dtype)
        # An ignored pixel has error 0 and no class: it is sorted behind all others and adds nothing.
        errors = paddle.abs(target - prob) * valid
        target = _by_class(target)  # [K, P]
        loss = lovasz_extension(_by_class(errors), target)  # [K]
        counted = self._counted(target, valid)  # [K] zeros and ones
        return ratio_or_zero((loss * counted).sum(), counted.sum())

    def _counted(self, target: Tensor, valid: Tensor) -> Tensor:
        num_classes = target.shape[0]
        if self.classes == "all":
            return constant([1.0] * num_classes, target) * paddle.cast(valid.sum() > 0, target.dtype)
        present = paddle.cast(target.sum(axis=1) > 0, target.dtype)
        if self.classes == "present":
            return present
        if max(self.classes) >= num_classes:
            raise ValueError(f"classes {self.classes} must lie in 0..{num_classes - 1}, as the logits have them")
        return present * constant([1.0 if c in self.classes else 0.0 for c in range(num_classes)], target)


def lovasz_extension(errors: Tensor, target: Tensor) -> Tensor:
    """The Lovász extension of the Jaccard loss.

    Args:
        errors: ``[K, P]`` in [0, 1], how wrong each pixel is about each class.
        target: ``[K, P]`` zeros and ones.

    Returns:
        ``[K]``: errors in falling order, each times what its pixel adds to the Jaccard loss.
    """
    order = paddle.argsort(errors, axis=1, descending=True)
    errors = paddle.take_along_axis(errors, order, axis=1)
    target = paddle.take_along_axis(target, order, axis=1)
    area = target.sum(axis=1, keepdim=True)
    intersection = area - paddle.cumsum(target, axis=1)
    union = area + paddle.cumsum(1.0 - target, axis=1)  # at least 1: the first pixel is in one or the other
    jaccard = 1.0 - intersection / union
    steps = paddle.concat([jaccard[:, :1], jaccard[:, 1:] - jaccard[:, :-1]], axis=1)
    return (errors * steps).sum(axis=1)


def _by_class(x: Tensor) -> Tensor:
    """``[N, K, H, W]`` to ``[K, N * H * W]``."""
    return paddle.transpose(x, [1, 0, 2, 3]).flatten(1)

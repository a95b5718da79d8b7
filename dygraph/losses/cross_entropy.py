"""Cross entropy over pixels."""

from __future__ import annotations

from collections.abc import Sequence

import paddle
from paddle import Tensor, nn

from dygraph.kernels import choice
from dygraph.losses.common import (
    check_class_weight,
    check_num_classes,
    class_ids,
    constant,
    full_precision,
    ratio_or_zero,
    valid_mask,
)
from shared.registry import LOSSES


@LOSSES.register()
class CrossEntropyLoss(nn.Layer):
    """Mean of ``-log softmax(logits)[label]`` over the pixels that are not ignored.

    With ``weight`` it is the weighted mean: the sum of ``weight[label] * loss`` over the sum of ``weight[label]``.

    Args:
        weight: one non-negative number per class.
        ignore_index: the label of pixels that do not count.
        top_k_percent_pixels: below 1, only this fraction of all pixels, those of the largest (weighted) loss, is kept,
            and the mean is taken over them; ignored pixels, whose loss is 0, come last.
        avg_non_ignore: False divides by the number of all pixels, ignored ones included, instead.
        data_format: the layout of the logits, which is NCHW whatever the network's inner layout.

    Input logits ``[N, K, H, W]`` floating and label ``[N, H, W]`` int64 in ``0..K-1`` or ``ignore_index``; output a
    scalar, 0 with zero gradients where every pixel is ignored.

    Raises:
        ValueError: an argument is out of range, or ``weight`` does not have K numbers.
    """

    def __init__(
        self,
        weight: Sequence[float] | None = None,
        ignore_index: int = 255,
        top_k_percent_pixels: float = 1.0,
        avg_non_ignore: bool = True,
        data_format: str = "NCHW",
    ) -> None:
        super().__init__()
        if not 0.0 < top_k_percent_pixels <= 1.0:
            raise ValueError(f"top_k_percent_pixels must lie in (0, 1], got {top_k_percent_pixels}")
        if data_format != "NCHW":
            raise ValueError(f"logits leave every network as NCHW, so data_format must be 'NCHW', got {data_format!r}")
        self.weight = check_class_weight(weight)
        if self.weight is not None and not avg_non_ignore:
            raise ValueError("avg_non_ignore=False has no meaning together with weight: the mean is weighted; drop one")
        self.ignore_index = ignore_index
        self.top_k_percent_pixels = float(top_k_percent_pixels)
        self.avg_non_ignore = avg_non_ignore

    def forward(self, logits: Tensor, label: Tensor) -> Tensor:
        check_num_classes(self.weight, logits)
        loss = pixel_cross_entropy(logits, label, self.ignore_index)  # [N, H, W]
        loss, mass = loss.flatten(), self._mass(label, loss)  # [N * H * W]
        if self.weight is not None:
            loss = loss * mass
        if self.top_k_percent_pixels < 1.0:
            loss, hardest = paddle.topk(loss, self._count(loss))
            mass = paddle.gather(mass, hardest)
        counts_all = self.weight is None and (self.top_k_percent_pixels < 1.0 or not self.avg_non_ignore)
        return loss.mean() if counts_all else ratio_or_zero(loss.sum(), mass.sum())

    def _mass(self, label: Tensor, loss: Tensor) -> Tensor:
        """What each pixel adds to the divisor: its class weight, or 1; 0 where it is ignored."""
        mass = valid_mask(label, self.ignore_index, loss.dtype).flatten()
        if self.weight is None:
            return mass
        ids = class_ids(label, self.ignore_index).flatten()
        return mass * paddle.gather(constant(self.weight, loss), ids)

    def _count(self, loss: Tensor) -> int | Tensor:
        """How many pixels are kept: an integer where the size is known, else a scalar tensor."""
        size = loss.size
        if isinstance(size, int) and size > 0:
            return max(1, int(self.top_k_percent_pixels * size))
        size = paddle.cast(paddle.numel(loss), "float64")
        kept = paddle.floor(size * constant(self.top_k_percent_pixels, size))
        return paddle.clip(paddle.cast(kept, "int64"), min=1)


def pixel_cross_entropy(logits: Tensor, label: Tensor, ignore_index: int) -> Tensor:
    """Cross entropy of each pixel, ``[N, H, W]``; 0 where ignored."""
    logits = full_precision(logits)
    return choice.pixel_cross_entropy(logits, label.unsqueeze(1), ignore_index).squeeze(1)

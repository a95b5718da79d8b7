"""What every loss needs: which pixels count, and means that are 0 where none does."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import paddle
import paddle.nn.functional as F  # noqa: N812
from paddle import Tensor


def full_precision(logits: Tensor) -> Tensor:
    """Half-precision logits as float32, others as they are: sums over a million pixels leave float16's range."""
    return paddle.cast(logits, "float32") if logits.dtype in (paddle.float16, paddle.bfloat16) else logits


def valid_mask(label: Tensor, ignore_index: int, dtype: paddle.dtype) -> Tensor:
    """1 where a pixel counts and 0 where it is ignored, in ``label``'s shape."""
    return paddle.cast(label != ignore_index, dtype)


def class_ids(label: Tensor, ignore_index: int) -> Tensor:
    """``label`` with class 0 in place of ``ignore_index``, so that it can index; mask what comes of it."""
    return label * paddle.cast(label != ignore_index, label.dtype)


def one_hot_nchw(label: Tensor, num_classes: int, ignore_index: int, dtype: paddle.dtype) -> Tensor:
    """``[N, H, W]`` class ids to ``[N, K, H, W]`` zeros and ones; all zero where ignored."""
    encoded = F.one_hot(class_ids(label, ignore_index), num_classes)  # [N, H, W, K]
    encoded = paddle.cast(paddle.transpose(encoded, [0, 3, 1, 2]), dtype)
    return encoded * valid_mask(label, ignore_index, dtype).unsqueeze(1)


def ratio_or_zero(numerator: Tensor, denominator: Tensor) -> Tensor:
    """A weighted sum over the sum of its weights; 0 with zero gradients where no weight is positive."""
    return numerator / (denominator + paddle.cast(denominator == 0, denominator.dtype))


def constant(value: float | Sequence[float], like: Tensor) -> Tensor:
    """``value`` in the type of ``like``.

    A bare Python float would do in eager mode, but a program keeps it as a float32 attribute of its operator: in
    float64 the two modes would then differ.
    """
    if isinstance(value, (int, float)):
        return paddle.full([], value, dtype=like.dtype)
    return paddle.to_tensor(np.asarray(value, np.float64), dtype=like.dtype)


def scaled(loss: Tensor, coef: float) -> Tensor:
    """``coef * loss``."""
    return loss if coef == 1.0 else loss * constant(coef, loss)


def check_class_weight(weight: Sequence[float] | None) -> list[float] | None:
    """``weight`` as floats; ValueError if one is negative or all are zero."""
    if weight is None:
        return None
    numbers = [float(w) for w in weight]
    if not numbers or min(numbers) < 0 or max(numbers) == 0:
        raise ValueError(f"weight needs one non-negative number per class, not all zero, got {numbers}")
    return numbers


def check_num_classes(weight: Sequence[float] | None, logits: Tensor) -> None:
    """ValueError unless there is one class weight per channel of ``logits``."""
    if weight is not None and len(weight) != logits.shape[1]:
        raise ValueError(f"weight has {len(weight)} numbers, but the logits have {logits.shape[1]} classes")

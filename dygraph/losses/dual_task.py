"""The dual-task regulariser: edges of the prediction against edges of the label."""

from __future__ import annotations

from collections.abc import Sequence

import paddle
import paddle.nn.functional as F  # noqa: N812
from paddle import Tensor, nn

from dygraph.kernels.choice import convolve
from dygraph.losses.common import class_ids, constant, full_precision, valid_mask
from shared.registry import LOSSES

_RADIUS = 4  # of the triangle filter
_TRIANGLE = [weight / (_RADIUS + 1) ** 2 for weight in (1, 2, 3, 4, 5, 4, 3, 2, 1)]


@LOSSES.register()
class DualTaskLoss(nn.Layer):
    """Mean absolute difference between the edge strengths of a sampled prediction and of the label.

    Takikawa et al., "Gated-SCNN: Gated Shape CNNs for Semantic Segmentation", https://arxiv.org/abs/1907.05740

    The sample is a Gumbel softmax of the logits. Edge strength is the magnitude of the spatial gradient of a smoothed
    map of one class, as a share of the largest in the batch. An ignored pixel is of equal probability in the
    prediction and of class 0 in the label; its difference is 0, and it counts in the mean.

    Differs from the paper: every pixel is compared, not only those on an edge; the other direction of the regulariser
    is a loss of its own, :class:`~dygraph.losses.edge_attention.EdgeAttentionLoss`.

    Args:
        ignore_index: the label of pixels that are not compared.
        tau: temperature of the Gumbel softmax.

    Input logits ``[N, K, H, W]`` floating, height and width at least 4, and label ``[N, H, W]`` int64; output a
    scalar, 0 with zero gradients where every pixel is ignored. It draws K numbers a pixel from Paddle's generator.
    """

    def __init__(self, ignore_index: int = 255, tau: float = 0.5) -> None:
        super().__init__()
        if tau <= 0:
            raise ValueError(f"tau must be positive, got {tau}")
        self.ignore_index = ignore_index
        self.tau = float(tau)

    def forward(self, logits: Tensor, label: Tensor) -> Tensor:
        if 0 <= min(logits.shape[2:]) < _RADIUS:
            raise ValueError(f"DualTaskLoss needs height and width of at least {_RADIUS}, got {list(logits.shape[2:])}")
        logits = full_precision(logits)
        valid = valid_mask(label, self.ignore_index, logits.dtype).unsqueeze(1)  # [N, 1, H, W]
        noisy = logits * valid + _gumbel_noise(logits)
        sample = F.softmax(noisy / constant(self.tau, logits), axis=1)  # [N, K, H, W]
        target = F.one_hot(class_ids(label, self.ignore_index), logits.shape[1])  # [N, H, W, K]
        target = paddle.cast(paddle.transpose(target, [0, 3, 1, 2]), logits.dtype)
        return (paddle.abs(_edge_strength(sample) - _edge_strength(target)) * valid).mean()


def _gumbel_noise(like: Tensor) -> Tensor:
    tiny = constant(1e-10, like)
    shape = list(like.shape) if min(like.shape) >= 0 else paddle.shape(like)
    uniform = paddle.rand(shape, dtype=like.dtype)
    return -paddle.log(-paddle.log(paddle.maximum(uniform, tiny)))


def _edge_strength(x: Tensor) -> Tensor:
    """``[N, K, H, W]`` to the magnitude of its spatial gradient, at most 1; beyond the border is nothing."""
    x = _smooth(_smooth(x, axis=3), axis=2)
    right = _filter(x, [-0.5, 0.0, 0.5], axis=3, padding=1)
    down = _filter(x, [-0.5, 0.0, 0.5], axis=2, padding=1)
    magnitude = paddle.sqrt(right * right + down * down + constant(1e-6, x))
    flat = magnitude.flatten()
    # Gathered, because the gradient of paddle.max over n values takes n * n steps on a CPU.
    return magnitude / paddle.gather(flat, paddle.argmax(flat, keepdim=True))


def _smooth(x: Tensor, axis: int) -> Tensor:
    """A triangle filter along one axis; beyond the border the image goes on mirrored."""
    first, last = (x[:, :, :_RADIUS], x[:, :, -_RADIUS:]) if axis == 2 else (x[..., :_RADIUS], x[..., -_RADIUS:])
    mirrored = paddle.concat([paddle.flip(first, [axis]), x, paddle.flip(last, [axis])], axis=axis)
    return _filter(mirrored, _TRIANGLE, axis)


def _filter(x: Tensor, weights: Sequence[float], axis: int, padding: int = 0) -> Tensor:
    """Each class's map times ``weights`` along one axis."""
    shape, around = ([1, 1, 1, -1], [0, padding]) if axis == 3 else ([1, 1, -1, 1], [padding, 0])
    kernel = constant(weights, x).reshape(shape).expand([x.shape[1], -1, -1, -1])
    return convolve(x, kernel, padding=around, groups=x.shape[1])

"""Batch norm over the batches of all ranks, in both modes and on any device."""

from __future__ import annotations

import math

import numpy as np
import paddle
from paddle import Tensor, nn

from dygraph.layers.across_ranks import gathered_from_ranks


class SyncBatchNorm2D(nn.Layer):
    """``nn.BatchNorm2D`` whose mean and variance are those of the ranks' batches together.

    Parameters and statistics are those of the layer it replaces, under the same names. In evaluation it is that layer.
    Every rank tells the others its mean, its sum of squared differences to that mean and its count, in one exchange,
    and all combine these (Chan et al., https://doi.org/10.1080/00031305.1983.10483115): a mean of squares minus a
    squared mean would lose its digits in float32. Paddle's own ``nn.SyncBatchNorm`` has no CPU kernel.

    Args:
        norm: the layer to take over.
    """

    def __init__(self, norm: nn.BatchNorm2D) -> None:
        super().__init__()
        self.weight, self.bias = norm.weight, norm.bias
        for name in ("_mean", "_variance"):  # parameters that are not trained, as in the layer they come from
            setattr(self, name, getattr(norm, name))
        # Paddle's batch norm, whose numbers these must be, keeps the two in float32 whatever the type of the network.
        self._momentum, self._epsilon = float(np.float32(norm._momentum)), float(np.float32(norm._epsilon))
        self._data_format = norm._data_format

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return self._in_evaluation(x)
        channels_last = self._data_format == "NHWC"
        axes = [0, 1, 2] if channels_last else [0, 2, 3]
        shape = [1, 1, 1, -1] if channels_last else [1, -1, 1, 1]
        channels = self.weight.shape[0]
        own_mean = x.mean(axes)  # [C]
        # Constants from here on: the sum of squares does not change with its centre, for that is where it is least. So
        # no value is used more than twice, and its gradient adds up to the same bits in either mode.
        centre = own_mean.detach()
        centred = x - centre.reshape(shape)
        own_squares = paddle.square(centred).sum(axes)  # [C]
        own_count = paddle.full([1], math.prod(x.shape) // channels, x.dtype)
        of_ranks = gathered_from_ranks(paddle.concat([own_mean, own_squares, own_count]))  # [world, 2 C + 1]
        means, squares, counts = paddle.split(of_ranks, [channels, channels, 1], axis=1)
        counts = counts.detach()
        total = counts.sum(0)  # [1]
        mean = (means * counts).sum(0) / total  # [C]
        spread = paddle.square(means - mean.detach()) * counts
        variance = (squares + spread).sum(0) / total  # [C], of the whole batch (biased)
        self._remember(mean.detach(), variance.detach())
        epsilon = paddle.full([1], self._epsilon, x.dtype)  # a plain number is rounded in a program, not in eager mode
        scale = self.weight * paddle.rsqrt(variance + epsilon)
        return (centred + (centre - mean).reshape(shape)) * scale.reshape(shape) + self.bias.reshape(shape)

    def _in_evaluation(self, x: Tensor) -> Tensor:
        return nn.functional.batch_norm(
            x,
            self._mean,
            self._variance,
            self.weight,
            self.bias,
            training=False,
            momentum=self._momentum,
            epsilon=self._epsilon,
            data_format=self._data_format,
        )

    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        """Move the running statistics in place; see ``EMAttention._update`` for why by this operator."""
        for running, new in ((self._mean, mean), (self._variance, variance)):
            new = paddle.cast(new, running.dtype)
            paddle._C_ops.lerp_(running, new, paddle.full([], 1 - self._momentum, dtype=running.dtype))


def synchronise_batch_norm(network: nn.Layer) -> nn.Layer:
    """Make every ``nn.BatchNorm2D`` of a network a synchronised one; names in ``state_dict()`` stay.

    On a GPU they become Paddle's own fused ``nn.SyncBatchNorm``, elsewhere :class:`SyncBatchNorm2D`.
    """
    if paddle.get_device().startswith("gpu"):
        return nn.SyncBatchNorm.convert_sync_batchnorm(network)
    _replace_in(network)
    return network


def _replace_in(layer: nn.Layer) -> None:
    for name, child in layer.named_children():
        if isinstance(child, nn.BatchNorm2D) and not child._use_global_stats:
            replacement = SyncBatchNorm2D(child)
            replacement.training = child.training
            layer._sub_layers[name] = replacement
        else:
            _replace_in(child)

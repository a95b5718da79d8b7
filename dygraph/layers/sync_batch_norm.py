"""Batch norm over the batches of all ranks, in both modes and on any device."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import paddle
from paddle import Tensor, nn

from dygraph.layers.across_ranks import all_reduced
from dygraph.layers.own_gradient import with_own_gradient


class SyncBatchNorm2D(nn.Layer):
    """``nn.BatchNorm2D`` whose mean and variance are those of the ranks' batches together.

    Parameters and statistics are those of the layer it replaces, under the same names. In evaluation it is that layer.
    The mean is exchanged first and the squared differences to it after that: a mean of squares minus a squared mean
    would lose its digits in float32. Its gradient is written out, for a program must not have many operators, see
    :func:`with_own_gradient`. Paddle's own ``nn.SyncBatchNorm`` has no CPU kernel.

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
        channels_last = norm._data_format == "NHWC"
        self._channel_axis = 3 if channels_last else 1
        self._axes = [0, 1, 2] if channels_last else [0, 2, 3]
        self._shape = [1, 1, 1, -1] if channels_last else [1, -1, 1, 1]

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return self._in_evaluation(x)
        inputs = [x, self.weight, self.bias, self._mean, self._variance]
        return with_own_gradient(self._normalised, self._gradients, inputs)[0]

    def _normalised(self, x: Tensor, weight: Tensor, bias: Tensor, *running: Tensor) -> tuple[Tensor, ...]:
        """The output; then of the ranks' values in a channel: mean, reciprocal of the deviation, number."""
        count = paddle.full([1, 1, 1, 1], math.prod(x.shape) // weight.shape[0], x.dtype)
        sums = all_reduced(paddle.concat([self._sum(x), count], self._channel_axis))
        of_x, total = paddle.split(sums, [weight.shape[0], 1], self._channel_axis)
        mean = of_x / total
        centred = x - mean
        variance = all_reduced(self._sum(paddle.square(centred))) / total  # biased
        epsilon = paddle.full([1], self._epsilon, x.dtype)  # a plain number is rounded in a program, not in eager mode
        inverse = paddle.rsqrt(variance + epsilon)
        self._remember(running, (mean, variance))
        y = centred * (inverse * weight.reshape(self._shape)) + bias.reshape(self._shape)
        return y, mean, inverse, total

    def _gradients(
        self, inputs: Sequence[Tensor], statistics: Sequence[Tensor], gradient: Tensor
    ) -> tuple[Tensor | None, ...]:
        """By ``x`` that of the sum of all ranks' losses; by weight and bias those of this rank's loss.

        dx = w / s (g - mean(g) - x_hat mean(g x_hat)), the means being over the batches of all ranks.
        """
        x, weight, *_ = inputs
        mean, inverse, total = statistics
        x_hat = (x - mean) * inverse
        of_bias, of_weight = self._sum(gradient), self._sum(gradient * x_hat)
        means = all_reduced(paddle.concat([of_bias, of_weight], self._channel_axis)) / total
        mean_g, mean_g_x_hat = paddle.split(means, 2, self._channel_axis)
        of_x = (gradient - mean_g - x_hat * mean_g_x_hat) * (inverse * weight.reshape(self._shape))
        return of_x, of_weight.flatten(), of_bias.flatten(), None, None

    def _sum(self, x: Tensor) -> Tensor:
        """``[N, C, H, W]`` -> ``[1, C, 1, 1]``, or the same with the channels last."""
        return x.sum(self._axes, keepdim=True)

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

    def _remember(self, statistics: Sequence[Tensor], of_batch: Sequence[Tensor]) -> None:
        """Move the running statistics in place; see ``EMAttention._update`` for why by this operator."""
        share = paddle.full([], 1 - self._momentum, self._mean.dtype)
        for running, new in zip(statistics, of_batch):
            paddle._C_ops.lerp_(running, paddle.cast(new.flatten(), running.dtype), share)


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

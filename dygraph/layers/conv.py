"""Convolution, batch normalisation and activation: the brick every network is laid of."""

from __future__ import annotations

from typing import Any

import paddle.nn.functional as F  # noqa: N812
from paddle import ParamAttr, Tensor, nn

from dygraph.layers.layout import check_data_format

ACTIVATIONS = {None: lambda x: x, "relu": F.relu}


class ConvBNAct(nn.Layer):
    """Convolution, batch normalisation, activation.

    >>> ConvBNAct(3, 8, 3, stride=2)(paddle.zeros([2, 3, 65, 33])).shape
    [2, 8, 33, 17]

    Args:
        padding: pixels on every side; None keeps the size at stride 1 (``dilation * (kernel_size - 1) // 2``);
            ``"same"`` pads for an output of ``ceil(size / stride)``, on the right and bottom first.
        act: ``"relu"`` or None.
        bias: whether the convolution has a bias of its own beside the normalisation's.
        weight_init: initialiser of the kernel; None is Paddle's, normal with standard deviation
            ``sqrt(2 / (kernel_size ** 2 * in_channels))``.
        lr_mult: factor on the learning rate of every parameter.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        padding: int | str | None = None,
        dilation: int = 1,
        groups: int = 1,
        act: str | None = "relu",
        bias: bool = False,
        weight_init: nn.initializer.Initializer | None = None,
        lr_mult: float = 1.0,
        data_format: str = "NCHW",
    ) -> None:
        super().__init__()
        if act not in ACTIVATIONS:
            raise ValueError(f"act must be one of {list(ACTIVATIONS)}, got {act!r}")
        if padding == "same" and dilation != 1:
            raise ValueError(f"padding 'same' knows no dilation, got dilation {dilation}; leave padding out")
        self._conv = nn.Conv2D(
            in_channels,
            out_channels,
            kernel_size,
            stride=stride,
            padding=dilation * (kernel_size - 1) // 2 if padding is None else padding,
            dilation=dilation,
            groups=groups,
            weight_attr=ParamAttr(initializer=weight_init, learning_rate=lr_mult),
            bias_attr=ParamAttr(learning_rate=lr_mult) if bias else False,
            data_format=check_data_format(data_format),
        )
        self._batch_norm = nn.BatchNorm2D(
            out_channels,
            weight_attr=ParamAttr(learning_rate=lr_mult),
            bias_attr=ParamAttr(learning_rate=lr_mult),
            data_format=data_format,
        )
        self._act = ACTIVATIONS[act]

    def forward(self, x: Tensor) -> Tensor:
        return self._act(self._batch_norm(self._conv(x)))


class SeparableConvBNAct(nn.Layer):
    """A depthwise convolution with normalisation, then a pointwise one with normalisation and activation.

    ``kernel_size``, ``dilation`` and ``padding`` belong to the depthwise half; other arguments are
    :class:`ConvBNAct`'s. The pointwise half is stored under the name published weights use, ``piontwise_conv``.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        padding: int | None = None,
        dilation: int = 1,
        act: str | None = "relu",
        bias: bool = True,
        data_format: str = "NCHW",
    ) -> None:
        super().__init__()
        shared: dict[str, Any] = {"bias": bias, "data_format": data_format}
        self.depthwise_conv = ConvBNAct(
            in_channels,
            in_channels,
            kernel_size,
            padding=padding,
            dilation=dilation,
            groups=in_channels,
            act=None,
            **shared,
        )
        self.piontwise_conv = ConvBNAct(in_channels, out_channels, 1, act=act, **shared)

    def forward(self, x: Tensor) -> Tensor:
        return self.piontwise_conv(self.depthwise_conv(x))

"""Convolution, batch normalisation and activation: the brick every network is laid of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import paddle.nn.functional as F  # noqa: N812
from paddle import ParamAttr, Tensor, nn

from dygraph.layers.bias import Conv2D
from dygraph.layers.layout import check_data_format

ACTIVATIONS = {
    None: lambda x: x,
    "relu": F.relu,
    "relu6": F.relu6,
    "sigmoid": F.sigmoid,
    "hardsigmoid": F.hardsigmoid,
    "hardswish": F.hardswish,
}


class ConvBNAct(nn.Layer):
    """Convolution, batch normalisation, activation.

    >>> ConvBNAct(3, 8, 3, stride=2)(paddle.zeros([2, 3, 65, 33])).shape
    [2, 8, 33, 17]

    Args:
        padding: pixels on every side; None keeps the size at stride 1 (``dilation * (kernel_size - 1) // 2``);
            ``"same"`` pads for an output of ``ceil(size / stride)``, on the right and bottom first.
        kernel_size: one number, or height and width.
        act: a name of ``ACTIVATIONS``, or None.
        bias: whether the convolution has a bias of its own beside the normalisation's.
        weight_init: initialiser of the kernel; None is Paddle's, normal with standard deviation
            ``sqrt(2 / (kernel_size ** 2 * in_channels))``.
        lr_mult: factor on the learning rate of every parameter.
        epsilon, momentum: of the normalisation.
        names: under which the convolution and the normalisation stand in ``state_dict()``, where published weights
            call them otherwise.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Sequence[int],
        stride: int = 1,
        padding: int | str | Sequence[int] | None = None,
        dilation: int = 1,
        groups: int = 1,
        act: str | None = "relu",
        bias: bool = False,
        weight_init: nn.initializer.Initializer | None = None,
        lr_mult: float = 1.0,
        data_format: str = "NCHW",
        epsilon: float = 1e-5,
        momentum: float = 0.9,
        names: tuple[str, str] = ("_conv", "_batch_norm"),
    ) -> None:
        super().__init__()
        if act not in ACTIVATIONS:
            raise ValueError(f"act must be one of {list(ACTIVATIONS)}, got {act!r}")
        if padding == "same" and dilation != 1:
            raise ValueError(f"padding 'same' knows no dilation, got dilation {dilation}; leave padding out")
        if padding is None:
            sizes = [kernel_size] * 2 if isinstance(kernel_size, int) else kernel_size
            padding = [dilation * (size - 1) // 2 for size in sizes]
        conv = Conv2D(
            in_channels,
            out_channels,
            kernel_size,
            stride=stride,
            padding=padding,
            dilation=dilation,
            groups=groups,
            weight_attr=ParamAttr(initializer=weight_init, learning_rate=lr_mult),
            bias_attr=ParamAttr(learning_rate=lr_mult) if bias else False,
            data_format=check_data_format(data_format),
        )
        norm = nn.BatchNorm2D(
            out_channels,
            momentum=momentum,
            epsilon=epsilon,
            weight_attr=ParamAttr(learning_rate=lr_mult),
            bias_attr=ParamAttr(learning_rate=lr_mult),
            data_format=data_format,
        )
        self._names = names
        for name, layer in zip(names, (conv, norm)):
            self.add_sublayer(name, layer)
        self._act = ACTIVATIONS[act]

    def forward(self, x: Tensor) -> Tensor:
        conv, norm = (self._sub_layers[name] for name in self._names)
        return self._act(norm(conv(x)))


class SeparableConvBNAct(nn.Layer):
    """A depthwise convolution with normalisation, then a pointwise one with normalisation and activation.

    ``kernel_size``, ``stride``, ``dilation`` and ``padding`` belong to the depthwise half; other arguments are
    :class:`ConvBNAct`'s. The pointwise half is stored under the name published weights use, ``piontwise_conv``.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        padding: int | str | None = None,
        dilation: int = 1,
        act: str | None = "relu",
        bias: bool = True,
        stride: int = 1,
        data_format: str = "NCHW",
        weight_init: nn.initializer.Initializer | None = None,
    ) -> None:
        super().__init__()
        shared: dict[str, Any] = {"bias": bias, "weight_init": weight_init, "data_format": data_format}
        self.depthwise_conv = ConvBNAct(
            in_channels,
            in_channels,
            kernel_size,
            stride=stride,
            padding=padding,
            dilation=dilation,
            groups=in_channels,
            act=None,
            **shared,
        )
        self.piontwise_conv = ConvBNAct(in_channels, out_channels, 1, act=act, **shared)

    def forward(self, x: Tensor) -> Tensor:
        return self.piontwise_conv(self.depthwise_conv(x))


def plain_conv_bn_relu(
    in_channels: int,
    out_channels: int,
    kernel_size: int = 3,
    relu: bool = True,
    data_format: str = "NCHW",
) -> list[nn.Layer]:
    """Convolution with bias, batch normalisation and ReLU as three separate layers, to lay into an ``nn.Sequential``.

    For networks whose published weights count the layers through (``conv.0``, ``conv.1``, ``conv.3``, ...);
    everywhere else :class:`ConvBNAct` stands for the three. Height and width stay.

    Args:
        kernel_size: odd.
        relu: False leaves the third layer out.
    """
    padding = (kernel_size - 1) // 2
    layers = [
        Conv2D(in_channels, out_channels, kernel_size, padding=padding, data_format=check_data_format(data_format)),
        nn.BatchNorm2D(out_channels, data_format=data_format),
    ]
    return [*layers, nn.ReLU()] if relu else layers

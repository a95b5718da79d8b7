"""MobileNetV3: inverted residuals with depthwise convolutions, squeeze-and-excitation and hard swish."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import paddle.nn.functional as F  # noqa: N812
from paddle import Tensor, nn
from paddle.regularizer import L2Decay

from dygraph.layers import Conv2D, ConvBNAct
from dygraph.layers.start import load_if_given
from shared.registry import BACKBONES

STEM_CHANNELS = 16
SQUEEZE_REDUCTION = 4
CHANNEL_DIVISOR = 8


class Row(NamedTuple):
    """One block, as the paper's tables 1 and 2 have it."""

    kernel_size: int
    expanded: int
    out_channels: int
    has_se: bool
    act: str
    stride: int


TABLES: dict[str, tuple[Row, ...]] = {
    "large": (
        Row(3, 16, 16, False, "relu", 1),
        Row(3, 64, 24, False, "relu", 2),
        Row(3, 72, 24, False, "relu", 1),
        Row(5, 72, 40, True, "relu", 2),
        Row(5, 120, 40, True, "relu", 1),
        Row(5, 120, 40, True, "relu", 1),
        Row(3, 240, 80, False, "hardswish", 2),
        Row(3, 200, 80, False, "hardswish", 1),
        Row(3, 184, 80, False, "hardswish", 1),
        Row(3, 184, 80, False, "hardswish", 1),
        Row(3, 480, 112, True, "hardswish", 1),
        Row(3, 672, 112, True, "hardswish", 1),
        Row(5, 672, 160, True, "hardswish", 2),
        Row(5, 960, 160, True, "hardswish", 1),
        Row(5, 960, 160, True, "hardswish", 1),
    ),
    "small": (
        Row(3, 16, 16, True, "relu", 2),
        Row(3, 72, 24, False, "relu", 2),
        Row(3, 88, 24, False, "relu", 1),
        Row(5, 96, 40, True, "hardswish", 2),
        Row(5, 240, 40, True, "hardswish", 1),
        Row(5, 240, 40, True, "hardswish", 1),
        Row(5, 120, 48, True, "hardswish", 1),
        Row(5, 144, 48, True, "hardswish", 1),
        Row(5, 288, 96, True, "hardswish", 2),
        Row(5, 576, 96, True, "hardswish", 1),
        Row(5, 576, 96, True, "hardswish", 1),
    ),
}
FEATURE_BLOCKS = {"large": (2, 5, 11, 14), "small": (0, 2, 7, 10)}  # the last ones at strides 4, 8, 16 and 32
OUTPUT_STRIDES = (8, 16, 32)


@BACKBONES.register()
class MobileNetV3(nn.Layer):
    """Howard et al., "Searching for MobileNetV3", https://arxiv.org/abs/1905.02244

    Differs from the paper: the classifier's layers (from the last 1x1 convolution on) are left out; the gate of a
    squeeze-and-excitation is ``clip(0.2 x + 0.5, 0, 1)`` rather than ``relu6(x + 3) / 6``; strides beyond
    ``output_stride`` become dilations; normalisation has no L2 weight decay.

    Args:
        size: ``"large"`` or ``"small"``.
        scale: factor on every width, rounded to multiples of 8.
        output_stride: 8, 16 or 32, the stride of the coarsest feature.
        pretrained: path or URL of weights for this backbone.

    Input ``[N, in_channels, H, W]`` (or NHWC, as ``data_format`` says), output four features, finest first;
    ``feature_channels`` and ``feature_strides`` describe them.
    """

    def __init__(
        self,
        size: str = "large",
        scale: float = 1.0,
        output_stride: int = 32,
        in_channels: int = 3,
        pretrained: str | None = None,
        data_format: str = "NCHW",
    ) -> None:
        super().__init__()
        if size not in TABLES:
            raise ValueError(f"size must be one of {list(TABLES)}, got {size!r}")
        if not scale > 0:
            raise ValueError(f"scale must be positive, got {scale!r}")
        if output_stride not in OUTPUT_STRIDES:
            raise ValueError(f"output_stride must be one of {list(OUTPUT_STRIDES)}, got {output_stride!r}")
        table = TABLES[size]
        self.feature_blocks = FEATURE_BLOCKS[size]

        width = _width(STEM_CHANNELS, scale)
        self.conv = _conv(in_channels, width, 3, data_format, stride=2, act="hardswish")
        self.blocks = nn.Sequential()
        self.feature_channels, self.feature_strides = [], []
        total_stride, dilation = 2, 1
        for i, row in enumerate(table):
            is_dilated = total_stride * row.stride > output_stride
            stride = 1 if is_dilated else row.stride
            block = InvertedResidual(width, _scaled(row, scale), stride, dilation, data_format)
            self.blocks.add_sublayer(str(i), block)
            total_stride *= stride
            if is_dilated:
                dilation *= row.stride  # of the blocks that follow: this one's input is as dense as its output
            width = _width(row.out_channels, scale)
            if i in self.feature_blocks:
                self.feature_channels.append(width)
                self.feature_strides.append(total_stride)
        self.feat_channels = self.feature_channels  # the name PaddleSeg's heads read
        load_if_given(self, pretrained)

    def forward(self, x: Tensor) -> list[Tensor]:
        x = self.conv(x)  # [N, 16 * scale, H/2, W/2]
        features = []
        for i, block in enumerate(self.blocks):
            x = block(x)
            if i in self.feature_blocks:
                features.append(x)  # [N, feature_channels[s], H/feature_strides[s], W/feature_strides[s]]
        return features


class InvertedResidual(nn.Layer):
    """A 1x1 convolution that widens, a depthwise one, squeeze-and-excitation, and a linear 1x1 one that narrows."""

    def __init__(self, in_channels: int, row: Row, stride: int, dilation: int, data_format: str) -> None:
        super().__init__()
        self.has_shortcut = stride == 1 and in_channels == row.out_channels
        self.expand_conv = _conv(in_channels, row.expanded, 1, data_format, act=row.act)
        self.bottleneck_conv = _conv(
            row.expanded,
            row.expanded,
            row.kernel_size,
            data_format,
            stride=stride,
            dilation=dilation,
            groups=row.expanded,
            act=row.act,
        )
        self.mid_se = SqueezeExcitation(row.expanded, data_format) if row.has_se else None
        self.linear_conv = _conv(row.expanded, row.out_channels, 1, data_format)

    def forward(self, x: Tensor) -> Tensor:
        y = self.bottleneck_conv(self.expand_conv(x))  # [N, expanded, H/stride, W/stride]
        if self.mid_se is not None:
            y = self.mid_se(y)
        y = self.linear_conv(y)
        return x + y if self.has_shortcut else y


class SqueezeExcitation(nn.Layer):
    """Channel weights from the global mean, by 1x1 convolutions. Hu et al., https://arxiv.org/abs/1709.01507"""

    def __init__(self, channels: int, data_format: str) -> None:
        super().__init__()
        hidden = channels // SQUEEZE_REDUCTION
        self.avg_pool = nn.AdaptiveAvgPool2D(1, data_format=data_format)
        self.conv1 = Conv2D(channels, hidden, 1, data_format=data_format)
        self.conv2 = Conv2D(hidden, channels, 1, data_format=data_format)

    def forward(self, x: Tensor) -> Tensor:
        squeezed = F.relu(self.conv1(self.avg_pool(x)))  # [N, C/4, 1, 1]
        return x * F.hardsigmoid(self.conv2(squeezed), slope=0.2, offset=0.5)


def _conv(
    in_channels: int,
    out_channels: int,
    kernel_size: int,
    data_format: str,
    stride: int = 1,
    dilation: int = 1,
    groups: int = 1,
    act: str | None = None,
) -> ConvBNAct:
    """A convolution whose normalisation has no L2 weight decay, whatever the optimiser's."""
    layer = ConvBNAct(
        in_channels,
        out_channels,
        kernel_size,
        stride=stride,
        dilation=dilation,
        groups=groups,
        act=act,
        data_format=data_format,
        names=("conv", "bn"),
    )
    for parameter in (layer.bn.weight, layer.bn.bias):
        parameter.regularizer = L2Decay(0.0)
    return layer


def _scaled(row: Row, scale: float) -> Row:
    return row._replace(expanded=_width(row.expanded, scale), out_channels=_width(row.out_channels, scale))


def _width(channels: int, scale: float) -> int:
    """``channels * scale`` to the nearest multiple of 8 that does not lose more than a tenth."""
    exact = channels * scale
    rounded = max(CHANNEL_DIVISOR, int(exact + CHANNEL_DIVISOR / 2) // CHANNEL_DIVISOR * CHANNEL_DIVISOR)
    return rounded + CHANNEL_DIVISOR if rounded < 0.9 * exact else rounded


def _variant(size: str, scale: float, stride: int = 32) -> Callable[..., MobileNetV3]:
    """A registered factory of :class:`MobileNetV3` with its size and scale filled in, and a default output stride."""

    def build(
        in_channels: int = 3,
        pretrained: str | None = None,
        output_stride: int = stride,
        data_format: str = "NCHW",
    ) -> MobileNetV3:
        return MobileNetV3(size, scale, output_stride, in_channels, pretrained, data_format)

    name = f"MobileNetV3_{size}_x{scale}".replace(".", "_") + ("" if stride == 32 else f"_os{stride}")
    build.__name__ = build.__qualname__ = name
    build.__doc__ = f"{name}; arguments are :class:`MobileNetV3`'s."
    return BACKBONES.register()(build)


MobileNetV3_small_x0_35 = _variant("small", 0.35)
MobileNetV3_small_x0_5 = _variant("small", 0.5)
MobileNetV3_small_x0_75 = _variant("small", 0.75)
MobileNetV3_small_x1_0 = _variant("small", 1.0)
MobileNetV3_small_x1_25 = _variant("small", 1.25)
MobileNetV3_small_x1_0_os8 = _variant("small", 1.0, stride=8)
MobileNetV3_large_x0_35 = _variant("large", 0.35)
MobileNetV3_large_x0_5 = _variant("large", 0.5)
MobileNetV3_large_x0_75 = _variant("large", 0.75)
MobileNetV3_large_x1_0 = _variant("large", 1.0)
MobileNetV3_large_x1_25 = _variant("large", 1.25)
MobileNetV3_large_x1_0_os8 = _variant("large", 1.0, stride=8)

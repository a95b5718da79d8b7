"""ResNet-vd: ResNet with a deep stem and pooled shortcuts, dilated for segmentation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import paddle.nn.functional as F  # noqa: N812
from paddle import Tensor, nn

from dygraph.layers import ConvBNAct
from dygraph.layers.start import load_if_given
from shared.registry import BACKBONES

DEPTHS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
STAGE_CHANNELS = (64, 128, 256, 512)
DILATIONS = {None: (1, 1, 1, 1), 32: (1, 1, 1, 1), 16: (1, 1, 1, 2), 8: (1, 1, 2, 4)}  # by output_stride


@BACKBONES.register()
class ResNet_vd(nn.Layer):  # noqa: N801
    """He et al., "Bag of Tricks for Image Classification with Convolutional Neural Networks" (ResNet-D),
    https://arxiv.org/abs/1812.01187

    Differs from the paper: the last one or two stages trade their stride for dilation (``output_stride``), and the
    last stage's dilations may vary from block to block (``multi_grid``), as in https://arxiv.org/abs/1706.05587.

    Args:
        layers: 18 and 34 have basic blocks; 50, 101 and 152 bottlenecks.
        output_stride: 8 or 16; 32 or None leave the classification network as it is.
        multi_grid: factors on the dilation of the last stage's first blocks, one per block.
        lr_mult_list: factors on the learning rate of the stem and the four stages.
        pretrained: path or URL of weights for this backbone.

    Input ``[N, in_channels, H, W]`` (or NHWC, as ``data_format`` says), output the features of the four stages,
    finest first; ``feature_channels`` and ``feature_strides`` describe them.
    """

    def __init__(
        self,
        layers: int = 50,
        output_stride: int | None = 8,
        multi_grid: Sequence[int] = (1, 1, 1),
        in_channels: int = 3,
        pretrained: str | None = None,
        lr_mult_list: Sequence[float] = (1.0, 1.0, 1.0, 1.0, 1.0),
        data_format: str = "NCHW",
    ) -> None:
        super().__init__()
        _check(layers, output_stride, multi_grid, lr_mult_list)
        block = BasicBlock if layers < 50 else Bottleneck
        self.feature_channels = [c * block.expansion for c in STAGE_CHANNELS]
        self.feat_channels = self.feature_channels  # the name PaddleSeg's heads read
        self.feature_strides = [min(stride, output_stride or 32) for stride in (4, 8, 16, 32)]

        stem: dict[str, Any] = {"lr_mult": lr_mult_list[0], "data_format": data_format}
        self.conv1_1 = ConvBNAct(in_channels, 32, 3, stride=2, **stem)
        self.conv1_2 = ConvBNAct(32, 32, 3, **stem)
        self.conv1_3 = ConvBNAct(32, 64, 3, **stem)
        self.pool2d_max = nn.MaxPool2D(kernel_size=3, stride=2, padding=1, data_format=data_format)

        self.stage_keys: list[list[str]] = []
        width = 64
        for s, (depth, channels, dilation) in enumerate(zip(DEPTHS[layers], STAGE_CHANNELS, DILATIONS[output_stride])):
            keys = [f"bb_{s}_{i}" for i in range(depth)]
            self.stage_keys.append(keys)
            for i, key in enumerate(keys):
                sublayer = block(
                    width,
                    channels,
                    stride=2 if i == 0 and s > 0 and dilation == 1 else 1,
                    dilation=dilation * (multi_grid[i] if s == 3 else 1),
                    has_projection=i == 0,
                    lr_mult=lr_mult_list[s + 1],
                    data_format=data_format,
                )
                self.add_sublayer(key, sublayer)
                width = channels * block.expansion
        load_if_given(self, pretrained)

    def forward(self, x: Tensor) -> list[Tensor]:
        return self.stages(self.stem(x))

    def stem(self, x: Tensor) -> Tensor:
        """The image to the stem's feature ``[N, 64, H/2, W/2]``."""
        return self.conv1_3(self.conv1_2(self.conv1_1(x)))

    def stages(self, stem: Tensor) -> list[Tensor]:
        """The stem's feature to those of the four stages."""
        x = self.pool2d_max(stem)  # [N, 64, H/4, W/4]
        features = []
        for keys in self.stage_keys:
            for key in keys:
                x = getattr(self, key)(x)
            features.append(x)  # [N, feature_channels[s], H/feature_strides[s], W/feature_strides[s]]
        return features


class _Residual(nn.Layer):
    """A subclass's convolutions beside a shortcut, and a ReLU on the sum.

    Where the shape changes the shortcut pools before its 1x1 convolution, so that no pixel is skipped.
    """

    expansion = 1

    def __init__(
        self,
        in_channels: int,
        channels: int,
        stride: int,
        dilation: int,
        has_projection: bool,
        lr_mult: float,
        data_format: str,
    ) -> None:
        super().__init__()
        options: dict[str, Any] = {"lr_mult": lr_mult, "data_format": data_format}
        self._make_convs(in_channels, channels, stride, dilation, options)
        self.pool = None
        self.short = None
        if stride > 1:
            self.pool = nn.AvgPool2D(stride, stride, ceil_mode=True, data_format=data_format)
        if has_projection:
            self.short = ConvBNAct(in_channels, channels * self.expansion, 1, act=None, **options)

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.pool is None else self.pool(x)
        if self.short is not None:
            shortcut = self.short(shortcut)
        return F.relu(shortcut + self._convolved(x))


class BasicBlock(_Residual):
    """Two 3x3 convolutions."""

    def _make_convs(self, in_channels: int, channels: int, stride: int, dilation: int, options: dict[str, Any]) -> None:
        self.conv0 = ConvBNAct(in_channels, channels, 3, stride=stride, dilation=dilation, **options)
        self.conv1 = ConvBNAct(channels, channels, 3, dilation=dilation, act=None, **options)

    def _convolved(self, x: Tensor) -> Tensor:
        return self.conv1(self.conv0(x))


class Bottleneck(_Residual):
    """1x1, 3x3 and 1x1 convolutions, the last four times as wide; the 3x3 one carries stride and dilation."""

    expansion = 4

    def _make_convs(self, in_channels: int, channels: int, stride: int, dilation: int, options: dict[str, Any]) -> None:
        self.conv0 = ConvBNAct(in_channels, channels, 1, **options)
        self.conv1 = ConvBNAct(channels, channels, 3, stride=stride, dilation=dilation, **options)
        self.conv2 = ConvBNAct(channels, channels * self.expansion, 1, act=None, **options)

    def _convolved(self, x: Tensor) -> Tensor:
        return self.conv2(self.conv1(self.conv0(x)))


def _check(layers: int, output_stride: int | None, multi_grid: Sequence[int], lr_mult_list: Sequence[float]) -> None:
    if layers not in DEPTHS:
        raise ValueError(f"layers must be one of {list(DEPTHS)}, got {layers!r}")
    if output_stride not in DILATIONS:
        raise ValueError(f"output_stride must be 8, 16, 32 or None, got {output_stride!r}")
    if len(multi_grid) < DEPTHS[layers][3] or min(multi_grid) < 1:
        raise ValueError(f"multi_grid needs {DEPTHS[layers][3]} positive integers, got {list(multi_grid)}")
    if len(lr_mult_list) != 5:
        raise ValueError(f"lr_mult_list needs 5 numbers (the stem and four stages), got {list(lr_mult_list)}")


def _variant(layers: int) -> Callable[..., ResNet_vd]:
    """A registered factory of :class:`ResNet_vd` with its depth filled in."""

    def build(
        output_stride: int | None = 8,
        multi_grid: Sequence[int] = (1, 1, 1),
        in_channels: int = 3,
        pretrained: str | None = None,
        lr_mult_list: Sequence[float] = (1.0, 1.0, 1.0, 1.0, 1.0),
        data_format: str = "NCHW",
    ) -> ResNet_vd:
        return ResNet_vd(layers, output_stride, multi_grid, in_channels, pretrained, lr_mult_list, data_format)

    build.__name__ = build.__qualname__ = f"ResNet{layers}_vd"
    build.__doc__ = f"ResNet{layers}_vd; arguments are :class:`ResNet_vd`'s."
    return BACKBONES.register()(build)


ResNet18_vd = _variant(18)
ResNet34_vd = _variant(34)
ResNet50_vd = _variant(50)
ResNet101_vd = _variant(101)
ResNet152_vd = _variant(152)

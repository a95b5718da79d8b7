"""Xception as DeepLabV3+ uses it: residual blocks of three depthwise separable convolutions."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import paddle.nn.functional as F  # noqa: N812
from paddle import Tensor, nn

from dygraph.layers import Conv2D, ConvBNAct
from dygraph.layers.start import load_if_given
from shared.registry import BACKBONES

logger = logging.getLogger(__name__)

ENTRY_CHANNELS = {41: (128, 256, 728), 65: (128, 256, 728), 71: (128, 256, 256, 728, 728)}
MIDDLE_BLOCKS = {41: 8, 65: 16, 71: 16}
MIDDLE_CHANNELS = 728
NORM: dict[str, Any] = {"epsilon": 1e-3, "momentum": 0.99}


@BACKBONES.register()
class XceptionDeeplab(nn.Layer):
    """Chollet, "Xception: Deep Learning with Depthwise Separable Convolutions", https://arxiv.org/abs/1610.02357,
    as modified by Chen et al., "Encoder-Decoder with Atrous Separable Convolution for Semantic Image Segmentation",
    https://arxiv.org/abs/1802.02611

    Differs from the papers: an activation follows the depthwise half of a convolution in the last block only. As in
    PaddleSeg, so that its weights compute what they were trained to, every block of the entry flow halves the
    resolution, five of them in Xception-71, whatever ``output_stride`` says.

    Args:
        layers: 41, 65 or 71.
        output_stride: 8 and 16 keep the exit flow at the entry flow's resolution (stride 16, in Xception-71 64),
            32 halves it once more. A warning says so where the coarse feature's stride is another.
        pretrained: path or URL of weights for this backbone.

    Input ``[N, in_channels, H, W]`` (or NHWC, as ``data_format`` says), output two features: the first block's and
    the last one's; ``feature_channels`` and ``feature_strides`` describe them.
    """

    def __init__(
        self,
        layers: int = 65,
        in_channels: int = 3,
        pretrained: str | None = None,
        output_stride: int = 16,
        data_format: str = "NCHW",
    ) -> None:
        super().__init__()
        if layers not in ENTRY_CHANNELS:
            raise ValueError(f"layers must be one of {list(ENTRY_CHANNELS)}, got {layers!r}")
        if output_stride not in (8, 16, 32):
            raise ValueError(f"output_stride must be 8, 16 or 32, got {output_stride!r}")
        entry_channels = ENTRY_CHANNELS[layers]
        exit_stride = 2 if output_stride == 32 else 1
        self.feature_channels = [entry_channels[0], 2048]
        self.feature_strides = [4, 2 ** (1 + len(entry_channels)) * exit_stride]
        self.feat_channels = self.feature_channels  # the name PaddleSeg's heads read
        if self.feature_strides[1] != output_stride:
            logger.warning(
                "Xception%d_deeplab: the coarse feature has stride %d, as in PaddleSeg, not the output_stride %d",
                layers,
                self.feature_strides[1],
                output_stride,
            )

        stem: dict[str, Any] = {"names": ("_conv", "_bn"), "data_format": data_format, **NORM}
        self._conv1 = ConvBNAct(in_channels, 32, 3, stride=2, **stem)
        self._conv2 = ConvBNAct(32, 64, 3, **stem)

        self.entry_keys, self.middle_keys = [], []
        width = 64
        for i, channels in enumerate(entry_channels, start=1):
            self.entry_keys.append(f"xception_{layers}/entry_flow/block{i}")
            block = XceptionBlock(width, (channels,) * 3, stride=2, shortcut="conv", data_format=data_format)
            self.add_sublayer(self.entry_keys[-1], block)
            width = channels
        for i in range(1, MIDDLE_BLOCKS[layers] + 1):
            self.middle_keys.append(f"xception_{layers}/middle_flow/block{i}")
            block = XceptionBlock(width, (MIDDLE_CHANNELS,) * 3, shortcut="identity", data_format=data_format)
            self.add_sublayer(self.middle_keys[-1], block)
        self._exit_flow_1 = XceptionBlock(
            width, (728, 1024, 1024), stride=exit_stride, shortcut="conv", data_format=data_format
        )
        self._exit_flow_2 = XceptionBlock(1024, (1536, 1536, 2048), dilation=2, data_format=data_format)
        load_if_given(self, pretrained)

    def forward(self, x: Tensor) -> list[Tensor]:
        x = self._conv2(self._conv1(x))  # [N, 64, H/2, W/2]
        fine = x = getattr(self, self.entry_keys[0])(x)  # [N, 128, H/4, W/4]
        for key in [*self.entry_keys[1:], *self.middle_keys]:
            x = getattr(self, key)(x)
        return [fine, self._exit_flow_2(self._exit_flow_1(x))]  # and [N, 2048, H/stride, W/stride]


class XceptionBlock(nn.Layer):
    """Three separable convolutions, the last of which carries the stride.

    Args:
        shortcut: ``"conv"`` adds a strided 1x1 convolution of the input and ``"identity"`` the input itself, both to
            convolutions of activated features; without one the convolutions activate what they give.
    """

    def __init__(
        self,
        in_channels: int,
        channels: tuple[int, int, int],
        stride: int = 1,
        dilation: int = 1,
        shortcut: str | None = None,
        data_format: str = "NCHW",
    ) -> None:
        super().__init__()
        self.shortcut = shortcut
        shared: dict[str, Any] = {"dilation": dilation, "act": shortcut is None, "data_format": data_format}
        first, second, third = channels
        self._conv1 = SeparableConv(in_channels, first, **shared)
        self._conv2 = SeparableConv(first, second, **shared)
        self._conv3 = SeparableConv(second, third, stride=stride, **shared)
        self._short = None
        if shortcut == "conv":
            self._short = ConvBNAct(
                in_channels, third, 1, stride=stride, act=None, names=("_conv", "_bn"), data_format=data_format, **NORM
            )

    def forward(self, x: Tensor) -> Tensor:
        if self.shortcut is None:
            return self._conv3(self._conv2(self._conv1(x)))
        y = self._conv3(F.relu(self._conv2(F.relu(self._conv1(F.relu(x))))))
        return y + (x if self._short is None else self._short(x))


class SeparableConv(nn.Layer):
    """A depthwise 3x3 and a pointwise convolution, normalised each, with ``act`` activated each.

    One layer rather than two :class:`ConvBNAct`, because published weights have all four parts under it.
    """

    def __init__(
        self, in_channels: int, out_channels: int, dilation: int, act: bool, data_format: str, stride: int = 1
    ) -> None:
        super().__init__()
        self.act = act
        shared: dict[str, Any] = {"bias_attr": False, "data_format": data_format}
        self._conv1 = Conv2D(
            in_channels, in_channels, 3, stride, padding=dilation, dilation=dilation, groups=in_channels, **shared
        )
        self._bn1 = nn.BatchNorm2D(in_channels, data_format=data_format, **NORM)
        self._conv2 = Conv2D(in_channels, out_channels, 1, **shared)
        self._bn2 = nn.BatchNorm2D(out_channels, data_format=data_format, **NORM)

    def forward(self, x: Tensor) -> Tensor:
        x = self._activated(self._bn1(self._conv1(x)))  # [N, in_channels, H/stride, W/stride]
        return self._activated(self._bn2(self._conv2(x)))  # [N, out_channels, H/stride, W/stride]

    def _activated(self, x: Tensor) -> Tensor:
        return F.relu(x) if self.act else x


def _variant(layers: int) -> Callable[..., XceptionDeeplab]:
    """A registered factory of :class:`XceptionDeeplab` with its depth filled in."""

    def build(
        in_channels: int = 3, pretrained: str | None = None, output_stride: int = 16, data_format: str = "NCHW"
    ) -> XceptionDeeplab:
        return XceptionDeeplab(layers, in_channels, pretrained, output_stride, data_format)

    build.__name__ = build.__qualname__ = f"Xception{layers}_deeplab"
    build.__doc__ = f"Xception{layers}_deeplab; arguments are :class:`XceptionDeeplab`'s."
    return BACKBONES.register()(build)


Xception41_deeplab = _variant(41)
Xception65_deeplab = _variant(65)
Xception71_deeplab = _variant(71)

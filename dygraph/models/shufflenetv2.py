"""ShuffleNetV2: the light portrait network."""

from __future__ import annotations

from typing import Any

import paddle
import paddle.nn.functional as F  # noqa: N812
from paddle import Tensor, nn

from dygraph.layers import ConvBNAct, SeparableConvBNAct, channel_axis, resize_like
from dygraph.layers.start import frozen, load_if_given
from dygraph.models.base import SegmentationNetwork
from shared.registry import MODELS

STEM_CHANNELS, SKIP_CHANNELS, DECODER_CHANNELS = 36, 18, 64
STAGES = ((72, 4), (144, 8))  # width and number of blocks, the first of which halves the size


@MODELS.register()
class ShuffleNetV2(SegmentationNetwork):
    """Ma et al., "ShuffleNet V2: Practical Guidelines for Efficient CNN Architecture Design",
    https://arxiv.org/abs/1807.11164; as the light network for portraits of PaddleSeg's human-segmentation case, which
    calls it PPHumanSegLite in version 2.8.

    Differs from the paper, whose units it has: two stages of other widths, and a decoder of separable convolutions that
    joins the stem with the last stage. The last of them gives the logits, with normalisation and ReLU like the
    others, so that no logit is negative.

    Args:
        num_classes: K.
        align_corners: of all resizes.
        pretrained: path or URL of weights for the whole network.

    Input ``[N, 3, H, W]`` float32, output a list of one map of logits ``[N, K, H, W]``.
    """

    def __init__(
        self,
        num_classes: int,
        align_corners: bool = False,
        pretrained: str | None = None,
        data_format: str = "NCHW",
    ) -> None:
        super().__init__(align_corners, data_format)
        self.conv_bn0 = _conv(3, STEM_CHANNELS, 3, data_format, stride=2)
        self.conv_bn1 = _conv(STEM_CHANNELS, SKIP_CHANNELS, 1, data_format)
        self.pool = nn.MaxPool2D(3, stride=2, padding=1, data_format=data_format)
        (first, first_blocks), (second, second_blocks) = STAGES
        self.block1 = _stage(STEM_CHANNELS, first, first_blocks, data_format)
        self.block2 = _stage(first, second, second_blocks, data_format)
        self.depthwise_separable0 = _separable(second, DECODER_CHANNELS, data_format)
        self.depthwise_separable1 = _separable(DECODER_CHANNELS + SKIP_CHANNELS, DECODER_CHANNELS, data_format)
        self.depthwise_separable2 = _separable(DECODER_CHANNELS, num_classes, data_format)
        load_if_given(self, pretrained)

    def logit_maps(self, x: Tensor) -> list[Tensor]:
        """One map at half of the size."""
        x = self.conv_bn0(x)  # [N, 36, H/2, W/2]
        skip = self.conv_bn1(x)  # [N, 18, H/2, W/2]
        x = self.block2(self.block1(self.pool(x)))  # [N, 144, H/16, W/16]
        x = resize_like(self.depthwise_separable0(x), skip, self.align_corners, self.data_format)
        x = paddle.concat([skip, x], axis=channel_axis(self.data_format))  # [N, 82, H/2, W/2]
        return [self.depthwise_separable2(self.depthwise_separable1(x))]  # [N, K, H/2, W/2]


class Downsample(nn.Layer):
    """The first block of a stage: both branches read all channels at half the size."""

    def __init__(self, in_channels: int, out_channels: int, data_format: str) -> None:
        super().__init__()
        width = out_channels // 2
        self._depthwise_separable_0 = _separable(in_channels, width, data_format, stride=2)
        self._conv = _conv(in_channels, width, 1, data_format)
        self._depthwise_separable_1 = _separable(width, width, data_format, stride=2)
        self._data_format = data_format

    def forward(self, x: Tensor) -> Tensor:
        branches = [self._depthwise_separable_0(x), self._depthwise_separable_1(self._conv(x))]
        return _shuffled(branches, self._data_format)


class Unit(nn.Layer):
    """A further block: one half of the channels passes, the other is convolved.

    ``_depthwise_separable_0`` stands in published weights only; nothing reads it.
    """

    def __init__(self, channels: int, data_format: str) -> None:
        super().__init__()
        width = channels // 2
        self._depthwise_separable_0 = frozen(_separable(channels, width, data_format))
        self._conv = _conv(width, width, 1, data_format)
        self._depthwise_separable_1 = _separable(width, width, data_format)
        self._data_format = data_format

    def forward(self, x: Tensor) -> Tensor:
        passed, x = paddle.split(x, 2, axis=channel_axis(self._data_format))
        return _shuffled([passed, self._depthwise_separable_1(self._conv(x))], self._data_format)


def _shuffled(branches: list[Tensor], data_format: str) -> Tensor:
    """The branches' channels in turn: first of each, second of each, ..."""
    return F.channel_shuffle(paddle.concat(branches, axis=channel_axis(data_format)), len(branches), data_format)


def _stage(in_channels: int, channels: int, blocks: int, data_format: str) -> nn.Sequential:
    units = (Unit(channels, data_format) for _ in range(blocks - 1))
    return nn.Sequential(Downsample(in_channels, channels, data_format), *units)


def _conv(in_channels: int, out_channels: int, kernel_size: int, data_format: str, **options: Any) -> ConvBNAct:
    """Convolution, normalisation, ReLU; the kernel begins normal, standard deviation 0.001."""
    narrow = nn.initializer.Normal(std=0.001)
    return ConvBNAct(in_channels, out_channels, kernel_size, weight_init=narrow, data_format=data_format, **options)


def _separable(in_channels: int, out_channels: int, data_format: str, stride: int = 1) -> SeparableConvBNAct:
    narrow = nn.initializer.Normal(std=0.001)
    return SeparableConvBNAct(
        in_channels, out_channels, 3, stride=stride, bias=False, weight_init=narrow, data_format=data_format
    )

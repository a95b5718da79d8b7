"""BiSeNet V2: a wide shallow branch for detail, a narrow deep one for semantics, each gating the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import paddle
import paddle.nn.functional as F  # noqa: N812
from paddle import Tensor, nn

from dygraph.layers import Conv2D, ConvBNAct, channel_axis, resize_like
from dygraph.layers.start import load_if_given
from dygraph.models.base import SegmentationNetwork
from shared.registry import MODELS

DETAIL_CHANNELS = ((64, 64), (64, 64, 64), (128, 128, 128))  # three stages; the first of each halves the size
EXPANSION = 6


@MODELS.register()
class BiSeNetV2(SegmentationNetwork):
    """Yu et al., "BiSeNet V2: Bilateral Network with Guided Aggregation for Real-time Semantic Segmentation",
    https://arxiv.org/abs/2004.02147

    Differs from the paper: a head is as wide as the feature it reads, where the paper widens it, and has dropout of
    0.1; convolutions have biases beside their normalisation, and those of stride 2 pad only on the right and at the
    bottom where the size is even.

    Args:
        num_classes: K.
        lambd: width of the semantic branch at strides 4 and 8, as a part of the detail branch's at 2 and 8.
        align_corners: of all resizes.
        in_channels: of the image.
        pretrained: path or URL of weights for the whole network.

    Input ``[N, in_channels, H, W]`` float32, output a list of maps of logits ``[N, K, H, W]``: the main one and, in
    training, four more, from the semantic branch's stages.
    """

    def __init__(
        self,
        num_classes: int,
        lambd: float = 0.25,
        align_corners: bool = False,
        in_channels: int = 3,
        pretrained: str | None = None,
        data_format: str = "NCHW",
    ) -> None:
        super().__init__(align_corners, data_format)
        semantic = (int(64 * lambd), int(128 * lambd), 64, 128)
        if semantic[0] < 2:
            raise ValueError(f"lambd must be at least {2 / 64}, which leaves the stem two channels, got {lambd}")
        self.db = DetailBranch(in_channels, data_format)
        self.sb = SemanticBranch(in_channels, semantic, data_format)
        self.bga = GuidedAggregation(128, align_corners, data_format)
        for number, channels in enumerate(semantic, start=1):
            self.add_sublayer(f"aux_head{number}", SegHead(channels, channels, num_classes, data_format))
        self.head = SegHead(128, 128, num_classes, data_format)
        load_if_given(self, pretrained)

    def logit_maps(self, x: Tensor) -> list[Tensor]:
        """The main map at an eighth of the size; in training those of the four semantic stages after it."""
        detail = self.db(x)  # [N, 128, H/8, W/8]
        *stages, context = self.sb(x)  # H/4, H/8, H/16, H/32; H/32
        logits = [self.head(self.bga(detail, context))]  # [N, K, H/8, W/8]
        if self.training:
            heads = (self.aux_head1, self.aux_head2, self.aux_head3, self.aux_head4)
            logits += [head(feature) for head, feature in zip(heads, stages)]
        return logits


class DetailBranch(nn.Layer):
    """Eight 3x3 convolutions down to an eighth of the size."""

    def __init__(self, in_channels: int, data_format: str) -> None:
        super().__init__()
        convs = []
        for widths in DETAIL_CHANNELS:
            for i, width in enumerate(widths):
                convs.append(_conv(in_channels, width, 3, data_format, stride=1 if i else 2))
                in_channels = width
        self.convs = nn.Sequential(*convs)

    def forward(self, x: Tensor) -> Tensor:
        return self.convs(x)


class SemanticBranch(nn.Layer):
    """The stem, three stages of gather-and-expansion layers, and the context embedding; gives all five features."""

    def __init__(self, in_channels: int, widths: Sequence[int], data_format: str) -> None:
        super().__init__()
        c1, c3, c4, c5 = widths
        self.stem = Stem(in_channels, c1, data_format)
        self.stage3 = _stage(c1, c3, 2, data_format)
        self.stage4 = _stage(c3, c4, 2, data_format)
        self.stage5_4 = _stage(c4, c5, 4, data_format)
        self.ce = ContextEmbedding(c5, data_format)

    def forward(self, x: Tensor) -> list[Tensor]:
        features = []
        for layer in (self.stem, self.stage3, self.stage4, self.stage5_4, self.ce):
            x = layer(x)
            features.append(x)
        return features


class Stem(nn.Layer):
    """Two ways to a quarter of the size, convolution and pooling, concatenated."""

    def __init__(self, in_channels: int, channels: int, data_format: str) -> None:
        super().__init__()
        self.conv = _conv(in_channels, channels, 3, data_format, stride=2)
        self.left = nn.Sequential(
            _conv(channels, channels // 2, 1, data_format), _conv(channels // 2, channels, 3, data_format, stride=2)
        )
        self.right = nn.MaxPool2D(3, stride=2, padding=1, data_format=data_format)
        self.fuse = _conv(2 * channels, channels, 3, data_format)
        self._channel_axis = channel_axis(data_format)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        return self.fuse(paddle.concat([self.left(x), self.right(x)], axis=self._channel_axis))


class GatherAndExpand(nn.Layer):
    """A 3x3 convolution, a widening depthwise one and a narrowing 1x1 one, beside the identity."""

    def __init__(self, channels: int, data_format: str) -> None:
        super().__init__()
        hidden = channels * EXPANSION
        self.conv = nn.Sequential(
            _conv(channels, channels, 3, data_format),
            _depthwise(channels, hidden, data_format),
            _conv(hidden, channels, 1, data_format, act=None),
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.conv(x))


class GatherAndExpandDown(nn.Layer):
    """The same to half the size: one more depthwise convolution, and a separable one as shortcut."""

    def __init__(self, in_channels: int, out_channels: int, data_format: str) -> None:
        super().__init__()
        hidden = in_channels * EXPANSION
        self.branch_1 = nn.Sequential(
            _conv(in_channels, in_channels, 3, data_format),
            _depthwise(in_channels, hidden, data_format, stride=2),
            _depthwise(hidden, hidden, data_format),
            _conv(hidden, out_channels, 1, data_format, act=None),
        )
        self.branch_2 = nn.Sequential(
            _depthwise(in_channels, in_channels, data_format, stride=2),
            _conv(in_channels, out_channels, 1, data_format, act=None),
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.branch_1(x) + self.branch_2(x))


class ContextEmbedding(nn.Layer):
    """The mean of the whole map, normalised and projected, added to every pixel."""

    def __init__(self, channels: int, data_format: str) -> None:
        super().__init__()
        self.gap = nn.AdaptiveAvgPool2D(1, data_format=data_format)
        self.bn = nn.BatchNorm2D(channels, data_format=data_format)
        self.conv_1x1 = _conv(channels, channels, 1, data_format)
        self.conv_3x3 = Conv2D(channels, channels, 3, padding=1, data_format=data_format)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv_3x3(x + self.conv_1x1(self.bn(self.gap(x))))


class GuidedAggregation(nn.Layer):
    """Each branch, at both sizes, is gated by the other; their sum is convolved."""

    def __init__(self, channels: int, align_corners: bool, data_format: str) -> None:
        super().__init__()
        self._align_corners = align_corners
        self._data_format = data_format

        def keep() -> nn.Sequential:
            return nn.Sequential(
                _depthwise(channels, channels, data_format), Conv2D(channels, channels, 1, data_format=data_format)
            )

        self.db_branch_keep = keep()
        self.db_branch_down = nn.Sequential(
            _conv(channels, channels, 3, data_format, stride=2, act=None),
            nn.AvgPool2D(3, stride=2, padding=1, data_format=data_format),
        )
        self.sb_branch_keep = keep()
        self.sb_branch_up = _conv(channels, channels, 3, data_format, act=None)
        self.conv = _conv(channels, channels, 3, data_format, act=None)

    def forward(self, detail: Tensor, semantic: Tensor) -> Tensor:
        fine = self.db_branch_keep(detail) * F.sigmoid(self._resized(self.sb_branch_up(semantic), detail))  # H/8
        coarse = self.db_branch_down(detail) * F.sigmoid(self.sb_branch_keep(semantic))  # H/32
        return self.conv(fine + self._resized(coarse, detail))  # [N, C, H/8, W/8]

    def _resized(self, x: Tensor, reference: Tensor) -> Tensor:
        return resize_like(x, reference, self._align_corners, self._data_format)


class SegHead(nn.Layer):
    """3x3 convolution, dropout and the 1x1 classifier."""

    def __init__(self, in_channels: int, channels: int, num_classes: int, data_format: str) -> None:
        super().__init__()
        self.conv_3x3 = nn.Sequential(_conv(in_channels, channels, 3, data_format), nn.Dropout(p=0.1))
        self.conv_1x1 = Conv2D(channels, num_classes, 1, data_format=data_format)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv_1x1(self.conv_3x3(x))


def _stage(in_channels: int, channels: int, layers: int, data_format: str) -> nn.Sequential:
    further = (GatherAndExpand(channels, data_format) for _ in range(layers - 1))
    return nn.Sequential(GatherAndExpandDown(in_channels, channels, data_format), *further)


def _conv(in_channels: int, out_channels: int, kernel_size: int, data_format: str, **options: Any) -> ConvBNAct:
    return ConvBNAct(
        in_channels, out_channels, kernel_size, padding="same", bias=True, data_format=data_format, **options
    )


def _depthwise(in_channels: int, out_channels: int, data_format: str, stride: int = 1) -> nn.Sequential:
    """A 3x3 convolution of each channel by itself, without activation.

    He initialisation counts the nine inputs that a kernel has; Paddle's own would count those of every channel.
    """
    he = nn.initializer.KaimingNormal()
    conv = _conv(in_channels, out_channels, 3, data_format, stride=stride, groups=in_channels, act=None, weight_init=he)
    return nn.Sequential(("depthwise_conv", conv))

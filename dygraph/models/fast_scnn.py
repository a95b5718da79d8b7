"""Fast-SCNN: a shallow branch for detail shares its first layers with a deep one for context."""

from __future__ import annotations

import paddle.nn.functional as F  # noqa: N812
from paddle import Tensor, nn

from dygraph.layers import AuxHead, Conv2D, ConvBNAct, PyramidPooling, SeparableConvBNAct, resize_like
from dygraph.layers.start import load_if_given
from dygraph.models.base import SegmentationNetwork
from shared.registry import MODELS

DETAIL_CHANNELS, CONTEXT_CHANNELS = 64, 128
BOTTLENECKS = ((64, 3, 2), (96, 3, 2), (128, 3, 1))  # output channels, blocks, stride of the first; table 1
EXPANSION = 6


@MODELS.register()
class FastSCNN(SegmentationNetwork):
    """Poudel et al., "Fast-SCNN: Fast Semantic Segmentation Network", https://arxiv.org/abs/1902.04502

    Differs from the paper: the fusion's depthwise convolution is not dilated; of the two auxiliary classifiers only the
    one on the shared layers is there; most convolutions outside the bottlenecks have biases beside their
    normalisation.

    Args:
        num_classes: K.
        in_channels: of the image.
        enable_auxiliary_loss: a second map of logits, from the shared layers.
        align_corners: of all resizes but the pyramid's, which always align them.
        pretrained: path or URL of weights for the whole network.

    Input ``[N, in_channels, H, W]`` float32, output a list of maps of logits ``[N, K, H, W]``: the main one and, with
    ``enable_auxiliary_loss``, the auxiliary one.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int = 3,
        enable_auxiliary_loss: bool = True,
        align_corners: bool = False,
        pretrained: str | None = None,
        data_format: str = "NCHW",
    ) -> None:
        super().__init__(align_corners, data_format)
        self.learning_to_downsample = LearningToDownsample(in_channels, data_format)
        self.global_feature_extractor = GlobalFeatureExtractor(data_format)
        self.feature_fusion = FeatureFusion(align_corners, data_format)
        self.classifier = Classifier(num_classes, data_format)
        self.auxlayer = None
        if enable_auxiliary_loss:
            self.auxlayer = AuxHead(DETAIL_CHANNELS, 32, num_classes, data_format=data_format)
        load_if_given(self, pretrained)

    def logit_maps(self, x: Tensor) -> list[Tensor]:
        """The main map and the auxiliary one, both at an eighth of the size."""
        detail = self.learning_to_downsample(x)  # [N, 64, H/8, W/8]
        context = self.global_feature_extractor(detail)  # [N, 128, H/32, W/32]
        logits = [self.classifier(self.feature_fusion(detail, context))]  # [N, K, H/8, W/8]
        return logits if self.auxlayer is None else [*logits, self.auxlayer(detail)]


class LearningToDownsample(nn.Layer):
    """Three convolutions of stride 2, the last two separable; what they learn serves both branches."""

    def __init__(self, in_channels: int, data_format: str) -> None:
        super().__init__()
        self.conv_bn_relu = ConvBNAct(in_channels, 32, 3, stride=2, padding="same", bias=True, data_format=data_format)
        self.dsconv_bn_relu1 = SeparableConvBNAct(32, 48, 3, stride=2, data_format=data_format)
        self.dsconv_bn_relu2 = SeparableConvBNAct(48, DETAIL_CHANNELS, 3, stride=2, data_format=data_format)

    def forward(self, x: Tensor) -> Tensor:
        return self.dsconv_bn_relu2(self.dsconv_bn_relu1(self.conv_bn_relu(x)))


class GlobalFeatureExtractor(nn.Layer):
    """Inverted bottlenecks down to a stride of 32, and pyramid pooling."""

    def __init__(self, data_format: str) -> None:
        super().__init__()
        in_channels = DETAIL_CHANNELS
        for number, (channels, blocks, stride) in enumerate(BOTTLENECKS, start=1):
            stage = nn.Sequential(
                *(
                    InvertedBottleneck(channels if i else in_channels, channels, 1 if i else stride, data_format)
                    for i in range(blocks)
                )
            )
            self.add_sublayer(f"bottleneck{number}", stage)
            in_channels = channels
        self.ppm = PyramidPooling(
            in_channels, CONTEXT_CHANNELS, (1, 2, 3, 6), align_corners=True, data_format=data_format
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.ppm(self.bottleneck3(self.bottleneck2(self.bottleneck1(x))))


class InvertedBottleneck(nn.Layer):
    """Widening 1x1, depthwise 3x3 and narrowing 1x1 convolutions; a shortcut where the shape stays.

    Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", https://arxiv.org/abs/1801.04381
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int, data_format: str) -> None:
        super().__init__()
        hidden = in_channels * EXPANSION
        self._has_shortcut = stride == 1 and in_channels == out_channels
        self.block = nn.Sequential(
            ConvBNAct(in_channels, hidden, 1, data_format=data_format),
            ConvBNAct(hidden, hidden, 3, stride=stride, groups=hidden, data_format=data_format),
            ConvBNAct(hidden, out_channels, 1, act=None, data_format=data_format),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.block(x) if self._has_shortcut else self.block(x)


class FeatureFusion(nn.Layer):
    """The context, brought to the detail's size and refined, plus the detail."""

    def __init__(self, align_corners: bool, data_format: str) -> None:
        super().__init__()
        channels = CONTEXT_CHANNELS
        self.dwconv = ConvBNAct(channels, channels, 3, groups=channels, data_format=data_format)
        self.conv_low_res = ConvBNAct(channels, channels, 1, act=None, bias=True, data_format=data_format)
        self.conv_high_res = ConvBNAct(DETAIL_CHANNELS, channels, 1, act=None, bias=True, data_format=data_format)
        self._align_corners = align_corners
        self._data_format = data_format

    def forward(self, detail: Tensor, context: Tensor) -> Tensor:
        context = resize_like(context, detail, self._align_corners, self._data_format)  # [N, 128, H/8, W/8]
        context = self.conv_low_res(self.dwconv(context))
        return F.relu(self.conv_high_res(detail) + context)


class Classifier(nn.Layer):
    """Two separable convolutions, dropout and the 1x1 classifier."""

    def __init__(self, num_classes: int, data_format: str) -> None:
        super().__init__()
        channels = CONTEXT_CHANNELS
        self.dsconv1 = SeparableConvBNAct(channels, channels, 3, data_format=data_format)
        self.dsconv2 = SeparableConvBNAct(channels, channels, 3, data_format=data_format)
        self.conv = Conv2D(channels, num_classes, 1, data_format=data_format)
        self.dropout = nn.Dropout(p=0.1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(self.dropout(self.dsconv2(self.dsconv1(x))))

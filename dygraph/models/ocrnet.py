"""OCRNet: pixels described by the classes they seem to belong to."""

from __future__ import annotations

from collections.abc import Sequence

import paddle
import paddle.nn.functional as F  # noqa: N812
from paddle import ParamAttr, Tensor, nn

from dygraph.layers import Conv2D, ConvBNAct, channel_axis, spatial_size
from dygraph.layers.attention import attend, from_tokens, to_tokens
from dygraph.layers.start import load_if_given
from dygraph.models.base import BackboneNetwork
from shared.registry import MODELS


@MODELS.register()
class OCRNet(BackboneNetwork):
    """Yuan et al., "Object-Contextual Representations for Semantic Segmentation", https://arxiv.org/abs/1909.11065

    Differs from the paper: a convolution with normalisation and ReLU before the classifier of the soft object regions;
    similarities are divided by the square root of their width; dropout of 0.1 after the augmented representation.

    Args:
        num_classes: K.
        backbone: a layer with ``feature_channels``, built with the same ``data_format``.
        backbone_indices: the last one listed gives the pixels' representation, the one before it the soft object
            regions; a single one gives both.
        ocr_mid_channels: width of the pixels' and of the augmented representation.
        ocr_key_channels: width in which pixels and object regions are compared.
        align_corners: of the last resize.
        pretrained: path or URL of weights for the whole network.

    Input ``[N, 3, H, W]`` float32, output a list of maps of logits ``[N, K, H, W]``: in evaluation the main one; in
    training also those of the soft object regions.

    Raises:
        ValueError: the two features have different strides.
    """

    def __init__(
        self,
        num_classes: int,
        backbone: nn.Layer,
        backbone_indices: Sequence[int],
        ocr_mid_channels: int = 512,
        ocr_key_channels: int = 256,
        align_corners: bool = False,
        pretrained: str | None = None,
        data_format: str = "NCHW",
    ) -> None:
        super().__init__(backbone, backbone_indices, max(len(backbone_indices), 1), align_corners, data_format)
        strides = [backbone.feature_strides[i] for i in self.backbone_indices[-2:]]
        if len(set(strides)) > 1:
            raise ValueError(
                f"backbone_indices {list(backbone_indices)}: OCRNet compares the last two pixel by pixel, but their "
                f"strides are {strides}; name features of one stride, or a single one"
            )
        region_channels, pixel_channels = self.in_channels[-2:] if len(self.in_channels) > 1 else self.in_channels * 2
        self.head = OCRHead(
            num_classes, region_channels, pixel_channels, ocr_mid_channels, ocr_key_channels, data_format
        )
        load_if_given(self, pretrained)

    def logit_maps(self, x: Tensor) -> list[Tensor]:
        features = self.features(x)
        region_feature, pixel_feature = features[-2:] if len(features) > 1 else features * 2
        return self.head(region_feature, pixel_feature)


class OCRHead(nn.Layer):
    """Soft object regions, their representations, and the pixels augmented by them."""

    def __init__(
        self,
        num_classes: int,
        region_channels: int,
        pixel_channels: int,
        mid_channels: int,
        key_channels: int,
        data_format: str,
    ) -> None:
        super().__init__()
        self.spatial_ocr = AugmentedRepresentation(mid_channels, key_channels, data_format)
        self.conv3x3_ocr = _conv(pixel_channels, mid_channels, 3, data_format)
        self.cls_head = _classifier(mid_channels, num_classes, data_format)
        self.aux_head = nn.Sequential(
            _conv(region_channels, region_channels, 1, data_format),
            _classifier(region_channels, num_classes, data_format),
        )
        self._data_format = data_format

    def forward(self, region_feature: Tensor, pixel_feature: Tensor) -> list[Tensor]:
        soft_regions = self.aux_head(region_feature)  # [N, K, h, w]
        pixels = self.conv3x3_ocr(pixel_feature)  # [N, C, h, w]
        regions = region_representations(pixels, soft_regions, self._data_format)  # [N, C, K, 1]
        logits = self.cls_head(self.spatial_ocr(pixels, regions))  # [N, K, h, w]
        return [logits, soft_regions] if self.training else [logits]


class AugmentedRepresentation(nn.Layer):
    """The pixels beside their object context, joined by a 1x1 convolution."""

    def __init__(self, channels: int, key_channels: int, data_format: str) -> None:
        super().__init__()
        self.attention_block = ObjectAttention(channels, key_channels, data_format)
        self.conv1x1 = nn.Sequential(
            _conv(2 * channels, channels, 1, data_format), nn.Dropout2D(0.1, data_format=data_format)
        )
        self._channel_axis = channel_axis(data_format)

    def forward(self, pixels: Tensor, regions: Tensor) -> Tensor:
        context = self.attention_block(pixels, regions)  # [N, C, h, w]
        return self.conv1x1(paddle.concat([context, pixels], axis=self._channel_axis))  # [N, C, h, w]


class ObjectAttention(nn.Layer):
    """Every pixel's mean of the object regions, weighted by its relation to each; equations 3 to 5 of the paper."""

    def __init__(self, channels: int, key_channels: int, data_format: str) -> None:
        super().__init__()

        def two_convs() -> nn.Sequential:
            return nn.Sequential(
                _conv(channels, key_channels, 1, data_format), _conv(key_channels, key_channels, 1, data_format)
            )

        self.f_pixel = two_convs()
        self.f_object = two_convs()
        self.f_down = _conv(channels, key_channels, 1, data_format)
        self.f_up = _conv(key_channels, channels, 1, data_format)
        self._scale = key_channels**-0.5
        self._data_format = data_format

    def forward(self, pixels: Tensor, regions: Tensor) -> Tensor:
        query = to_tokens(self.f_pixel(pixels), self._data_format)  # [N, h * w, C_key]
        key = to_tokens(self.f_object(regions), self._data_format)  # [N, K, C_key]
        value = to_tokens(self.f_down(regions), self._data_format)  # [N, K, C_key]
        context = attend(query, key, value, self._scale)  # [N, h * w, C_key]
        size_hw = spatial_size(pixels, self._data_format)
        return self.f_up(from_tokens(context, size_hw, self._data_format))  # [N, C, h, w]


def region_representations(pixels: Tensor, soft_regions: Tensor, data_format: str = "NCHW") -> Tensor:
    """Every object region's mean of the pixels, weighted by a softmax over the whole map; equation 2 of the paper.

    Args:
        pixels: ``[N, C, h, w]``, or ``[N, h, w, C]`` for NHWC.
        soft_regions: logits ``[N, K, h, w]``, or ``[N, h, w, K]``.

    Returns:
        ``[N, C, K, 1]``, or ``[N, K, 1, C]``: a map of K pixels.
    """
    weights = F.softmax(to_tokens(soft_regions, data_format), axis=1)  # [N, h * w, K]
    regions = paddle.matmul(weights, to_tokens(pixels, data_format), transpose_x=True)  # [N, K, C]
    return from_tokens(regions, (regions.shape[1], 1), data_format)


def _conv(in_channels: int, out_channels: int, kernel_size: int, data_format: str) -> ConvBNAct:
    """Convolution, normalisation, ReLU; the kernel begins normal, standard deviation 0.001."""
    narrow = nn.initializer.Normal(std=0.001)
    return ConvBNAct(in_channels, out_channels, kernel_size, bias=True, weight_init=narrow, data_format=data_format)


def _classifier(in_channels: int, num_classes: int, data_format: str) -> Conv2D:
    """1x1 convolution whose kernel begins normal, standard deviation 0.001."""
    narrow = ParamAttr(initializer=nn.initializer.Normal(std=0.001))
    return Conv2D(in_channels, num_classes, 1, weight_attr=narrow, data_format=data_format)

"""DeepLabV3+ and DeepLabV3: atrous spatial pyramid pooling on a dilated backbone."""

from __future__ import annotations

from collections.abc import Sequence

import paddle
from paddle import Tensor, nn

from dygraph.layers import ASPP, Conv2D, ConvBNAct, SeparableConvBNAct, channel_axis, resize_like
from dygraph.layers.start import load_if_given
from dygraph.models.base import BackboneNetwork
from shared.registry import MODELS


@MODELS.register()
class DeepLabV3P(BackboneNetwork):
    """Chen et al., "Encoder-Decoder with Atrous Separable Convolution for Semantic Image Segmentation",
    https://arxiv.org/abs/1802.02611

    Differs from the paper: ResNet-vd as well as Xception backbones; dropout 0.1 after the pyramid.

    Args:
        num_classes: K.
        backbone: a layer with ``feature_channels``, built with the same ``data_format``.
        backbone_indices: the decoder's fine feature and the pyramid's coarse one.
        aspp_ratios: dilations of the pyramid; 1 is a 1x1 convolution.
        aspp_out_channels: width of every branch of the pyramid.
        align_corners: of all resizes.
        aspp_use_sep_conv, decoder_use_sep_conv: separable or plain 3x3 convolutions.
        pretrained: path or URL of weights for the whole network.

    Input ``[N, 3, H, W]`` float32, output a list of one map of logits ``[N, K, H, W]``, in either ``data_format``.
    """

    def __init__(
        self,
        num_classes: int,
        backbone: nn.Layer,
        backbone_indices: Sequence[int] = (0, 3),
        aspp_ratios: Sequence[int] = (1, 6, 12, 18),
        aspp_out_channels: int = 256,
        align_corners: bool = False,
        pretrained: str | None = None,
        data_format: str = "NCHW",
        aspp_use_sep_conv: bool = True,
        decoder_use_sep_conv: bool = True,
    ) -> None:
        super().__init__(backbone, backbone_indices, 2, align_corners, data_format)
        fine, coarse = self.in_channels
        self.head = DeepLabV3PHead(
            ASPP(
                coarse,
                aspp_out_channels,
                aspp_ratios,
                align_corners=align_corners,
                use_sep_conv=aspp_use_sep_conv,
                data_format=data_format,
            ),
            Decoder(num_classes, fine, aspp_out_channels, align_corners, decoder_use_sep_conv, data_format),
        )
        load_if_given(self, pretrained)

    def logit_maps(self, x: Tensor) -> list[Tensor]:
        fine, coarse = self.features(x)  # H/4 and H/output_stride
        return [self.head(fine, coarse)]  # [N, K, H/4, W/4]


@MODELS.register()
class DeepLabV3(BackboneNetwork):
    """Chen et al., "Rethinking Atrous Convolution for Semantic Image Segmentation", https://arxiv.org/abs/1706.05587

    Differs from the paper: a ResNet-vd backbone; dropout 0.1 after the pyramid.

    Arguments, input and output are :class:`DeepLabV3P`'s; there is no decoder, so one backbone index.
    """

    def __init__(
        self,
        num_classes: int,
        backbone: nn.Layer,
        backbone_indices: Sequence[int] = (3,),
        aspp_ratios: Sequence[int] = (1, 6, 12, 18),
        aspp_out_channels: int = 256,
        align_corners: bool = False,
        pretrained: str | None = None,
        data_format: str = "NCHW",
    ) -> None:
        super().__init__(backbone, backbone_indices, 1, align_corners, data_format)
        (coarse,) = self.in_channels
        pyramid = ASPP(coarse, aspp_out_channels, aspp_ratios, align_corners=align_corners, data_format=data_format)
        self.head = DeepLabV3Head(pyramid, aspp_out_channels, num_classes, data_format)
        load_if_given(self, pretrained)

    def logit_maps(self, x: Tensor) -> list[Tensor]:
        (coarse,) = self.features(x)
        return [self.head(coarse)]  # [N, K, H/output_stride, W/output_stride]


class DeepLabV3PHead(nn.Layer):
    """Pyramid on the coarse feature, decoder on both."""

    def __init__(self, aspp: nn.Layer, decoder: nn.Layer) -> None:
        super().__init__()
        self.aspp = aspp
        self.decoder = decoder

    def forward(self, fine: Tensor, coarse: Tensor) -> Tensor:
        return self.decoder(self.aspp(coarse), fine)


class DeepLabV3Head(nn.Layer):
    """Pyramid and 1x1 classifier."""

    def __init__(self, aspp: nn.Layer, channels: int, num_classes: int, data_format: str) -> None:
        super().__init__()
        self.aspp = aspp
        self.cls = Conv2D(channels, num_classes, 1, data_format=data_format)

    def forward(self, feature: Tensor) -> Tensor:
        return self.cls(self.aspp(feature))


class Decoder(nn.Layer):
    """The pyramid's output, brought to the fine feature's size, refined beside it and classified."""

    FINE_CHANNELS = 48
    CHANNELS = 256

    def __init__(
        self,
        num_classes: int,
        fine_channels: int,
        in_channels: int,
        align_corners: bool,
        use_sep_conv: bool,
        data_format: str,
    ) -> None:
        super().__init__()
        self.align_corners = align_corners
        self.data_format = data_format
        conv = SeparableConvBNAct if use_sep_conv else ConvBNAct
        shared = {"bias": True, "data_format": data_format}
        self.conv_bn_relu1 = ConvBNAct(fine_channels, self.FINE_CHANNELS, 1, **shared)
        self.conv_bn_relu2 = conv(in_channels + self.FINE_CHANNELS, self.CHANNELS, 3, **shared)
        self.conv_bn_relu3 = conv(self.CHANNELS, self.CHANNELS, 3, **shared)
        self.conv = Conv2D(self.CHANNELS, num_classes, 1, data_format=data_format)

    def forward(self, x: Tensor, fine: Tensor) -> Tensor:
        fine = self.conv_bn_relu1(fine)  # [N, 48, H/4, W/4]
        x = resize_like(x, fine, self.align_corners, self.data_format)
        x = paddle.concat([x, fine], axis=channel_axis(self.data_format))  # [N, 304, H/4, W/4]
        x = self.conv_bn_relu3(self.conv_bn_relu2(x))  # [N, 256, H/4, W/4]
        return self.conv(x)  # [N, K, H/4, W/4]

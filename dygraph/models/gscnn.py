"""GSCNN: a second, narrow stream of full resolution that draws shapes, gated by the first."""

from __future__ import annotations

from collections.abc import Sequence

import paddle
import paddle.nn.functional as F  # noqa: N812
from paddle import Tensor, nn

from dygraph.backbones.resnet_vd import BasicBlock, ResNet_vd
from dygraph.layers import ASPP, Conv2D, channel_axis, from_nchw, resize, spatial_size, to_nchw
from dygraph.layers.canny import canny
from dygraph.layers.start import load_if_given
from dygraph.models.base import BackboneNetwork
from dygraph.models.deeplab import Decoder
from shared.registry import MODELS

CANNY_THRESHOLDS = (10, 100)
STREAM_CHANNELS = (64, 32, 16, 8)  # the stem's width, and what each gate leaves


@MODELS.register()
class GSCNN(BackboneNetwork):
    """Takikawa et al., "Gated-SCNN: Gated Shape CNNs for Semantic Segmentation", https://arxiv.org/abs/1907.05740

    Differs from the paper: a ResNet-vd backbone; DeepLabV3+'s decoder, and dropout 0.1 after the pyramid; the image's
    gradients are Canny's edges (thresholds 10 and 100) of the image as it was before ``Normalize`` with mean and
    standard deviation 0.5. Pixel values that this puts outside 0..255 wrap around: published weights saw it so.

    Args:
        num_classes: K.
        backbone: a ResNet-vd, built with the same ``data_format``.
        backbone_indices: the fine feature for the decoder, two whose edges gate the shape stream, and the last, which
            gates it too and is the pyramid's.
        aspp_ratios: dilations of the pyramid; 1 is a 1x1 convolution.
        aspp_out_channels: width of every branch of the pyramid.
        align_corners: of all resizes.
        pretrained: path or URL of weights for the whole network.

    Input ``[N, 3, H, W]`` float32, output a list of four: logits ``[N, K, H, W]``; logits and edge as a pair; the edge
    ``[N, 1, H, W]`` as a probability; the logits again. Each is for a loss of its own.
    """

    def __init__(
        self,
        num_classes: int,
        backbone: nn.Layer,
        backbone_indices: Sequence[int] = (0, 1, 2, 3),
        aspp_ratios: Sequence[int] = (1, 6, 12, 18),
        aspp_out_channels: int = 256,
        align_corners: bool = False,
        pretrained: str | None = None,
        data_format: str = "NCHW",
    ) -> None:
        super().__init__(backbone, backbone_indices, 4, align_corners, data_format)
        if not isinstance(backbone, ResNet_vd):
            raise ValueError(
                f"GSCNN reads the stem of a ResNet-vd, which {type(backbone).__name__} lacks; choose a ResNet*_vd"
            )
        fine, last = self.in_channels[0], self.in_channels[-1]
        shared = {"align_corners": align_corners, "data_format": data_format}
        pyramid = ASPP(last, aspp_out_channels, aspp_ratios, edge=True, **shared)
        decoder = Decoder(num_classes, fine, aspp_out_channels, align_corners, True, data_format)
        self.head = GSCNNHead(self.in_channels, pyramid, decoder, **shared)
        load_if_given(self, pretrained)

    def logit_maps(self, x: Tensor) -> list[Tensor | tuple[Tensor, Tensor]]:
        """Logits, logits and edge, edge, logits."""
        stem = self.backbone.stem(x)  # [N, 64, H/2, W/2]
        features = self.backbone.stages(stem)
        logits, edge = self.head(x, stem, [features[i] for i in self.backbone_indices])
        return [logits, (logits, edge), edge, logits]


class GSCNNHead(nn.Layer):
    """The shape stream on the stem, and the pyramid and the decoder, which are given its edges."""

    def __init__(
        self, in_channels: Sequence[int], pyramid: nn.Layer, decoder: nn.Layer, align_corners: bool, data_format: str
    ) -> None:
        super().__init__()
        self.align_corners = align_corners
        self.data_format = data_format
        gating = in_channels[1:]
        for number, channels in enumerate(gating, 1):
            self.add_sublayer(f"dsn{number}", Conv2D(channels, 1, 1, data_format=data_format))
        for number, (wide, narrow) in enumerate(zip(STREAM_CHANNELS, STREAM_CHANNELS[1:]), 1):
            block = BasicBlock(wide, wide, 1, 1, has_projection=False, lr_mult=1.0, data_format=data_format)
            self.add_sublayer(f"res{number}", block)
            self.add_sublayer(f"d{number}", Conv2D(wide, narrow, 1, data_format=data_format))
            self.add_sublayer(f"gate{number}", GatedConv(narrow, data_format))
        self.fuse = Conv2D(STREAM_CHANNELS[-1], 1, 1, bias_attr=False, data_format=data_format)
        self.cw = Conv2D(2, 1, 1, bias_attr=False, data_format=data_format)
        self.aspp = pyramid
        self.decoder = decoder

    def forward(self, image: Tensor, stem: Tensor, features: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Logits, and the edge's probability at the image's size."""
        fine, *gating = features
        size_hw = spatial_size(image, self.data_format)
        shape = resize(stem, size_hw, self.align_corners, self.data_format)  # [N, 64, H, W]
        for number, feature in enumerate(gating, 1):
            residual, narrowing, gate, attention = (
                getattr(self, f"{name}{number}") for name in ("res", "d", "gate", "dsn")
            )
            seen = resize(attention(feature), size_hw, self.align_corners, self.data_format)  # [N, 1, H, W]
            shape = gate(narrowing(residual(shape)), seen)  # [N, 32, 16 and at last 8, H, W]
        edge = F.sigmoid(self.fuse(shape))  # [N, 1, H, W]

        drawn = paddle.cast(image_edges(image, self.data_format), edge.dtype)  # [N, 1, H, W]
        both = paddle.concat([edge, drawn], axis=channel_axis(self.data_format))  # [N, 2, H, W]
        x = self.aspp(gating[-1], F.sigmoid(self.cw(both)))  # [N, C, H/output_stride, W/output_stride]
        return self.decoder(x, fine), edge  # [N, K, H/4, W/4], [N, 1, H, W]


class GatedConv(nn.Layer):
    """A 1x1 convolution of ``x * (1 + gate)``, the gate computed from ``x`` and what the other stream sees."""

    def __init__(self, channels: int, data_format: str) -> None:
        super().__init__()
        self.data_format = data_format
        self._gate_conv = nn.Sequential(
            nn.BatchNorm2D(channels + 1, data_format=data_format),
            Conv2D(channels + 1, channels + 1, 1, data_format=data_format),
            nn.ReLU(),
            Conv2D(channels + 1, 1, 1, data_format=data_format),
            nn.BatchNorm2D(1, data_format=data_format),
            nn.Sigmoid(),
        )
        self.conv = Conv2D(channels, channels, 1, bias_attr=False, data_format=data_format)

    def forward(self, x: Tensor, seen: Tensor) -> Tensor:
        gate = self._gate_conv(paddle.concat([x, seen], axis=channel_axis(self.data_format)))  # [N, 1, H, W]
        return self.conv(x * (gate + 1))  # [N, C, H, W]


def image_edges(image: Tensor, data_format: str) -> Tensor:
    """Canny's edges of a normalised image, ``[N, 1, H, W]`` or ``[N, H, W, 1]`` float32, without gradient."""
    image = paddle.cast(to_nchw(image.detach(), data_format), "float32")
    pixels = paddle.cast((image * 0.5 + 0.5) * 255.0, "int32") % 256
    return from_nchw(canny(pixels, *CANNY_THRESHOLDS), data_format)

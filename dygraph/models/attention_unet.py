"""Attention U-Net: a gate in every connection of a U-Net lets through what the coarser level asks for."""

from __future__ import annotations

import paddle
import paddle.nn.functional as F  # noqa: N812
from paddle import Tensor, nn

from dygraph.layers import Conv2D, channel_axis, plain_conv_bn_relu
from dygraph.layers.start import load_if_given
from dygraph.layers.unet import ContractingPath, DoubleConv, TwiceAsLarge
from dygraph.models.base import SegmentationNetwork
from shared.registry import MODELS


@MODELS.register()
class AttentionUNet(SegmentationNetwork):
    """Oktay et al., "Attention U-Net: Learning Where to Look for the Pancreas", https://arxiv.org/abs/1804.03999

    Differs from the paper: images, not volumes; the gating signal is the coarser map after it has been enlarged, so
    that the gate works at the connection's own size and its coefficients are not resized; batch normalisation in the
    gate, and no convolution after it; the connection at full size is gated too; no deep supervision.

    Args:
        num_classes: K.
        in_channels: of the image.
        pretrained: path or URL of weights for the whole network.

    Input ``[N, in_channels, H, W]`` float32, output a list of one map of logits ``[N, K, H, W]``. Inside, images are
    padded to multiples of 16.
    """

    size_multiple = 16
    full_size = True

    def __init__(
        self, num_classes: int, in_channels: int = 3, pretrained: str | None = None, data_format: str = "NCHW"
    ) -> None:
        super().__init__(data_format=data_format)
        channels = (64, 128, 256, 512, 1024)
        self.encoder = ContractingPath(in_channels, channels, data_format)
        for level in (5, 4, 3, 2):  # the level of the paper's figure that is enlarged
            coarse, fine = channels[level - 1], channels[level - 2]
            self.add_sublayer(f"up{level}", UpConv(coarse, fine, data_format))
            self.add_sublayer(f"att{level}", AttentionGate(fine, fine // 2, data_format))
            self.add_sublayer(f"up_conv{level}", DoubleConv(2 * fine, fine, data_format))
        self.conv_1x1 = Conv2D(channels[0], num_classes, 1, data_format=data_format)
        load_if_given(self, pretrained)

    def logit_maps(self, x: Tensor) -> list[Tensor]:
        features = self.encoder(x)
        x = features[-1]  # [N, 1024, H/16, W/16]
        for level in (5, 4, 3, 2):
            up, gate, merge = (self._sub_layers[f"{name}{level}"] for name in ("up", "att", "up_conv"))
            x = up(x)  # twice as high and wide, half the channels
            gated = gate(x, features[level - 2])
            x = merge(paddle.concat([gated, x], axis=channel_axis(self.data_format)))
        return [self.conv_1x1(x)]  # [N, K, H, W]


class UpConv(nn.Layer):
    """A map enlarged to twice its height and width, then a 3x3 convolution."""

    def __init__(self, in_channels: int, out_channels: int, data_format: str) -> None:
        super().__init__()
        self.up = nn.Sequential(
            TwiceAsLarge(data_format=data_format),
            *plain_conv_bn_relu(in_channels, out_channels, data_format=data_format),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.up(x)


class AttentionGate(nn.Layer):
    """Additive attention, equations 1 and 2 of the paper: a coefficient in 0..1 a pixel.

    Args:
        channels: of the gating signal and of the feature.
        inner_channels: in which the two are added.
    """

    def __init__(self, channels: int, inner_channels: int, data_format: str) -> None:
        super().__init__()

        def projection(in_channels: int, out_channels: int) -> list[nn.Layer]:
            return plain_conv_bn_relu(in_channels, out_channels, 1, relu=False, data_format=data_format)

        self.W_g = nn.Sequential(*projection(channels, inner_channels))
        self.W_x = nn.Sequential(*projection(channels, inner_channels))
        self.psi = nn.Sequential(*projection(inner_channels, 1), nn.Sigmoid())

    def forward(self, gate: Tensor, x: Tensor) -> Tensor:
        coefficients = self.psi(F.relu(self.W_g(gate) + self.W_x(x)))  # [N, 1, h, w]
        return x * coefficients  # [N, C, h, w]

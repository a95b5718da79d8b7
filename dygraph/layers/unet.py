"""What the networks descended from U-Net share: pairs of 3x3 convolutions and the contracting path."""

from __future__ import annotations

from collections.abc import Sequence

from paddle import Tensor, nn

from dygraph.layers.conv import ConvBNAct, plain_conv_bn_relu
from dygraph.layers.layout import resize, spatial_size


class DoubleConv(nn.Layer):
    """Twice a 3x3 convolution with normalisation and ReLU; height and width stay.

    Its layers are counted through in ``state_dict()``: ``conv.0`` and ``conv.1`` for the first half, ``conv.3`` and
    ``conv.4`` for the second.
    """

    def __init__(self, in_channels: int, out_channels: int, data_format: str = "NCHW") -> None:
        super().__init__()
        self.conv = nn.Sequential(
            *plain_conv_bn_relu(in_channels, out_channels, data_format=data_format),
            *plain_conv_bn_relu(out_channels, out_channels, data_format=data_format),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


class ContractingPath(nn.Layer):
    """Two convolutions at full size, then at every level a pooling that halves the size, and two convolutions.

    Ronneberger et al., "U-Net: Convolutional Networks for Biomedical Image Segmentation",
    https://arxiv.org/abs/1505.04597

    Args:
        channels: of every level, finest first; the last one is the bottom of the U.
    """

    def __init__(self, in_channels: int, channels: Sequence[int], data_format: str = "NCHW") -> None:
        super().__init__()
        self.double_conv = nn.Sequential(*conv_pair(in_channels, channels[0], data_format))
        self.down_sample_list = nn.LayerList(
            nn.Sequential(
                nn.MaxPool2D(kernel_size=2, stride=2, data_format=data_format), *conv_pair(finer, coarser, data_format)
            )
            for finer, coarser in zip(channels, channels[1:])
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        """An image to the features of all levels, finest first: level i has ``H // 2**i`` rows."""
        features = [self.double_conv(x)]
        for down in self.down_sample_list:
            features.append(down(features[-1]))
        return features


class TwiceAsLarge(nn.Layer):
    """A map resized to twice its height and width."""

    def __init__(self, align_corners: bool = False, data_format: str = "NCHW") -> None:
        super().__init__()
        self.align_corners = align_corners
        self.data_format = data_format

    def forward(self, x: Tensor) -> Tensor:
        size_hw = [2 * size for size in spatial_size(x, self.data_format)]
        return resize(x, size_hw, self.align_corners, self.data_format)


def conv_pair(in_channels: int, out_channels: int, data_format: str) -> list[ConvBNAct]:
    """Two 3x3 ConvBNAct, for a Sequential; each convolution has a bias, as in the published weights."""
    return [
        ConvBNAct(in_channels, out_channels, 3, bias=True, data_format=data_format),
        ConvBNAct(out_channels, out_channels, 3, bias=True, data_format=data_format),
    ]

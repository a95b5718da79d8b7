"""U-Net: a contracting path, an expanding one, and between them a connection at every level."""

from __future__ import annotations

import paddle
from paddle import Tensor, nn

from dygraph.layers import Conv2D, Conv2DTranspose, channel_axis, resize_like
from dygraph.layers.start import load_if_given
from dygraph.layers.unet import ContractingPath, conv_pair
from dygraph.models.base import SegmentationNetwork
from shared.registry import MODELS


@MODELS.register()
class UNet(SegmentationNetwork):
    """Ronneberger et al., "U-Net: Convolutional Networks for Biomedical Image Segmentation",
    https://arxiv.org/abs/1505.04597

    Differs from the paper: convolutions are padded, so logits have the image's size; batch normalisation; 512 instead
    of 1024 channels at the bottom, and half the paper's at each step up but the last; a 3x3 classifier; no dropout;
    unless ``use_deconv``, maps are enlarged by a bilinear resize to the size of the connection.

    Args:
        num_classes: K.
        align_corners: of the resizes.
        use_deconv: transposed convolutions in place of the resizes; the image is then padded to multiples of 16.
        in_channels: of the image.
        pretrained: path or URL of weights for the whole network.

    Input ``[N, in_channels, H, W]`` float32, output a list of one map of logits ``[N, K, H, W]``.
    """

    full_size = True

    def __init__(
        self,
        num_classes: int,
        align_corners: bool = False,
        use_deconv: bool = False,
        in_channels: int = 3,
        pretrained: str | None = None,
        data_format: str = "NCHW",
    ) -> None:
        super().__init__(align_corners, data_format)
        if use_deconv:
            self.size_multiple = 16
        self.encode = ContractingPath(in_channels, (64, 128, 256, 512, 512), data_format)
        self.decode = ExpandingPath(align_corners, use_deconv, data_format)
        # One layer under two names: both stand in the published weights.
        self.cls = self.conv = Conv2D(64, num_classes, 3, padding=1, data_format=data_format)
        load_if_given(self, pretrained)

    def logit_maps(self, x: Tensor) -> list[Tensor]:
        return [self.cls(self.decode(self.encode(x)))]  # [N, K, H, W]


class ExpandingPath(nn.Layer):
    """From the bottom of the U up: enlarge, append the feature of the contracting path, two convolutions."""

    def __init__(self, align_corners: bool, use_deconv: bool, data_format: str) -> None:
        super().__init__()
        widths = ((512, 256), (256, 128), (128, 64), (64, 64))
        self.up_sample_list = nn.LayerList(
            UpSampling(coarse, out, align_corners, use_deconv, data_format) for coarse, out in widths
        )

    def forward(self, features: list[Tensor]) -> Tensor:
        x = features[-1]  # [N, 512, H/16, W/16]
        for up, connection in zip(self.up_sample_list, features[-2::-1]):
            x = up(x, connection)
        return x  # [N, 64, H, W]


class UpSampling(nn.Layer):
    """One level of the expanding path. The connection has as many channels as the coarser map."""

    def __init__(
        self, in_channels: int, out_channels: int, align_corners: bool, use_deconv: bool, data_format: str
    ) -> None:
        super().__init__()
        self.align_corners = align_corners
        self.data_format = data_format
        self.deconv = None
        enlarged = in_channels
        if use_deconv:
            enlarged = out_channels // 2
            self.deconv = Conv2DTranspose(in_channels, enlarged, 2, stride=2, data_format=data_format)
        self.double_conv = nn.Sequential(*conv_pair(in_channels + enlarged, out_channels, data_format))

    def forward(self, x: Tensor, connection: Tensor) -> Tensor:
        corners, data_format = self.align_corners, self.data_format
        enlarged = resize_like(x, connection, corners, data_format) if self.deconv is None else self.deconv(x)
        merged = paddle.concat([enlarged, connection], axis=channel_axis(data_format))
        return self.double_conv(merged)  # [N, out_channels, 2h, 2w]

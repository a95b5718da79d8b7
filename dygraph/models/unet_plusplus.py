"""UNet++: U-Nets of every depth laid over each other, their nodes joined by dense connections."""

from __future__ import annotations

import paddle
from paddle import Tensor, nn

from dygraph.layers import Conv2D, Conv2DTranspose, channel_axis
from dygraph.layers.start import frozen, load_if_given
from dygraph.layers.unet import DoubleConv, TwiceAsLarge
from dygraph.models.base import SegmentationNetwork
from shared.registry import MODELS

CHANNELS = (32, 64, 128, 256, 512)


@MODELS.register()
class UNetPlusPlus(SegmentationNetwork):
    """Zhou et al., "UNet++: A Nested U-Net Architecture for Medical Image Segmentation",
    https://arxiv.org/abs/1807.10165

    Node (i, j) of the paper stands on level i (``H / 2**i``) and is enlarged from (i + 1, j - 1).

    Differs from the paper: batch normalisation; logits without sigmoid; deep supervision is a loss on the mean of the
    four maps, in training as in evaluation, not a loss on each.

    Args:
        num_classes: K.
        in_channels: of the image.
        use_deconv: transposed convolutions in place of resizes and 1x1 convolutions.
        align_corners: of the resizes.
        pretrained: path or URL of weights for the whole network.
        is_ds: deep supervision: the logits are the mean of those of the U-Nets of every depth; else the deepest one's.

    Input ``[N, in_channels, H, W]`` float32, output a list of one map of logits ``[N, K, H, W]``. Inside, images are
    padded to multiples of 16.
    """

    size_multiple = 16
    full_size = True

    def __init__(
        self,
        num_classes: int,
        in_channels: int = 3,
        use_deconv: bool = False,
        align_corners: bool = False,
        pretrained: str | None = None,
        is_ds: bool = True,
        data_format: str = "NCHW",
    ) -> None:
        super().__init__(align_corners, data_format)
        self.is_ds = is_ds
        self.depth = len(CHANNELS) - 1
        self.pool = nn.MaxPool2D(kernel_size=2, stride=2, data_format=data_format)
        for level, channels in enumerate(CHANNELS):
            before = in_channels if level == 0 else CHANNELS[level - 1]
            self.add_sublayer(f"conv{level}_0", DoubleConv(before, channels, data_format))
        for step in range(1, self.depth + 1):
            for level in range(self.depth + 1 - step):
                node = Node(CHANNELS[level + 1], CHANNELS[level], step, use_deconv, align_corners, data_format)
                self.add_sublayer(f"up_cat{level}_{step}", node)
        for step in range(1, self.depth + 1):
            classifier = Conv2D(CHANNELS[0], num_classes, 1, data_format=data_format)
            is_read = is_ds or step == self.depth  # the others stand in published weights only
            self.add_sublayer(f"out_{step}", classifier if is_read else frozen(classifier))
        load_if_given(self, pretrained)

    def logit_maps(self, x: Tensor) -> list[Tensor]:
        layers = self._sub_layers
        rows = []  # rows[i][j] is the paper's node (i, j), [N, CHANNELS[i], H/2**i, W/2**i]
        for level in range(self.depth + 1):
            rows.append([layers[f"conv{level}_0"](x)])
            x = self.pool(rows[level][0]) if level < self.depth else x
        for step in range(1, self.depth + 1):
            for level in range(self.depth + 1 - step):
                rows[level].append(layers[f"up_cat{level}_{step}"](rows[level + 1][step - 1], rows[level]))
        if not self.is_ds:
            return [layers[f"out_{self.depth}"](rows[0][self.depth])]  # [N, K, H, W]
        maps = [layers[f"out_{step}"](rows[0][step]) for step in range(1, self.depth + 1)]
        return [sum(maps[1:], maps[0]) / paddle.full([], self.depth, dtype=x.dtype)]  # [N, K, H, W]


class Node(nn.Layer):
    """A node of the expanding side: the coarser one enlarged, beside all earlier ones of its level.

    Args:
        earlier: how many earlier nodes of its level there are.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        earlier: int,
        use_deconv: bool,
        align_corners: bool,
        data_format: str,
    ) -> None:
        super().__init__()
        self.data_format = data_format
        if use_deconv:
            self.up = Conv2DTranspose(in_channels, out_channels, 2, stride=2, data_format=data_format)
        else:
            self.up = nn.Sequential(
                TwiceAsLarge(align_corners, data_format),
                Conv2D(in_channels, out_channels, 1, data_format=data_format),
            )
        self.conv = DoubleConv((earlier + 1) * out_channels, out_channels, data_format)

    def forward(self, coarser: Tensor, earlier: list[Tensor]) -> Tensor:
        merged = paddle.concat([self.up(coarser), *earlier], axis=channel_axis(self.data_format))
        return self.conv(merged)  # [N, out_channels, h, w]

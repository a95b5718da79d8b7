"""Pyramid pooling: the means of a feature over grids of several sizes, beside the feature itself."""

from __future__ import annotations

from collections.abc import Sequence

import paddle
from paddle import Tensor, nn

from dygraph.layers.conv import ConvBNAct
from dygraph.layers.layout import channel_axis, resize_like


class PyramidPooling(nn.Layer):
    """Zhao et al., "Pyramid Scene Parsing Network", https://arxiv.org/abs/1612.01105

    Args:
        bin_sizes: one branch per grid: its mean, a 1x1 convolution, and a resize back.
        reduce: whether the branches share the feature's width between them; else each is as wide as the result.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        bin_sizes: Sequence[int],
        reduce: bool = True,
        align_corners: bool = False,
        data_format: str = "NCHW",
    ) -> None:
        super().__init__()
        if not bin_sizes or min(bin_sizes) < 1:
            raise ValueError(f"bin_sizes must be positive integers, at least one, got {list(bin_sizes)}")
        self.align_corners = align_corners
        self.data_format = data_format
        width = in_channels // len(bin_sizes) if reduce else out_channels
        self.stages = nn.LayerList(
            nn.Sequential(
                nn.AdaptiveAvgPool2D(size, data_format=data_format),
                ConvBNAct(in_channels, width, 1, bias=True, data_format=data_format),
            )
            for size in bin_sizes
        )
        self.conv_bn_relu2 = ConvBNAct(
            in_channels + width * len(bin_sizes), out_channels, 3, bias=True, data_format=data_format
        )

    def forward(self, x: Tensor) -> Tensor:
        pooled = [resize_like(stage(x), x, self.align_corners, self.data_format) for stage in self.stages]
        # The finest grid comes first in the published weights.
        merged = paddle.concat([x, *pooled[::-1]], axis=channel_axis(self.data_format))  # [N, C + widths, h, w]
        return self.conv_bn_relu2(merged)  # [N, out_channels, h, w]

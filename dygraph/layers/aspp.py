"""Atrous spatial pyramid pooling."""

from __future__ import annotations

from collections.abc import Sequence

import paddle
from paddle import Tensor, nn

from dygraph.layers.conv import ConvBNAct, SeparableConvBNAct
from dygraph.layers.layout import channel_axis, resize, resize_like, spatial_size


class ASPP(nn.Layer):
    """Parallel dilated convolutions over one feature, concatenated and merged by a 1x1 convolution.

    Chen et al., "Rethinking Atrous Convolution for Semantic Image Segmentation", https://arxiv.org/abs/1706.05587

    Args:
        ratios: one branch per dilation; a ratio of 1 is a 1x1 convolution.
        use_sep_conv: separable convolutions in the dilated branches (DeepLabV3+).
        image_pooling: a further branch with the mean of the whole map.
        edge: a further branch with a map of edges ``[N, 1, H, W]`` of any size, which the pyramid is then given too.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        ratios: Sequence[int],
        align_corners: bool = False,
        use_sep_conv: bool = False,
        image_pooling: bool = True,
        data_format: str = "NCHW",
        edge: bool = False,
    ) -> None:
        super().__init__()
        if not ratios or min(ratios) < 1:
            raise ValueError(f"ASPP ratios must be positive integers, at least one, got {list(ratios)}")
        self.align_corners = align_corners
        self.data_format = data_format
        self.aspp_blocks = nn.LayerList()
        for ratio in ratios:
            block = SeparableConvBNAct if use_sep_conv and ratio > 1 else ConvBNAct
            kernel_size = 1 if ratio == 1 else 3
            self.aspp_blocks.append(
                block(in_channels, out_channels, kernel_size, dilation=ratio, bias=True, data_format=data_format)
            )
        branches = len(ratios)
        self.global_avg_pool = None
        if image_pooling:
            branches += 1
            self.global_avg_pool = nn.Sequential(
                nn.AdaptiveAvgPool2D(1, data_format=data_format),
                ConvBNAct(in_channels, out_channels, 1, data_format=data_format),
            )
        self.edge_conv = None
        if edge:
            branches += 1
            self.edge_conv = ConvBNAct(1, out_channels, 1, data_format=data_format)
        self.conv_bn_relu = ConvBNAct(branches * out_channels, out_channels, 1, bias=True, data_format=data_format)
        self.dropout = nn.Dropout(p=0.1)

    def forward(self, x: Tensor, edge: Tensor | None = None) -> Tensor:
        if (edge is None) != (self.edge_conv is None):
            built, given = (False, "with") if self.edge_conv is None else (True, "without")
            raise ValueError(f"ASPP built with edge={built} was called {given} a map of edges")
        branches = [block(x) for block in self.aspp_blocks]  # each [N, C, h, w]
        if self.global_avg_pool is not None:
            pooled = self.global_avg_pool(x)  # [N, C, 1, 1]
            size_hw = spatial_size(x, self.data_format)
            branches.append(resize(pooled, size_hw, self.align_corners, self.data_format))
        if edge is not None:
            branches.append(self.edge_conv(resize_like(edge, x, self.align_corners, self.data_format)))
        merged = paddle.concat(branches, axis=channel_axis(self.data_format))  # [N, C * branches, h, w]
        return self.dropout(self.conv_bn_relu(merged))  # [N, C, h, w]

"""SFNet: a feature pyramid whose levels are aligned by a learnt flow before they are added."""

from __future__ import annotations

from collections.abc import Sequence

import paddle
from paddle import Tensor, nn

from dygraph.layers import AuxHead, Conv2D, ConvBNAct, PyramidPooling, channel_axis, resize_like
from dygraph.layers.flow import flow_warp
from dygraph.layers.start import load_if_given
from dygraph.models.base import BackboneNetwork
from shared.registry import MODELS

BIN_SIZES = (1, 2, 3, 6)


@MODELS.register()
class SFNet(BackboneNetwork):
    """Li et al., "Semantic Flow for Fast and Accurate Scene Parsing", https://arxiv.org/abs/2002.10120

    Differs from the paper: a ResNet-vd backbone, in the recipes at output stride 8 where the paper's has 32, so that
    three of the four levels have the same size.

    Args:
        num_classes: K.
        backbone: a layer with ``feature_channels``, built with the same ``data_format``.
        backbone_indices: the four levels of the pyramid, finest first.
        enable_auxiliary_loss: a map of logits from each merged level (the paper's deep supervision) as well.
        align_corners: of the logits' resize; inside the head corners are always aligned, as the flow takes them to be.
        pretrained: path or URL of weights for the whole network.

    Input ``[N, 3, H, W]`` float32, output a list of maps of logits ``[N, K, H, W]``: the main one and, with
    ``enable_auxiliary_loss``, those of the merged levels, coarsest first. (PaddleSeg gives the main one last.)
    """

    def __init__(
        self,
        num_classes: int,
        backbone: nn.Layer,
        backbone_indices: Sequence[int],
        enable_auxiliary_loss: bool = False,
        align_corners: bool = False,
        pretrained: str | None = None,
        data_format: str = "NCHW",
    ) -> None:
        super().__init__(backbone, backbone_indices, 4, align_corners, data_format)
        self.head = SFNetHead(num_classes, self.in_channels, enable_auxiliary_loss, data_format)
        load_if_given(self, pretrained)

    def logit_maps(self, x: Tensor) -> list[Tensor]:
        """The main map, and the auxiliary ones after it if there are any."""
        return self.head(self.features(x))


class SFNetHead(nn.Layer):
    """Pyramid pooling on the coarsest feature, then level by level the aligned coarser map plus the finer feature.

    The width of all levels is the paper's: 128 on the features of a shallow ResNet, 256 on a deep one's.
    """

    def __init__(
        self, num_classes: int, in_channels: Sequence[int], enable_auxiliary_loss: bool, data_format: str
    ) -> None:
        super().__init__()
        *finer, last = in_channels
        channels = 128 if last <= 512 else 256
        self.data_format = data_format
        self.ppm = PyramidPooling(last, channels, BIN_SIZES, align_corners=True, data_format=data_format)
        self.fpn_in = nn.LayerList(
            ConvBNAct(width, channels, 1, bias=True, data_format=data_format, names=("0", "1")) for width in finer
        )
        self.fpn_out = nn.LayerList(
            nn.Sequential(ConvBNAct(channels, channels, 3, data_format=data_format)) for _ in finer
        )
        self.fpn_out_align = nn.LayerList(AlignedModule(channels, channels // 2, data_format) for _ in finer)
        self.dsn = None
        if enable_auxiliary_loss:
            self.dsn = nn.LayerList(
                nn.Sequential(AuxHead(channels, channels, num_classes, data_format=data_format)) for _ in finer
            )
        self.conv_last = nn.Sequential(
            ConvBNAct(len(in_channels) * channels, channels, 3, data_format=data_format),
            Conv2D(channels, num_classes, 1, data_format=data_format),
        )

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        *finer, last = features
        merged = self.ppm(last)  # [N, C, H/output_stride, W/output_stride]
        levels = [merged]
        auxiliary = []
        for i in reversed(range(len(finer))):
            fine = self.fpn_in[i](finer[i])
            merged = self.fpn_out_align[i](fine, merged) + fine  # [N, C, h_i, w_i]
            levels.insert(0, self.fpn_out[i](merged))
            if self.dsn is not None:
                auxiliary.append(self.dsn[i](merged))  # [N, K, h_i, w_i]
        resized = [levels[0], *(resize_like(level, levels[0], True, self.data_format) for level in levels[1:])]
        merged = paddle.concat(resized, axis=channel_axis(self.data_format))  # [N, 4 C, H/4, W/4]
        return [self.conv_last(merged), *auxiliary]


class AlignedModule(nn.Layer):
    """Flow alignment: the coarse map sampled on the fine one's grid, moved by a flow that both of them predict."""

    def __init__(self, in_channels: int, channels: int, data_format: str) -> None:
        super().__init__()
        self.data_format = data_format
        self.down_h = Conv2D(in_channels, channels, 1, bias_attr=False, data_format=data_format)
        self.down_l = Conv2D(in_channels, channels, 1, bias_attr=False, data_format=data_format)
        self.flow_make = Conv2D(2 * channels, 2, 3, padding=1, bias_attr=False, data_format=data_format)

    def forward(self, fine: Tensor, coarse: Tensor) -> Tensor:
        low = self.down_l(fine)  # [N, C/2, H, W]
        high = resize_like(self.down_h(coarse), low, True, self.data_format)
        flow = self.flow_make(paddle.concat([high, low], axis=channel_axis(self.data_format)))  # [N, 2, H, W]
        return flow_warp(coarse, flow, self.data_format)  # [N, C, H, W]

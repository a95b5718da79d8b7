"""HRNet: four resolutions side by side, exchanging features after every module."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import paddle
from paddle import Tensor, nn

from dygraph.backbones.hrnet_blocks import (
    STEM_CHANNELS,
    ConvOptions,
    bottleneck_layer,
    stage,
    transition,
)
from dygraph.layers import channel_axis, resize, spatial_size
from dygraph.layers.start import load_if_given
from shared.registry import BACKBONES


@BACKBONES.register()
class HRNet(nn.Layer):
    """Wang et al., "Deep High-Resolution Representation Learning for Visual Recognition",
    https://arxiv.org/abs/1908.07919

    Differs from the paper: convolutions of stride 2 pad only on the right and bottom where the size is even
    (``padding_same``), as the published weights were trained; an optional squeeze-and-excitation in every block.

    Args:
        stageS_num_modules: exchange modules in stage S (stage 1 always has one).
        stageS_num_blocks: residual blocks per branch of a module, one number per resolution.
        stageS_num_channels: width of each branch; stage 1 has bottleneck blocks, four times as wide at their end.
        has_se: squeeze-and-excitation at the end of every block.
        align_corners: of the bilinear resizes between resolutions.
        padding_same: see above; False pads one pixel on every side.
        pretrained: path or URL of weights for this backbone.

    Input ``[N, in_channels, H, W]`` (or NHWC, as ``data_format`` says), output a list of one feature
    ``[N, sum(stage4_num_channels), ceil(H / 4), ceil(W / 4)]``: the four resolutions concatenated at the finest.
    """

    def __init__(
        self,
        in_channels: int = 3,
        pretrained: str | None = None,
        stage1_num_modules: int = 1,
        stage1_num_blocks: Sequence[int] = (4,),
        stage1_num_channels: Sequence[int] = (64,),
        stage2_num_modules: int = 1,
        stage2_num_blocks: Sequence[int] = (4, 4),
        stage2_num_channels: Sequence[int] = (18, 36),
        stage3_num_modules: int = 4,
        stage3_num_blocks: Sequence[int] = (4, 4, 4),
        stage3_num_channels: Sequence[int] = (18, 36, 72),
        stage4_num_modules: int = 3,
        stage4_num_blocks: Sequence[int] = (4, 4, 4, 4),
        stage4_num_channels: Sequence[int] = (18, 36, 72, 144),
        has_se: bool = False,
        align_corners: bool = False,
        padding_same: bool = True,
        data_format: str = "NCHW",
    ) -> None:
        super().__init__()
        self.align_corners = align_corners
        self.data_format = data_format
        self.feature_channels = [sum(stage4_num_channels)]
        self.feature_strides = [4]
        self.feat_channels = self.feature_channels  # the name PaddleSeg's heads read
        stages = {
            1: (stage1_num_modules, stage1_num_blocks, stage1_num_channels),
            2: (stage2_num_modules, stage2_num_blocks, stage2_num_channels),
            3: (stage3_num_modules, stage3_num_blocks, stage3_num_channels),
            4: (stage4_num_modules, stage4_num_blocks, stage4_num_channels),
        }
        _check_stages(stages)
        options = ConvOptions(has_se, align_corners, padding_same, data_format)

        self.conv_layer1_1 = options.conv(in_channels, STEM_CHANNELS, 3, stride=2)
        self.conv_layer1_2 = options.conv(STEM_CHANNELS, STEM_CHANNELS, 3, stride=2)
        self.la1 = bottleneck_layer(options, stage1_num_blocks[0], stage1_num_channels[0])
        self.tr1 = transition("tr1", options, [4 * stage1_num_channels[0]], stage2_num_channels)
        self.st2 = stage("st2", options, stage2_num_modules, stage2_num_blocks, stage2_num_channels)
        self.tr2 = transition("tr2", options, stage2_num_channels, stage3_num_channels)
        self.st3 = stage("st3", options, stage3_num_modules, stage3_num_blocks, stage3_num_channels)
        self.tr3 = transition("tr3", options, stage3_num_channels, stage4_num_channels)
        self.st4 = stage("st4", options, stage4_num_modules, stage4_num_blocks, stage4_num_channels)
        load_if_given(self, pretrained)

    def forward(self, x: Tensor) -> list[Tensor]:
        x = self.conv_layer1_2(self.conv_layer1_1(x))  # [N, 64, H/4, W/4]
        x = self.la1(x)  # [N, 256, H/4, W/4]
        branches = self.st2(self.tr1([x]))  # H/4 and H/8
        branches = self.st3(self.tr2(branches))  # H/4 to H/16
        branches = self.st4(self.tr3(branches))  # H/4 to H/32
        size_hw = spatial_size(branches[0], self.data_format)
        coarse = [resize(b, size_hw, self.align_corners, self.data_format) for b in branches[1:]]
        axis = channel_axis(self.data_format)
        return [paddle.concat([branches[0], *coarse], axis=axis)]  # [N, sum of channels, H/4, W/4]


def _check_stages(stages: dict[int, tuple[int, Sequence[int], Sequence[int]]]) -> None:
    for number, (modules, blocks, channels) in stages.items():
        if len(blocks) != number or len(channels) != number:
            raise ValueError(
                f"stage {number} of HRNet has {number} resolutions, so stage{number}_num_blocks and "
                f"stage{number}_num_channels need {number} numbers each, got {list(blocks)} and {list(channels)}"
            )
        if modules < 1 or min(blocks) < 1 or min(channels) < 1:
            raise ValueError(f"stage {number} of HRNet needs positive numbers, got {modules}, {blocks}, {channels}")
    if stages[1][0] != 1:
        raise ValueError(f"stage1_num_modules is always 1 in HRNet, got {stages[1][0]}")


def _variant(name: str, **stages: Any) -> Callable[..., HRNet]:
    """A registered factory of :class:`HRNet` with its stages filled in."""

    def build(
        in_channels: int = 3,
        pretrained: str | None = None,
        has_se: bool = False,
        align_corners: bool = False,
        padding_same: bool = True,
        data_format: str = "NCHW",
    ) -> HRNet:
        return HRNet(
            in_channels=in_channels,
            pretrained=pretrained,
            has_se=has_se,
            align_corners=align_corners,
            padding_same=padding_same,
            data_format=data_format,
            **stages,
        )

    build.__name__ = build.__qualname__ = name
    build.__doc__ = f"{name}; arguments are :class:`HRNet`'s."
    return BACKBONES.register()(build)


def _width(width: int) -> Callable[..., HRNet]:
    """The paper's HRNetV2-W``width``: the defaults of :class:`HRNet` with other widths."""
    return _variant(
        f"HRNet_W{width}",
        stage2_num_channels=(width, 2 * width),
        stage3_num_channels=(width, 2 * width, 4 * width),
        stage4_num_channels=(width, 2 * width, 4 * width, 8 * width),
    )


HRNet_W18_Small_V1 = _variant(
    "HRNet_W18_Small_V1",
    stage1_num_blocks=(1,),
    stage1_num_channels=(32,),
    stage2_num_blocks=(2, 2),
    stage2_num_channels=(16, 32),
    stage3_num_modules=1,
    stage3_num_blocks=(2, 2, 2),
    stage3_num_channels=(16, 32, 64),
    stage4_num_modules=1,
    stage4_num_blocks=(2, 2, 2, 2),
    stage4_num_channels=(16, 32, 64, 128),
)
HRNet_W18_Small_V2 = _variant(
    "HRNet_W18_Small_V2",
    stage1_num_blocks=(2,),
    stage2_num_blocks=(2, 2),
    stage3_num_modules=3,
    stage3_num_blocks=(2, 2, 2),
    stage4_num_modules=2,
    stage4_num_blocks=(2, 2, 2, 2),
)
HRNet_W18 = _width(18)
HRNet_W30 = _width(30)
HRNet_W32 = _width(32)
HRNet_W40 = _width(40)
HRNet_W44 = _width(44)
HRNet_W48 = _width(48)
HRNet_W60 = _width(60)
HRNet_W64 = _width(64)

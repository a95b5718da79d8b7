"""U2-Net: a U-Net each of whose stages is a small U-Net itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import paddle
from paddle import Tensor, nn

from dygraph.layers import Conv2D, ConvBNAct, channel_axis, resize_like
from dygraph.layers.start import load_if_given
from dygraph.models.base import SegmentationNetwork
from shared.registry import MODELS


class Stage(NamedTuple):
    """One row of the paper's table of configurations; its input channels follow from the stages before it."""

    height: int
    inner: int
    out: int
    dilated: bool = False


ENCODER = (
    Stage(7, 32, 64),
    Stage(6, 32, 128),
    Stage(5, 64, 256),
    Stage(4, 128, 512),
    Stage(4, 256, 512, dilated=True),
    Stage(4, 256, 512, dilated=True),
)
DECODER = (  # from the fifth stage up
    Stage(4, 256, 512, dilated=True),
    Stage(4, 128, 256),
    Stage(5, 64, 128),
    Stage(6, 32, 64),
    Stage(7, 16, 64),
)


@MODELS.register()
class U2Net(SegmentationNetwork):
    """Qin et al., "U2-Net: Going Deeper with Nested U-Structure for Salient Object Detection",
    https://arxiv.org/abs/2005.09007

    Differs from the paper: K classes, and logits instead of probabilities, in place of one map of saliency.

    Args:
        num_classes: K.
        in_channels: of the image.
        pretrained: path or URL of weights for the whole network.

    Input ``[N, in_channels, H, W]`` float32, output a list of seven maps of logits ``[N, K, H, W]``: the fused one,
    then those of the six stages, finest first.
    """

    full_size = True

    def __init__(
        self, num_classes: int, in_channels: int = 3, pretrained: str | None = None, data_format: str = "NCHW"
    ) -> None:
        super().__init__(data_format=data_format)
        self._build(ENCODER, DECODER, num_classes, in_channels)
        load_if_given(self, pretrained)

    def _build(self, encoder: Sequence[Stage], decoder: Sequence[Stage], num_classes: int, in_channels: int) -> None:
        data_format = self.data_format
        channels = in_channels
        for number, stage in enumerate(encoder, start=1):
            self.add_sublayer(f"stage{number}", ResidualUBlock(channels, stage, data_format))
            channels = stage.out
        for number, stage in zip((5, 4, 3, 2, 1), decoder):
            connection = encoder[number - 1].out
            self.add_sublayer(f"stage{number}d", ResidualUBlock(channels + connection, stage, data_format))
            channels = stage.out
        sides = [*(stage.out for stage in reversed(decoder)), encoder[-1].out]
        for number, channels in enumerate(sides, start=1):
            side = Conv2D(channels, num_classes, 3, padding=1, data_format=data_format)
            self.add_sublayer(f"side{number}", side)
        self.outconv = Conv2D(len(sides) * num_classes, num_classes, 1, data_format=data_format)

    def logit_maps(self, x: Tensor) -> list[Tensor]:
        axis = channel_axis(self.data_format)
        connections = []  # finest first, each half as high and wide (rounded up) as the one before it
        for number in range(1, 7):
            x = self._sub_layers[f"stage{number}"](x if number == 1 else halve(x, self.data_format))
            connections.append(x)
        outputs = [connections.pop()]  # coarsest first
        for number in (5, 4, 3, 2, 1):
            connection = connections[number - 1]
            enlarged = resize_like(outputs[-1], connection, data_format=self.data_format)
            outputs.append(self._sub_layers[f"stage{number}d"](paddle.concat([enlarged, connection], axis=axis)))
        sides = [self._sub_layers[f"side{number}"](y) for number, y in enumerate(reversed(outputs), start=1)]
        sides[1:] = [resize_like(side, sides[0], data_format=self.data_format) for side in sides[1:]]
        return [self.outconv(paddle.concat(sides, axis=axis)), *sides]  # each [N, K, H, W]


@MODELS.register()
class U2Netp(U2Net):
    """The small version of :class:`U2Net`, with its arguments: every stage gives 64 channels and has 16 inside."""

    def _build(self, encoder: Sequence[Stage], decoder: Sequence[Stage], num_classes: int, in_channels: int) -> None:
        encoder, decoder = ([stage._replace(inner=16, out=64) for stage in path] for path in (encoder, decoder))
        super()._build(encoder, decoder, num_classes, in_channels)


class ResidualUBlock(nn.Layer):
    """The paper's RSU: a U of convolutions around which its first convolution is added as a residual.

    With ``stage.dilated`` (the paper's RSU-4F) dilations of 2, 4 and 8 take the place of pooling and enlarging.
    """

    def __init__(self, in_channels: int, stage: Stage, data_format: str) -> None:
        super().__init__()
        self.height, self.dilated = stage.height, stage.dilated
        self.data_format = data_format

        def add(name: str, in_channels: int, out_channels: int, dilation: int) -> None:
            conv = ConvBNAct(
                in_channels,
                out_channels,
                3,
                dilation=dilation,
                bias=True,
                data_format=data_format,
                names=("conv_s1", "bn_s1"),
            )
            self.add_sublayer(f"rebnconv{name}", conv)

        add("in", in_channels, stage.out, 1)
        add("1", stage.out, stage.inner, 1)
        for row in range(2, stage.height):
            add(str(row), stage.inner, stage.inner, self._dilation(row))
        add(str(stage.height), stage.inner, stage.inner, 2 ** (stage.height - 1) if stage.dilated else 2)
        for row in range(stage.height - 1, 0, -1):
            add(f"{row}d", 2 * stage.inner, stage.out if row == 1 else stage.inner, self._dilation(row))

    def _dilation(self, row: int) -> int:
        return 2 ** (row - 1) if self.dilated else 1

    def forward(self, x: Tensor) -> Tensor:
        residual = x = self._sub_layers["rebnconvin"](x)  # [N, out, h, w]
        connections = []
        for row in range(1, self.height):
            if row > 1 and not self.dilated:
                x = halve(x, self.data_format)
            x = self._sub_layers[f"rebnconv{row}"](x)
            connections.append(x)
        x = self._sub_layers[f"rebnconv{self.height}"](x)  # the bottom, as large as the last connection
        for row in range(self.height - 1, 0, -1):
            connection = connections[row - 1]
            if row < self.height - 1 and not self.dilated:
                x = resize_like(x, connection, data_format=self.data_format)
            merged = paddle.concat([x, connection], axis=channel_axis(self.data_format))
            x = self._sub_layers[f"rebnconv{row}d"](merged)
        return x + residual


def halve(x: Tensor, data_format: str) -> Tensor:
    """The maximum of every 2x2 pixels; an odd last row or column is kept."""
    return nn.functional.max_pool2d(x, 2, stride=2, ceil_mode=True, data_format=data_format)

"""HarDNet: dense blocks whose connections follow the powers of two, in a U shape."""

from __future__ import annotations

from collections.abc import Sequence

import paddle
from paddle import Tensor, nn

from dygraph.layers import Conv2D, ConvBNAct, channel_axis, resize_like
from dygraph.layers.start import load_if_given
from dygraph.models.base import SegmentationNetwork
from shared.registry import MODELS


@MODELS.register()
class HarDNet(SegmentationNetwork):
    """Chao et al., "HarDNet: A Low Memory Traffic Network", https://arxiv.org/abs/1909.00948

    Differs from the paper: the sizes and the decoder are those of FC-HarDNet-70, which the authors published as code
    for Cityscapes; widths of layers are rounded to even numbers.

    Args:
        num_classes: K.
        in_channels: of the image.
        stem_channels: widths of the four first convolutions; the third halves the image.
        ch_list: widths after each block of the encoder.
        grmul: factor on a layer's width for each further power of two that divides its number.
        gr: width of the layers of odd number, for each block.
        n_layers: layers of each block.
        align_corners: of all resizes.
        pretrained: path or URL of weights for the whole network.

    Input ``[N, in_channels, H, W]`` float32, output a list of one map of logits ``[N, K, H, W]``.

    Raises:
        ValueError: the three lists of the encoder are not of one length, or ``stem_channels`` has not four numbers.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int = 3,
        stem_channels: Sequence[int] = (16, 24, 32, 48),
        ch_list: Sequence[int] = (64, 96, 160, 224, 320),
        grmul: float = 1.7,
        gr: Sequence[int] = (10, 16, 18, 24, 32),
        n_layers: Sequence[int] = (4, 4, 8, 8, 8),
        align_corners: bool = False,
        pretrained: str | None = None,
        data_format: str = "NCHW",
    ) -> None:
        super().__init__(align_corners, data_format)
        if not len(ch_list) == len(gr) == len(n_layers) > 0:
            raise ValueError(
                f"ch_list, gr and n_layers need one number for each block, got {len(ch_list)}, {len(gr)} and "
                f"{len(n_layers)} numbers"
            )
        if len(stem_channels) != 4:
            raise ValueError(f"stem_channels needs 4 numbers, got {list(stem_channels)}")
        widths = [in_channels, *stem_channels]
        self.stem = nn.Sequential(
            *(
                _conv(widths[i], widths[i + 1], 3, data_format, stride=2 if i == 2 else 1)
                for i in range(len(stem_channels))
            )
        )
        self.encoder = Encoder(stem_channels[-1], ch_list, grmul, gr, n_layers, data_format)
        self.decoder = Decoder(ch_list[-1], self.encoder.skip_channels, grmul, gr, n_layers, align_corners, data_format)
        self.cls_head = Conv2D(self.decoder.out_channels, num_classes, 1, data_format=data_format)
        load_if_given(self, pretrained)

    def logit_maps(self, x: Tensor) -> list[Tensor]:
        """One map at half of the size."""
        x = self.stem(x)  # [N, 48, H/2, W/2]
        x, skips = self.encoder(x)  # [N, 320, H/32, W/32]
        return [self.cls_head(self.decoder(x, skips))]  # [N, K, H/2, W/2]


class Encoder(nn.Layer):
    """Blocks, each with a 1x1 convolution after it, and a mean over 2x2 pixels between them."""

    def __init__(
        self,
        in_channels: int,
        ch_list: Sequence[int],
        grmul: float,
        gr: Sequence[int],
        n_layers: Sequence[int],
        data_format: str,
    ) -> None:
        super().__init__()
        self.skip_channels: list[int] = []
        self.blks = nn.LayerList()
        for i, (channels, growth, layers) in enumerate(zip(ch_list, gr, n_layers)):
            block = HarDBlock(in_channels, growth, grmul, layers, data_format)
            self.blks.append(block)
            if i < len(ch_list) - 1:
                self.skip_channels.append(block.out_channels)
            self.blks.append(_conv(block.out_channels, channels, 1, data_format))
            if i < len(ch_list) - 1:
                self.blks.append(nn.AvgPool2D(2, stride=2, data_format=data_format))
            in_channels = channels

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        skips = []
        for layer in self.blks:
            x = layer(x)
            if isinstance(layer, HarDBlock) and len(skips) < len(self.skip_channels):
                skips.append(x)
        return x, skips


class Decoder(nn.Layer):
    """Up to the size of each skip, coarsest first: concatenation, a 1x1 convolution to half the width, and a block."""

    def __init__(
        self,
        in_channels: int,
        skip_channels: Sequence[int],
        grmul: float,
        gr: Sequence[int],
        n_layers: Sequence[int],
        align_corners: bool,
        data_format: str,
    ) -> None:
        super().__init__()
        self._align_corners = align_corners
        self._data_format = data_format
        self.dense_blocks_up = nn.LayerList()
        self.conv1x1_up = nn.LayerList()
        for i in reversed(range(len(skip_channels))):
            joined = in_channels + skip_channels[i]
            self.conv1x1_up.append(_conv(joined, joined // 2, 1, data_format))
            block = HarDBlock(joined // 2, gr[i], grmul, n_layers[i], data_format)
            self.dense_blocks_up.append(block)
            in_channels = block.out_channels
        self.out_channels = in_channels

    def forward(self, x: Tensor, skips: list[Tensor]) -> Tensor:
        axis = channel_axis(self._data_format)
        for conv, block, skip in zip(self.conv1x1_up, self.dense_blocks_up, reversed(skips)):
            x = resize_like(x, skip, self._align_corners, self._data_format)
            x = block(conv(paddle.concat([x, skip], axis=axis)))
        return x


class HarDBlock(nn.Layer):
    """Layer k reads layer ``k - 2**n`` for every power of two that divides k; layer 0 is the block's input.

    A layer is ``grmul`` times wider for each that it reads beyond the first. The block gives its odd layers and the
    last one, concatenated.

    Attributes:
        sources: what each layer reads, the furthest first.
        given: the numbers of the layers whose outputs are the block's.
        out_channels: of the block.
    """

    def __init__(self, in_channels: int, growth: int, grmul: float, num_layers: int, data_format: str) -> None:
        super().__init__()
        self._channel_axis = channel_axis(data_format)
        self.sources = [
            [k - 2**n for n in reversed(range(k.bit_length())) if k % 2**n == 0] for k in range(1, num_layers + 1)
        ]
        widths = [in_channels]
        self.layers = nn.LayerList()
        for sources in self.sources:
            widths.append(layer_width(len(sources), growth, grmul))
            self.layers.append(_conv(sum(widths[k] for k in sources), widths[-1], 3, data_format))
        self.given = [k for k in range(1, num_layers + 1) if k % 2 == 1 or k == num_layers]
        self.out_channels = sum(widths[k] for k in self.given)

    def forward(self, x: Tensor) -> Tensor:
        outputs = [x]
        for layer, sources in zip(self.layers, self.sources):
            outputs.append(layer(self._joined(outputs, sources)))
        return self._joined(outputs, self.given)

    def _joined(self, outputs: Sequence[Tensor], numbers: Sequence[int]) -> Tensor:
        if len(numbers) == 1:
            return outputs[numbers[0]]
        return paddle.concat([outputs[k] for k in numbers], axis=self._channel_axis)


def layer_width(reads: int, growth: int, grmul: float) -> int:
    """Channels of a layer that reads ``reads`` others, an even number.

    >>> [layer_width(reads, 10, 1.7) for reads in (1, 2, 3)]
    [10, 18, 28]
    """
    width = float(growth)
    for _ in range(reads - 1):  # not a power: PaddleSeg rounds repeated products
        width *= grmul
    return int(width + 1) // 2 * 2


def _conv(in_channels: int, out_channels: int, kernel_size: int, data_format: str, stride: int = 1) -> ConvBNAct:
    """Convolution, normalisation, ReLU."""
    return ConvBNAct(
        in_channels, out_channels, kernel_size, stride=stride, padding="same", bias=False, data_format=data_format
    )

"""UNet 3+: every decoder level reads features of all scales."""

from __future__ import annotations

from collections.abc import Sequence

import paddle
from paddle import Tensor, nn

from dygraph.layers import Conv2D, ConvBNAct, channel_axis, resize_like, to_nchw
from dygraph.layers.start import frozen, load_if_given
from dygraph.models.base import SegmentationNetwork
from shared.registry import MODELS

CHANNELS = (64, 128, 256, 512, 1024)  # of the encoder's levels
PART = CHANNELS[0]  # what each source gives to a level of the decoder
JOINED = PART * len(CHANNELS)


@MODELS.register()
class UNet3Plus(SegmentationNetwork):
    """Huang et al., "UNet 3+: A Full-Scale Connected UNet for Medical Image Segmentation",
    https://arxiv.org/abs/2004.08790

    Differs from the paper: logits without sigmoid; convolutions have biases beside their normalisation; with
    ``is_CGM`` the two-way decision about the image multiplies the logits of every class, and is not trained: the
    paper's loss on it is left out, and the decision itself has no gradient.

    Args:
        in_channels: of the image.
        num_classes: K.
        is_batchnorm: whether the encoder's convolutions are normalised; the decoder's always are.
        is_deepsup: deep supervision: a map of logits from every level of the decoder, the finest first.
        is_CGM: the classification-guided module: an image in which the deepest feature finds nothing has logits of 0.
            It guides the maps of deep supervision, which it switches on. Its weights stay as they are loaded.
        pretrained: path or URL of weights for the whole network.

    Input ``[N, in_channels, H, W]`` float32, H and W of at least 16; output a list of one map of logits
    ``[N, K, H, W]``, or of five with ``is_deepsup`` or ``is_CGM``.
    """

    full_size = True

    def __init__(
        self,
        in_channels: int = 3,
        num_classes: int = 2,
        is_batchnorm: bool = True,
        is_deepsup: bool = False,
        is_CGM: bool = False,  # noqa: N803 - the name in configs
        pretrained: str | None = None,
        data_format: str = "NCHW",
    ) -> None:
        super().__init__(data_format=data_format)
        self.encoder = Encoder(in_channels, is_batchnorm, data_format)
        self.decoder = Decoder(data_format)
        self.deepsup = self.outconv1 = self.cls = None
        if is_deepsup or is_CGM:
            self.deepsup = DeepSupervision(num_classes, data_format)
        else:
            self.outconv1 = Conv2D(JOINED, num_classes, 3, padding=1, data_format=data_format)
        if is_CGM:
            conv = Conv2D(CHANNELS[-1], 2, 1, data_format=data_format)
            self.cls = frozen(nn.Sequential(nn.Dropout(p=0.5), conv))
        load_if_given(self, pretrained)

    def logit_maps(self, x: Tensor) -> list[Tensor]:
        levels = self.decoder(self.encoder(x))  # finest first; the last is the encoder's deepest
        maps = [self.outconv1(levels[0])] if self.deepsup is None else self.deepsup(levels)  # each [N, K, H, W]
        return maps if self.cls is None else self._guided(maps, levels[-1])

    def _guided(self, maps: list[Tensor], deepest: Tensor) -> list[Tensor]:
        scores = to_nchw(self.cls(deepest), self.data_format).max(axis=[2, 3])  # [N, 2]; absent, present
        decision = paddle.cast(paddle.argmax(scores, axis=1), maps[0].dtype)  # [N], 0 or 1
        decision = paddle.reshape(decision, [-1, 1, 1, 1])
        return [logits * decision for logits in maps]


class Encoder(nn.Layer):
    """Five levels of two convolutions each, halving the size between them."""

    def __init__(self, in_channels: int, is_batchnorm: bool, data_format: str) -> None:
        super().__init__()
        self.conv1 = _two_convs(in_channels, CHANNELS[0], is_batchnorm, data_format)
        for level in range(2, len(CHANNELS) + 1):
            convs = _two_convs(*CHANNELS[level - 2 : level], is_batchnorm, data_format)
            self.add_sublayer(f"poolconv{level}", nn.Sequential(nn.MaxPool2D(2, data_format=data_format), convs))

    def forward(self, x: Tensor) -> list[Tensor]:
        features = [self.conv1(x)]
        for layer in (self.poolconv2, self.poolconv3, self.poolconv4, self.poolconv5):
            features.append(layer(features[-1]))
        return features  # [N, CHANNELS[i], H / 2**i, W / 2**i]


class Decoder(nn.Layer):
    """Level by level upwards: finer encoder features pooled, coarser decoder features resized, all convolved."""

    def __init__(self, data_format: str) -> None:
        super().__init__()
        self._data_format = data_format
        depth = len(CHANNELS)
        for target in range(depth - 1, 0, -1):
            for source in range(1, depth + 1):
                width = CHANNELS[source - 1] if source <= target or source == depth else JOINED
                conv = _conv(width, PART, data_format)
                if source < target:
                    pool = nn.MaxPool2D(2 ** (target - source), data_format=data_format)
                    self.add_sublayer(f"h{source}_PT_hd{target}", pool)
                self.add_sublayer(_name(source, target), conv)
            self.add_sublayer(f"cbr{target}d_1", _conv(JOINED, JOINED, data_format))

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        levels = list(features)  # the coarsest stays; the others are replaced from below
        for target in range(len(CHANNELS) - 1, 0, -1):
            reference = features[target - 1]
            parts = []
            for source in range(1, len(CHANNELS) + 1):
                if source < target:
                    part = getattr(self, f"h{source}_PT_hd{target}")(features[source - 1])
                else:
                    part = levels[source - 1]
                    if source > target:
                        part = resize_like(part, reference, data_format=self._data_format)
                parts.append(getattr(self, _name(source, target))(part))  # [N, 64, h, w]
            joined = paddle.concat(parts, axis=channel_axis(self._data_format))  # [N, 320, h, w]
            levels[target - 1] = getattr(self, f"cbr{target}d_1")(joined)
        return levels


class DeepSupervision(nn.Layer):
    """A classifier for each level, resized to the finest."""

    def __init__(self, num_classes: int, data_format: str) -> None:
        super().__init__()
        self._data_format = data_format
        for level in range(len(CHANNELS), 1, -1):
            width = CHANNELS[-1] if level == len(CHANNELS) else JOINED
            conv = Conv2D(width, num_classes, 3, padding=1, data_format=data_format)
            self.add_sublayer(f"convup{level}", nn.Sequential(conv))
        self.outconv1 = Conv2D(JOINED, num_classes, 3, padding=1, data_format=data_format)

    def forward(self, levels: Sequence[Tensor]) -> list[Tensor]:
        maps = [self.outconv1(levels[0])]
        for conv, level in zip((self.convup2, self.convup3, self.convup4, self.convup5), levels[1:]):
            maps.append(resize_like(conv(level), maps[0], data_format=self._data_format))
        return maps


def _name(source: int, target: int) -> str:
    """The convolution of one connection, as published weights call it."""
    if source < target:
        return f"h{source}_PT_hd{target}_cbr"
    return f"h{source}_Cat_hd{target}_cbr" if source == target else f"hd{source}_UT_hd{target}_cbr"


def _conv(in_channels: int, out_channels: int, data_format: str) -> ConvBNAct:
    return ConvBNAct(in_channels, out_channels, 3, bias=True, data_format=data_format, names=("0", "1"))


def _two_convs(in_channels: int, channels: int, is_batchnorm: bool, data_format: str) -> nn.Sequential:
    def conv(width: int) -> nn.Layer:
        if is_batchnorm:
            return _conv(width, channels, data_format)
        return nn.Sequential(Conv2D(width, channels, 3, padding=1, data_format=data_format), nn.ReLU())

    return nn.Sequential(("conv1", conv(in_channels)), ("conv2", conv(channels)))

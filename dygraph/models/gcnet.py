"""GCNet: one context for the whole map, added to every pixel."""

from __future__ import annotations

from collections.abc import Sequence

import paddle
import paddle.nn.functional as F  # noqa: N812
from paddle import Tensor, nn

from dygraph.layers import AuxHead, Conv2D, ConvBNAct, channel_axis
from dygraph.layers.attention import from_tokens, to_tokens
from dygraph.layers.start import load_if_given
from dygraph.models.base import BackboneNetwork
from shared.registry import MODELS


@MODELS.register()
class GCNet(BackboneNetwork):
    """Cao et al., "GCNet: Non-local Networks Meet Squeeze-Excitation Networks and Beyond",
    https://arxiv.org/abs/1904.11492

    Differs from the paper: a ResNet-vd backbone, whose blocks stay as they are: one global context block stands in the
    head for segmentation.

    Args:
        num_classes: K.
        backbone: a layer with ``feature_channels``, built with the same ``data_format``.
        backbone_indices: the auxiliary head's feature and the head's.
        gc_channels: width of the head.
        ratio: width of the context's bottleneck as a part of ``gc_channels``.
        enable_auxiliary_loss: a second map of logits, from the earlier feature.
        align_corners: of the last resize.
        pretrained: path or URL of weights for the whole network.

    Input ``[N, 3, H, W]`` float32, output a list of maps of logits ``[N, K, H, W]``: the main one and, with
    ``enable_auxiliary_loss``, the auxiliary one.
    """

    def __init__(
        self,
        num_classes: int,
        backbone: nn.Layer,
        backbone_indices: Sequence[int] = (2, 3),
        gc_channels: int = 512,
        ratio: float = 0.25,
        enable_auxiliary_loss: bool = True,
        align_corners: bool = False,
        pretrained: str | None = None,
        data_format: str = "NCHW",
    ) -> None:
        super().__init__(backbone, backbone_indices, 2, align_corners, data_format)
        if int(gc_channels * ratio) < 1:
            raise ValueError(f"ratio {ratio} of gc_channels {gc_channels} leaves no channel; make one of them larger")
        earlier, last = self.in_channels
        auxiliary = None
        if enable_auxiliary_loss:
            auxiliary = AuxHead(earlier, earlier // 4, num_classes, data_format=data_format)
        self.head = GCNetHead(num_classes, last, gc_channels, ratio, auxiliary, data_format)
        load_if_given(self, pretrained)

    def logit_maps(self, x: Tensor) -> list[Tensor]:
        return self.head(*self.features(x))


class GCNetHead(nn.Layer):
    """The context block between two convolutions, then the feature beside it; the auxiliary head."""

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        channels: int,
        ratio: float,
        auxiliary: nn.Layer | None,
        data_format: str,
    ) -> None:
        super().__init__()
        self.conv_bn_relu1 = ConvBNAct(in_channels, channels, 3, bias=True, data_format=data_format)
        self.gc_block = GlobalContext(channels, ratio, data_format)
        self.conv_bn_relu2 = ConvBNAct(channels, channels, 3, bias=True, data_format=data_format)
        self.conv_bn_relu3 = ConvBNAct(in_channels + channels, channels, 3, bias=True, data_format=data_format)
        self.dropout = nn.Dropout(p=0.1)
        self.conv = Conv2D(channels, num_classes, 1, data_format=data_format)
        self.auxlayer = auxiliary
        self._channel_axis = channel_axis(data_format)

    def forward(self, earlier: Tensor, last: Tensor) -> list[Tensor]:
        x = self.conv_bn_relu2(self.gc_block(self.conv_bn_relu1(last)))  # [N, C, h, w]
        x = self.conv_bn_relu3(paddle.concat([last, x], axis=self._channel_axis))  # [N, C, h, w]
        logits = [self.conv(self.dropout(x))]  # [N, K, h, w]
        return logits if self.auxlayer is None else [*logits, self.auxlayer(earlier)]


class GlobalContext(nn.Layer):
    """A weighted mean of all pixels, through a bottleneck, added to each of them; figure 4(d) of the paper."""

    def __init__(self, channels: int, ratio: float, data_format: str) -> None:
        super().__init__()
        hidden = int(channels * ratio)
        shape = [hidden, 1, 1] if data_format == "NCHW" else [1, 1, hidden]
        self.conv_mask = Conv2D(channels, 1, 1, data_format=data_format)
        self.channel_add_conv = nn.Sequential(
            Conv2D(channels, hidden, 1, data_format=data_format),
            nn.LayerNorm(shape),
            nn.ReLU(),
            Conv2D(hidden, channels, 1, data_format=data_format),
        )
        self._data_format = data_format

    def forward(self, x: Tensor) -> Tensor:
        weights = F.softmax(to_tokens(self.conv_mask(x), self._data_format), axis=1)  # [N, h * w, 1]
        context = paddle.matmul(weights, to_tokens(x, self._data_format), transpose_x=True)  # [N, 1, C]
        return x + self.channel_add_conv(from_tokens(context, (1, 1), self._data_format))

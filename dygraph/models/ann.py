"""ANN: non-local blocks whose keys and values are a few sampled means."""

from __future__ import annotations

from collections.abc import Sequence

import paddle
from paddle import Tensor, nn

from dygraph.layers import AuxHead, Conv2D, ConvBNAct, channel_axis, spatial_size
from dygraph.layers.attention import attend, from_tokens, to_tokens
from dygraph.layers.start import frozen, load_if_given
from dygraph.models.base import BackboneNetwork
from shared.registry import MODELS


@MODELS.register()
class ANN(BackboneNetwork):
    """Zhu et al., "Asymmetric Non-local Neural Networks for Semantic Segmentation", https://arxiv.org/abs/1908.07678

    Differs from the paper: a ResNet-vd backbone; similarities are divided by the square root of their width; dropout of
    0.05 after each of the two blocks and in the auxiliary head.

    Args:
        num_classes: K.
        backbone: a layer with ``feature_channels``, built with the same ``data_format``.
        backbone_indices: the earlier feature, which gives keys and values, and the last, which gives queries. Their
            sizes may differ.
        key_value_channels: width of queries, keys and values.
        inter_channels: width of the feature after the fusion, and of the classifier's.
        psp_size: the grids at whose means keys and values are sampled. (PaddleSeg has its default's whatever it says.)
        enable_auxiliary_loss: a second map of logits, from the earlier feature. Without it the auxiliary head stands in
            ``state_dict()`` only, as it does in published weights.
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
        key_value_channels: int = 256,
        inter_channels: int = 512,
        psp_size: Sequence[int] = (1, 3, 6, 8),
        enable_auxiliary_loss: bool = True,
        align_corners: bool = False,
        pretrained: str | None = None,
        data_format: str = "NCHW",
    ) -> None:
        super().__init__(backbone, backbone_indices, 2, align_corners, data_format)
        if not psp_size or min(psp_size) < 1:
            raise ValueError(f"psp_size must be positive integers, at least one, got {list(psp_size)}")
        earlier, last = self.in_channels
        self.head = ANNHead(
            num_classes,
            AFNB(earlier, last, key_value_channels, psp_size, data_format),
            nn.Sequential(
                ConvBNAct(last, inter_channels, 3, bias=True, data_format=data_format),
                APNB(inter_channels, key_value_channels, psp_size, data_format),
            ),
            inter_channels,
            AuxHead(earlier, earlier // 2, num_classes, dropout=0.05, data_format=data_format),
            enable_auxiliary_loss,
            data_format,
        )
        load_if_given(self, pretrained)

    def logit_maps(self, x: Tensor) -> list[Tensor]:
        return self.head(*self.features(x))


class ANNHead(nn.Layer):
    """Fusion of the two features, context of the fused one, 1x1 classifier; the auxiliary head on the earlier one."""

    def __init__(
        self,
        num_classes: int,
        fusion: nn.Layer,
        context: nn.Layer,
        context_channels: int,
        auxiliary: nn.Layer,
        enable_auxiliary_loss: bool,
        data_format: str,
    ) -> None:
        super().__init__()
        self.fusion = fusion
        self.context = context
        self.cls = Conv2D(context_channels, num_classes, 1, data_format=data_format)
        self.auxlayer = auxiliary if enable_auxiliary_loss else frozen(auxiliary)
        self.enable_auxiliary_loss = enable_auxiliary_loss

    def forward(self, earlier: Tensor, last: Tensor) -> list[Tensor]:
        fused = self.fusion(earlier, last)  # [N, C_last, h, w]
        logits = [self.cls(self.context(fused))]  # [N, K, h, w]
        return [*logits, self.auxlayer(earlier)] if self.enable_auxiliary_loss else logits


class AFNB(nn.Layer):
    """Asymmetric fusion non-local block: the last feature asks, the earlier one answers."""

    def __init__(
        self, earlier: int, last: int, key_value_channels: int, psp_size: Sequence[int], data_format: str
    ) -> None:
        super().__init__()
        key = ConvBNAct(earlier, key_value_channels, 1, bias=True, data_format=data_format)
        query = ConvBNAct(last, key_value_channels, 1, bias=True, data_format=data_format)
        attention = SampledAttention(key, query, earlier, last, key_value_channels, psp_size, data_format)
        self.stages = nn.LayerList([attention])
        self.conv_bn = ConvBNAct(2 * last, last, 1, act=None, bias=True, data_format=data_format)
        self.dropout = nn.Dropout(p=0.05)
        self._channel_axis = channel_axis(data_format)

    def forward(self, earlier: Tensor, last: Tensor) -> Tensor:
        (attention,) = self.stages
        context = attention(earlier, last)  # [N, C, h, w]
        return self.dropout(self.conv_bn(paddle.concat([context, last], axis=self._channel_axis)))


class APNB(nn.Layer):
    """Asymmetric pyramid non-local block: a feature asks itself; keys and queries are one projection."""

    def __init__(self, channels: int, key_value_channels: int, psp_size: Sequence[int], data_format: str) -> None:
        super().__init__()
        key = ConvBNAct(channels, key_value_channels, 1, bias=True, data_format=data_format)
        attention = SampledAttention(key, key, channels, channels, key_value_channels, psp_size, data_format)
        self.stages = nn.LayerList([attention])
        self.conv_bn = ConvBNAct(2 * channels, channels, 1, bias=True, data_format=data_format)
        self.dropout = nn.Dropout(p=0.05)
        self._channel_axis = channel_axis(data_format)

    def forward(self, x: Tensor) -> Tensor:
        (attention,) = self.stages
        return self.dropout(self.conv_bn(paddle.concat([attention(x, x), x], axis=self._channel_axis)))


class SampledAttention(nn.Layer):
    """Attention of every pixel of one feature over the means of another on the grids of ``psp_size``.

    Args:
        key, query: projections to ``key_value_channels``; one layer given twice runs once, its feature being both's.
            (PaddleSeg runs it twice: equal logits and gradients, but its running statistics move twice a step.)
        source_channels, target_channels: of the feature that is sampled, and of the one that asks and of the result.
    """

    def __init__(
        self,
        key: nn.Layer,
        query: nn.Layer,
        source_channels: int,
        target_channels: int,
        key_value_channels: int,
        psp_size: Sequence[int],
        data_format: str,
    ) -> None:
        super().__init__()
        self.f_key = key
        self.f_query = query
        self.f_value = Conv2D(source_channels, key_value_channels, 1, data_format=data_format)
        self.W = Conv2D(key_value_channels, target_channels, 1, data_format=data_format)
        self._pools = [nn.AdaptiveAvgPool2D(size, data_format=data_format) for size in psp_size]
        self._scale = key_value_channels**-0.5
        self._data_format = data_format

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        key = self.f_key(source)  # [N, C, h_source, w_source]
        query = key if self.f_query is self.f_key else self.f_query(target)  # [N, C, h, w]
        context = attend(
            to_tokens(query, self._data_format),  # [N, h * w, C]
            self._sampled(key),
            self._sampled(self.f_value(source)),
            self._scale,
        )
        size_hw = spatial_size(target, self._data_format)
        return self.W(from_tokens(context, size_hw, self._data_format))  # [N, target_channels, h, w]

    def _sampled(self, x: Tensor) -> Tensor:
        """The means of all grids, ``[N, S, C]``; S is the sum of the squares of ``psp_size``."""
        return paddle.concat([to_tokens(pool(x), self._data_format) for pool in self._pools], axis=1)

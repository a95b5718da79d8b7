"""ISANet: self-attention in two sparse steps, between far pixels and then between near ones."""

from __future__ import annotations

from collections.abc import Sequence

import paddle
from paddle import Tensor, nn

from dygraph.layers import Conv2D, ConvBNAct, channel_axis, from_nchw, spatial_size, to_nchw
from dygraph.layers.attention import attend, from_tokens, to_tokens
from dygraph.layers.auxiliary import dropout_aux_head, dropout_classifier
from dygraph.layers.layout import pad
from dygraph.layers.start import load_if_given
from dygraph.models.base import BackboneNetwork
from shared.registry import MODELS


@MODELS.register()
class ISANet(BackboneNetwork):
    """Huang et al., "Interlaced Sparse Self-Attention for Semantic Segmentation", https://arxiv.org/abs/1907.12273

    Differs from the paper: a ResNet-vd backbone; dropout of 0.1 before the classifiers.

    Args:
        num_classes: K.
        backbone: a layer with ``feature_channels``, built with the same ``data_format``.
        backbone_indices: the auxiliary head's feature and the head's.
        isa_channels: width of queries and keys.
        down_factor: height and width of a block of near pixels; a feature that they do not divide is padded with zeros
            around it.
        enable_auxiliary_loss: a second map of logits, from the earlier feature. Without it the auxiliary head stands in
            ``state_dict()`` only, as it does in published weights.
        align_corners: of the last resize.
        pretrained: path or URL of weights for the whole network.

    Input ``[N, 3, H, W]`` float32, output a list of maps of logits ``[N, K, H, W]``: the main one and, with
    ``enable_auxiliary_loss``, the auxiliary one.
    """

    half_pixels = False

    def __init__(
        self,
        num_classes: int,
        backbone: nn.Layer,
        backbone_indices: Sequence[int] = (2, 3),
        isa_channels: int = 256,
        down_factor: Sequence[int] = (8, 8),
        enable_auxiliary_loss: bool = True,
        align_corners: bool = False,
        pretrained: str | None = None,
        data_format: str = "NCHW",
    ) -> None:
        super().__init__(backbone, backbone_indices, 2, align_corners, data_format)
        if len(down_factor) != 2 or min(down_factor) < 1:
            raise ValueError(f"down_factor must be two positive integers, height and width, got {list(down_factor)}")
        self.head = ISAHead(
            num_classes, self.in_channels, isa_channels, down_factor, enable_auxiliary_loss, data_format
        )
        load_if_given(self, pretrained)

    def logit_maps(self, x: Tensor) -> list[Tensor]:
        return self.head(*self.features(x))


class ISAHead(nn.Layer):
    """Both attentions, the feature beside them, and the classifiers."""

    def __init__(
        self,
        num_classes: int,
        in_channels: Sequence[int],
        isa_channels: int,
        down_factor: Sequence[int],
        enable_auxiliary_loss: bool,
        data_format: str,
    ) -> None:
        super().__init__()
        earlier, last = in_channels
        channels = last // 4
        self.down_factor = list(down_factor)
        self.in_conv = ConvBNAct(last, channels, 3, data_format=data_format)
        self.global_relation = SelfAttention(channels, isa_channels, data_format)
        self.local_relation = SelfAttention(channels, isa_channels, data_format)
        self.out_conv = ConvBNAct(2 * channels, channels, 1, data_format=data_format)
        self.cls = dropout_classifier(channels, num_classes, data_format)
        self.aux = dropout_aux_head(earlier, num_classes, enable_auxiliary_loss, data_format=data_format)
        self.enable_auxiliary_loss = enable_auxiliary_loss
        self._data_format = data_format

    def forward(self, earlier: Tensor, last: Tensor) -> list[Tensor]:
        x = self.in_conv(last)  # [N, C, h, w]
        attended = self._interlaced(x)  # [N, C, h, w]
        x = self.out_conv(paddle.concat([attended, x], axis=channel_axis(self._data_format)))  # [N, C, h, w]
        logits = [self.cls(x)]  # [N, K, h, w]
        return [*logits, self.aux(earlier)] if self.enable_auxiliary_loss else logits

    def _interlaced(self, x: Tensor) -> Tensor:
        """The map as ``rows x columns`` blocks of ``p x q`` near pixels: attention among the pixels that have one place
        in their blocks, then among those of one block."""
        x = to_nchw(x, self._data_format)
        channels = x.shape[1]
        height, width = spatial_size(x)
        p, q = self.down_factor
        rows, columns = (height + p - 1) // p, (width + q - 1) // q
        top, left = (rows * p - height) // 2, (columns * q - width) // 2
        x = pad(x, [left, columns * q - width - left, top, rows * p - height - top])
        x = paddle.reshape(x, [-1, channels, rows, p, columns, q])
        x = paddle.reshape(paddle.transpose(x, [0, 3, 5, 1, 2, 4]), [-1, channels, rows, columns])
        x = self._attended(self.global_relation, x)  # [N * p * q, C, rows, columns]
        x = paddle.reshape(x, [-1, p, q, channels, rows, columns])
        x = paddle.reshape(paddle.transpose(x, [0, 4, 5, 3, 1, 2]), [-1, channels, p, q])
        x = self._attended(self.local_relation, x)  # [N * rows * columns, C, p, q]
        x = paddle.reshape(x, [-1, rows, columns, channels, p, q])
        x = paddle.reshape(paddle.transpose(x, [0, 3, 1, 4, 2, 5]), [-1, channels, rows * p, columns * q])
        return from_nchw(x[:, :, top : top + height, left : left + width], self._data_format)

    def _attended(self, attention: nn.Layer, x: Tensor) -> Tensor:
        return to_nchw(attention(from_nchw(x, self._data_format)), self._data_format)


class SelfAttention(nn.Layer):
    """Every pixel's mean of all, weighted by likeness. Vaswani et al., https://arxiv.org/abs/1706.03762"""

    def __init__(self, channels: int, key_channels: int, data_format: str) -> None:
        super().__init__()

        def two_convs() -> nn.Sequential:
            return nn.Sequential(
                ConvBNAct(channels, key_channels, 1, data_format=data_format),
                ConvBNAct(key_channels, key_channels, 1, data_format=data_format),
            )

        self.key_project = two_convs()
        self.query_project = two_convs()
        self.value_project = Conv2D(channels, channels, 1, data_format=data_format)
        self.output_project = ConvBNAct(channels, channels, 1, data_format=data_format)
        self._scale = key_channels**-0.5
        self._data_format = data_format

    def forward(self, x: Tensor) -> Tensor:
        projections = (self.query_project, self.key_project, self.value_project)
        query, key, value = (to_tokens(project(x), self._data_format) for project in projections)
        context = attend(query, key, value, self._scale)  # [N, h * w, C]
        return self.output_project(from_tokens(context, spatial_size(x, self._data_format), self._data_format))

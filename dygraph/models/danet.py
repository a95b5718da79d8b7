"""DANet: attention over positions beside attention over channels."""

from __future__ import annotations

from collections.abc import Sequence

import paddle
from paddle import ParamAttr, Tensor, nn

from dygraph.layers import Conv2D, ConvBNAct, spatial_size
from dygraph.layers.attention import attend, from_tokens, to_tokens
from dygraph.layers.start import load_if_given
from dygraph.models.base import BackboneNetwork
from shared.registry import MODELS


@MODELS.register()
class DANet(BackboneNetwork):
    """Fu et al., "Dual Attention Network for Scene Segmentation", https://arxiv.org/abs/1809.02983

    Differs from the paper: a ResNet-vd backbone; an auxiliary classifier on its feature; and, as in the network that
    published weights come from, one auxiliary classifier reads both branches: ``aux_head_pam``, named for the position
    branch, stands in ``state_dict()`` only and is not trained.

    Args:
        num_classes: K.
        backbone: a layer with ``feature_channels``, built with the same ``data_format``.
        backbone_indices: its features as recipes list them; the last of the list is read.
        align_corners: of the last resize.
        pretrained: path or URL of weights for the whole network.

    Input ``[N, 3, H, W]`` float32, output a list of maps of logits ``[N, K, H, W]``: in evaluation the main one; in
    training also those of the channel branch, of the position branch and of the backbone's feature.
    """

    half_pixels = False

    def __init__(
        self,
        num_classes: int,
        backbone: nn.Layer,
        backbone_indices: Sequence[int],
        align_corners: bool = False,
        pretrained: str | None = None,
        data_format: str = "NCHW",
    ) -> None:
        super().__init__(backbone, backbone_indices, max(len(backbone_indices), 1), align_corners, data_format)
        self.head = DAHead(num_classes, self.in_channels[-1], data_format)
        load_if_given(self, pretrained)

    def logit_maps(self, x: Tensor) -> list[Tensor]:
        return self.head(self.features(x)[-1])


class DAHead(nn.Layer):
    """The two branches, their sum's classifier, and the auxiliary classifiers of training."""

    def __init__(self, num_classes: int, in_channels: int, data_format: str) -> None:
        super().__init__()
        channels = in_channels // 4

        def conv(width: int) -> ConvBNAct:
            return ConvBNAct(width, channels, 3, bias=True, data_format=data_format)

        self.channel_conv = conv(in_channels)
        self.position_conv = conv(in_channels)
        self.pam = PositionAttention(channels, data_format)
        self.cam = ChannelAttention(data_format)
        self.conv1 = conv(channels)
        self.conv2 = conv(channels)
        self.aux_head = _classifier(in_channels, num_classes, data_format)
        self.aux_head_pam = _classifier(channels, num_classes, data_format, trainable=False)
        self.aux_head_cam = _classifier(channels, num_classes, data_format)
        self.cls_head = _classifier(channels, num_classes, data_format)

    def forward(self, feature: Tensor) -> list[Tensor]:
        channel = self.conv1(self.cam(self.channel_conv(feature)))  # [N, C/4, h, w]
        position = self.conv2(self.pam(self.position_conv(feature)))  # [N, C/4, h, w]
        logits = [self.cls_head(channel + position)]  # [N, K, h, w]
        if self.training:
            logits += [self.aux_head_cam(channel), self.aux_head_cam(position), self.aux_head(feature)]
        return logits


class PositionAttention(nn.Layer):
    """``x`` plus ``gamma`` times what every pixel gathers from pixels like it; section 3.2 of the paper."""

    def __init__(self, channels: int, data_format: str) -> None:
        super().__init__()
        self.query_conv = Conv2D(channels, channels // 8, 1, data_format=data_format)
        self.key_conv = Conv2D(channels, channels // 8, 1, data_format=data_format)
        self.value_conv = Conv2D(channels, channels, 1, data_format=data_format)
        self.gamma = self.create_parameter([1], default_initializer=nn.initializer.Constant(0.0))
        self._data_format = data_format

    def forward(self, x: Tensor) -> Tensor:
        projections = (self.query_conv, self.key_conv, self.value_conv)
        query, key, value = (to_tokens(project(x), self._data_format) for project in projections)  # [N, h * w, ...]
        gathered = from_tokens(attend(query, key, value), spatial_size(x, self._data_format), self._data_format)
        return self.gamma * gathered + x  # [N, C, h, w]


class ChannelAttention(nn.Layer):
    """``x`` plus ``gamma`` times what every channel gathers from the others; section 3.3 of the paper.

    The weights are a softmax of the negative similarities: a channel gathers from those unlike it. The paper's
    equation 3 has no such sign; its authors' code has, by subtracting similarities from their largest.
    """

    def __init__(self, data_format: str) -> None:
        super().__init__()
        self.gamma = self.create_parameter([1], default_initializer=nn.initializer.Constant(0.0))
        self._data_format = data_format

    def forward(self, x: Tensor) -> Tensor:
        channels = paddle.transpose(to_tokens(x, self._data_format), [0, 2, 1])  # [N, C, h * w]
        gathered = paddle.transpose(attend(channels, channels, channels, scale=-1.0), [0, 2, 1])  # [N, h * w, C]
        gathered = from_tokens(gathered, spatial_size(x, self._data_format), self._data_format)
        return self.gamma * gathered + x  # [N, C, h, w]


def _classifier(channels: int, num_classes: int, data_format: str, trainable: bool = True) -> nn.Sequential:
    """Dropout of whole channels and a 1x1 convolution."""
    attribute = ParamAttr(trainable=trainable)
    return nn.Sequential(
        nn.Dropout2D(0.1, data_format=data_format),
        Conv2D(channels, num_classes, 1, weight_attr=attribute, bias_attr=attribute, data_format=data_format),
    )

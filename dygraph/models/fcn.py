"""FCN: one 1x1 convolution, and the classifier."""

from __future__ import annotations

from collections.abc import Sequence

from paddle import ParamAttr, Tensor, nn

from dygraph.layers import Conv2D, ConvBNAct
from dygraph.layers.start import load_if_given
from dygraph.models.base import BackboneNetwork
from shared.registry import MODELS


@MODELS.register()
class FCN(BackboneNetwork):
    """Long et al., "Fully Convolutional Networks for Semantic Segmentation", https://arxiv.org/abs/1411.4038

    Differs from the paper: the backbone is a modern one, usually HRNet, whose single feature already joins all
    resolutions; so there are no skip connections, and the classifier follows one 1x1 convolution.

    Args:
        num_classes: K.
        backbone: a layer with ``feature_channels``, built with the same ``data_format``.
        backbone_indices: which of its features the head reads; FCN reads one.
        channels: width of the head; None takes the feature's.
        align_corners: of the last resize.
        bias: whether the head's convolutions have biases.
        pretrained: path or URL of weights for the whole network.

    Input ``[N, 3, H, W]`` float32, output a list of one map of logits ``[N, K, H, W]``, in either ``data_format``.
    """

    def __init__(
        self,
        num_classes: int,
        backbone: nn.Layer,
        backbone_indices: Sequence[int] = (-1,),
        channels: int | None = None,
        align_corners: bool = False,
        pretrained: str | None = None,
        bias: bool = True,
        data_format: str = "NCHW",
    ) -> None:
        super().__init__(backbone, backbone_indices, 1, align_corners, data_format)
        (in_channels,) = self.in_channels
        self.head = FCNHead(num_classes, in_channels, channels or in_channels, bias, data_format)
        load_if_given(self, pretrained)

    def logit_maps(self, x: Tensor) -> list[Tensor]:
        (feature,) = self.features(x)
        return [self.head(feature)]  # [N, K, h, w]


class FCNHead(nn.Layer):
    """1x1 convolution, normalisation, ReLU; 1x1 classifier. Weights begin normal, standard deviation 0.001."""

    def __init__(self, num_classes: int, in_channels: int, channels: int, bias: bool, data_format: str) -> None:
        super().__init__()
        narrow = nn.initializer.Normal(std=0.001)
        self.conv_1 = ConvBNAct(in_channels, channels, 1, bias=bias, weight_init=narrow, data_format=data_format)
        self.cls = Conv2D(
            channels,
            num_classes,
            1,
            weight_attr=ParamAttr(initializer=narrow),
            bias_attr=None if bias else False,
            data_format=data_format,
        )

    def forward(self, feature: Tensor) -> Tensor:
        return self.cls(self.conv_1(feature))

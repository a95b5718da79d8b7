"""Classifiers: the auxiliary head, an earlier one that training listens to; and the plain ones with dropout."""

from __future__ import annotations

from paddle import Tensor, nn

from dygraph.layers.bias import Conv2D
from dygraph.layers.conv import ConvBNAct
from dygraph.layers.start import frozen


class AuxHead(nn.Layer):
    """3x3 convolution, dropout, 1x1 classifier.

    Zhao et al., "Pyramid Scene Parsing Network", https://arxiv.org/abs/1612.01105, section 3.3
    """

    def __init__(
        self,
        in_channels: int,
        inter_channels: int,
        num_classes: int,
        dropout: float = 0.1,
        bias: bool = True,
        data_format: str = "NCHW",
    ) -> None:
        super().__init__()
        self.conv_bn_relu = ConvBNAct(in_channels, inter_channels, 3, bias=bias, data_format=data_format)
        self.dropout = nn.Dropout(p=dropout)
        self.conv = Conv2D(inter_channels, num_classes, 1, data_format=data_format)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(self.dropout(self.conv_bn_relu(x)))  # [N, K, h, w]


def dropout_classifier(in_channels: int, num_classes: int, data_format: str = "NCHW") -> nn.Sequential:
    """Dropout of whole channels and a 1x1 convolution."""
    return nn.Sequential(
        nn.Dropout2D(0.1, data_format=data_format), Conv2D(in_channels, num_classes, 1, data_format=data_format)
    )


def dropout_aux_head(
    in_channels: int, num_classes: int, is_used: bool, bias: bool = False, data_format: str = "NCHW"
) -> nn.Sequential:
    """3x3 convolution to 256 channels, dropout of whole channels, 1x1 classifier.

    Args:
        is_used: False freezes it: it stands in ``state_dict()`` only, as it does in published weights.
    """
    head = nn.Sequential(
        ConvBNAct(in_channels, 256, 3, bias=bias, data_format=data_format),
        *dropout_classifier(256, num_classes, data_format),
    )
    return head if is_used else frozen(head)

"""DecoupledSegNet: a segment's body and its edge apart, each with a supervision of its own."""

from __future__ import annotations

from collections.abc import Sequence

import paddle
import paddle.nn.functional as F  # noqa: N812
from paddle import Tensor, nn

from dygraph.layers import ASPP, Conv2D, ConvBNAct, channel_axis, resize_like
from dygraph.layers.flow import flow_warp
from dygraph.layers.start import load_if_given
from dygraph.models.base import BackboneNetwork
from shared.registry import MODELS

FINE_CHANNELS = 48


@MODELS.register()
class DecoupledSegNet(BackboneNetwork):
    """Li et al., "Improving Semantic Segmentation via Decoupled Body and Edge Supervision",
    https://arxiv.org/abs/2007.10035

    Differs from the paper: a ResNet-vd backbone; dropout 0.1 after the pyramid.

    Args:
        num_classes: K.
        backbone: a layer with ``feature_channels``, built with the same ``data_format``.
        backbone_indices: the fine feature, which edges are drawn from, and the pyramid's coarse one.
        aspp_ratios: dilations of the pyramid; 1 is a 1x1 convolution.
        aspp_out_channels: width of the pyramid's branches and of all that follows; 256 in published weights.
        align_corners: of all resizes.
        pretrained: path or URL of weights for the whole network.

    Input ``[N, 3, H, W]`` float32, output in evaluation a list of the logits ``[N, K, H, W]``; in training the
    logits, the body's logits ``[N, K, H, W]``, the edge ``[N, 1, H, W]`` as a probability, and logits and edge again
    as a pair.
    """

    def __init__(
        self,
        num_classes: int,
        backbone: nn.Layer,
        backbone_indices: Sequence[int] = (0, 3),
        aspp_ratios: Sequence[int] = (1, 6, 12, 18),
        aspp_out_channels: int = 256,
        align_corners: bool = False,
        pretrained: str | None = None,
        data_format: str = "NCHW",
    ) -> None:
        super().__init__(backbone, backbone_indices, 2, align_corners, data_format)
        fine, coarse = self.in_channels
        pyramid = ASPP(coarse, aspp_out_channels, aspp_ratios, align_corners=align_corners, data_format=data_format)
        self.head = DecoupledSegNetHead(pyramid, num_classes, fine, aspp_out_channels, align_corners, data_format)
        load_if_given(self, pretrained)

    def logit_maps(self, x: Tensor) -> list[Tensor | tuple[Tensor, Tensor]]:
        """The logits and, in training, what the other losses see."""
        logits, body, edge = self.head(*self.features(x))
        return [logits, body, edge, (logits, edge)] if self.training else [logits]


class DecoupledSegNetHead(nn.Layer):
    """Pyramid, decoupling into body and edge, the edge refined with the fine feature, and a classifier for each."""

    def __init__(
        self,
        pyramid: nn.Layer,
        num_classes: int,
        fine_channels: int,
        channels: int,
        align_corners: bool,
        data_format: str,
    ) -> None:
        super().__init__()
        self.align_corners = align_corners
        self.data_format = data_format
        self.aspp = pyramid
        self.bot_fine = _conv1x1(fine_channels, FINE_CHANNELS, data_format)
        self.squeeze_body_edge = SqueezeBodyEdge(channels, align_corners, data_format)
        self.edge_fusion = _conv1x1(channels + FINE_CHANNELS, channels, data_format)
        self.edge_out = nn.Sequential(
            ConvBNAct(channels, FINE_CHANNELS, 3, data_format=data_format), _conv1x1(FINE_CHANNELS, 1, data_format)
        )
        self.dsn_seg_body = nn.Sequential(
            ConvBNAct(channels, channels, 3, data_format=data_format), _conv1x1(channels, num_classes, data_format)
        )
        self.final_seg = nn.Sequential(
            ConvBNAct(2 * channels, channels, 3, data_format=data_format),
            ConvBNAct(channels, channels, 3, data_format=data_format),
            _conv1x1(channels, num_classes, data_format),
        )

    def forward(self, fine: Tensor, coarse: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logits, the body's logits, and the edge's probability."""
        feature = self.aspp(coarse)  # [N, C, h, w]
        body, edge = self.squeeze_body_edge(feature)  # [N, C, h, w] both
        edge = self._beside(self._like(edge, fine), self.bot_fine(fine))
        edge = self.edge_fusion(edge)  # [N, C, H/4, W/4]
        whole = edge + self._like(body, fine)
        logits = self.final_seg(self._beside(self._like(feature, fine), whole))  # [N, K, H/4, W/4]
        body_logits = self.dsn_seg_body(body)  # [N, K, h, w]
        return logits, body_logits, F.sigmoid(self.edge_out(edge))  # the edge [N, 1, H/4, W/4]

    def _like(self, x: Tensor, reference: Tensor) -> Tensor:
        return resize_like(x, reference, self.align_corners, self.data_format)

    def _beside(self, *features: Tensor) -> Tensor:
        return paddle.concat(features, axis=channel_axis(self.data_format))


class SqueezeBodyEdge(nn.Layer):
    """A feature as the sum of its body, which is the feature warped towards the inside of segments, and the rest.

    The flow is predicted from the feature and what two strided convolutions keep of it: the low frequencies.
    """

    def __init__(self, channels: int, align_corners: bool, data_format: str) -> None:
        super().__init__()
        self.align_corners = align_corners
        self.data_format = data_format
        self.down = nn.Sequential(
            *(
                ConvBNAct(
                    channels, channels, 3, stride=2, padding="same", groups=channels, bias=True, data_format=data_format
                )
                for _ in range(2)
            )
        )
        self.flow_make = Conv2D(2 * channels, 2, 3, padding=1, bias_attr=False, data_format=data_format)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        low = resize_like(self.down(x), x, self.align_corners, self.data_format)  # [N, C, h, w]
        flow = self.flow_make(paddle.concat([x, low], axis=channel_axis(self.data_format)))  # [N, 2, h, w]
        body = flow_warp(x, flow, self.data_format)  # [N, C, h, w]
        return body, x - body


def _conv1x1(in_channels: int, out_channels: int, data_format: str) -> nn.Layer:
    return Conv2D(in_channels, out_channels, 1, bias_attr=False, data_format=data_format)

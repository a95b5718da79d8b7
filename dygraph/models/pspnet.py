"""PSPNet: pyramid pooling on a dilated backbone."""

from __future__ import annotations

from collections.abc import Sequence

from paddle import Tensor, nn

from dygraph.layers import AuxHead, Conv2D, PyramidPooling
from dygraph.layers.start import load_if_given
from dygraph.models.base import BackboneNetwork
from shared.registry import MODELS


@MODELS.register()
class PSPNet(BackboneNetwork):
    """Zhao et al., "Pyramid Scene Parsing Network", https://arxiv.org/abs/1612.01105

    Differs from the paper: a ResNet-vd backbone; the pyramid's result has ``pp_out_channels``, twice the paper's 512.

    Args:
        num_classes: K.
        backbone: a layer with ``feature_channels``, built with the same ``data_format``.
        backbone_indices: the auxiliary head's feature and the pyramid's.
        pp_out_channels: width of the pyramid's result.
        bin_sizes: grids of the pyramid.
        enable_auxiliary_loss: a second map of logits, from the earlier feature.
        align_corners: of all resizes.
        pretrained: path or URL of weights for the whole network.

    Input ``[N, 3, H, W]`` float32, output a list of maps of logits ``[N, K, H, W]``: the main one and, with
    ``enable_auxiliary_loss``, the auxiliary one.
    """

    def __init__(
        self,
        num_classes: int,
        backbone: nn.Layer,
        backbone_indices: Sequence[int] = (2, 3),
        pp_out_channels: int = 1024,
        bin_sizes: Sequence[int] = (1, 2, 3, 6),
        enable_auxiliary_loss: bool = True,
        align_corners: bool = False,
        pretrained: str | None = None,
        data_format: str = "NCHW",
    ) -> None:
        super().__init__(backbone, backbone_indices, 2, align_corners, data_format)
        earlier, last = self.in_channels
        pyramid = PyramidPooling(last, pp_out_channels, bin_sizes, align_corners=align_corners, data_format=data_format)
        auxiliary = None
        if enable_auxiliary_loss:
            auxiliary = AuxHead(earlier, earlier // 4, num_classes, data_format=data_format)
        self.head = PSPNetHead(pyramid, pp_out_channels, num_classes, auxiliary, data_format)
        load_if_given(self, pretrained)

    def logit_maps(self, x: Tensor) -> list[Tensor]:
        return self.head(*self.features(x))


class PSPNetHead(nn.Layer):
    """Pyramid, dropout and 1x1 classifier on the last feature; the auxiliary head on the earlier one."""

    def __init__(
        self, pyramid: nn.Layer, channels: int, num_classes: int, auxiliary: nn.Layer | None, data_format: str
    ) -> None:
        super().__init__()
        self.psp_module = pyramid
        self.dropout = nn.Dropout(p=0.1)
        self.conv = Conv2D(channels, num_classes, 1, data_format=data_format)
        self.auxlayer = auxiliary

    def forward(self, earlier: Tensor, last: Tensor) -> list[Tensor]:
        logits = [self.conv(self.dropout(self.psp_module(last)))]  # [N, K, H/output_stride, W/output_stride]
        return logits if self.auxlayer is None else [*logits, self.auxlayer(earlier)]

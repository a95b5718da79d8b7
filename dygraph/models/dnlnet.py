"""DNLNet: non-local attention in two terms, one between pixels and one of each pixel by itself."""

from __future__ import annotations

from collections.abc import Sequence

import paddle
import paddle.nn.functional as F  # noqa: N812
from paddle import Tensor, nn

from dygraph.layers import Conv2D, ConvBNAct, channel_axis, spatial_size
from dygraph.layers.attention import from_tokens, to_tokens
from dygraph.layers.auxiliary import dropout_aux_head, dropout_classifier
from dygraph.layers.start import load_if_given
from dygraph.models.base import BackboneNetwork
from shared.registry import MODELS

MODES = ("embedded_gaussian", "dot_product")


@MODELS.register()
class DNLNet(BackboneNetwork):
    """Yin et al., "Disentangled Non-Local Neural Networks", https://arxiv.org/abs/2006.06668

    Differs from the paper: a ResNet-vd backbone; dropout of 0.1 before the classifiers; a ReLU after the block's last
    convolution.

    Args:
        num_classes: K.
        backbone: a layer with ``feature_channels``, built with the same ``data_format``.
        backbone_indices: the auxiliary head's feature and the head's.
        reduction: the block's inner width is the head's divided by it.
        mode: ``"embedded_gaussian"``: similarities become weights by a softmax; ``"dot_product"``: by division by the
            number of pixels.
        use_scale, temperature: what similarities are divided by before the softmax: the square root of that width, and
            a number.
        concat_input: whether the classifier reads the backbone's feature beside the block's.
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
        reduction: int = 2,
        use_scale: bool = True,
        mode: str = "embedded_gaussian",
        temperature: float = 0.05,
        concat_input: bool = True,
        enable_auxiliary_loss: bool = True,
        align_corners: bool = False,
        pretrained: str | None = None,
        data_format: str = "NCHW",
    ) -> None:
        super().__init__(backbone, backbone_indices, 2, align_corners, data_format)
        if mode not in MODES:
            raise ValueError(f"mode must be one of {', '.join(MODES)}, got {mode!r}")
        if temperature <= 0:
            raise ValueError(f"temperature must be positive, got {temperature}")
        earlier, last = self.in_channels
        channels = last // 4
        if not 1 <= reduction <= channels:
            raise ValueError(f"reduction must lie in 1..{channels}, the width of the head, got {reduction}")
        block = DisentangledNonLocal(channels, channels // reduction, use_scale, mode, temperature, data_format)
        self.head = DNLHead(num_classes, earlier, last, block, concat_input, enable_auxiliary_loss, data_format)
        load_if_given(self, pretrained)

    def logit_maps(self, x: Tensor) -> list[Tensor]:
        return self.head(*self.features(x))


class DNLHead(nn.Layer):
    """The block between two convolutions, the feature beside it, and the classifiers."""

    def __init__(
        self,
        num_classes: int,
        earlier: int,
        last: int,
        block: nn.Layer,
        concat_input: bool,
        enable_auxiliary_loss: bool,
        data_format: str,
    ) -> None:
        super().__init__()
        channels = last // 4
        self.dnl_block = block
        self.conv0 = ConvBNAct(last, channels, 3, data_format=data_format)
        self.conv1 = ConvBNAct(channels, channels, 3, data_format=data_format)
        self.cls = dropout_classifier(channels, num_classes, data_format)
        self.aux = dropout_aux_head(earlier, num_classes, enable_auxiliary_loss, data_format=data_format)
        self.conv_cat = None
        if concat_input:
            self.conv_cat = ConvBNAct(last + channels, channels, 3, data_format=data_format)
        self.enable_auxiliary_loss = enable_auxiliary_loss
        self._channel_axis = channel_axis(data_format)

    def forward(self, earlier: Tensor, last: Tensor) -> list[Tensor]:
        x = self.conv1(self.dnl_block(self.conv0(last)))  # [N, C, h, w]
        if self.conv_cat is not None:
            x = self.conv_cat(paddle.concat([last, x], axis=self._channel_axis))  # [N, C, h, w]
        logits = [self.cls(x)]  # [N, K, h, w]
        return [*logits, self.aux(earlier)] if self.enable_auxiliary_loss else logits


class DisentangledNonLocal(nn.Layer):
    """What every pixel gathers by whitened similarity, plus what stands out by itself; equation 9 of the paper."""

    def __init__(
        self, channels: int, hidden: int, use_scale: bool, mode: str, temperature: float, data_format: str
    ) -> None:
        super().__init__()
        self.g = Conv2D(channels, hidden, 1, data_format=data_format)
        self.conv_out = ConvBNAct(hidden, channels, 1, data_format=data_format)
        self.theta = Conv2D(channels, hidden, 1, data_format=data_format)
        self.phi = Conv2D(channels, hidden, 1, data_format=data_format)
        self.conv_mask = Conv2D(channels, 1, 1, data_format=data_format)
        self._divisor = temperature * (hidden**0.5 if use_scale else 1.0)
        self._mode = mode
        self._data_format = data_format

    def forward(self, x: Tensor) -> Tensor:
        value, query, key = (to_tokens(conv(x), self._data_format) for conv in (self.g, self.theta, self.phi))
        query = query - query.mean(axis=1, keepdim=True)  # [N, h * w, C]
        key = key - key.mean(axis=1, keepdim=True)
        similarity = paddle.matmul(query, key, transpose_y=True)  # [N, h * w, h * w]
        pairwise = paddle.matmul(self._weights(similarity), value)  # [N, h * w, C]
        mask = F.softmax(to_tokens(self.conv_mask(x), self._data_format), axis=1)  # [N, h * w, 1]
        unary = paddle.matmul(mask, value, transpose_x=True)  # [N, 1, C]
        gathered = from_tokens(pairwise + unary, spatial_size(x, self._data_format), self._data_format)
        return x + self.conv_out(gathered)

    def _weights(self, similarity: Tensor) -> Tensor:
        if self._mode == "dot_product":
            return similarity / paddle.cast(paddle.shape(similarity)[-1], similarity.dtype)
        return F.softmax(similarity / paddle.full([], self._divisor, dtype=similarity.dtype), axis=-1)

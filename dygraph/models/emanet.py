"""EMANet: attention over a few bases, found by expectation and maximisation."""

from __future__ import annotations

from collections.abc import Sequence

import paddle
import paddle.nn.functional as F  # noqa: N812
from paddle import ParamAttr, Tensor, nn

from dygraph.layers import Conv2D, ConvBNAct, channel_axis, spatial_size
from dygraph.layers.attention import from_tokens, to_tokens
from dygraph.layers.auxiliary import dropout_aux_head, dropout_classifier
from dygraph.layers.start import frozen, load_if_given
from dygraph.models.base import BackboneNetwork
from shared.registry import MODELS


@MODELS.register()
class EMANet(BackboneNetwork):
    """Li et al., "Expectation-Maximization Attention Networks for Semantic Segmentation",
    https://arxiv.org/abs/1907.13426

    Differs from the paper: a ResNet-vd backbone; the classifier reads the backbone's feature beside the attended one.
    As in its authors' code, no gradient passes through the iterations: the feature's own way around them trains the
    convolution before them, and ``ema_mid_conv`` keeps its first weights.

    Args:
        num_classes: K.
        backbone: a layer with ``feature_channels``, built with the same ``data_format``.
        backbone_indices: the auxiliary head's feature and the head's.
        ema_channels: width of the attention.
        gc_channels: width of the feature that is classified.
        num_bases: how many bases there are.
        stage_num: iterations of expectation and maximisation.
        momentum: the part of a training step's bases in their running mean, where the next step begins.
        concat_input: whether the classifier reads the backbone's feature beside the attended one.
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
        ema_channels: int = 512,
        gc_channels: int = 256,
        num_bases: int = 64,
        stage_num: int = 3,
        momentum: float = 0.1,
        concat_input: bool = True,
        enable_auxiliary_loss: bool = True,
        align_corners: bool = False,
        pretrained: str | None = None,
        data_format: str = "NCHW",
    ) -> None:
        super().__init__(backbone, backbone_indices, 2, align_corners, data_format)
        if stage_num < 1 or num_bases < 1:
            raise ValueError(f"stage_num and num_bases must be at least 1, got {stage_num} and {num_bases}")
        earlier, last = self.in_channels
        attention = EMAttention(ema_channels, num_bases, stage_num, momentum, data_format)
        channels = (ema_channels, gc_channels)
        self.head = EMAHead(
            num_classes, earlier, last, attention, channels, concat_input, enable_auxiliary_loss, data_format
        )
        load_if_given(self, pretrained)

    def logit_maps(self, x: Tensor) -> list[Tensor]:
        return self.head(*self.features(x))


class EMAHead(nn.Layer):
    """The attention between convolutions, with the identity around it; the feature beside it; the classifiers."""

    def __init__(
        self,
        num_classes: int,
        earlier: int,
        last: int,
        attention: nn.Layer,
        channels: tuple[int, int],
        concat_input: bool,
        enable_auxiliary_loss: bool,
        data_format: str,
    ) -> None:
        super().__init__()
        ema_channels, gc_channels = channels
        self.emau = attention
        self.ema_in_conv = ConvBNAct(last, ema_channels, 3, bias=True, data_format=data_format)
        self.ema_mid_conv = frozen(Conv2D(ema_channels, ema_channels, 1, data_format=data_format))
        self.ema_out_conv = ConvBNAct(ema_channels, ema_channels, 1, bias=True, data_format=data_format)
        self.bottleneck = ConvBNAct(ema_channels, gc_channels, 3, bias=True, data_format=data_format)
        self.cls = dropout_classifier(gc_channels, num_classes, data_format)
        self.aux = dropout_aux_head(earlier, num_classes, enable_auxiliary_loss, bias=True, data_format=data_format)
        self.conv_cat = None
        if concat_input:
            self.conv_cat = ConvBNAct(last + gc_channels, gc_channels, 3, bias=True, data_format=data_format)
        self.enable_auxiliary_loss = enable_auxiliary_loss
        self._channel_axis = channel_axis(data_format)

    def forward(self, earlier: Tensor, last: Tensor) -> list[Tensor]:
        identity = self.ema_in_conv(last)  # [N, C, h, w]
        attended = self.ema_out_conv(F.relu(self.emau(self.ema_mid_conv(identity))))  # [N, C, h, w]
        x = self.bottleneck(F.relu(identity + attended))  # [N, gc_channels, h, w]
        if self.conv_cat is not None:
            x = self.conv_cat(paddle.concat([last, x], axis=self._channel_axis))  # [N, gc_channels, h, w]
        logits = [self.cls(x)]  # [N, K, h, w]
        return [*logits, self.aux(earlier)] if self.enable_auxiliary_loss else logits


class EMAttention(nn.Layer):
    """Pixels described by K bases, by turns assigned to them (E) and averaged into them (M); section 3 of the paper.

    ``mu`` ``[1, C, K]``, where the iterations begin, is the running mean, over training steps and ranks, of the bases
    that they end with, each of length 1.
    """

    def __init__(self, channels: int, num_bases: int, stage_num: int, momentum: float, data_format: str) -> None:
        super().__init__()
        start = ParamAttr(initializer=nn.initializer.Normal(std=channels**-0.5), trainable=False)  # length 1, nearly
        # A buffer made as a parameter is: register_buffer takes no variable of a static program.
        self._buffers["mu"] = self.create_parameter([1, channels, num_bases], attr=start)
        self.stage_num = stage_num
        self.momentum = momentum
        self._data_format = data_format

    def forward(self, x: Tensor) -> Tensor:
        pixels = to_tokens(x.detach(), self._data_format)  # [N, h * w, C]
        bases = self.mu  # [1, C, K], then [N, C, K]
        for _ in range(self.stage_num):
            assigned = F.softmax(paddle.matmul(pixels, bases), axis=2)  # [N, h * w, K]
            weights = F.normalize(assigned, p=1, axis=1)
            bases = F.normalize(paddle.matmul(pixels, weights, transpose_x=True), axis=1)  # [N, C, K]
        if self.training:
            self._update(bases)
        described = paddle.matmul(assigned, bases, transpose_y=True)  # [N, h * w, C]
        return from_tokens(described, spatial_size(x, self._data_format), self._data_format)

    def _update(self, bases: Tensor) -> None:
        """Move ``mu`` in place towards the batch's mean, or the mean of the ranks' batches."""
        mean = paddle.cast(F.normalize(bases.mean(axis=0, keepdim=True), axis=1), self.mu.dtype)  # [1, C, K]
        ranks = paddle.distributed.get_world_size()
        if ranks > 1:
            paddle.distributed.all_reduce(mean)
            mean = mean / paddle.full([], ranks, dtype=mean.dtype)
        # Of the operators that write in place in a program, not paddle.assign's: where that stands in a program, Paddle
        # adds up gradients in another order than in eager mode. The public paddle.lerp_ is not in place in a program.
        paddle._C_ops.lerp_(self.mu, mean, paddle.full([], self.momentum, dtype=mean.dtype))

"""The parts HRNet is laid of: residual blocks, branches, fusion and transitions.

A list of features always runs from the finest resolution to the coarsest, each half as wide and high as the one
before. Sublayer names are those of the published weights and count from 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import paddle.nn.functional as F  # noqa: N812
from paddle import ParamAttr, Tensor, nn

from dygraph.layers import ConvBNAct, resize, spatial_size, to_nchw
from dygraph.layers.layout import from_nchw

STEM_CHANNELS = 64
BOTTLENECK_EXPANSION = 4


@dataclass(frozen=True)
class ConvOptions:
    """What all parts of one HRNet share."""

    has_se: bool
    align_corners: bool
    padding_same: bool
    data_format: str

    def conv(
        self, in_channels: int, out_channels: int, kernel_size: int, stride: int = 1, act: str | None = "relu"
    ) -> ConvBNAct:
        """A convolution with this network's padding and initial weights (normal, standard deviation 0.001)."""
        return ConvBNAct(
            in_channels,
            out_channels,
            kernel_size,
            stride=stride,
            padding="same" if self.padding_same else None,
            act=act,
            weight_init=nn.initializer.Normal(std=0.001),
            data_format=self.data_format,
        )

    def down(self, in_channels: int, out_channels: int, act: str | None = "relu") -> ConvBNAct:
        """A 3x3 convolution of stride 2."""
        return self.conv(in_channels, out_channels, 3, stride=2, act=act)


class SqueezeExcitation(nn.Layer):
    """Channel weights from the global mean. Hu et al., https://arxiv.org/abs/1709.01507"""

    def __init__(self, channels: int, data_format: str, reduction: int = 16) -> None:
        super().__init__()
        self.data_format = data_format
        hidden = channels // reduction
        if hidden < 1:
            raise ValueError(f"squeeze-and-excitation needs at least {reduction} channels, got {channels}")
        self.pool = nn.AdaptiveAvgPool2D(1, data_format=data_format)
        self.squeeze = nn.Linear(channels, hidden, weight_attr=_uniform(channels))
        self.excitation = nn.Linear(hidden, channels, weight_attr=_uniform(hidden))

    def forward(self, x: Tensor) -> Tensor:
        mean = to_nchw(self.pool(x), self.data_format).flatten(1)  # [N, C]
        weight = F.sigmoid(self.excitation(F.relu(self.squeeze(mean))))  # [N, C]
        return x * from_nchw(weight.unsqueeze([2, 3]), self.data_format)


def _uniform(fan_in: int) -> ParamAttr:
    bound = fan_in**-0.5
    return ParamAttr(initializer=nn.initializer.Uniform(-bound, bound))


class BasicBlock(nn.Layer):
    """Two 3x3 convolutions and the identity."""

    def __init__(self, options: ConvOptions, channels: int) -> None:
        super().__init__()
        self.conv1 = options.conv(channels, channels, 3)
        self.conv2 = options.conv(channels, channels, 3, act=None)
        self.se = SqueezeExcitation(channels, options.data_format) if options.has_se else None

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv2(self.conv1(x))
        if self.se is not None:
            y = self.se(y)
        return F.relu(y + x)


class Bottleneck(nn.Layer):
    """1x1, 3x3 and 1x1 convolutions, the last four times as wide, and a shortcut."""

    def __init__(self, options: ConvOptions, in_channels: int, channels: int) -> None:
        super().__init__()
        out_channels = channels * BOTTLENECK_EXPANSION
        self.conv1 = options.conv(in_channels, channels, 1)
        self.conv2 = options.conv(channels, channels, 3)
        self.conv3 = options.conv(channels, out_channels, 1, act=None)
        self.conv_down = None
        if in_channels != out_channels:
            self.conv_down = options.conv(in_channels, out_channels, 1, act=None)
        self.se = SqueezeExcitation(out_channels, options.data_format) if options.has_se else None

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv3(self.conv2(self.conv1(x)))
        if self.se is not None:
            y = self.se(y)
        return F.relu(y + (x if self.conv_down is None else self.conv_down(x)))


def bottleneck_layer(options: ConvOptions, num_blocks: int, channels: int) -> nn.Layer:
    """Stage 1: one resolution."""
    layer = nn.Sequential()
    in_channels = STEM_CHANNELS
    for i in range(num_blocks):
        layer.add_sublayer(f"bb_layer2_{i + 1}", Bottleneck(options, in_channels, channels))
        in_channels = channels * BOTTLENECK_EXPANSION
    return layer


class Transition(nn.Layer):
    """Widths of one stage to those of the next, which has one more, coarser, resolution."""

    def __init__(self, name: str, options: ConvOptions, old: Sequence[int], new: Sequence[int]) -> None:
        super().__init__()
        self.convs: list[str | None] = []
        for i, channels in enumerate(new):
            sublayer = None
            if i >= len(old):
                sublayer = options.down(old[-1], channels)
            elif old[i] != channels:
                sublayer = options.conv(old[i], channels, 3)
            key = f"transition_{name}_layer_{i + 1}"
            if sublayer is not None:
                self.add_sublayer(key, sublayer)
            self.convs.append(key if sublayer is not None else None)

    def forward(self, xs: list[Tensor]) -> list[Tensor]:
        out = []
        for i, key in enumerate(self.convs):
            x = xs[min(i, len(xs) - 1)]
            out.append(x if key is None else getattr(self, key)(x))
        return out


class Branches(nn.Layer):
    """Residual blocks on every resolution, none seeing the others."""

    def __init__(self, name: str, options: ConvOptions, num_blocks: Sequence[int], channels: Sequence[int]) -> None:
        super().__init__()
        self.keys = [
            [f"bb_{name}_branch_layer_{i + 1}_{j + 1}" for j in range(count)] for i, count in enumerate(num_blocks)
        ]
        for keys, width in zip(self.keys, channels):
            for key in keys:
                self.add_sublayer(key, BasicBlock(options, width))

    def forward(self, xs: list[Tensor]) -> list[Tensor]:
        out = []
        for x, keys in zip(xs, self.keys):
            for key in keys:
                x = getattr(self, key)(x)
            out.append(x)
        return out


class Fusion(nn.Layer):
    """Every resolution becomes the sum of all: coarser ones resized, finer ones brought down by strides of 2."""

    def __init__(self, name: str, options: ConvOptions, channels: Sequence[int]) -> None:
        super().__init__()
        self.align_corners = options.align_corners
        self.data_format = options.data_format
        self.paths: dict[tuple[int, int], list[str]] = {}
        for i, target in enumerate(channels):
            for j, width in enumerate(channels):
                key = f"residual_{name}_layer_{i + 1}_{j + 1}"
                if j > i:
                    self._add(i, j, key, options.conv(width, target, 1, act=None))
                for step in range(1, i - j + 1):
                    last = step == i - j
                    down = options.down(width, target if last else width, act=None if last else "relu")
                    self._add(i, j, f"{key}_{step}", down)

    def _add(self, target: int, source: int, key: str, conv: nn.Layer) -> None:
        self.add_sublayer(key, conv)
        self.paths.setdefault((target, source), []).append(key)

    def forward(self, xs: list[Tensor]) -> list[Tensor]:
        return [F.relu(self._sum(i, xs)) for i in range(len(xs))]

    def _sum(self, target: int, xs: list[Tensor]) -> Tensor:
        total = xs[target]
        size_hw = spatial_size(total, self.data_format)
        for source, y in enumerate(xs):
            for key in self.paths.get((target, source), []):
                y = getattr(self, key)(y)
            if source > target:
                y = resize(y, size_hw, self.align_corners, self.data_format)
            if source != target:
                total = total + y
        return total


class ExchangeModule(nn.Layer):
    """Branches, then fusion."""

    def __init__(self, name: str, options: ConvOptions, num_blocks: Sequence[int], channels: Sequence[int]) -> None:
        super().__init__()
        self.branches_func = Branches(name, options, num_blocks, channels)
        self.fuse_func = Fusion(name, options, channels)

    def forward(self, xs: list[Tensor]) -> list[Tensor]:
        return self.fuse_func(self.branches_func(xs))


def transition(name: str, options: ConvOptions, old: Sequence[int], new: Sequence[int]) -> Transition:
    """See :class:`Transition`."""
    return Transition(name, options, old, new)


def stage(
    name: str, options: ConvOptions, num_modules: int, num_blocks: Sequence[int], channels: Sequence[int]
) -> nn.Sequential:
    """``num_modules`` exchange modules, one after the other."""
    layer = nn.Sequential()
    for i in range(num_modules):
        key = f"{name}_{i + 1}"
        layer.add_sublayer(f"stage_{key}", ExchangeModule(key, options, num_blocks, channels))
    return layer

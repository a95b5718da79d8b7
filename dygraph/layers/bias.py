"""The convolutions of every network: their bias costs no more than it must, and a step may take another kernel.

Paddle adds the bias as a map of [1, C, 1, 1]. Its CPU kernels know no short way for that shape and reckon the place of
every element, forward and backward; [C, 1, 1] takes a fourth of the time and gives the same bits.
"""

from __future__ import annotations

from typing import Any

import paddle
import paddle.nn.functional as F  # noqa: N812
from paddle import Tensor, nn

from dygraph.kernels.choice import convolve


class Conv2D(nn.Conv2D):
    """``paddle.nn.Conv2D`` with zeros around the image: same parameters, a cheaper bias.

    Its values are the same, too, but inside :func:`dygraph.kernels.choice.fast_kernels`, where last bits differ.

    >>> Conv2D(3, 8, 3, padding=1)(paddle.zeros([2, 3, 65, 33])).shape
    [2, 8, 65, 33]
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | list[int],
        stride: int | list[int] = 1,
        padding: int | str | list[int] = 0,
        dilation: int | list[int] = 1,
        groups: int = 1,
        weight_attr: paddle.ParamAttr | None = None,
        bias_attr: paddle.ParamAttr | bool | None = None,
        data_format: str = "NCHW",
    ) -> None:
        self._options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
        shared: dict[str, Any] = {"weight_attr": weight_attr, "bias_attr": bias_attr, "data_format": data_format}
        super().__init__(in_channels, out_channels, kernel_size, **self._options, **shared)

    def forward(self, x: Tensor) -> Tensor:
        if self._data_format != "NCHW":
            return super().forward(x)
        maps = convolve(x, self.weight, **self._options)
        return maps if self.bias is None else paddle.add(maps, self.bias.reshape([-1, 1, 1]))


class Conv2DTranspose(nn.Conv2DTranspose):
    """``paddle.nn.Conv2DTranspose`` that enlarges by its stride: same parameters, same values, a cheaper bias."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, stride: int, data_format: str = "NCHW"
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, stride=stride, data_format=data_format)
        self._enlarged_by = stride

    def forward(self, x: Tensor) -> Tensor:
        if self._data_format != "NCHW":
            return super().forward(x)
        maps = F.conv2d_transpose(x, self.weight, stride=self._enlarged_by)
        return paddle.add(maps, self.bias.reshape([-1, 1, 1]))

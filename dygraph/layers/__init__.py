"""Blocks that more than one network uses.

``conv``    convolution, batch normalisation, activation; the separable pair
``aspp``    atrous spatial pyramid pooling
``layout``  NCHW and NHWC, resizing, sizes that may be unknown while a program is built
"""

from dygraph.paddle_check import require_paddle

require_paddle()

from dygraph.layers.aspp import ASPP  # noqa: E402
from dygraph.layers.conv import ConvBNAct, SeparableConvBNAct  # noqa: E402
from dygraph.layers.layout import channel_axis, check_data_format, from_nchw, resize, spatial_size, to_nchw  # noqa: E402

__all__ = [
    "ASPP",
    "ConvBNAct",
    "SeparableConvBNAct",
    "channel_axis",
    "check_data_format",
    "from_nchw",
    "resize",
    "spatial_size",
    "to_nchw",
]

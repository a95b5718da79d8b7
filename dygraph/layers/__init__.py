"""Blocks that more than one network uses.

``bias``       convolutions with a cheap bias
``conv``       convolution, batch normalisation, activation; the separable pair
``aspp``       atrous spatial pyramid pooling
``auxiliary``  the auxiliary head
``pyramid``    pyramid pooling
``attention``  softmax attention over the pixels of a feature
``unet``       pairs of convolutions, the contracting path and the enlarging of U-Net and its descendants
``flow``       a feature warped by a flow field
``canny``      Canny's edges of an image
``layout``     NCHW and NHWC, resizing, sizes that may be unknown while a program is built
"""

from dygraph.paddle_check import require_paddle

require_paddle()

from dygraph.layers.aspp import ASPP  # noqa: E402
from dygraph.layers.auxiliary import AuxHead  # noqa: E402
from dygraph.layers.bias import Conv2D, Conv2DTranspose  # noqa: E402
from dygraph.layers.conv import ConvBNAct, SeparableConvBNAct, plain_conv_bn_relu  # noqa: E402
from dygraph.layers.layout import (  # noqa: E402
    channel_axis,
    check_data_format,
    from_nchw,
    resize,
    resize_like,
    spatial_size,
    to_nchw,
)
from dygraph.layers.pyramid import PyramidPooling  # noqa: E402

__all__ = [
    "ASPP",
    "AuxHead",
    "Conv2D",
    "Conv2DTranspose",
    "ConvBNAct",
    "PyramidPooling",
    "SeparableConvBNAct",
    "channel_axis",
    "check_data_format",
    "from_nchw",
    "plain_conv_bn_relu",
    "resize",
    "resize_like",
    "spatial_size",
    "to_nchw",
]

"""Feature extractors, registered in ``shared.registry.BACKBONES``.

A backbone maps an image to a list of features, finest first, and declares ``feature_channels`` and
``feature_strides`` for them. For example ResNet50_vd with output_stride 8 on ``[2, 3, 512, 1024]`` gives::

    [2, 256, 128, 256]  [2, 512, 64, 128]  [2, 1024, 64, 128]  [2, 2048, 64, 128]
    feature_channels [256, 512, 1024, 2048], feature_strides [4, 8, 8, 8]

With ``data_format="NHWC"`` both the image and the features are NHWC.

``hrnet``        HRNet of any widths, and the published variants (its parts are in ``hrnet_blocks``)
``mobilenetv3``  MobileNetV3, small and large, of any width
``resnet_vd``    ResNet18_vd to ResNet152_vd
``xception``     Xception41_deeplab, Xception65_deeplab, Xception71_deeplab
"""

from dygraph.paddle_check import require_paddle

require_paddle()

from dygraph.backbones.hrnet import (  # noqa: E402
    HRNet,
    HRNet_W18,
    HRNet_W18_Small_V1,
    HRNet_W18_Small_V2,
    HRNet_W30,
    HRNet_W32,
    HRNet_W40,
    HRNet_W44,
    HRNet_W48,
    HRNet_W60,
    HRNet_W64,
)
from dygraph.backbones.mobilenetv3 import (  # noqa: E402
    MobileNetV3,
    MobileNetV3_large_x0_5,
    MobileNetV3_large_x0_35,
    MobileNetV3_large_x0_75,
    MobileNetV3_large_x1_0,
    MobileNetV3_large_x1_0_os8,
    MobileNetV3_large_x1_25,
    MobileNetV3_small_x0_5,
    MobileNetV3_small_x0_35,
    MobileNetV3_small_x0_75,
    MobileNetV3_small_x1_0,
    MobileNetV3_small_x1_0_os8,
    MobileNetV3_small_x1_25,
)
from dygraph.backbones.resnet_vd import (  # noqa: E402
    ResNet18_vd,
    ResNet34_vd,
    ResNet50_vd,
    ResNet101_vd,
    ResNet152_vd,
    ResNet_vd,
)
from dygraph.backbones.xception import (  # noqa: E402
    Xception41_deeplab,
    Xception65_deeplab,
    Xception71_deeplab,
    XceptionDeeplab,
)

__all__ = [
    "HRNet",
    "HRNet_W18",
    "HRNet_W18_Small_V1",
    "HRNet_W18_Small_V2",
    "HRNet_W30",
    "HRNet_W32",
    "HRNet_W40",
    "HRNet_W44",
    "HRNet_W48",
    "HRNet_W60",
    "HRNet_W64",
    "MobileNetV3",
    "MobileNetV3_large_x0_5",
    "MobileNetV3_large_x0_35",
    "MobileNetV3_large_x0_75",
    "MobileNetV3_large_x1_0",
    "MobileNetV3_large_x1_0_os8",
    "MobileNetV3_large_x1_25",
    "MobileNetV3_small_x0_5",
    "MobileNetV3_small_x0_35",
    "MobileNetV3_small_x0_75",
    "MobileNetV3_small_x1_0",
    "MobileNetV3_small_x1_0_os8",
    "MobileNetV3_small_x1_25",
    "ResNet18_vd",
    "ResNet34_vd",
    "ResNet50_vd",
    "ResNet101_vd",
    "ResNet152_vd",
    "ResNet_vd",
    "Xception41_deeplab",
    "Xception65_deeplab",
    "Xception71_deeplab",
    "XceptionDeeplab",
]

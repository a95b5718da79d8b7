"""Segmentation networks, one architecture a file, registered in ``shared.registry.MODELS``.

A network maps ``[N, 3, H, W]`` to a list of logits ``[N, K, H, W]``, the main ones first, in NCHW whatever its inner
layout; H and W may be odd. The same layer serves both modes: called on tensors it computes, called on the variables
of a static program it adds its operators to that program.

``fcn``      FCN
``ann``      ANN
``bisenetv2``  BiSeNetV2
``danet``    DANet
``decoupled_segnet``  DecoupledSegNet
``deeplab``  DeepLabV3P, DeepLabV3
``dnlnet``   DNLNet
``emanet``   EMANet
``fast_scnn``  FastSCNN
``gcnet``    GCNet
``gscnn``    GSCNN
``hardnet``  HarDNet
``isanet``   ISANet
``ocrnet``   OCRNet
``pspnet``   PSPNet
``sfnet``    SFNet
``shufflenetv2``  ShuffleNetV2
``u2net``    U2Net, U2Netp
``unet``     UNet
``attention_unet``  AttentionUNet
``unet_3plus``  UNet3Plus
``unet_plusplus``  UNetPlusPlus
"""

from dygraph.paddle_check import require_paddle

require_paddle()

from dygraph.models.ann import ANN  # noqa: E402
from dygraph.models.attention_unet import AttentionUNet  # noqa: E402
from dygraph.models.bisenetv2 import BiSeNetV2  # noqa: E402
from dygraph.models.danet import DANet  # noqa: E402
from dygraph.models.decoupled_segnet import DecoupledSegNet  # noqa: E402
from dygraph.models.deeplab import DeepLabV3, DeepLabV3P  # noqa: E402
from dygraph.models.dnlnet import DNLNet  # noqa: E402
from dygraph.models.emanet import EMANet  # noqa: E402
from dygraph.models.fast_scnn import FastSCNN  # noqa: E402
from dygraph.models.fcn import FCN  # noqa: E402
from dygraph.models.gcnet import GCNet  # noqa: E402
from dygraph.models.gscnn import GSCNN  # noqa: E402
from dygraph.models.hardnet import HarDNet  # noqa: E402
from dygraph.models.isanet import ISANet  # noqa: E402
from dygraph.models.ocrnet import OCRNet  # noqa: E402
from dygraph.models.pspnet import PSPNet  # noqa: E402
from dygraph.models.sfnet import SFNet  # noqa: E402
from dygraph.models.shufflenetv2 import ShuffleNetV2  # noqa: E402
from dygraph.models.u2net import U2Net, U2Netp  # noqa: E402
from dygraph.models.unet import UNet  # noqa: E402
from dygraph.models.unet_3plus import UNet3Plus  # noqa: E402
from dygraph.models.unet_plusplus import UNetPlusPlus  # noqa: E402

__all__ = [
    "ANN",
    "FCN",
    "GSCNN",
    "AttentionUNet",
    "BiSeNetV2",
    "DANet",
    "DNLNet",
    "DecoupledSegNet",
    "DeepLabV3",
    "DeepLabV3P",
    "EMANet",
    "FastSCNN",
    "GCNet",
    "HarDNet",
    "ISANet",
    "OCRNet",
    "PSPNet",
    "SFNet",
    "ShuffleNetV2",
    "U2Net",
    "U2Netp",
    "UNet",
    "UNet3Plus",
    "UNetPlusPlus",
]

"""The networks whose logits are recorded, named as both toolkits name them.

``<network>`` is a network as its Cityscapes recipe builds it; ``<network>_<what>`` is a smaller or otherwise built one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

NUM_CLASSES = 19

Run = tuple[tuple[int, int, int, int], bool, bool]


@dataclass(frozen=True)
class Case:
    """One network and the runs recorded of it.

    Attributes:
        model: ``{"type": ..., argument: value}`` without ``num_classes``.
        backbone: such a block, or None for a network that has its own.
        runs: (input shape, align_corners, training mode); align_corners is passed where the network takes it.
        recorded_as: the type's name in the recorded toolkit, where it is another.
        not_compared: beginnings of names whose shapes differ: unused heads that the recorded toolkit builds for a
            ResNet50 whatever the backbone.
        main: index of the main map among the recorded toolkit's; it is recorded first, as it is here.
    """

    model: dict[str, Any]
    backbone: dict[str, Any] | None
    runs: tuple[Run, ...] = field(default=())
    recorded_as: str | None = None
    main: int = 0
    not_compared: tuple[str, ...] = ()


ODD, SQUARE = (1, 3, 65, 97), (2, 3, 64, 64)
WIDE = (2, 3, 64, 96)
ALL_RUNS = ((ODD, False, False), (ODD, True, False), (SQUARE, False, False), (SQUARE, False, True), (ODD, True, True))
TWO_RUNS = ((ODD, False, False), (SQUARE, True, True))
EVEN_RUNS = ((WIDE, False, False), (WIDE, True, True))  # networks recorded at multiples of 32 only
RECIPE = {"aspp_ratios": [1, 12, 24, 36], "aspp_out_channels": 256}


def _resnet(layers: int, output_stride: int = 8, **arguments: Any) -> dict[str, Any]:
    return {"type": f"ResNet{layers}_vd", "output_stride": output_stride, **arguments}


_PLUS = {"type": "DeepLabV3P", "backbone_indices": [0, 3]}
_PYRAMID = {"backbone_indices": [0, 1, 2, 3]}
_GRID50 = _resnet(50, multi_grid=[1, 2, 4])
_TINY_HRNET = {"type": "HRNet_W18_Small_V1"}

CASES = {
    "fcn_hrnet_w18": Case({"type": "FCN"}, {"type": "HRNet_W18"}, TWO_RUNS),
    "fcn_hrnet_w48": Case({"type": "FCN"}, {"type": "HRNet_W48"}, ((SQUARE, False, False),)),
    "fcn_hrnet_w18_small_v1": Case({"type": "FCN"}, _TINY_HRNET, ALL_RUNS),
    "fcn_hrnet_w18_small_v1_se": Case(
        {"type": "FCN", "channels": 32, "bias": False}, {**_TINY_HRNET, "has_se": True, "padding_same": False}, ALL_RUNS
    ),
    "deeplabv3p_resnet50_os8": Case({**_PLUS, **RECIPE}, _GRID50, TWO_RUNS),
    "deeplabv3p_resnet50_os16": Case(_PLUS, _resnet(50, 16), TWO_RUNS),
    "deeplabv3p_resnet18_os8": Case(_PLUS, _resnet(18, multi_grid=[1, 2]), ALL_RUNS),
    "deeplabv3p_mobilenetv3_large": Case(_PLUS, {"type": "MobileNetV3_large_x1_0"}, TWO_RUNS),
    "deeplabv3p_mobilenetv3_small": Case(_PLUS, {"type": "MobileNetV3_small_x1_0"}, TWO_RUNS),
    "deeplabv3p_xception41": Case(
        {**_PLUS, "backbone_indices": [0, 1]}, {"type": "Xception41_deeplab", "output_stride": 8}, TWO_RUNS
    ),
    "deeplabv3p_xception65": Case(
        {**_PLUS, "backbone_indices": [0, 1]}, {"type": "Xception65_deeplab"}, ((ODD, False, False),)
    ),
    "deeplabv3p_xception71": Case(
        {**_PLUS, "backbone_indices": [0, 1]}, {"type": "Xception71_deeplab"}, ((ODD, False, False),)
    ),
    "deeplabv3_resnet50_os8": Case({"type": "DeepLabV3", "backbone_indices": [3], **RECIPE}, _GRID50, TWO_RUNS),
    "ann": Case({"type": "ANN"}, _resnet(50), TWO_RUNS),
    "ann_resnet18": Case(
        {
            "type": "ANN",
            "backbone_indices": [1, 3],
            "key_value_channels": 32,
            "inter_channels": 64,
            "enable_auxiliary_loss": False,
        },
        _resnet(18),
        ALL_RUNS,
    ),
    "bisenetv2": Case({"type": "BiSeNetV2"}, None, (*EVEN_RUNS, ((2, 3, 65, 97), True, False))),
    "danet": Case({"type": "DANet", "backbone_indices": [2, 3]}, _resnet(50), TWO_RUNS),
    "danet_resnet18": Case({"type": "DANet", "backbone_indices": [2, 3]}, _resnet(18), ALL_RUNS),
    "dnlnet": Case({"type": "DNLNet"}, _resnet(50), TWO_RUNS),
    "dnlnet_resnet18": Case(
        {
            "type": "DNLNet",
            "reduction": 4,
            "use_scale": False,
            "mode": "dot_product",
            "temperature": 0.1,
            "concat_input": False,
            "enable_auxiliary_loss": False,
        },
        _resnet(18),
        ALL_RUNS,
        not_compared=("head.aux.",),
    ),
    "decoupledsegnet": Case({"type": "DecoupledSegNet", **RECIPE}, _GRID50, TWO_RUNS),
    "decoupledsegnet_resnet18": Case({"type": "DecoupledSegNet"}, _resnet(18), ALL_RUNS),
    "emanet": Case({"type": "EMANet"}, _resnet(50), TWO_RUNS),
    "emanet_resnet18": Case(
        {
            "type": "EMANet",
            "ema_channels": 64,
            "gc_channels": 32,
            "num_bases": 8,
            "stage_num": 2,
            "momentum": 0.2,
            "concat_input": False,
            "enable_auxiliary_loss": False,
        },
        _resnet(18),
        ALL_RUNS,
        not_compared=("head.aux.",),
    ),
    "fastscnn": Case({"type": "FastSCNN"}, None, (*TWO_RUNS, *EVEN_RUNS)),
    "fastscnn_plain": Case({"type": "FastSCNN", "enable_auxiliary_loss": False}, None, TWO_RUNS),
    "gcnet": Case({"type": "GCNet"}, _resnet(50), TWO_RUNS),
    "gcnet_resnet18": Case(
        {"type": "GCNet", "gc_channels": 64, "ratio": 0.5, "enable_auxiliary_loss": False}, _resnet(18), ALL_RUNS
    ),
    "gscnn": Case({"type": "GSCNN", **_PYRAMID, **RECIPE}, _GRID50, TWO_RUNS),
    "gscnn_resnet18": Case({"type": "GSCNN", **_PYRAMID}, _resnet(18), ALL_RUNS),
    "hardnet": Case({"type": "HarDNet"}, None, (*TWO_RUNS, *EVEN_RUNS)),
    "isanet": Case({"type": "ISANet"}, _resnet(50), TWO_RUNS),
    "isanet_resnet18": Case(
        {"type": "ISANet", "isa_channels": 64, "down_factor": [4, 2], "enable_auxiliary_loss": False},
        _resnet(18),
        ALL_RUNS,
        not_compared=("head.aux.",),
    ),
    "ocrnet": Case({"type": "OCRNet", "backbone_indices": [0]}, {"type": "HRNet_W18"}, TWO_RUNS),
    "ocrnet_hrnet_w48": Case(
        {"type": "OCRNet", "backbone_indices": [0]}, {"type": "HRNet_W48"}, ((SQUARE, False, False),)
    ),
    "ocrnet_small": Case(
        {"type": "OCRNet", "backbone_indices": [0], "ocr_mid_channels": 64, "ocr_key_channels": 32},
        _TINY_HRNET,
        ALL_RUNS,
    ),
    "ocrnet_resnet18": Case(
        {"type": "OCRNet", "backbone_indices": [2, 3], "ocr_mid_channels": 64, "ocr_key_channels": 32},
        _resnet(18),
        TWO_RUNS,
    ),
    "pspnet": Case({"type": "PSPNet"}, _resnet(50), TWO_RUNS),
    "pspnet_resnet18": Case(
        {"type": "PSPNet", "pp_out_channels": 64, "bin_sizes": [1, 2, 4], "enable_auxiliary_loss": False},
        _resnet(18),
        ALL_RUNS,
    ),
    "sfnet": Case({"type": "SFNet", **_PYRAMID}, _resnet(50), TWO_RUNS),
    "sfnet_resnet18": Case(
        {"type": "SFNet", **_PYRAMID, "enable_auxiliary_loss": True}, _resnet(18), ALL_RUNS, main=-1
    ),
    "sfnet_resnet18_recipe": Case({"type": "SFNet", **_PYRAMID}, _resnet(18), ((SQUARE, False, False),)),
    "shufflenetv2": Case({"type": "ShuffleNetV2"}, None, (*TWO_RUNS, *EVEN_RUNS), recorded_as="PPHumanSegLite"),
    "unet": Case({"type": "UNet"}, None, (*TWO_RUNS, *EVEN_RUNS)),
    "unet_deconv": Case({"type": "UNet", "use_deconv": True}, None, EVEN_RUNS),
    "attentionunet": Case({"type": "AttentionUNet"}, None, EVEN_RUNS),
    "unetplusplus": Case({"type": "UNetPlusPlus"}, None, EVEN_RUNS),
    "unetplusplus_deconv": Case({"type": "UNetPlusPlus", "use_deconv": True, "is_ds": False}, None, EVEN_RUNS),
    "unet3plus": Case({"type": "UNet3Plus"}, None, EVEN_RUNS),
    "unet3plus_deepsup": Case({"type": "UNet3Plus", "is_deepsup": True}, None, EVEN_RUNS),
    # Names and shapes only: with these weights the module finds nothing, and every logit is 0.
    "unet3plus_cgm": Case({"type": "UNet3Plus", "is_deepsup": True, "is_CGM": True, "is_batchnorm": False}, None, ()),
    "u2net": Case({"type": "U2Net"}, None, TWO_RUNS),
    "u2netp": Case({"type": "U2Netp"}, None, (*TWO_RUNS, *EVEN_RUNS)),
}

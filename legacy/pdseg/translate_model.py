"""MODEL, SOLVER.LOSS and their neighbours of the static configuration as network and loss components."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from yacs.config import CfgNode

from legacy.pdseg.yacs_tree import Problems
from shared.config.run_config import Component, LossTerm
from shared.registry import closest

#: Widths of the highest-resolution branch that have a backbone of their own name.
HRNET_WIDTHS = (18, 30, 32, 40, 44, 48, 60, 64)
HRNET_MODULES = (1, 4, 3)  # of the stages 2, 3, 4 of a named HRNet

RESNET_BACKBONES = {f"resnet_vd_{depth}": f"ResNet{depth}_vd" for depth in (18, 34, 50, 101, 152)}
XCEPTION_BACKBONES = {f"xception_{depth}": f"Xception{depth}_deeplab" for depth in (41, 65, 71)}
MOBILENET_BACKBONES = {f"mobilenetv3_{size}": size for size in ("large", "small")}
DEEPLAB_BACKBONES = (*RESNET_BACKBONES, *XCEPTION_BACKBONES, *MOBILENET_BACKBONES)
ASPP_RATIOS = {16: [1, 6, 12, 18], 8: [1, 12, 24, 36]}  # by output stride
MULTI_GRID = [1, 2, 4]  # of resnet_vd's last stage

LOSS_NAMES = {
    "softmax_loss": "CrossEntropyLoss",
    "dice_loss": "DiceLoss",
    "bce_loss": "BCELoss",
    "lovasz_softmax_loss": "LovaszSoftmaxLoss",
    "lovasz_hinge_loss": "LovaszHingeLoss",
}
_OTHER_NETWORKS = ("icnet", "lanenet")
#: How many maps of logits a network may give in training, where it is not one.
_MAPS_IN_TRAINING = {"ocrnet": (2,), "fast_scnn": (1, 2)}


def translate_model(cfg: CfgNode, problems: Problems) -> Component | None:
    """The network, with its backbone; None where a finding was added."""
    name, available = cfg.MODEL.MODEL_NAME, ", ".join(_NETWORKS)
    if name in _NETWORKS:
        return _NETWORKS[name](cfg, problems)
    if name in _OTHER_NETWORKS:
        problems.add("MODEL.MODEL_NAME", f"got {name!r}, which this version does not have; available: {available}")
    else:
        problems.add("MODEL.MODEL_NAME", f"got {name!r}, expected one of {available}")
    return None


def _hrnet(cfg: CfgNode, _problems: Problems) -> Component:
    options = cfg.MODEL.HRNET
    return Component(
        "FCN",
        {
            "num_classes": cfg.DATASET.NUM_CLASSES,
            "backbone": _hrnet_backbone(options),
            "backbone_indices": [-1],
            "align_corners": options.ALIGN_CORNERS,
            "bias": options.BIAS,
        },
    )


def _hrnet_backbone(options: CfgNode) -> Component:
    """The named HRNet with these stages, or one of its own widths and depths."""
    stages = (options.STAGE2, options.STAGE3, options.STAGE4)
    channels = [list(stage.NUM_CHANNELS) for stage in stages]
    modules = tuple(stage.NUM_MODULES for stage in stages)
    args: dict[str, Any] = {"align_corners": options.ALIGN_CORNERS}
    for width in HRNET_WIDTHS:
        if modules == HRNET_MODULES and channels == [[width << n for n in range(count)] for count in (2, 3, 4)]:
            return Component(f"HRNet_W{width}", args)
    for number, (stage_modules, stage_channels) in enumerate(zip(modules, channels), start=2):
        args[f"stage{number}_num_modules"] = stage_modules
        args[f"stage{number}_num_channels"] = stage_channels
    return Component("HRNet", args)


def _deeplabv3p(cfg: CfgNode, problems: Problems) -> Component | None:
    options = cfg.MODEL.DEEPLAB
    if options.BACKBONE not in DEEPLAB_BACKBONES:
        missing = options.BACKBONE.startswith(("xception_", "mobilenet"))
        what = "which this version does not have" if missing else "which is no backbone"
        available = ", ".join(DEEPLAB_BACKBONES)
        problems.add("MODEL.DEEPLAB.BACKBONE", f"got {options.BACKBONE!r}, {what}; available: {available}")
        return None
    ratios = options.ENCODER.ASPP_RATIOS
    return Component(
        "DeepLabV3P",
        {
            "num_classes": cfg.DATASET.NUM_CLASSES,
            "backbone": _deeplab_backbone(options, problems),
            "backbone_indices": [0, 1] if options.BACKBONE in XCEPTION_BACKBONES else [0, 3],
            "aspp_ratios": list(ASPP_RATIOS[options.OUTPUT_STRIDE]) if ratios is None else [1, *ratios],
            "aspp_out_channels": options.ENCODER.ASPP_CONVS_FILTERS,
            "align_corners": options.ALIGN_CORNERS,
            "aspp_use_sep_conv": options.ASPP_WITH_SEP_CONV,
            "decoder_use_sep_conv": options.DECODER_USE_SEP_CONV,
        },
    )


def _deeplab_backbone(options: CfgNode, problems: Problems) -> Component:
    name, output_stride, factors = options.BACKBONE, options.OUTPUT_STRIDE, options.BACKBONE_LR_MULT_LIST
    if name in RESNET_BACKBONES:
        args: dict[str, Any] = {"output_stride": output_stride, "multi_grid": list(MULTI_GRID)}
        if factors is not None:
            args["lr_mult_list"] = list(factors)
        return Component(RESNET_BACKBONES[name], args)
    if factors is not None:
        problems.add(
            "MODEL.DEEPLAB.BACKBONE_LR_MULT_LIST",
            f"got {factors}, but {name} has one learning rate; remove the key, or choose a resnet_vd backbone",
        )
    if name in MOBILENET_BACKBONES:
        args = {"size": MOBILENET_BACKBONES[name], "scale": options.DEPTH_MULTIPLIER, "output_stride": output_stride}
        return Component("MobileNetV3", args)
    if output_stride == 8:
        problems.add(
            "MODEL.DEEPLAB.OUTPUT_STRIDE",
            f"got 8, but {name} has no dilations that would give it; set 16, or choose another backbone",
        )
    return Component(XCEPTION_BACKBONES[name], {"output_stride": output_stride})


def _unet(cfg: CfgNode, problems: Problems) -> Component:
    """Bilinear upsampling, or by any other word transposed convolutions."""
    mode = cfg.MODEL.UNET.UPSAMPLE_MODE
    if mode != "bilinear" and closest(mode, ["bilinear"]):
        problems.add("MODEL.UNET.UPSAMPLE_MODE", f"got {mode!r}; did you mean bilinear? Else write deconv")
    return Component("UNet", {"num_classes": cfg.DATASET.NUM_CLASSES, "use_deconv": mode != "bilinear"})


def _pspnet(cfg: CfgNode, _problems: Problems) -> Component:
    """With one map of logits, as the static configuration means it: the auxiliary head is left out."""
    return Component(
        "PSPNet",
        {
            "num_classes": cfg.DATASET.NUM_CLASSES,
            "backbone": Component(RESNET_BACKBONES[f"resnet_vd_{cfg.MODEL.PSPNET.LAYERS}"], {"output_stride": 8}),
            "backbone_indices": [2, 3],
            "enable_auxiliary_loss": False,
        },
    )


def _fast_scnn(cfg: CfgNode, _problems: Problems) -> Component:
    """The second weight of MULTI_LOSS_WEIGHT, where there is one, belongs to the auxiliary head."""
    args = {
        "num_classes": cfg.DATASET.NUM_CLASSES,
        "enable_auxiliary_loss": len(cfg.MODEL.MULTI_LOSS_WEIGHT) > 1,
    }
    return Component("FastSCNN", args)


def _ocrnet(cfg: CfgNode, _problems: Problems) -> Component:
    return Component(
        "OCRNet",
        {
            "num_classes": cfg.DATASET.NUM_CLASSES,
            "backbone": _hrnet_backbone(cfg.MODEL.HRNET),
            "backbone_indices": [0],
            "ocr_mid_channels": cfg.MODEL.OCR.OCR_MID_CHANNELS,
            "ocr_key_channels": cfg.MODEL.OCR.OCR_KEY_CHANNELS,
            "align_corners": cfg.MODEL.HRNET.ALIGN_CORNERS,
        },
    )


_NETWORKS: Mapping[str, Callable[[CfgNode, Problems], Component | None]] = {
    "hrnet": _hrnet,
    "deeplabv3p": _deeplabv3p,
    "unet": _unet,
    "pspnet": _pspnet,
    "fast_scnn": _fast_scnn,
    "ocrnet": _ocrnet,
}


def _check_loss_weights(cfg: CfgNode, problems: Problems) -> None:
    """As many numbers as the network gives maps of logits in training."""
    name, weights = cfg.MODEL.MODEL_NAME, cfg.MODEL.MULTI_LOSS_WEIGHT
    counts = _MAPS_IN_TRAINING.get(name, (1,))
    if name in _NETWORKS and len(weights) not in counts:
        expected = " or ".join(map(str, counts)) + (" value" if counts == (1,) else " values, as in [1.0, 0.4]")
        problems.add(
            "MODEL.MULTI_LOSS_WEIGHT",
            f"got {weights}, expected {expected}: one for each map of logits that {name} gives in training",
        )


def translate_losses(cfg: CfgNode, problems: Problems) -> tuple[LossTerm, ...]:
    """A term for each weight of MULTI_LOSS_WEIGHT; several losses on one map of logits are a ``MixedLoss``."""
    weights = cfg.MODEL.MULTI_LOSS_WEIGHT
    _check_loss_weights(cfg, problems)
    names = _loss_names(cfg, problems)
    class_weight = _class_weight(cfg, names, problems)
    losses, coefficients = [], []
    for name in names:
        args: dict[str, Any] = {"ignore_index": cfg.DATASET.IGNORE_INDEX}
        if name == "softmax_loss" and class_weight is not None:
            args["weight"] = class_weight
        losses.append(Component(LOSS_NAMES[name], args))
        coefficients.append(cfg.SOLVER.LOSS_WEIGHT[name.upper()])
    if len(losses) == 1:
        return tuple(LossTerm(losses[0], coefficients[0] * weight) for weight in weights)
    mixed = Component("MixedLoss", {"losses": losses, "coef": coefficients})
    return tuple(LossTerm(mixed, weight) for weight in weights)


def _loss_names(cfg: CfgNode, problems: Problems) -> list[str]:
    given = [cfg.SOLVER.LOSS] if isinstance(cfg.SOLVER.LOSS, str) else cfg.SOLVER.LOSS
    wrong = [name for name in given if name not in LOSS_NAMES]
    if wrong:
        available = ", ".join(LOSS_NAMES)
        problems.add("SOLVER.LOSS", f"got {', '.join(map(repr, wrong))}; expected some of {available}")
    elif len(set(given)) != len(given):
        problems.add("SOLVER.LOSS", f"got {given}, where a loss stands twice; use SOLVER.LOSS_WEIGHT to weigh it")
    elif "lovasz_hinge_loss" in given and cfg.DATASET.NUM_CLASSES != 2:
        problems.add(
            "SOLVER.LOSS",
            f"got 'lovasz_hinge_loss', which is for one foreground class, with DATASET.NUM_CLASSES "
            f"{cfg.DATASET.NUM_CLASSES}; use lovasz_softmax_loss",
        )
    return [name for name in given if name in LOSS_NAMES]


def _class_weight(cfg: CfgNode, losses: list[str], problems: Problems) -> list[float] | None:
    key, weight = "SOLVER.CROSS_ENTROPY_WEIGHT", cfg.SOLVER.CROSS_ENTROPY_WEIGHT
    if weight is None:
        return None
    if weight == "dynamic":
        problems.add(key, "got 'dynamic', which this version does not compute; give one number per class, or None")
        return None
    if len(weight) != cfg.DATASET.NUM_CLASSES:
        problems.add(key, f"got {len(weight)} numbers, expected one per class ({cfg.DATASET.NUM_CLASSES})")
    elif not any(weight):
        problems.add(key, f"got {weight}, expected at least one number above 0")
    if losses and "softmax_loss" not in losses:
        problems.add(key, f"got {weight}, but it weighs softmax_loss only and SOLVER.LOSS is {losses}")
    return list(weight)

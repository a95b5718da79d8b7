"""MODEL, SOLVER.LOSS and their neighbours of the static configuration as network and loss components."""

from __future__ import annotations

from typing import Any

from yacs.config import CfgNode

from legacy.pdseg.yacs_tree import Problems
from shared.config.run_config import Component, LossTerm

#: Widths of the highest-resolution branch that have a backbone of their own name.
HRNET_WIDTHS = (18, 30, 32, 40, 44, 48, 60, 64)
HRNET_MODULES = (1, 4, 3)  # of the stages 2, 3, 4 of a named HRNet

RESNET_BACKBONES = {f"resnet_vd_{depth}": f"ResNet{depth}_vd" for depth in (18, 34, 50, 101, 152)}
ASPP_RATIOS = {16: [1, 6, 12, 18], 8: [1, 12, 24, 36]}  # by output stride
MULTI_GRID = [1, 2, 4]  # of resnet_vd's last stage

LOSS_NAMES = {
    "softmax_loss": "CrossEntropyLoss",
    "dice_loss": "DiceLoss",
    "bce_loss": "BCELoss",
    "lovasz_softmax_loss": "LovaszSoftmaxLoss",
}
_OTHER_LOSSES = ("lovasz_hinge_loss",)
_NETWORKS = "hrnet, deeplabv3p"
_OTHER_NETWORKS = ("unet", "icnet", "pspnet", "fast_scnn", "ocrnet", "lanenet")


def translate_model(cfg: CfgNode, problems: Problems) -> Component | None:
    """The network, with its backbone; None where a finding was added."""
    name = cfg.MODEL.MODEL_NAME
    if name == "hrnet":
        return _hrnet(cfg)
    if name == "deeplabv3p":
        return _deeplabv3p(cfg, problems)
    if name in _OTHER_NETWORKS:
        problems.add(
            "MODEL.MODEL_NAME", f"got {name!r}, which the static mode cannot build yet; available: {_NETWORKS}"
        )
    else:
        problems.add("MODEL.MODEL_NAME", f"got {name!r}, expected one of {_NETWORKS}")
    return None


def _hrnet(cfg: CfgNode) -> Component:
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
    if options.BACKBONE not in RESNET_BACKBONES:
        known = options.BACKBONE.startswith(("xception_", "mobilenet"))
        what = "which the static mode cannot build yet" if known else "which is no backbone"
        available = ", ".join(RESNET_BACKBONES)
        problems.add("MODEL.DEEPLAB.BACKBONE", f"got {options.BACKBONE!r}, {what}; available: {available}")
        return None
    backbone: dict[str, Any] = {"output_stride": options.OUTPUT_STRIDE, "multi_grid": list(MULTI_GRID)}
    if options.BACKBONE_LR_MULT_LIST is not None:
        backbone["lr_mult_list"] = list(options.BACKBONE_LR_MULT_LIST)
    ratios = options.ENCODER.ASPP_RATIOS
    return Component(
        "DeepLabV3P",
        {
            "num_classes": cfg.DATASET.NUM_CLASSES,
            "backbone": Component(RESNET_BACKBONES[options.BACKBONE], backbone),
            "backbone_indices": [0, 3],
            "aspp_ratios": list(ASPP_RATIOS[options.OUTPUT_STRIDE]) if ratios is None else [1, *ratios],
            "aspp_out_channels": options.ENCODER.ASPP_CONVS_FILTERS,
            "align_corners": options.ALIGN_CORNERS,
            "aspp_use_sep_conv": options.ASPP_WITH_SEP_CONV,
            "decoder_use_sep_conv": options.DECODER_USE_SEP_CONV,
        },
    )


def translate_losses(cfg: CfgNode, problems: Problems) -> tuple[LossTerm, ...]:
    """One term: both networks have one output. Several losses share it as a ``MixedLoss``."""
    weights = cfg.MODEL.MULTI_LOSS_WEIGHT
    if len(weights) != 1:
        problems.add("MODEL.MULTI_LOSS_WEIGHT", f"got {weights}, expected 1 value: the network has one output")
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
        return (LossTerm(losses[0], coefficients[0] * weights[0]),)
    return (LossTerm(Component("MixedLoss", {"losses": losses, "coef": coefficients}), weights[0]),)


def _loss_names(cfg: CfgNode, problems: Problems) -> list[str]:
    given = [cfg.SOLVER.LOSS] if isinstance(cfg.SOLVER.LOSS, str) else cfg.SOLVER.LOSS
    wrong = [name for name in given if name not in LOSS_NAMES]
    if wrong:
        missing = ", which this version does not have yet" if set(wrong) <= set(_OTHER_LOSSES) else ""
        available = ", ".join(LOSS_NAMES)
        problems.add("SOLVER.LOSS", f"got {', '.join(map(repr, wrong))}{missing}; expected some of {available}")
    elif len(set(given)) != len(given):
        problems.add("SOLVER.LOSS", f"got {given}, where a loss stands twice; use SOLVER.LOSS_WEIGHT to weigh it")
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

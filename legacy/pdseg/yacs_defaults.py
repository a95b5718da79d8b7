"""Every option of the static configuration: its dotted key, default and kind.

The names are those of PaddleSeg's static-graph configuration, so that its files load. An option that only one value
of is carried has ``only``: any other value is refused with that sentence, never ignored. Options of a choice not made
(``FIX_RESIZE_SIZE`` without ``AUG_METHOD unpadding``) may stand in a file and wait for the choice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from yacs.config import CfgNode

from legacy.pdseg.yacs_values import (
    Kind,
    boolean,
    choice,
    either,
    integer,
    number,
    optional,
    sequence,
    size,
    switched_choice,
    text,
)
from shared.config.run_config import CACHES, ON_BAD_SAMPLE, STOP, ReaderConfig


@dataclass(frozen=True)
class Option:
    """One leaf of the tree.

    Attributes:
        default: the value without any file.
        kind: what it may hold.
        only: where just the default is carried, the rest of the sentence "KEY: got X, but ...".
    """

    default: Any
    kind: Kind
    only: str | None = None


_RATIO = number(0, 1)
_POSITIVE = number(above=0)
_RGB = sequence(number(), 3)
_STANDARD_DECODER = "this version builds DeepLabV3P's standard encoder and decoder only; remove the key"

_TOP = {
    "MEAN": Option([0.5, 0.5, 0.5], _RGB),
    "STD": Option([0.5, 0.5, 0.5], sequence(_POSITIVE, 3)),
    "EVAL_CROP_SIZE": Option((), size()),
    "TRAIN_CROP_SIZE": Option((), size()),
    "BATCH_SIZE": Option(1, integer(1)),  # over all cards
}

_DATASET = {
    "DATASET.DATA_DIR": Option("./dataset/cityscapes", text(empty=False)),
    "DATASET.TRAIN_FILE_LIST": Option("", text()),  # no list at all: the Cityscapes layout in DATA_DIR
    "DATASET.VAL_FILE_LIST": Option("", text()),
    "DATASET.TEST_FILE_LIST": Option("", text()),
    "DATASET.VIS_FILE_LIST": Option(None, optional(text())),
    "DATASET.NUM_CLASSES": Option(19, integer(2, 256)),
    "DATASET.SEPARATOR": Option(" ", text(empty=False)),
    "DATASET.IGNORE_INDEX": Option(255, integer(0, 255)),
    "DATASET.PADDING_VALUE": Option([127.5, 127.5, 127.5], sequence(number(0, 255), 3)),
    "DATASET.IMAGE_TYPE": Option("rgb", text(), "this version reads rgb images only"),
    "DATASET.DATA_DIM": Option(3, integer(), "this version reads images of 3 channels only"),
    "DATASET.INPUT_IMAGE_NUM": Option(1, integer(), "this version takes one image per sample only"),
}

_AUG = {
    "AUG.AUG_METHOD": Option("rangescaling", choice("unpadding", "rangescaling", "stepscaling")),
    "AUG.FIX_RESIZE_SIZE": Option((), size()),
    "AUG.INF_RESIZE_VALUE": Option(500, integer(1)),
    "AUG.MAX_RESIZE_VALUE": Option(600, integer(1)),
    "AUG.MIN_RESIZE_VALUE": Option(400, integer(1)),
    "AUG.MAX_SCALE_FACTOR": Option(2.0, _POSITIVE),
    "AUG.MIN_SCALE_FACTOR": Option(0.5, _POSITIVE),
    "AUG.SCALE_STEP_SIZE": Option(0.25, number(0)),
    "AUG.MIRROR": Option(True, boolean()),
    "AUG.FLIP": Option(False, boolean()),
    "AUG.FLIP_RATIO": Option(0.5, _RATIO),
    "AUG.TO_RGB": Option(False, boolean()),
    "AUG.RICH_CROP.ENABLE": Option(False, boolean()),
    "AUG.RICH_CROP.MAX_ROTATION": Option(15.0, number(0, 180)),
    "AUG.RICH_CROP.MIN_AREA_RATIO": Option(0.5, _RATIO),
    "AUG.RICH_CROP.ASPECT_RATIO": Option(0.33, _RATIO),
    "AUG.RICH_CROP.BRIGHTNESS_JITTER_RATIO": Option(0.5, _RATIO),
    "AUG.RICH_CROP.SATURATION_JITTER_RATIO": Option(0.5, _RATIO),
    "AUG.RICH_CROP.CONTRAST_JITTER_RATIO": Option(0.5, _RATIO),
    "AUG.RICH_CROP.BLUR": Option(False, boolean()),
    "AUG.RICH_CROP.BLUR_RATIO": Option(0.1, _RATIO),
}

_MODEL = {
    "MODEL.MODEL_NAME": Option("", text()),
    "MODEL.DATA_FORMAT": Option("NCHW", choice("NCHW", "NHWC")),
    "MODEL.FP16": Option(False, boolean()),
    "MODEL.AMP_DTYPE": Option("float16", choice("float16", "bfloat16")),  # what MODEL.FP16 True runs in
    "MODEL.AMP_LEVEL": Option("O1", choice("O1", "O2")),
    "MODEL.SCALE_LOSS": Option("DYNAMIC", either(choice("DYNAMIC", "dynamic"), _POSITIVE)),
    "MODEL.MULTI_LOSS_WEIGHT": Option([1.0], sequence(number(0))),
    "MODEL.DEFAULT_NORM_TYPE": Option("bn", text(), "this version builds batch norm ('bn') only"),
    "MODEL.DEFAULT_GROUP_NUMBER": Option(32, integer(), "groups belong to group norm, and only batch norm is built"),
    "MODEL.DEFAULT_EPSILON": Option(1e-5, number(), "batch norm's epsilon is the network's own: 1e-5, Xception's 1e-3"),
    "MODEL.BN_MOMENTUM": Option(0.9, number(), "batch norm's momentum is the network's own: 0.9, Xception's 0.99"),
    "MODEL.HRNET.STAGE2.NUM_CHANNELS": Option([40, 80], sequence(integer(1), 2)),
    "MODEL.HRNET.STAGE2.NUM_MODULES": Option(1, integer(1)),
    "MODEL.HRNET.STAGE3.NUM_CHANNELS": Option([40, 80, 160], sequence(integer(1), 3)),
    "MODEL.HRNET.STAGE3.NUM_MODULES": Option(4, integer(1)),
    "MODEL.HRNET.STAGE4.NUM_CHANNELS": Option([40, 80, 160, 320], sequence(integer(1), 4)),
    "MODEL.HRNET.STAGE4.NUM_MODULES": Option(3, integer(1)),
    "MODEL.HRNET.ALIGN_CORNERS": Option(False, boolean()),
    "MODEL.HRNET.BIAS": Option(True, boolean()),
    "MODEL.DEEPLAB.BACKBONE": Option("xception_65", text()),
    "MODEL.DEEPLAB.OUTPUT_STRIDE": Option(16, choice(8, 16)),
    "MODEL.DEEPLAB.ALIGN_CORNERS": Option(False, boolean()),
    "MODEL.DEEPLAB.ASPP_WITH_SEP_CONV": Option(True, boolean()),
    "MODEL.DEEPLAB.DECODER_USE_SEP_CONV": Option(True, boolean()),
    "MODEL.DEEPLAB.ENCODER_WITH_ASPP": Option(True, boolean(), _STANDARD_DECODER),
    "MODEL.DEEPLAB.ENABLE_DECODER": Option(True, boolean(), _STANDARD_DECODER),
    "MODEL.DEEPLAB.DEPTH_MULTIPLIER": Option(1.0, _POSITIVE),  # of the mobilenet backbones
    "MODEL.DEEPLAB.BACKBONE_LR_MULT_LIST": Option(None, optional(sequence(number(0), 5))),  # stem and four stages
    "MODEL.DEEPLAB.ENCODER.ASPP_RATIOS": Option(None, optional(sequence(integer(1), 3))),
    "MODEL.DEEPLAB.ENCODER.ASPP_CONVS_FILTERS": Option(256, integer(1)),
    "MODEL.DEEPLAB.ENCODER.ASPP_WITH_SE": Option(False, boolean(), _STANDARD_DECODER),
    "MODEL.DEEPLAB.ENCODER.ASPP_WITH_CONCAT_PROJECTION": Option(True, boolean(), _STANDARD_DECODER),
    "MODEL.DEEPLAB.ENCODER.ADD_IMAGE_LEVEL_FEATURE": Option(True, boolean(), _STANDARD_DECODER),
    "MODEL.DEEPLAB.DECODER.USE_SUM_MERGE": Option(False, boolean(), _STANDARD_DECODER),
    "MODEL.DEEPLAB.DECODER.CONV_FILTERS": Option(256, integer(), _STANDARD_DECODER),
    "MODEL.DEEPLAB.DECODER.OUTPUT_IS_LOGITS": Option(False, boolean(), _STANDARD_DECODER),
    "MODEL.UNET.UPSAMPLE_MODE": Option("bilinear", text(empty=False)),  # anything else: transposed convolutions
    "MODEL.PSPNET.DEPTH_MULTIPLIER": Option(1.0, number(), "ResNet-vd has its published widths only; remove the key"),
    "MODEL.PSPNET.LAYERS": Option(50, choice(50, 101)),
    "MODEL.OCR.OCR_MID_CHANNELS": Option(512, integer(1)),
    "MODEL.OCR.OCR_KEY_CHANNELS": Option(256, integer(1)),
}

_SOLVER = {
    "SOLVER.LR": Option(0.1, _POSITIVE),
    "SOLVER.LR_POLICY": Option("poly", choice("poly", "piecewise", "cosine")),
    "SOLVER.POWER": Option(0.9, number(0)),
    "SOLVER.GAMMA": Option(0.1, _POSITIVE),
    "SOLVER.DECAY_EPOCH": Option([10, 20], sequence(integer(1))),
    "SOLVER.LR_WARMUP": Option(False, boolean()),
    "SOLVER.LR_WARMUP_STEPS": Option(2000, integer(1)),
    "SOLVER.OPTIMIZER": Option("sgd", choice("sgd", "adam", "adamw")),
    "SOLVER.MOMENTUM": Option(0.9, number(0, below=1)),
    "SOLVER.MOMENTUM2": Option(0.999, number(0, below=1)),
    "SOLVER.WEIGHT_DECAY": Option(4e-5, number(0)),
    "SOLVER.NUM_EPOCHS": Option(30, integer(1)),
    "SOLVER.BEGIN_EPOCH": Option(
        1, integer(), "a run resumed with TRAIN.RESUME_MODEL_DIR goes on where its checkpoint says; remove the key"
    ),
    "SOLVER.LOSS": Option(["softmax_loss"], either(sequence(text()), text())),
    "SOLVER.LOSS_WEIGHT.SOFTMAX_LOSS": Option(1.0, number(0)),
    "SOLVER.LOSS_WEIGHT.DICE_LOSS": Option(1.0, number(0)),
    "SOLVER.LOSS_WEIGHT.BCE_LOSS": Option(1.0, number(0)),
    "SOLVER.LOSS_WEIGHT.LOVASZ_SOFTMAX_LOSS": Option(1.0, number(0)),
    "SOLVER.LOSS_WEIGHT.LOVASZ_HINGE_LOSS": Option(1.0, number(0)),
    "SOLVER.CROSS_ENTROPY_WEIGHT": Option(None, optional(either(sequence(number(0)), choice("dynamic")))),
}

_COMMANDS = {
    "TRAIN.MODEL_SAVE_DIR": Option("", text()),  # "": ./output
    "TRAIN.PRETRAINED_MODEL_DIR": Option("", text()),
    "TRAIN.RESUME_MODEL_DIR": Option("", text()),
    "TRAIN.SYNC_BATCH_NORM": Option(False, boolean()),
    "TRAIN.ONEDNN": Option(None, optional(boolean())),
    "TRAIN.SNAPSHOT_EPOCH": Option(10, integer(1)),
    "TRAIN.EARLY_STOP_INTERVALS": Option(None, optional(integer(1))),  # evaluations without a better mIoU
    "TRAIN.SEED": Option(None, optional(integer(0))),
    "TRAIN.DETERMINISTIC": Option(False, boolean()),
    "TEST.TEST_MODEL": Option("", text()),
    "TEST.AUG_EVAL": Option(False, boolean()),
    "TEST.SCALES": Option([1.0], either(sequence(_POSITIVE), _POSITIVE)),
    "TEST.FLIP_HORIZONTAL": Option(False, boolean()),
    "TEST.FLIP_VERTICAL": Option(False, boolean()),
    "TEST.IS_SLIDE": Option(False, boolean()),
    "TEST.CROP_SIZE": Option((), size()),
    "TEST.STRIDE": Option((), size()),
    "FREEZE.MODEL_FILENAME": Option("model", text(empty=False)),
    "FREEZE.PARAMS_FILENAME": Option("model.pdiparams", text(empty=False)),
    "FREEZE.SAVE_DIR": Option("freeze_model", text(empty=False)),
    "DATALOADER.NUM_WORKERS": Option(8, integer(0)),
    "DATALOADER.BUF_SIZE": Option(256, integer(1)),
    "DATALOADER.ON_BAD_SAMPLE": Option(STOP, choice(*ON_BAD_SAMPLE)),
    "DATALOADER.CACHE": Option("off", switched_choice(*CACHES)),
    "DATALOADER.CACHE_SIZE": Option(ReaderConfig.cache_size, number(above=0)),  # gigabytes
    "DATALOADER.CACHE_DIR": Option(None, optional(text(empty=False))),
}

#: Every option by its dotted key.
OPTIONS: Mapping[str, Option] = {**_TOP, **_DATASET, **_AUG, **_MODEL, **_SOLVER, **_COMMANDS}

#: The sections and sub-sections: ``AUG``, ``AUG.RICH_CROP``, ...
SECTIONS: frozenset[str] = frozenset(key.rsplit(".", n)[0] for key in OPTIONS for n in range(1, key.count(".") + 1))

_COUNTED = "images are counted from the list; remove the key"
_LAUNCHED = "fleetrun decides this when it starts the processes; remove the key"
_NO_NETWORK = "this version does not have this network; remove the section"

#: Keys PaddleSeg has and this toolkit does without, and what the user does about one.
RETIRED: Mapping[str, str] = {
    "NUM_TRAINERS": _LAUNCHED,
    "TRAINER_ID": _LAUNCHED,
    "DATASET.TRAIN_TOTAL_IMAGES": _COUNTED,
    "DATASET.VAL_TOTAL_IMAGES": _COUNTED,
    "DATASET.TEST_TOTAL_IMAGES": _COUNTED,
    "SLIM": "pruning, distillation and quantisation are not part of the static mode; remove the section",
    "MODEL.ICNET": _NO_NETWORK,
    "MODEL.FAST_SCNN": "fast_scnn has no options; remove the section",
    "MODEL.LANENET": _NO_NETWORK,
}


def default_tree() -> CfgNode:
    """A new tree with every option at its default."""
    root = CfgNode()
    for key, option in OPTIONS.items():
        *sections, leaf = key.split(".")
        node = root
        for section in sections:
            node = node.setdefault(section, CfgNode())
        node[leaf] = list(option.default) if isinstance(option.default, list) else option.default
    return root

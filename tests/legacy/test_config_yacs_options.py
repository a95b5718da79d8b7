"""Every option of the static configuration either changes the run, in the place named here, or is refused.

A new option without a row, or an option that nothing reads, turns this file red.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from legacy.pdseg.config import load_static_config
from legacy.pdseg.yacs_defaults import OPTIONS, default_tree
from shared.config.run_config import Component, RunConfig
from shared.errors import ConfigError

RECIPES = Path(__file__).resolve().parents[2] / "legacy" / "configs"
HRNET = str(RECIPES / "hrnetw18_cityscapes_1024x512_215.yaml")

DEEPLAB = ["MODEL.MODEL_NAME", "deeplabv3p", "MODEL.DEEPLAB.BACKBONE", "resnet_vd_50"]
MOBILENET = ["MODEL.MODEL_NAME", "deeplabv3p", "MODEL.DEEPLAB.BACKBONE", "mobilenetv3_small"]
UNET = ["MODEL.MODEL_NAME", "unet"]
PSPNET = ["MODEL.MODEL_NAME", "pspnet"]
OCRNET = ["MODEL.MODEL_NAME", "ocrnet", "MODEL.MULTI_LOSS_WEIGHT", "[1.0, 0.4]"]
UNPADDING = ["AUG.AUG_METHOD", "unpadding", "AUG.FIX_RESIZE_SIZE", "(64, 32)", "TRAIN_CROP_SIZE", "()"]
UNPADDING += ["EVAL_CROP_SIZE", "()"]
RANGE = ["AUG.AUG_METHOD", "rangescaling"]
LISTS = ["DATASET.TRAIN_FILE_LIST", "train.txt", "DATASET.VAL_FILE_LIST", "val.txt"]
RICH = "AUG.RICH_CROP."
FLIP = ["AUG.FLIP", "True"]
SLIDE = ["TEST.IS_SLIDE", "True", "TEST.CROP_SIZE", "(64, 32)", "TEST.STRIDE", "(48, 16)"]
TRANSFORMS = "train_data.transforms"
LOSS = "losses.0.loss"
TWO_LOSSES = "['softmax_loss', 'dice_loss']"
HINGE = ["SOLVER.LOSS", "lovasz_hinge_loss", "DATASET.NUM_CLASSES", "2", *LISTS]

# key, value on the command line, place in the run, value there, what else must be set for the option to count
CARRIED: list[tuple[str, str, str, Any, list[str]]] = [
    ("MEAN", "[0.1, 0.2, 0.3]", f"{TRANSFORMS}.Normalize.mean", [0.1, 0.2, 0.3], []),
    ("STD", "[0.1, 0.2, 0.3]", "val_data.transforms.Normalize.std", [0.1, 0.2, 0.3], []),
    ("EVAL_CROP_SIZE", "(70, 30)", "val_data.transforms.Padding.target_size", [70, 30], []),
    ("TRAIN_CROP_SIZE", "(70, 30)", f"{TRANSFORMS}.RandomPaddingCrop.crop_size", [70, 30], []),
    ("BATCH_SIZE", "6", "train.batch_size", 6, []),
    ("DATASET.DATA_DIR", "elsewhere", "train_data.dataset.dataset_root", "elsewhere", []),
    ("DATASET.TRAIN_FILE_LIST", "other.txt", "train_data.dataset.train_path", "other.txt", LISTS),
    ("DATASET.VAL_FILE_LIST", "other.txt", "val_data.dataset.val_path", "other.txt", LISTS),
    ("DATASET.TEST_FILE_LIST", "other.txt", "files.predict_images", "other.txt", []),
    ("DATASET.VIS_FILE_LIST", "vis.txt", "files.predict_images", "vis.txt", ["DATASET.TEST_FILE_LIST", "test.txt"]),
    ("DATASET.NUM_CLASSES", "4", "model.num_classes", 4, LISTS),
    ("DATASET.SEPARATOR", "|", "val_data.dataset.separator", "|", LISTS),
    ("DATASET.IGNORE_INDEX", "254", f"{LOSS}.ignore_index", 254, LISTS),
    ("DATASET.PADDING_VALUE", "[1, 2, 3]", "val_data.transforms.Padding.im_padding_value", [1.0, 2.0, 3.0], []),
    ("AUG.AUG_METHOD", "rangescaling", f"{TRANSFORMS}.0.type", "ResizeRangeScaling", []),
    ("AUG.FIX_RESIZE_SIZE", "(80, 40)", f"{TRANSFORMS}.Resize.target_size", [80, 40], UNPADDING),
    ("AUG.INF_RESIZE_VALUE", "77", "val_data.transforms.ResizeByLong.long_size", 77, RANGE),
    ("AUG.MAX_RESIZE_VALUE", "700", f"{TRANSFORMS}.ResizeRangeScaling.max_value", 700, RANGE),
    ("AUG.MIN_RESIZE_VALUE", "300", f"{TRANSFORMS}.ResizeRangeScaling.min_value", 300, RANGE),
    ("AUG.MAX_SCALE_FACTOR", "1.5", f"{TRANSFORMS}.ResizeStepScaling.max_scale_factor", 1.5, []),
    ("AUG.MIN_SCALE_FACTOR", "0.75", f"{TRANSFORMS}.ResizeStepScaling.min_scale_factor", 0.75, []),
    ("AUG.SCALE_STEP_SIZE", "0", f"{TRANSFORMS}.ResizeStepScaling.scale_step_size", 0.0, []),
    ("AUG.MIRROR", "False", f"{TRANSFORMS}.RandomHorizontalFlip", None, []),
    ("AUG.FLIP", "True", f"{TRANSFORMS}.RandomVerticalFlip.prob", 0.5, []),
    ("AUG.FLIP_RATIO", "0.2", f"{TRANSFORMS}.RandomVerticalFlip.prob", 0.2, FLIP),
    ("AUG.TO_RGB", "False", "val_data.to_rgb", False, []),
    (f"{RICH}ENABLE", "False", f"{TRANSFORMS}.RandomDistort", None, []),
    (f"{RICH}MAX_ROTATION", "20", f"{TRANSFORMS}.RandomRotation.max_rotation", 20.0, []),
    (f"{RICH}MIN_AREA_RATIO", "0.4", f"{TRANSFORMS}.RandomScaleAspect.min_scale", 0.4, [f"{RICH}ASPECT_RATIO", "0.3"]),
    (f"{RICH}ASPECT_RATIO", "0.3", f"{TRANSFORMS}.RandomScaleAspect.aspect_ratio", 0.3, [f"{RICH}MIN_AREA_RATIO", "1"]),
    (f"{RICH}BRIGHTNESS_JITTER_RATIO", "0.1", f"{TRANSFORMS}.RandomDistort.brightness_range", 0.1, []),
    (f"{RICH}CONTRAST_JITTER_RATIO", "0", f"{TRANSFORMS}.RandomDistort.contrast_prob", 0.0, []),
    (f"{RICH}SATURATION_JITTER_RATIO", "0.1", f"{TRANSFORMS}.RandomDistort.saturation_range", 0.1, []),
    (f"{RICH}BLUR", "True", f"{TRANSFORMS}.RandomBlur.prob", 0.1, []),
    (f"{RICH}BLUR_RATIO", "0.3", f"{TRANSFORMS}.RandomBlur.prob", 0.3, [f"{RICH}BLUR", "True"]),
    ("MODEL.MODEL_NAME", "deeplabv3p", "model.type", "DeepLabV3P", ["MODEL.DEEPLAB.BACKBONE", "resnet_vd_18"]),
    ("MODEL.DATA_FORMAT", "NHWC", "data_format", "NHWC", []),
    ("MODEL.FP16", "True", "precision.dtype", "float16", []),
    ("MODEL.AMP_DTYPE", "bfloat16", "precision.dtype", "bfloat16", ["MODEL.FP16", "True"]),
    ("MODEL.AMP_LEVEL", "O2", "precision.level", "O2", []),
    ("MODEL.SCALE_LOSS", "128", "precision.loss_scale", 128.0, []),
    ("MODEL.MULTI_LOSS_WEIGHT", "[0.5]", "losses.0.coef", 0.5, []),
    ("MODEL.HRNET.STAGE2.NUM_CHANNELS", "[8, 16]", "model.backbone.stage2_num_channels", [8, 16], []),
    ("MODEL.HRNET.STAGE2.NUM_MODULES", "2", "model.backbone.stage2_num_modules", 2, []),
    ("MODEL.HRNET.STAGE3.NUM_CHANNELS", "[8, 16, 32]", "model.backbone.stage3_num_channels", [8, 16, 32], []),
    ("MODEL.HRNET.STAGE3.NUM_MODULES", "2", "model.backbone.stage3_num_modules", 2, []),
    ("MODEL.HRNET.STAGE4.NUM_CHANNELS", "[8, 16, 32, 64]", "model.backbone.stage4_num_channels", [8, 16, 32, 64], []),
    ("MODEL.HRNET.STAGE4.NUM_MODULES", "2", "model.backbone.stage4_num_modules", 2, []),
    ("MODEL.HRNET.ALIGN_CORNERS", "True", "model.backbone.align_corners", True, []),
    ("MODEL.HRNET.BIAS", "False", "model.bias", False, []),
    ("MODEL.DEEPLAB.BACKBONE", "resnet_vd_101", "model.backbone.type", "ResNet101_vd", DEEPLAB),
    ("MODEL.DEEPLAB.OUTPUT_STRIDE", "8", "model.backbone.output_stride", 8, DEEPLAB),
    ("MODEL.DEEPLAB.ALIGN_CORNERS", "True", "model.align_corners", True, DEEPLAB),
    ("MODEL.DEEPLAB.ASPP_WITH_SEP_CONV", "False", "model.aspp_use_sep_conv", False, DEEPLAB),
    ("MODEL.DEEPLAB.DECODER_USE_SEP_CONV", "False", "model.decoder_use_sep_conv", False, DEEPLAB),
    ("MODEL.DEEPLAB.DEPTH_MULTIPLIER", "0.5", "model.backbone.scale", 0.5, MOBILENET),
    (
        "MODEL.DEEPLAB.BACKBONE_LR_MULT_LIST",
        "[0.1, 0.1, 0.2, 0.2, 1]",
        "model.backbone.lr_mult_list",
        [0.1, 0.1, 0.2, 0.2, 1.0],
        DEEPLAB,
    ),
    ("MODEL.DEEPLAB.ENCODER.ASPP_RATIOS", "[2, 4, 8]", "model.aspp_ratios", [1, 2, 4, 8], DEEPLAB),
    ("MODEL.DEEPLAB.ENCODER.ASPP_CONVS_FILTERS", "128", "model.aspp_out_channels", 128, DEEPLAB),
    ("MODEL.UNET.UPSAMPLE_MODE", "deconv", "model.use_deconv", True, UNET),
    ("MODEL.PSPNET.LAYERS", "101", "model.backbone.type", "ResNet101_vd", PSPNET),
    ("MODEL.OCR.OCR_MID_CHANNELS", "256", "model.ocr_mid_channels", 256, OCRNET),
    ("MODEL.OCR.OCR_KEY_CHANNELS", "128", "model.ocr_key_channels", 128, OCRNET),
    ("SOLVER.LR", "1", "schedule.learning_rate", 1.0, []),
    ("SOLVER.LR_POLICY", "cosine", "schedule.type", "cosine", []),
    ("SOLVER.POWER", "2", "schedule.power", 2.0, []),
    ("SOLVER.GAMMA", "0.5", "schedule.gamma", 0.5, ["SOLVER.LR_POLICY", "piecewise"]),
    ("SOLVER.DECAY_EPOCH", "[30, 5]", "schedule.boundaries", (5, 30), ["SOLVER.LR_POLICY", "piecewise"]),
    ("SOLVER.LR_WARMUP", "True", "schedule.warmup_iters", 2000, []),
    ("SOLVER.LR_WARMUP_STEPS", "50", "schedule.warmup_iters", 50, ["SOLVER.LR_WARMUP", "True"]),
    ("SOLVER.OPTIMIZER", "adamw", "optimizer.type", "adamw", []),
    ("SOLVER.MOMENTUM", "0.8", "optimizer.momentum", 0.8, []),
    ("SOLVER.MOMENTUM2", "0.99", "optimizer.beta2", 0.99, ["SOLVER.OPTIMIZER", "adam"]),
    ("SOLVER.WEIGHT_DECAY", "1e-4", "optimizer.weight_decay", 1e-4, []),
    ("SOLVER.NUM_EPOCHS", "3", "train.epochs", 3, []),
    ("SOLVER.LOSS", "dice_loss", f"{LOSS}.type", "DiceLoss", []),
    ("SOLVER.LOSS_WEIGHT.SOFTMAX_LOSS", "2", f"{LOSS}.coef", [2.0, 1.0], ["SOLVER.LOSS", TWO_LOSSES]),
    ("SOLVER.LOSS_WEIGHT.DICE_LOSS", "2", f"{LOSS}.coef", [1.0, 2.0], ["SOLVER.LOSS", TWO_LOSSES]),
    ("SOLVER.LOSS_WEIGHT.BCE_LOSS", "2", "losses.0.coef", 2.0, ["SOLVER.LOSS", "bce_loss"]),
    ("SOLVER.LOSS_WEIGHT.LOVASZ_SOFTMAX_LOSS", "2", "losses.0.coef", 2.0, ["SOLVER.LOSS", "lovasz_softmax_loss"]),
    ("SOLVER.LOSS_WEIGHT.LOVASZ_HINGE_LOSS", "2", "losses.0.coef", 2.0, HINGE),
    ("SOLVER.CROSS_ENTROPY_WEIGHT", str([2] * 19), f"{LOSS}.weight", [2.0] * 19, []),
    ("TRAIN.MODEL_SAVE_DIR", "here", "train.save_dir", "here", []),
    ("TRAIN.PRETRAINED_MODEL_DIR", "w.pdparams", "train.weights", "w.pdparams", []),
    ("TRAIN.RESUME_MODEL_DIR", "run", "train.resume_from", "run", []),
    ("TRAIN.SYNC_BATCH_NORM", "False", "train.sync_bn", False, []),
    ("TRAIN.ONEDNN", "True", "train.onednn", True, []),
    ("TRAIN.SNAPSHOT_EPOCH", "7", "train.save_interval_epochs", 7, []),
    ("TRAIN.SEED", "42", "train.seed", 42, []),
    ("TRAIN.EARLY_STOP_INTERVALS", "3", "train.early_stop_intervals", 3, []),
    ("TRAIN.DETERMINISTIC", "True", "train.deterministic", True, []),
    ("TEST.TEST_MODEL", "best", "files.test_weights", "best", []),
    ("TEST.AUG_EVAL", "True", "evaluation.aug_eval", True, []),
    ("TEST.SCALES", "[0.5, 1, 2]", "evaluation.scales", (0.5, 1.0, 2.0), []),
    ("TEST.FLIP_HORIZONTAL", "True", "evaluation.flip_horizontal", True, []),
    ("TEST.FLIP_VERTICAL", "True", "evaluation.flip_vertical", True, []),
    ("TEST.IS_SLIDE", "False", "evaluation.is_slide", False, SLIDE),
    ("TEST.CROP_SIZE", "(60, 40)", "evaluation.crop_hw", (40, 60), SLIDE),
    ("TEST.STRIDE", "(30, 20)", "evaluation.stride_hw", (20, 30), SLIDE),
    ("FREEZE.MODEL_FILENAME", "net", "files.export_model", "net", []),
    ("FREEZE.PARAMS_FILENAME", "w", "files.export_params", "w", []),
    ("FREEZE.SAVE_DIR", "out", "files.export_dir", "out", []),
    ("DATALOADER.NUM_WORKERS", "3", "reader.workers", 3, []),
    ("DATALOADER.BUF_SIZE", "5", "reader.workers", 5, []),
    ("DATALOADER.ON_BAD_SAMPLE", "skip", "reader.on_bad_sample", "skip", []),
    ("DATALOADER.CACHE", "ram", "reader.cache", "ram", []),
    ("DATALOADER.CACHE_SIZE", "2", "reader.cache_size", 2.0, []),
    ("DATALOADER.CACHE_DIR", "there", "reader.cache_dir", "there", ["DATALOADER.CACHE", "disk"]),
]

REFUSED = {
    "DATASET.IMAGE_TYPE": "gray",
    "DATASET.DATA_DIM": "4",
    "DATASET.INPUT_IMAGE_NUM": "2",
    "MODEL.DEFAULT_NORM_TYPE": "gn",
    "MODEL.DEFAULT_GROUP_NUMBER": "16",
    "MODEL.DEFAULT_EPSILON": "1e-3",
    "MODEL.BN_MOMENTUM": "0.99",
    "MODEL.DEEPLAB.ENCODER_WITH_ASPP": "False",
    "MODEL.DEEPLAB.ENABLE_DECODER": "False",
    "MODEL.DEEPLAB.ENCODER.ASPP_WITH_SE": "True",
    "MODEL.DEEPLAB.ENCODER.ASPP_WITH_CONCAT_PROJECTION": "False",
    "MODEL.DEEPLAB.ENCODER.ADD_IMAGE_LEVEL_FEATURE": "False",
    "MODEL.DEEPLAB.DECODER.USE_SUM_MERGE": "True",
    "MODEL.DEEPLAB.DECODER.CONV_FILTERS": "128",
    "MODEL.DEEPLAB.DECODER.OUTPUT_IS_LOGITS": "True",
    "MODEL.PSPNET.DEPTH_MULTIPLIER": "2",
    "SOLVER.BEGIN_EPOCH": "5",
}


def look(node: Any, path: str) -> Any:
    """The value at a dotted place of a run; a transform is found by its number or type, None where it is absent."""
    for part in path.split("."):
        if isinstance(node, tuple) and part.isdigit():
            node = node[int(part)]
        elif isinstance(node, tuple):
            node = next((item for item in node if item.type == part), None)
        elif isinstance(node, Component) and part != "type":
            node = node.args.get(part)
        else:
            node = getattr(node, part)
        if node is None:
            return None
    return node


def load(*overrides: str) -> RunConfig:
    """The HRNet recipe with overrides; lists are not looked for."""
    return load_static_config(HRNET, overrides, check_lists=())


def test_smoke_every_option_has_a_row() -> None:
    rows = [row[0] for row in CARRIED] + list(REFUSED)
    assert sorted(rows) == sorted(OPTIONS)


@pytest.mark.parametrize(("key", "value", "place", "expected", "context"), CARRIED, ids=[row[0] for row in CARRIED])
def test_value_carried(key: str, value: str, place: str, expected: Any, context: list[str]) -> None:
    before, after = load(*context), load(*context, key, value)
    assert look(before, place) != expected
    assert look(after, place) == expected
    assert after.origins[key] == "command line"


@pytest.mark.parametrize(("key", "value"), REFUSED.items(), ids=list(REFUSED))
def test_error_refused(key: str, value: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(key, value)
    (problem,) = caught.value.problems
    assert problem.startswith(f"{key}: got ")
    assert ", but " in problem


@pytest.mark.parametrize("key", OPTIONS)
def test_value_every_default_is_of_its_kind(key: str) -> None:
    option = OPTIONS[key]
    parsed = option.kind.parse(option.default)
    assert parsed == option.default
    assert type(parsed) is type(option.default)


@pytest.mark.parametrize("key", REFUSED)
def test_value_the_carried_value_of_a_fixed_option_may_be_written(key: str) -> None:
    assert load(key, str(OPTIONS[key].default)).replace(origins={}) == load().replace(origins={})


def test_value_default_trees_are_apart() -> None:
    first, second = default_tree(), default_tree()
    first.SOLVER.DECAY_EPOCH.append(99)
    assert second.SOLVER.DECAY_EPOCH == [10, 20]

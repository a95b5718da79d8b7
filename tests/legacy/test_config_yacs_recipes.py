"""The two static recipes, value by value, and beside their eager twins."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest

import dygraph.backbones
import dygraph.losses
import dygraph.models  # noqa: F401 - the imports fill the registries
from legacy.pdseg.config import load_static_config
from shared.config.components import check_component
from shared.config.eager import load_run_config
from shared.config.run_config import (
    Component,
    DatasetConfig,
    EvalConfig,
    FilesConfig,
    LossTerm,
    OptimizerConfig,
    PrecisionConfig,
    ReaderConfig,
    RunConfig,
    ScheduleConfig,
    TrainConfig,
)
from shared.registry import BACKBONES, DATASETS, LOSSES, MODELS, TRANSFORMS, Registry

ROOT = Path(__file__).resolve().parents[2]
HRNET = "legacy/configs/hrnetw18_cityscapes_1024x512_215.yaml"
DEEPLAB = "legacy/configs/deeplabv3p_resnet50_vd_cityscapes.yaml"
TWINS = {
    HRNET: "configs/fcn/fcn_hrnetw18_cityscapes_1024x512_80k.yml",
    DEEPLAB: "configs/deeplabv3p/deeplabv3p_resnet50_os8_cityscapes_1024x512_80k.yml",
}
WEIGHTS = "https://bj.bcebos.com/paddleseg/dygraph/"
NORMALIZE = Component("Normalize", {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]})
PADDING = {"im_padding_value": [127.5, 127.5, 127.5], "label_padding_value": 255}


def cityscapes(mode: str, *transforms: Component) -> DatasetConfig:
    data = Component("Cityscapes", {"dataset_root": "./dataset/cityscapes", "mode": mode})
    return DatasetConfig(data, (*transforms, NORMALIZE), to_rgb=True)


def expected_run(recipe: str, model: Component, weight_decay: float, weights: str, name: str) -> RunConfig:
    jitter: dict[str, float] = {"hue_prob": 0.0, "sharpness_prob": 0.0}
    for part in ("brightness", "contrast", "saturation"):
        jitter.update({f"{part}_range": 0.4, f"{part}_prob": 1.0})
    scaling = {"min_scale_factor": 0.5, "max_scale_factor": 2.0, "scale_step_size": 0.25}
    return RunConfig(
        model=model,
        losses=(LossTerm(Component("CrossEntropyLoss", {"ignore_index": 255}), 1.0),),
        optimizer=OptimizerConfig(type="momentum", momentum=0.9, weight_decay=weight_decay),
        schedule=ScheduleConfig(type="poly", learning_rate=0.01, end_lr=0.0, power=0.9),
        train=TrainConfig(
            epochs=215,
            batch_size=8,
            batch_is_global=True,
            save_interval_epochs=5,
            save_dir=f"./snapshots/{name}",
            weights=WEIGHTS + weights,
            sync_bn=True,
        ),
        train_data=cityscapes(
            "train",
            Component("ResizeStepScaling", scaling),
            Component("RandomDistort", jitter),
            Component("RandomPaddingCrop", {"crop_size": [1024, 512], **PADDING}),
            Component("RandomHorizontalFlip", {"prob": 0.5}),
        ),
        val_data=cityscapes("val", Component("Padding", {"target_size": [2048, 1024], **PADDING})),
        evaluation=EvalConfig(),
        reader=ReaderConfig(kind="thread", workers=8, prefetch=2),
        precision=PrecisionConfig(dtype="float32", loss_scale="dynamic"),
        files=FilesConfig(test_weights=f"./snapshots/{name}/best_model", export_dir=f"./freeze_model/{name}"),
        num_classes=19,
        ignore_index=255,
        data_format="NCHW",
        source=recipe,
    )


def load(recipe: str, *overrides: str, **options: Any) -> RunConfig:
    return load_static_config(str(ROOT / recipe), overrides, **options)


def test_value_hrnet() -> None:
    model = Component(
        "FCN",
        {
            "num_classes": 19,
            "backbone": Component("HRNet_W18", {"align_corners": False}),
            "backbone_indices": [-1],
            "align_corners": False,
            "bias": True,
        },
    )
    name = "hrnetw18_cityscapes_1024x512_215"
    expected = expected_run(HRNET, model, 0.0005, "hrnet_w18_ssld.tar.gz", name)
    assert load(HRNET).replace(origins={}, source=HRNET) == expected


def test_value_deeplabv3p() -> None:
    model = Component(
        "DeepLabV3P",
        {
            "num_classes": 19,
            "backbone": Component("ResNet50_vd", {"output_stride": 8, "multi_grid": [1, 2, 4]}),
            "backbone_indices": [0, 3],
            "aspp_ratios": [1, 12, 24, 36],
            "aspp_out_channels": 256,
            "align_corners": False,
            "aspp_use_sep_conv": True,
            "decoder_use_sep_conv": True,
        },
    )
    name = "deeplabv3p_resnet50_vd_cityscapes"
    expected = expected_run(DEEPLAB, model, 4e-5, "resnet50_vd_ssld_v2.tar.gz", name)
    assert load(DEEPLAB).replace(origins={}, source=DEEPLAB) == expected


@pytest.mark.parametrize("recipe", TWINS)
def test_value_promised_command(recipe: str) -> None:
    words = ["BATCH_SIZE", "2", "SOLVER.NUM_EPOCHS", "3", "MODEL.FP16", "True"]
    run = load(recipe, *words, use_mpio=True, flags={"log_iters": 10})
    assert (run.train.batch_size, run.train.epochs, run.train.log_iters) == (2, 3, 10)
    assert run.precision == PrecisionConfig("float16", "dynamic")
    assert run.reader == ReaderConfig("process", 8, 2)
    assert run.origins["BATCH_SIZE"] == run.origins["--log_iters"] == "command line"
    assert run.origins["SOLVER.LR"] == str(ROOT / recipe)
    assert run.origins["SOLVER.GAMMA"] == "default"


@pytest.mark.parametrize("recipe", TWINS)
def test_smoke_components_are_registered(recipe: str) -> None:
    run = load(recipe)
    problems = check_component(MODELS, run.model.to_dict(), "model")
    problems += check_component(LOSSES, run.losses[0].loss.to_dict(), "loss")
    for data in (run.train_data, run.val_data):
        problems += check_component(DATASETS, data.dataset.to_dict(), "dataset")
        for step in data.transforms:
            problems += check_component(TRANSFORMS, step.to_dict(), step.type, construct=True)
    assert problems == []


def full(component: Component, registry: Registry, without: tuple[str, ...] = ()) -> dict[str, Any]:
    """Every argument of a component, the silent ones at their defaults; sequences as lists."""
    empty = inspect.Parameter.empty
    defaults = {n: p.default for n, p in registry.parameters(component.type).items() if p.default is not empty}
    arguments = {"type": component.type, **defaults, **component.args}
    if isinstance(arguments.get("backbone"), Component):
        arguments["backbone"] = full(arguments["backbone"], BACKBONES, without)
    listed = {k: list(v) if isinstance(v, (list, tuple)) else v for k, v in arguments.items()}
    return {k: v for k, v in listed.items() if k not in without}


@pytest.mark.parametrize(("recipe", "twin"), TWINS.items())
def test_value_same_as_the_eager_recipe(recipe: str, twin: str) -> None:
    static, eager = load(recipe), load_run_config(str(ROOT / twin))
    apart = ("pretrained", "data_format")
    assert full(static.model, MODELS, apart) == full(eager.model, MODELS, apart)
    assert static.train.weights == eager.model.args["backbone"].args["pretrained"]
    for mine, other in zip(static.losses, eager.losses):
        assert full(mine.loss, LOSSES) == full(other.loss, LOSSES)
        assert mine.coef == other.coef
    assert len(static.losses) == len(eager.losses)
    assert static.optimizer == eager.optimizer
    assert static.schedule == eager.schedule
    assert (static.num_classes, static.ignore_index) == (eager.num_classes, eager.ignore_index)
    assert _transforms(static.train_data) == _transforms(eager.train_data)
    assert _jitter(static.train_data) == _jitter(eager.train_data) == (0.4, 0.4, 0.4)


def _transforms(data: DatasetConfig) -> list[dict[str, Any]]:
    """All but RandomDistort, whose place and probabilities differ between the modes' recipes."""
    steps = [full(step, TRANSFORMS) for step in data.transforms if step.type != "RandomDistort"]
    for step in steps:  # one number for all channels, or three
        for name in ("mean", "std", "im_padding_value"):
            values = step.get(name)
            step[name] = sorted(set(values)) if isinstance(values, list) else values
    return steps


def _jitter(data: DatasetConfig) -> tuple[float, ...]:
    (distort,) = (step.args for step in data.transforms if step.type == "RandomDistort")
    return tuple(distort[f"{part}_range"] for part in ("brightness", "contrast", "saturation"))

"""From the static configuration to the network: every ``MODEL_NAME`` with its options."""

from __future__ import annotations

from pathlib import Path

import paddle
import pytest

import dygraph.backbones
import dygraph.losses
import dygraph.models
from dygraph.build import build_model
from legacy.pdseg.config import load_static_config
from shared.config.run_config import Component, LossTerm, RunConfig
from shared.registry import MODELS

ROOT = Path(__file__).resolve().parents[2]
HRNET = str(ROOT / "legacy/configs/hrnetw18_cityscapes_1024x512_215.yaml")


def load(*overrides: str) -> RunConfig:
    return load_static_config(HRNET, overrides, check_lists=())


def backbone(*overrides: str) -> Component:
    return load(*overrides).model.args["backbone"]


@pytest.mark.parametrize("width", [18, 30, 32, 40, 44, 48, 60, 64])
def test_value_named_hrnet(width: int) -> None:
    w = width
    words = ["MODEL.HRNET.STAGE2.NUM_CHANNELS", f"[{w}, {2 * w}]"]
    words += ["MODEL.HRNET.STAGE3.NUM_CHANNELS", f"({w}, {2 * w}, {4 * w})"]
    words += ["MODEL.HRNET.STAGE4.NUM_CHANNELS", f"[{w}, {2 * w}, {4 * w}, {8 * w}]"]
    assert backbone(*words) == Component(f"HRNet_W{width}", {"align_corners": False})


def test_value_hrnet_of_other_widths() -> None:
    assert backbone("MODEL.HRNET.STAGE3.NUM_CHANNELS", "[18, 36, 70]") == Component(
        "HRNet",
        {
            "align_corners": False,
            "stage2_num_modules": 1,
            "stage2_num_channels": [18, 36],
            "stage3_num_modules": 4,
            "stage3_num_channels": [18, 36, 70],
            "stage4_num_modules": 3,
            "stage4_num_channels": [18, 36, 72, 144],
        },
    )


def test_shape_hrnet_of_other_widths_is_built() -> None:
    words = ["MODEL.HRNET.STAGE2.NUM_CHANNELS", "[4, 8]", "MODEL.HRNET.STAGE3.NUM_CHANNELS", "[4, 8, 16]"]
    words += ["MODEL.HRNET.STAGE4.NUM_CHANNELS", "[4, 8, 16, 32]", "MODEL.HRNET.STAGE4.NUM_MODULES", "1"]
    model = load(*words, "MODEL.HRNET.STAGE3.NUM_MODULES", "1").model
    part = model.args["backbone"]
    network = MODELS[model.type](**{**model.args, "backbone": dygraph.backbones.HRNet(**part.args)})
    assert network.state_dict()["head.cls.weight"].shape == [19, 4 + 8 + 16 + 32, 1, 1]


def test_value_output_strides() -> None:
    words = ["MODEL.MODEL_NAME", "deeplabv3p", "MODEL.DEEPLAB.BACKBONE", "resnet_vd_34", "MODEL.DEEPLAB.OUTPUT_STRIDE"]
    for stride, ratios in ((8, [1, 12, 24, 36]), (16, [1, 6, 12, 18])):
        model = load(*words, str(stride)).model
        assert model.args["backbone"] == Component("ResNet34_vd", {"output_stride": stride, "multi_grid": [1, 2, 4]})
        assert model.args["aspp_ratios"] == ratios


def network(name: str, *overrides: str) -> Component:
    return load("MODEL.MODEL_NAME", name, *overrides).model


@pytest.mark.parametrize(("mode", "use_deconv"), [("bilinear", False), ("deconv", True), ("transpose", True)])
def test_value_unet(mode: str, use_deconv: bool) -> None:
    expected = Component("UNet", {"num_classes": 19, "use_deconv": use_deconv})
    assert network("unet", "MODEL.UNET.UPSAMPLE_MODE", mode) == expected
    assert network("unet") == Component("UNet", {"num_classes": 19, "use_deconv": False})


@pytest.mark.parametrize("layers", [50, 101])
def test_value_pspnet(layers: int) -> None:
    model = network("pspnet", "MODEL.PSPNET.LAYERS", str(layers), "MODEL.PSPNET.DEPTH_MULTIPLIER", "1")
    assert model == Component(
        "PSPNet",
        {
            "num_classes": 19,
            "backbone": Component(f"ResNet{layers}_vd", {"output_stride": 8}),
            "backbone_indices": [2, 3],
            "enable_auxiliary_loss": False,
        },
    )


def test_value_fast_scnn_has_as_many_maps_as_weights() -> None:
    for weights, auxiliary in (([2.0], False), ([1.0, 0.4], True)):
        run = load("MODEL.MODEL_NAME", "fast_scnn", "MODEL.MULTI_LOSS_WEIGHT", str(weights))
        assert run.model == Component("FastSCNN", {"num_classes": 19, "enable_auxiliary_loss": auxiliary})
        entropy = Component("CrossEntropyLoss", {"ignore_index": 255})
        assert run.losses == tuple(LossTerm(entropy, weight) for weight in weights)


def test_value_ocrnet() -> None:
    words = ["MODEL.MODEL_NAME", "ocrnet", "MODEL.MULTI_LOSS_WEIGHT", "[1.0, 0.4]", "MODEL.HRNET.ALIGN_CORNERS", "True"]
    words += ["MODEL.OCR.OCR_MID_CHANNELS", "64", "SOLVER.LOSS", "['softmax_loss', 'lovasz_softmax_loss']"]
    run = load(*words)
    assert run.model == Component(
        "OCRNet",
        {
            "num_classes": 19,
            "backbone": Component("HRNet_W18", {"align_corners": True}),
            "backbone_indices": [0],
            "ocr_mid_channels": 64,
            "ocr_key_channels": 256,
            "align_corners": True,
        },
    )
    terms = [Component(name, {"ignore_index": 255}) for name in ("CrossEntropyLoss", "LovaszSoftmaxLoss")]
    mixed = Component("MixedLoss", {"losses": terms, "coef": [1.0, 1.0]})
    assert run.losses == (LossTerm(mixed, 1.0), LossTerm(mixed, 0.4))


@pytest.mark.parametrize("depth", [41, 65, 71])
def test_value_deeplab_on_xception(depth: int) -> None:
    model = network("deeplabv3p", "MODEL.DEEPLAB.BACKBONE", f"xception_{depth}")
    assert model.args["backbone"] == Component(f"Xception{depth}_deeplab", {"output_stride": 16})
    assert model.args["backbone_indices"] == [0, 1]
    assert model.args["aspp_ratios"] == [1, 6, 12, 18]


@pytest.mark.parametrize("size", ["large", "small"])
@pytest.mark.parametrize("stride", [8, 16])
def test_value_deeplab_on_mobilenetv3(size: str, stride: int) -> None:
    words = ["MODEL.DEEPLAB.BACKBONE", f"mobilenetv3_{size}", "MODEL.DEEPLAB.OUTPUT_STRIDE", str(stride)]
    model = network("deeplabv3p", *words, "MODEL.DEEPLAB.DEPTH_MULTIPLIER", "0.75")
    expected = Component("MobileNetV3", {"size": size, "scale": 0.75, "output_stride": stride})
    assert model.args["backbone"] == expected
    assert model.args["backbone_indices"] == [0, 3]


SMALL_HRNET = ["MODEL.HRNET.STAGE2.NUM_CHANNELS", "[4, 8]", "MODEL.HRNET.STAGE3.NUM_CHANNELS", "[4, 8, 16]"]
SMALL_HRNET += ["MODEL.HRNET.STAGE4.NUM_CHANNELS", "[4, 8, 16, 32]", "MODEL.HRNET.STAGE3.NUM_MODULES", "1"]
BUILT = {
    "unet": [],
    "pspnet": [],
    "fast_scnn": ["MODEL.MULTI_LOSS_WEIGHT", "[1.0, 0.4]"],
    "ocrnet": ["MODEL.MULTI_LOSS_WEIGHT", "[1.0, 0.4]", *SMALL_HRNET],
    "deeplabv3p-xception": ["MODEL.DEEPLAB.BACKBONE", "xception_41"],
    "deeplabv3p-mobilenetv3": ["MODEL.DEEPLAB.BACKBONE", "mobilenetv3_small", "MODEL.DEEPLAB.OUTPUT_STRIDE", "8"],
}


@pytest.mark.parametrize("name", BUILT)
def test_shape_networks_are_built_with_a_loss_for_each_map(name: str) -> None:
    run = load("MODEL.MODEL_NAME", name.split("-")[0], *BUILT[name])
    model = build_model(run.model, data_format=run.data_format)
    model.train()
    with paddle.no_grad():
        maps = model(paddle.zeros([2, 3, 64, 64]))
    assert [list(x.shape) for x in maps] == [[2, 19, 64, 64]] * len(run.losses)

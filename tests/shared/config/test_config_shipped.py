"""The files of ``configs/`` load with the real networks, and say what their names and headers promise."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import paddle
import pytest

import dygraph.backbones
import dygraph.losses
import dygraph.models  # noqa: F401 - the imports fill the registries
from dygraph.build import build_losses, build_model
from shared.config.eager import load_run_config
from shared.config.overrides import pairs_to_overrides
from shared.config.printing import config_from_dict, config_to_dict, format_config
from shared.config.yaml_file import load_config_file
from shared.registry import LOSSES, MODELS

ROOT = Path(__file__).resolve().parents[3]
BASES = sorted((ROOT / "configs" / "_base_").glob("*.yml"))
CONFIGS = sorted(p for p in (ROOT / "configs").rglob("*.yml") if p.parent.name != "_base_")

PARAMETERS = {  # as PaddleSeg 2.x counts them for 19 classes
    "fcn_hrnetw18_cityscapes_1024x512_80k": 9_675_595,
    "deeplabv3p_resnet50_os8_cityscapes_1024x512_80k": 26_794_243,
    "ann_resnet50_os8_cityscapes_1024x512_80k": 48_659_590,
    "bisenet_cityscapes_1024x1024_160k": 2_532_215,
    "danet_resnet50_os8_cityscapes_1024x512_80k": 47_580_206,
    "deeplabv3_resnet50_os8_cityscapes_1024x512_80k": 39_124_851,
    "fastscnn_cityscapes_1024x1024_160k": 1_444_086,
    "gcnet_resnet50_os8_cityscapes_1024x512_80k": 49_688_839,
    "gscnn_resnet50_os8_cityscapes_1024x512_80k": 39_465_132,
    "hardnet_cityscapes_1024x1024_160k": 4_126_701,
    "ocrnet_hrnetw18_cityscapes_1024x512_160k": 12_123_230,
    "pspnet_resnet50_os8_cityscapes_1024x512_80k": 67_923_846,
    "unet_cityscapes_1024x512_160k": 13_414_163,
    "u2net_cityscapes_1024x512_160k": 44_289_787,
    "u2netp_cityscapes_1024x512_160k": 1_201_371,
    "attention_unet_cityscapes_1024x512_80k": 34_895_367,
    "unet_plusplus_cityscapes_1024x512_160k": 8_371_116,
    "unet_3plus_cityscapes_1024x512_160k": 27_036_691,
    "decoupledsegnet_resnet50_os8_cityscapes_1024x512_80k": 41_709_392,
    "emanet_resnet50_os8_cityscapes_1024x512_80k": 42_408_582,
    "isanet_resnet50_os8_cityscapes_769x769_80k": 37_769_350,
    "dnlnet_resnet50_os8_cityscapes_1024x512_80k": 50_082_183,
    "sfnet_resnet18_os8_cityscapes_1024x1024_80k": 13_806_835,
    "sfnet_resnet50_os8_cityscapes_1024x1024_80k": 42_034_291,
}
#: Where the recipes leave the learning rate and weight decay of ``_base_/cityscapes.yml``.
LEARNING_RATES = {"BiSeNetV2": 0.05, "FastSCNN": 0.05, "HarDNet": 0.02}
DECAYS = {"BiSeNetV2": 5e-4, "HarDNet": 5e-4, "FCN": 5e-4, "OCRNet": 5e-4}


def by_name(path):
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", CONFIGS, ids=by_name)
def test_smoke_loads_prints_and_is_stored(path, tmp_path):
    run = load_run_config(str(path))
    assert config_from_dict(json.loads(json.dumps(config_to_dict(run)))) == run
    printed = tmp_path / "printed.yml"
    printed.write_text(format_config(run), encoding="utf-8")
    again = load_run_config(str(printed))
    assert (again.train, again.schedule, again.optimizer) == (run.train, run.schedule, run.optimizer)
    assert len(build_losses(run.losses, run.ignore_index)) == len(run.losses)


@pytest.mark.parametrize("path", CONFIGS, ids=by_name)
def test_value_header_has_papers_commands_and_the_published_number(path):
    header = "\n".join(line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("#"))
    name = by_name(path)
    joined = re.sub(r"\\\n#\s*", "", header)
    assert "https://arxiv.org/abs/" in header
    assert re.search(rf"python dygraph/train.py --do_eval --config {name}$", joined, re.MULTILINE)
    static = re.search(rf"cd legacy && python pdseg/train.py --do_eval --cfg \.\./{name}(.*)$", joined, re.MULTILINE)
    words = static.group(1).split()
    run = load_run_config(str(path), pairs_to_overrides(words))
    inside = load_run_config(str(path)).train_data.dataset.args.get("dataset_root")
    for data in (run.train_data, run.val_data):
        assert data.dataset.args.get("dataset_root") == (inside and f"../{inside}")  # none: it is downloaded
    assert "Not yet measured with this toolkit." in header or "Measured with this toolkit" in header
    assert re.search(
        r"Published by PaddleSeg for this recipe: mIoU \d\d\.\d\d %|Published mIoU: (not at hand|none)", header
    )


@pytest.mark.parametrize("path", [p for p in CONFIGS if p.parent.name not in ("quick_start", "camvid")], ids=by_name)
def test_value_name_states_crop_and_length(path):
    run = load_run_config(str(path))
    width, height, thousands = map(int, re.search(r"_(\d+)x(\d+)_(\d+)k(?:_|$)", path.stem).groups())
    sizes = [t.args.get("crop_size", t.args.get("target_size")) for t in run.train_data.transforms]
    assert [size for size in sizes if size] == [[width, height]]
    assert run.train.iters == thousands * 1000


@pytest.mark.parametrize("path", [p for p in CONFIGS if re.search("cityscapes|voc12aug", p.stem)], ids=by_name)
def test_value_solver_and_data_are_the_recipes(path):
    run = load_run_config(str(path))
    network = run.model.type
    schedule = run.schedule
    assert (schedule.learning_rate, schedule.power, schedule.end_lr) == (LEARNING_RATES.get(network, 0.01), 0.9, 0.0)
    assert (run.optimizer.type, run.optimizer.momentum) == ("momentum", 0.9)
    assert run.optimizer.weight_decay == DECAYS.get(network, 4e-5)
    is_voc = "voc12aug" in path.stem
    assert run.num_classes == (21 if is_voc else 19)
    assert run.train.batch_size == (4 if is_voc or network in ("SFNet", *LEARNING_RATES) else 2)
    assert run.train_data.dataset.args["mode"] == ("trainaug" if is_voc else "train")


def test_value_every_architecture_has_its_recipes():
    stems = {p.stem for p in CONFIGS}
    cityscapes = {load_run_config(str(p)).model.type for p in CONFIGS if "cityscapes" in p.stem}
    assert cityscapes == set(MODELS) - {"ShuffleNetV2"}  # the portrait network has its own
    voc = {load_run_config(str(p)).model.type for p in CONFIGS if "voc12aug" in p.stem}
    assert voc == {
        *("ANN", "DANet", "DeepLabV3", "DeepLabV3P", "DNLNet", "EMANet", "FCN", "GCNet", "ISANet", "OCRNet", "PSPNet")
    }
    assert set(PARAMETERS) <= stems


@pytest.mark.parametrize("path", [p for p in CONFIGS if p.stem in PARAMETERS], ids=by_name)
def test_value_network_is_the_published_one(path):
    run = load_run_config(str(path))
    with paddle.LazyGuard():  # shapes without memory
        network = build_model(run.model.without("pretrained"), num_classes=19)
    assert sum(math.prod(p.shape) for p in network.parameters()) == PARAMETERS[path.stem]


@pytest.mark.parametrize("path", BASES, ids=by_name)
def test_smoke_bases_hold_everything_but_the_model(path):
    keys = set(load_config_file(str(path)).values)
    assert keys == {"batch_size", "iters", "train_dataset", "val_dataset", "optimizer", "lr_scheduler", "loss"}


@pytest.mark.realdata
def test_value_camvid_lists_fit_the_config(real_data):
    (path,) = [p for p in CONFIGS if p.parent.name == "camvid"]
    from shared.registry import DATASETS

    run = load_run_config(
        str(path),
        {f"{split}_dataset.dataset_root": str(real_data / "camvid") for split in ("train", "val")},
    )
    sizes = [len(DATASETS[d.dataset.type](**d.dataset.args)) for d in (run.train_data, run.val_data)]
    assert sizes == [220, 101]


def test_value_the_real_registries_are_filled():
    assert {"FCN", "DeepLabV3P"} <= set(MODELS)
    assert {"CrossEntropyLoss", "MixedLoss"} <= set(LOSSES)

"""The files of ``configs/`` load with the real networks, and say what their names and headers promise."""

from __future__ import annotations

import json
import re
from pathlib import Path

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

PUBLISHED = {  # PaddleSeg's model zoo, mIoU on the validation set
    "fcn_hrnetw18_cityscapes_1024x512_80k": "80.34",
    "fcn_hrnetw48_cityscapes_1024x512_80k": "80.70",
    "deeplabv3p_resnet50_os8_cityscapes_1024x512_80k": "80.36",
    "deeplabv3p_resnet101_os8_cityscapes_769x769_80k": "81.10",
}
PARAMETERS = {  # as PaddleSeg 2.8.0 counts them for 19 classes
    "fcn_hrnetw18_cityscapes_1024x512_80k": 9_675_595,
    "fcn_hrnetw48_cityscapes_1024x512_80k": 65_944_915,
    "deeplabv3p_resnet50_os8_cityscapes_1024x512_80k": 26_794_243,
}


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
    assert len(build_losses(run.losses, run.ignore_index)) == 1


@pytest.mark.parametrize("path", CONFIGS, ids=by_name)
def test_value_header_has_papers_commands_and_the_published_number(path):
    header = "\n".join(line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("#"))
    name = by_name(path)
    joined = header.replace("\\\n#", "")
    assert "https://arxiv.org/abs/" in header
    assert re.search(rf"python dygraph/train.py --config {name}", joined)
    assert re.search(rf"cd legacy && python pdseg/train.py +--cfg \.\./{name}", joined)
    words = joined.split(f"--cfg ../{name} --do_eval")[1].split("\n")[0].split()
    run = load_run_config(str(path), pairs_to_overrides(words))
    inside = load_run_config(str(path)).train_data.dataset.args["dataset_root"]
    for data in (run.train_data, run.val_data):
        assert data.dataset.args["dataset_root"] == f"../{inside}"
    assert "Not yet measured with this toolkit." in header or "Measured with this toolkit" in header
    published = PUBLISHED.get(path.stem)
    assert f"mIoU {published} %" in header if published else re.search(r"Published mIoU: (unknown|none)", header)


@pytest.mark.parametrize("path", [p for p in CONFIGS if "cityscapes" in p.stem], ids=by_name)
def test_value_name_states_crop_and_length(path):
    run = load_run_config(str(path))
    width, height, thousands = map(int, re.search(r"_(\d+)x(\d+)_(\d+)k$", path.stem).groups())
    (crop,) = [t for t in run.train_data.transforms if t.type == "RandomPaddingCrop"]
    assert crop.args["crop_size"] == [width, height]
    assert run.train.iters == thousands * 1000
    assert (run.schedule.learning_rate, run.schedule.power, run.schedule.end_lr) == (0.01, 0.9, 0.0)
    assert run.optimizer.momentum == 0.9
    assert run.optimizer.weight_decay == (5e-4 if "hrnet" in path.stem else 4e-5)
    assert (run.num_classes, run.train.batch_size) == (19, 2)


@pytest.mark.parametrize("path", [p for p in CONFIGS if p.stem in PARAMETERS], ids=by_name)
def test_value_network_is_the_published_one(path):
    run = load_run_config(str(path))
    network = build_model(run.model.without("pretrained"), num_classes=run.num_classes, data_format=run.data_format)
    assert sum(int(p.size) for p in network.parameters()) == PARAMETERS[path.stem]


@pytest.mark.parametrize("path", BASES, ids=by_name)
def test_smoke_bases_hold_everything_but_model_and_loss(path):
    keys = set(load_config_file(str(path)).values)
    assert keys == {"batch_size", "iters", "train_dataset", "val_dataset", "optimizer", "lr_scheduler"}


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

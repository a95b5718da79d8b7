from __future__ import annotations

import dataclasses
import json

import pytest
import yaml

from shared.config.eager import load_run_config
from shared.config.printing import config_from_dict, config_to_dict, format_config
from shared.config.run_config import RunConfig
from shared.errors import ConfigError

pytestmark = pytest.mark.usefixtures("registries")

PEER_FILES = ["v20_learning_rate", "v21_lr_scheduler", "list_file_dataset", "aug_eval", "mixed_loss", "piecewise"]
OPTS = [
    "epochs=3",
    "data_format=NHWC",
    "reader.kind=thread",
    "num_workers=2",
    "reader.cache=disk",
    "reader.cache_size=1.5",
    "reader.cache_dir=there",
    "precision=bf16",
    "loss_scale=64",
    "amp_level=O2",
    "train_dataset.edge=true",
    "lr_scheduler={type: CosineAnnealingDecay, learning_rate: 0.1, step_unit: epoch}",
]
DEFAULTS_ONLY_PRINTED = ("source", "origins", "model", "losses", "train_data", "val_data")


def comments(text):
    """The comment of each ``key: value`` line after the first."""
    return {line.split("#")[0].strip(): line.split("# ")[1] for line in text.splitlines()[1:] if "  # " in line}


def test_value_lines_name_their_origin(basic):
    text = format_config(load_run_config(basic, {"seed": 3}, ["model.backbone.has_se=true"]))
    found = comments(text)
    assert found["seed: 3"] == "command line"
    assert found["has_se: true"] == "command line"
    assert found["iters: 100"] == basic
    assert found["learning_rate: 0.01"] == basic
    assert found["log_iters: 10"] == "default"
    assert found["channels: null"] == "default"
    assert found["target_size: [64, 32]"] == basic
    assert found["keep_ratio: false"] == "default"
    loss = comments("\n" + text.split("\nloss:")[1].split("\nmodel:")[0])
    assert loss["ignore_index: 255"] == "the data set"
    assert loss["weight: null"] == "default"
    model = comments("\n" + text.split("\nmodel:")[1])
    assert model["num_classes: 3"] == "the data set"
    assert "\nepochs:" not in text


@pytest.mark.parametrize("name", PEER_FILES)
def test_value_printed_text_loads_to_the_same_run(peer_configs, tmp_path, name):
    run = load_run_config(str(peer_configs / f"{name}.yml"))
    _assert_same_after_printing(run, tmp_path)


def test_value_printed_text_of_unusual_values_loads_to_the_same_run(basic, tmp_path):
    _assert_same_after_printing(load_run_config(basic, opts=OPTS), tmp_path)


def _assert_same_after_printing(run, tmp_path):
    path = tmp_path / "printed.yml"
    path.write_text(format_config(run), encoding="utf-8")
    again = load_run_config(str(path))
    for field in dataclasses.fields(RunConfig):
        if field.name not in DEFAULTS_ONLY_PRINTED:
            assert getattr(again, field.name) == getattr(run, field.name), field.name
    for mine, theirs in zip(_blocks(run), _blocks(again)):
        assert mine["type"] == theirs["type"]
        assert {k: theirs[k] for k in mine if k not in ("backbone", "losses")} == {
            k: v for k, v in mine.items() if k not in ("backbone", "losses")
        }
    assert [t.coef for t in again.losses] == [t.coef for t in run.losses]
    for mine, theirs in ((run.train_data, again.train_data), (run.val_data, again.val_data)):
        assert (mine and (mine.to_rgb, mine.edge)) == (theirs and (theirs.to_rgb, theirs.edge))


def _blocks(run):
    components = [run.model, run.model.args["backbone"], *(t.loss for t in run.losses)]
    for data in (run.train_data, run.val_data):
        components += [data.dataset, *data.transforms] if data else []
    return [c.to_dict() for c in components]


@pytest.mark.parametrize("name", PEER_FILES)
def test_value_stored_config_comes_back(peer_configs, name):
    run = load_run_config(str(peer_configs / f"{name}.yml"))
    assert config_from_dict(json.loads(json.dumps(config_to_dict(run)))) == run


def test_value_every_field_is_stored(basic):
    stored = config_to_dict(load_run_config(basic))
    assert list(stored) == [f.name for f in dataclasses.fields(RunConfig)]
    assert stored["train"]["iters"] == 100
    assert stored["model"] == {"type": "FCN", "backbone": {"type": "HRNet_W18"}, "num_classes": 3}


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.pop("model"),
        lambda d: d.update(train={"itres": 3}),
        lambda d: d.update(optimizer=None),
        lambda d: d.update(colour="red"),
        lambda d: d.update(losses=[{"coef": 1}]),
    ],
)
def test_error_damaged_stored_config(basic, change):
    stored = config_to_dict(load_run_config(basic))
    change(stored)
    with pytest.raises(ConfigError, match="stored config cannot be read"):
        config_from_dict(stored)


def test_value_origins_of_the_static_front_end_are_listed(basic):
    origins = {
        "SOLVER.LR": "hrnet.yaml",
        "BATCH_SIZE": "command line",
        "TRAINER.X": "default",
        "--seed": "command line",
    }
    text = format_config(load_run_config(basic).replace(origins=origins))
    assert text.splitlines()[-3:] == ["# SOLVER.LR: hrnet.yaml", "# BATCH_SIZE: command line", "# --seed: command line"]
    assert yaml.safe_load(text)["iters"] == 100
    assert comments(text) == {}


def test_value_awkward_texts_survive(basic, tmp_path):
    run = load_run_config(basic, {"save_dir": "out: #1 'x' é", "vdl_log_dir": "null", "resume_model": "12"})
    path = tmp_path / "printed.yml"
    path.write_text(format_config(run), encoding="utf-8")
    assert load_run_config(str(path)).train == run.train

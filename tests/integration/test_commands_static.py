"""The commands of ``legacy/pdseg`` from their command lines to their files, over both kinds of config."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys

import numpy as np
import paddle
import pytest
import yaml
from PIL import Image

from dygraph.engine.export import ExportedPredictor, ExportSpec
from dygraph.engine.session import make_predictor
from dygraph.engine.stepper import EagerPredictor
from dygraph.kernels.choice import lacking
from legacy.pdseg import cli
from legacy.pdseg.config import load_static_config
from shared.config.run_config import EvalConfig
from shared.engine.inference import predict_ids
from tests.integration.conftest import (
    NUM_CLASSES,
    SEEDED,
    checkpoints,
    finish,
    ids_of,
    iou_of,
    normalised,
    pairs,
    records,
    succeed,
    unequal,
)


@pytest.fixture(scope="module")
def predictor(static_yaml, static_weights):
    """The yacs network in the other mode: what the static commands must agree with."""
    return make_predictor(load_static_config(static_yaml), str(static_weights), False)


def test_smoke_train_writes_its_files(static_run):
    out = static_run.save_dir
    assert sorted(p.name for p in out.iterdir()) == ["best_model", "iter_4", "metrics.jsonl", "train.log"]
    assert unequal(out / "best_model", out / "iter_4") == []
    log = (out / "train.log").read_text()
    for piece in ("run plan: DeepLabV3P in static mode", "batch 2 (global", "reader inline", "seed: 5, deterministic"):
        assert piece in log, piece
    assert json.loads((out / "iter_4" / "state.json").read_text())["mode"] == "static"
    assert paddle.in_dynamic_mode() is not False, "static mode ended with the command"


def test_value_log_steps_schedule_and_evaluation(static_run):
    lines = records(static_run.save_dir)
    assert [line["iter"] for line in lines] == [1, 2, 3, 4]
    assert [line["lr"] for line in lines] == pytest.approx([0.01 * (1 - i / 4) ** 0.9 for i in range(4)], rel=1e-12)
    (evaluation,) = records(static_run.save_dir, "eval")
    assert (evaluation["iter"], evaluation["images"]) == (4, 4)


def test_value_mpio_and_overrides(static_run, static_yaml, tmp_path):
    """Worker processes read the same batches; KEY VALUE words replace what the file says."""
    words = ("TRAIN.MODEL_SAVE_DIR", tmp_path, "DATALOADER.NUM_WORKERS", 2, "TRAIN.SEED", 5)
    ended = succeed(cli.train, "--cfg", static_yaml, "--use_mpio", "--log_steps", 1, "--deterministic", *words)
    assert "reader process with 2 workers" in ended.log
    first, *_ = records(tmp_path)
    assert first["loss"] == records(static_run.save_dir)[0]["loss"]
    assert unequal(tmp_path / "iter_4", static_run.save_dir / "iter_4") == []
    assert records(tmp_path, "eval") == []


def test_value_batch_size_epochs_snapshots_and_debug(static_yaml, tmp_path):
    words = ("BATCH_SIZE", 4, "SOLVER.NUM_EPOCHS", 2, "SOLVER.LR", 0.02, "TRAIN.MODEL_SAVE_DIR", tmp_path)
    ended = succeed(cli.train, "--cfg", static_yaml, "--debug", *words, "MODEL.DATA_FORMAT", "NHWC")
    assert checkpoints(tmp_path) == ["iter_2", "iter_4"], "a snapshot an epoch of 8 images in batches of 4"
    assert "lr 0.02 (peak 0.02" in ended.log
    named = [line for line in ended.log.splitlines() if line.startswith("DEBUG iteration ")]
    assert len(named) == 4
    assert all(line.count("_leftImg8bit.png") == 4 for line in named)
    assert json.loads((tmp_path / "iter_4/state.json").read_text())["config"]["data_format"] == "NHWC"
    assert logging.getLogger().level != logging.DEBUG


def test_value_fp16_on_a_cpu_says_so_once_and_goes_on(static_run, static_yaml, tmp_path):
    words = ("MODEL.FP16", "True", "TRAIN.MODEL_SAVE_DIR", tmp_path)
    ended = succeed(cli.train, "--cfg", static_yaml, *SEEDED, *words)
    assert sum("float16 is unavailable on a CPU" in line for line in ended.log.splitlines()) == 1
    assert unequal(tmp_path / "iter_4", static_run.save_dir / "iter_4") == []


@pytest.mark.skipif(lacking() is not None, reason=str(lacking()))
def test_value_paddles_own_kernels_train_nearly_the_same(static_run, static_yaml, tmp_path):
    words = ("TRAIN.ONEDNN", "False", "TRAIN.MODEL_SAVE_DIR", tmp_path)
    ended = succeed(cli.train, "--cfg", static_yaml, "--log_steps", 1, *SEEDED, *words)
    assert "precision: float32\n" in ended.log
    assert "precision: float32, convolutions by oneDNN\n" in static_run.finished.log
    losses, expected = ([line["loss"] for line in records(folder)] for folder in (tmp_path, static_run.save_dir))
    assert losses[0] == pytest.approx(expected[0], rel=1e-5)
    assert unequal(tmp_path / "iter_4", static_run.save_dir / "iter_4") != [], "the same kernels"


def test_value_a_file_of_configs_trains_as_in_eager_mode(eager_run, eager_yaml, tmp_path):
    words = ("iters", 4, "save_interval=2", "save_dir", tmp_path)
    succeed(cli.train, "--cfg", eager_yaml, "--log_steps", 1, "--do_eval", *SEEDED, *words)
    assert checkpoints(tmp_path) == ["iter_2", "iter_4"]
    for name in ("iter_2", "iter_4"):
        assert unequal(tmp_path / name, eager_run.save_dir / name) == [], name
    for kind, keys in (("train", ("iter", "epoch", "loss", "terms", "lr")), ("eval", ("iter", "miou", "kappa"))):
        static, eager = records(tmp_path, kind), records(eager_run.save_dir, kind)
        assert [[line[k] for k in keys] for line in static] == [[line[k] for k in keys] for line in eager]


def test_error_use_vdl_without_visualdl_names_the_pip_line(static_yaml, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "visualdl", None)
    ended = finish(cli.train, "--cfg", static_yaml, "--use_vdl", "TRAIN.MODEL_SAVE_DIR", tmp_path)
    assert ended.code == 2
    assert "pip install visualdl" in ended.err
    assert checkpoints(tmp_path) == []


def test_value_vdl_log_dir(static_yaml, tmp_path, monkeypatch):
    written = {}

    class LogWriter:
        def __init__(self, logdir):
            written["logdir"] = logdir

        def add_scalar(self, tag, value, step):
            written[tag, step] = value

        def close(self):
            pass

    monkeypatch.setitem(sys.modules, "visualdl", type("visualdl", (), {"LogWriter": LogWriter}))
    flags = ("--use_vdl", "--vdl_log_dir", tmp_path / "scalars", "BATCH_SIZE", 8)
    succeed(cli.train, "--cfg", static_yaml, *flags, "TRAIN.MODEL_SAVE_DIR", tmp_path)
    (line,) = records(tmp_path)
    assert written["logdir"] == str(tmp_path / "scalars")
    assert written["train/loss", 1] == line["loss"]


def test_value_print_config_trains_nothing(static_yaml, tmp_path):
    words = ("BATCH_SIZE", 6, "TRAIN.MODEL_SAVE_DIR", tmp_path / "run")
    ended = succeed(cli.train, "--cfg", static_yaml, "--print_config", *words)
    assert yaml.safe_load(ended.out)["batch_size"] == 6
    assert "# BATCH_SIZE: command line" in ended.out
    assert not (tmp_path / "run").exists()


WAYS = {
    "plain": ((), EvalConfig()),
    "everything": (
        (
            *("TEST.AUG_EVAL", "True", "TEST.SCALES", "[1.0, 1.5]", "TEST.FLIP_HORIZONTAL", "True"),
            *("TEST.FLIP_VERTICAL", "True", "TEST.IS_SLIDE", "True", "TEST.CROP_SIZE", "(96, 64)"),
            *("TEST.STRIDE", "(64, 48)"),
        ),
        EvalConfig(True, (1.0, 1.5), True, True, True, (64, 96), (48, 64)),
    ),
}


@pytest.mark.parametrize("way", ["plain", pytest.param("everything", marks=pytest.mark.slow)])
def test_value_eval_equals_inference_called_by_hand(way, static_yaml, static_weights, predictor, scenes, tmp_path):
    words, config = WAYS[way]
    given = ("--cfg", static_yaml, "--save_dir", tmp_path, "TEST.TEST_MODEL", static_weights)
    ended = succeed(cli.evaluate, *given, *words)
    labels, predictions = [], []
    for image, label in pairs(scenes):
        valid = ids_of(label) != 255
        labels.append(ids_of(label)[valid])
        predictions.append(predict_ids(predictor, normalised(image), config)[0][valid])
    labels, predictions = np.concatenate(labels), np.concatenate(predictions)
    assert len(np.unique(predictions)) > 3
    wanted = iou_of(labels, predictions)
    written = json.loads((tmp_path / "metrics.json").read_text())
    np.testing.assert_allclose(np.array([c["iou"] for c in written["classes"]], np.float64), wanted, rtol=1e-12)
    assert f"images 4, mIoU {np.nanmean(wanted):.4f}" in ended.out
    assert (tmp_path / "confusion.png").is_file()


def test_value_eval_model_path_wins_over_test_model_and_prints_the_stored_score(static_yaml, static_run, tmp_path):
    best = static_run.save_dir / "best_model"
    given = ("--cfg", static_yaml, "--model_path", best, "--save_dir", tmp_path, "TEST.TEST_MODEL", "/nowhere")
    ended = succeed(cli.evaluate, *given)
    (evaluation,) = records(static_run.save_dir, "eval")
    assert f"mIoU {evaluation['miou']:.4f} (stored with the checkpoint: {evaluation['miou']:.4f})" in ended.out


@pytest.mark.parametrize("command", ["evaluate", "visualize", "export_model"])
def test_error_no_weights_are_named(command, static_yaml, tmp_path):
    ended = finish(getattr(cli, command), "--cfg", static_yaml)
    assert ended.code == 2
    assert "give --model_path PATH, or TEST.TEST_MODEL PATH" in ended.err


def test_value_vis_of_an_image(static_yaml, static_weights, predictor, scenes, tmp_path):
    image, _ = pairs(scenes)[0]
    colours = np.arange(3 * NUM_CLASSES) * 3
    given = ("--cfg", static_yaml, "--model_path", static_weights, "--image_path", image, "--vis_dir", tmp_path)
    succeed(cli.visualize, *given, "--save_probabilities", "--custom_color", *colours)
    written = Image.open(tmp_path / "pseudo_color_prediction" / image.name)
    assert np.array_equal(np.asarray(written), predict_ids(predictor, normalised(image), EvalConfig())[0])
    assert written.getpalette()[: 3 * NUM_CLASSES] == colours.tolist()
    assert Image.open(tmp_path / "added_prediction" / image.name).size == (96, 64)
    found = np.load(tmp_path / "probabilities" / f"{image.stem}.npz")["probabilities"]
    assert found.shape == (NUM_CLASSES, 64, 96)
    np.testing.assert_allclose(found.astype(np.float64).sum(axis=0), 1, atol=5e-3)


def test_value_vis_without_an_image_takes_the_vis_list_or_the_validation_set(
    static_yaml, static_weights, scenes, tmp_path
):
    names = sorted(image.name for image, _ in pairs(scenes))
    given = ("--cfg", static_yaml, "--model_path", static_weights, "--vis_dir")
    succeed(cli.visualize, *given, tmp_path / "val")
    found = sorted(p.name for p in (tmp_path / "val" / "pseudo_color_prediction").rglob("*.png"))
    assert found == names

    chosen = tmp_path / "vis.txt"
    chosen.write_text("\n".join(str(image.relative_to(scenes)) for image, _ in pairs(scenes)[:2]))
    succeed(cli.visualize, *given, tmp_path / "vis", "DATASET.VIS_FILE_LIST", chosen)
    found = sorted(p.name for p in (tmp_path / "vis" / "pseudo_color_prediction").rglob("*.png"))
    assert found == sorted(image.name for image, _ in pairs(scenes)[:2])


def test_value_export_writes_where_freeze_says(static_yaml, static_weights, predictor, tmp_path):
    words = ("FREEZE.SAVE_DIR", tmp_path / "frozen", "FREEZE.MODEL_FILENAME", "net")
    words += ("FREEZE.PARAMS_FILENAME", "net.weights", "TEST.TEST_MODEL", static_weights)
    ended = succeed(cli.export_model, "--cfg", static_yaml, "--output_op", "softmax", *words)
    assert sorted(p.name for p in (tmp_path / "frozen").iterdir()) == ["deploy.yaml", "net.json", "net.weights"]
    assert "export proved on 1 image(s)" in ended.log
    images = np.random.default_rng(1).standard_normal((2, 3, 56, 88), dtype=np.float32)
    spec = ExportSpec(tmp_path / "frozen", "softmax", model_name="net", params_name="net.weights")
    logits = EagerPredictor(predictor.network).logits(images)  # by Paddle's own kernels, as exports compute
    exponentials = np.exp(logits.astype(np.float64))
    wanted = exponentials / exponentials.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(ExportedPredictor(spec).run(images), wanted, atol=1e-5)
    deploy = yaml.safe_load((tmp_path / "frozen" / "deploy.yaml").read_text())["Deploy"]
    assert (deploy["model"], deploy["params"], deploy["output_op"]) == ("net.json", "net.weights", "softmax")
    assert [t["type"] for t in deploy["transforms"]] == ["Padding", "Normalize"]
    assert deploy["to_rgb"] is True


@pytest.mark.parametrize(
    ("operator", "shape"), [("argmax", (1, 3, 64, 96)), ("none", (-1, 3, 48, 64))], ids=["argmax", "none"]
)
def test_value_export_operators_and_shapes(operator, shape, eager_yaml, eager_weights, tmp_path):
    given = ("--cfg", eager_yaml, "--model_path", eager_weights, "--save_dir", tmp_path, "--output_op", operator)
    succeed(cli.export_model, *given, "--input_shape", *shape)
    batch = 2 if shape[0] < 0 else shape[0]
    images = np.random.default_rng(1).standard_normal((batch, *shape[1:]), dtype=np.float32)
    output = ExportedPredictor(ExportSpec(tmp_path)).run(images)
    logits = make_predictor(load_static_config(eager_yaml), str(eager_weights), False).logits(images)
    if operator == "argmax":
        assert output.dtype == np.int32
        assert output.shape == (1, 64, 96)
        assert np.mean(output != logits.argmax(axis=1)) <= 1e-3
    else:
        np.testing.assert_allclose(output, logits, rtol=1e-4, atol=1e-4)
    assert yaml.safe_load((tmp_path / "deploy.yaml").read_text())["Deploy"]["input_shape"] == list(shape)


def test_value_check_reports_every_class(static_yaml, scenes, tmp_path):
    image, label = pairs(scenes)[0]
    lines = (scenes / "train.txt").read_text() * 2, f"{image.relative_to(scenes)} {label.relative_to(scenes)}\n"
    words = []
    for part, text in zip(("train", "val"), lines):
        (tmp_path / f"{part}.txt").write_text(text)
        words += [f"DATASET.{part.upper()}_FILE_LIST", tmp_path / f"{part}.txt"]
    ended = succeed(cli.check, "--cfg", static_yaml, *words)
    assert "train_dataset: 16 images, 0 with problems" in ended.out
    report = ended.out[ended.out.index("val_dataset: 1 images, 0 with problems") :].splitlines()
    counts = np.bincount(ids_of(label).ravel(), minlength=256)[:NUM_CLASSES]
    shares = [line.split()[-2] for line in report if line.endswith("%")]
    assert [float(share) for share in shares] == pytest.approx(100 * counts / counts.sum(), abs=6e-4)
    absent = [f"class {number}" for number, count in enumerate(counts) if not count]
    assert 0 < len(absent) < NUM_CLASSES
    assert f"    - val_dataset has no pixel of {', '.join(absent)}" in report
    assert report[-1] == "no problems found"


@pytest.mark.parametrize(
    ("script", "main"),
    [("train", "train"), ("eval", "evaluate"), ("vis", "visualize"), ("export_model", "export_model"), ("check",) * 2],
)
def test_smoke_help(script, main, root):
    ended = finish(getattr(cli, main), "--help")
    assert ended.code == 0
    assert "--cfg" in ended.out
    text = (root / "legacy" / "pdseg" / f"{script}.py").read_text()
    assert f"from legacy.pdseg.cli import {main}\n" in text
    assert f"run_command({main})" in text


def test_smoke_the_script_itself(root, eager_yaml, tmp_path):
    """A process of its own, started in ``legacy`` as the README says."""
    words = ["--cfg", eager_yaml, "--log_steps", "1", "iters", "1", "save_dir", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "pdseg/train.py", *words],
        cwd=root / "legacy",
        env={**os.environ, "PYTHONPATH": ""},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert checkpoints(tmp_path) == ["iter_1"]
    assert "[TRAIN] epoch: 1, iter: 1/1, loss: " in done.stderr

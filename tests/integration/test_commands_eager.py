"""``dygraph/train.py`` from its command line to its files: every flag changes what it should."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from dygraph import cli
from tests.integration.conftest import EAGER, SEEDED, checkpoints, finish, records, succeed, unequal


def train(config, save_dir, *flags):
    return succeed(cli.train, "--config", config, "--save_dir", save_dir, *flags)


def poly(i, total, lr=0.01, end=0.001, power=0.9):
    return (lr - end) * (1 - i / total) ** power + end


def state_of(checkpoint: Path) -> dict:
    return json.loads((checkpoint / "state.json").read_text())


def test_smoke_train_writes_its_files(eager_run):
    out = eager_run.save_dir
    assert checkpoints(out) == ["iter_2", "iter_4"]
    assert sorted(p.name for p in out.iterdir()) == ["best_model", "iter_2", "iter_4", "metrics.jsonl", "train.log"]
    for folder in ("iter_2", "iter_4", "best_model"):
        assert sorted(p.name for p in (out / folder).iterdir()) == [
            "model.safetensors",
            "optimizer.safetensors",
            "state.json",
        ]
    log = (out / "train.log").read_text()
    for piece in ("run plan: FCN in eager mode", "8 images, 19 classes, batch 2", "iter: 4/4", "[EVAL] iter: 4"):
        assert piece in log, piece
    assert "run plan: FCN in eager mode" in eager_run.finished.err, "the console shows the log too"


def test_value_learning_rate_follows_the_polynomial(eager_run):
    lines = records(eager_run.save_dir)
    assert [line["iter"] for line in lines] == [1, 2, 3, 4]
    assert [line["epoch"] for line in lines] == [1, 1, 1, 1]
    for i, line in enumerate(lines):
        assert line["lr"] == pytest.approx(poly(i, 4), rel=1e-12)
    assert abs(lines[0]["loss"] - math.log(19)) < 1.5, "untrained: near the loss of guessing"


def test_value_best_model_is_the_best_evaluation(eager_run):
    evaluations = records(eager_run.save_dir, "eval")
    assert [line["iter"] for line in evaluations] == [2, 4]
    assert all(line["images"] == 4 for line in evaluations)
    best = max(evaluations, key=lambda line: line["miou"])
    state = state_of(eager_run.save_dir / "best_model")
    assert state["iteration"] == best["iter"]
    assert state["best"] == {"miou": best["miou"], "iteration": best["iter"]}
    assert unequal(eager_run.save_dir / "best_model", eager_run.save_dir / f"iter_{best['iter']}") == []


def test_value_a_seed_repeats_a_run_and_another_does_not(eager_run, eager_yaml, tmp_path):
    train(eager_yaml, tmp_path / "a", "--iters", 4, *SEEDED)
    assert unequal(tmp_path / "a" / "iter_4", eager_run.save_dir / "iter_4") == []
    train(eager_yaml, tmp_path / "b", "--iters", 4, "--deterministic", "--seed", 6)
    assert unequal(tmp_path / "b" / "iter_4", eager_run.save_dir / "iter_4")


def test_value_worker_processes_change_no_bit(eager_run, eager_yaml, tmp_path):
    ended = train(eager_yaml, tmp_path, "--iters", 4, "--num_workers", 2, "--log_iters", 1, *SEEDED)
    assert "reader process with 2 workers" in ended.log
    losses = [line["loss"] for line in records(tmp_path)]
    assert losses == [line["loss"] for line in records(eager_run.save_dir)]
    assert unequal(tmp_path / "iter_4", eager_run.save_dir / "iter_4") == []


def test_value_epochs_batch_size_and_learning_rate(eager_yaml, tmp_path):
    flags = ("--epochs", 2, "--batch_size", 4, "--learning_rate", 0.02, "--log_iters", 2)
    ended = train(eager_yaml, tmp_path, *flags)
    assert checkpoints(tmp_path) == ["iter_4"], "2 epochs of 8 images in batches of 4"
    assert "length: 4 iterations of (4, 3, 48, 64), 2 an epoch, 2.0 epochs" in ended.log
    lines = records(tmp_path)
    assert [(line["iter"], line["epoch"]) for line in lines] == [(2, 1), (4, 2)]
    assert [line["lr"] for line in lines] == pytest.approx([poly(1, 4, 0.02), poly(3, 4, 0.02)], rel=1e-12)
    assert records(tmp_path, "eval") == []
    assert not (tmp_path / "best_model").exists()


def test_value_save_interval_and_keep_checkpoint_max(eager_yaml, tmp_path):
    train(eager_yaml, tmp_path / "two", "--iters", 5, "--save_interval", 1, "--keep_checkpoint_max", 2)
    assert checkpoints(tmp_path / "two") == ["iter_4", "iter_5"]
    train(eager_yaml, tmp_path / "all", "--iters", 6, "--save_interval", 1, "--keep_checkpoint_max", 0)
    assert checkpoints(tmp_path / "all") == [f"iter_{n}" for n in range(1, 7)]


def test_value_fp16_on_a_cpu_says_so_once_and_goes_on(eager_run, eager_yaml, tmp_path):
    ended = train(eager_yaml, tmp_path, "--iters", 4, "--fp16", "--device", "cpu", *SEEDED)
    notes = [line for line in ended.log.splitlines() if "float16 is unavailable on a CPU" in line]
    assert len(notes) == 1
    assert unequal(tmp_path / "iter_4", eager_run.save_dir / "iter_4") == []


def test_value_nhwc_trains_the_same_network(eager_run, eager_yaml, tmp_path):
    train(eager_yaml, tmp_path, "--iters", 4, "--data_format", "NHWC", "--log_iters", 1, *SEEDED)
    assert state_of(tmp_path / "iter_4")["config"]["data_format"] == "NHWC"
    first, *_ = records(tmp_path)
    assert first["loss"] == pytest.approx(records(eager_run.save_dir)[0]["loss"], rel=1e-4)


def test_value_opts_replace_config_values_and_win_over_flags(eager_run, eager_yaml, tmp_path):
    opts = ("--opts", "optimizer.weight_decay=0.5", "lr_scheduler.end_lr=0.005", "iters=4")
    train(eager_yaml, tmp_path, "--iters", 3, "--log_iters", 1, *SEEDED, *opts)
    lines = records(tmp_path)
    assert [line["lr"] for line in lines] == pytest.approx([poly(i, 4, end=0.005) for i in range(4)], rel=1e-12)
    assert lines[0]["loss"] == records(eager_run.save_dir)[0]["loss"], "the first forward pass knows no decay"
    assert lines[3]["loss"] != records(eager_run.save_dir)[3]["loss"]


def test_value_print_config_is_a_config_and_trains_nothing(eager_yaml, tmp_path):
    out = tmp_path / "run"
    ended = train(eager_yaml, out, "--print_config", "--iters", 7, "--seed", 3)
    assert not out.exists()
    shown = yaml.safe_load(ended.out)
    assert (shown["iters"], shown["seed"], shown["batch_size"]) == (7, 3, 2)
    assert shown["model"]["backbone"]["stage4_num_channels"] == [4, 8, 16, 32]
    (line,) = [line for line in ended.out.splitlines() if line.startswith("iters:")]
    assert line.endswith("# command line")


def test_value_a_run_without_a_seed_says_which_one_it_drew(eager_yaml, tmp_path):
    ended = train(eager_yaml, tmp_path / "a", "--iters", 1)
    (seed,) = [line.split()[-1] for line in ended.log.splitlines() if line.startswith("INFO   seed:")]
    train(eager_yaml, tmp_path / "b", "--iters", 1, "--seed", seed)
    assert unequal(tmp_path / "a" / "iter_1", tmp_path / "b" / "iter_1") == []


def test_error_use_vdl_without_visualdl_names_the_pip_line(eager_run, eager_yaml, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "visualdl", None)
    ended = finish(cli.train, "--config", eager_yaml, "--save_dir", tmp_path, "--use_vdl")
    assert ended.code == 2
    assert "pip install visualdl" in ended.err
    assert "Traceback" not in ended.err
    assert checkpoints(tmp_path) == []


def test_value_use_vdl_writes_what_the_log_holds(eager_yaml, tmp_path, monkeypatch):
    written = {}

    class LogWriter:
        def __init__(self, logdir):
            written["logdir"] = logdir

        def add_scalar(self, tag, value, step):
            written[tag, step] = value

        def close(self):
            written["closed"] = True

    monkeypatch.setitem(sys.modules, "visualdl", type("visualdl", (), {"LogWriter": LogWriter}))
    train(eager_yaml, tmp_path, "--use_vdl", "--iters", 2, "--log_iters", 1, "--do_eval")
    assert written["logdir"] == str(tmp_path / "vdl_log")
    assert written["closed"]
    for line in records(tmp_path):
        assert written["train/loss", line["iter"]] == line["loss"]
        assert written["train/lr", line["iter"]] == line["lr"]
    assert written["eval/miou", 2] == records(tmp_path, "eval")[0]["miou"]


def test_value_an_earlier_run_is_moved_aside_and_kept(eager_yaml, tmp_path):
    for seed in (1, 2, 3):
        ended = train(eager_yaml, tmp_path, "--iters", 1, "--seed", seed, "--do_eval")
    assert "held an earlier run" in ended.log
    first, second = tmp_path / "earlier_runs" / "1", tmp_path / "earlier_runs" / "2"
    for folder, seed in ((first, 1), (second, 2), (tmp_path, 3)):
        assert checkpoints(folder) == ["iter_1"]
        assert state_of(folder / "iter_1")["config"]["train"]["seed"] == seed
        assert [line["iter"] for line in records(folder)] == [1]
        assert (folder / "best_model" / "model.safetensors").is_file()
        assert f"seed: {seed}" in (folder / "train.log").read_text()


def test_error_a_gpu_is_asked_for_and_there_is_none(eager_yaml, tmp_path):
    import paddle

    if paddle.is_compiled_with_cuda():
        pytest.skip("this Paddle has CUDA")
    ended = finish(cli.train, "--config", eager_yaml, "--save_dir", tmp_path, "--device", "gpu")
    assert ended.code == 2
    assert "built without CUDA" in ended.err


@pytest.mark.parametrize("script", ["train", "val", "predict", "export"])
def test_smoke_help(script, root):
    ended = finish(getattr(cli, script), "--help")
    assert ended.code == 0
    assert "--config" in ended.out
    assert f"from dygraph.cli import {script}\n" in (root / "dygraph" / f"{script}.py").read_text()


def test_smoke_the_script_itself(root, scenes, tmp_path):
    """A process of its own, started from another folder, with the small HRNet of the quick start."""
    config = {
        **EAGER,
        "model": {"type": "FCN", "backbone": {"type": "HRNet_W18_Small_V1"}},
        "train_dataset": {
            "type": "Cityscapes",
            "dataset_root": str(scenes),
            "transforms": [{"type": "RandomPaddingCrop", "crop_size": [64, 48]}, {"type": "Normalize"}],
        },
    }
    (tmp_path / "run.yml").write_text(yaml.safe_dump(config))
    done = subprocess.run(
        [sys.executable, str(root / "dygraph" / "train.py"), "--config", "run.yml", "--iters", "1"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": ""},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert checkpoints(tmp_path / "output") == ["iter_1"]
    assert "[TRAIN] epoch: 1, iter: 1/1, loss: " in done.stderr

"""Six iterations in one go equal three and three, to the last bit, whichever mode takes over from which."""

from __future__ import annotations

import pytest

from dygraph import cli as eager
from legacy.pdseg import cli as static
from tests.integration.conftest import SEEDED, checkpoints, finish, records, succeed, unequal

NEWEST = "newest"  # --resume alone


def train(mode, config, save_dir, seed=SEEDED, resume=None, iters=6, code=0):
    """Train the same eager YAML in either mode, with augmentation, a checkpoint every three iterations."""
    if mode == "eager":
        flags = ["--iters", iters, "--save_interval", 3, "--save_dir", save_dir, "--log_iters", 1]
        flags += ["--resume"] if resume == NEWEST else [] if resume is None else ["--resume_model", resume]
        ended = finish(eager.train, "--config", config, *seed, *flags)
    else:
        words = ["iters", iters, "save_interval", 3, "save_dir", save_dir]
        words += [] if resume in (None, NEWEST) else ["resume_model", resume]
        flags = ["--resume"] if resume == NEWEST else []
        ended = finish(static.train, "--cfg", config, "--log_steps", 1, *flags, *seed, *words)
    assert ended.code == code, ended.err
    return ended


@pytest.fixture(scope="module")
def whole(eager_yaml, tmp_path_factory):
    """Six iterations in one go, in either mode."""
    runs = {}
    for mode in ("eager", "static"):
        runs[mode] = tmp_path_factory.mktemp(mode)
        train(mode, eager_yaml, runs[mode])
    return runs


def test_value_the_modes_write_equal_checkpoints(whole):
    for name in ("iter_3", "iter_6"):
        assert unequal(whole["eager"] / name, whole["static"] / name) == []


@pytest.mark.parametrize("first", ["eager", "static"])
@pytest.mark.parametrize("second", ["eager", "static"])
def test_value_three_and_three_equal_six(first, second, whole, eager_yaml, tmp_path):
    ended = train(second, eager_yaml, tmp_path, resume=whole[first] / "iter_3")
    assert f"resumed from {whole[first] / 'iter_3'}" in ended.log
    assert checkpoints(tmp_path) == ["iter_6"]
    assert unequal(tmp_path / "iter_6", whole[first] / "iter_6") == []
    uninterrupted = records(whole[first])[3:]
    assert len(records(tmp_path)) == len(uninterrupted) == 3
    for line, wanted in zip(records(tmp_path), uninterrupted):
        for key in ("iter", "epoch", "loss", "terms", "lr"):
            assert line[key] == wanted[key]


def test_value_adam_resumes_too(write_eager, tmp_path):
    config = write_eager(optimizer={"type": "adam", "weight_decay": 1e-4})
    train("eager", config, tmp_path / "whole")
    train("static", config, tmp_path / "rest", resume=tmp_path / "whole" / "iter_3")
    assert unequal(tmp_path / "rest" / "iter_6", tmp_path / "whole" / "iter_6") == []


def test_value_dropout_resumes_too(write_eager, tmp_path):
    """DeepLabV3P draws a dropout mask in every step; a resumed run draws those of its own iterations."""
    config = write_eager(model={"type": "DeepLabV3P", "backbone": {"type": "ResNet18_vd", "output_stride": 16}})
    train("static", config, tmp_path / "whole")
    train("eager", config, tmp_path / "rest", resume=tmp_path / "whole" / "iter_3")
    assert unequal(tmp_path / "rest" / "iter_6", tmp_path / "whole" / "iter_6") == []


def test_value_a_weights_only_restart_would_differ(whole, eager_yaml, tmp_path):
    """The comparison above can fail: without the velocities the run ends elsewhere."""
    weights = whole["eager"] / "iter_3" / "model.safetensors"
    flags = ("--iters", 6, "--save_dir", tmp_path, *SEEDED, "--opts", f"weights={weights}")
    succeed(eager.train, "--config", eager_yaml, *flags)
    assert unequal(tmp_path / "iter_6", whole["eager"] / "iter_6")


@pytest.mark.parametrize("mode", ["eager", "static"])
def test_value_resuming_in_place_keeps_the_records(mode, eager_yaml, tmp_path):
    """``--resume`` takes the newest checkpoint; nothing is moved aside and no step stands twice."""
    train(mode, eager_yaml, tmp_path, iters=3)
    train(mode, eager_yaml, tmp_path, resume=NEWEST)
    assert checkpoints(tmp_path) == ["iter_3", "iter_6"]
    assert [line["iter"] for line in records(tmp_path)] == [1, 2, 3, 4, 5, 6]
    assert not (tmp_path / "earlier_runs").exists()
    assert (tmp_path / "train.log").read_text().count("run plan:") == 2


def test_value_a_resumed_run_without_a_seed_keeps_the_one_it_drew(eager_yaml, tmp_path):
    train("eager", eager_yaml, tmp_path / "whole", seed=())
    train("eager", eager_yaml, tmp_path / "rest", seed=(), resume=tmp_path / "whole" / "iter_3")
    assert unequal(tmp_path / "rest" / "iter_6", tmp_path / "whole" / "iter_6") == []


def test_value_the_best_score_survives_a_resume(eager_run, eager_yaml, tmp_path):
    """An evaluation after the resume is compared with the best one before it."""
    best = max(line["miou"] for line in records(eager_run.save_dir, "eval"))
    flags = ("--iters", 5, "--do_eval", "--save_dir", tmp_path, *SEEDED)
    ended = succeed(eager.train, "--config", eager_yaml, *flags, "--resume_model", eager_run.save_dir / "iter_4")
    (evaluation,) = records(tmp_path, "eval")
    assert f"best {max(best, evaluation['miou']):.4f} at iteration" in ended.log


def test_error_a_finished_run_has_nothing_left_to_do(whole, eager_yaml, tmp_path):
    ended = train("eager", eager_yaml, tmp_path, resume=whole["eager"] / "iter_6", code=2)
    assert "is at iteration 6, and the run ends at 6: nothing is left to train" in ended.err
    assert checkpoints(tmp_path) == []


def test_error_two_ways_to_resume(eager_yaml, static_yaml, tmp_path):
    ended = finish(eager.train, "--config", eager_yaml, "--resume", "--resume_model", tmp_path)
    assert ended.code == 2
    assert "--resume_model: not allowed with argument --resume" in ended.err
    for config, key in ((eager_yaml, "resume_model"), (static_yaml, "TRAIN.RESUME_MODEL_DIR")):
        ended = finish(static.train, "--cfg", config, "--resume", key, tmp_path)
        assert ended.code == 2
        assert f"--resume: not allowed with {key}" in ended.err


@pytest.mark.parametrize("mode", ["eager", "static"])
def test_error_nothing_to_resume_from(mode, eager_yaml, tmp_path):
    ended = train(mode, eager_yaml, tmp_path / "run", resume="iter_9", code=2)
    assert "there is no such folder" in ended.err
    assert "holds no checkpoints" in ended.err


@pytest.mark.parametrize("mode", ["eager", "static"])
def test_error_a_checkpoint_of_another_network(mode, whole, write_eager, tmp_path):
    other = write_eager(model={"type": "FCN", "backbone": {"type": "HRNet_W18_Small_V1"}})
    ended = train(mode, other, tmp_path, resume=whole["eager"] / "iter_3", code=2)
    assert "does not fit the network" in ended.err


@pytest.mark.parametrize("mode", ["eager", "static"])
def test_error_a_checkpoint_of_another_optimizer(mode, whole, write_eager, tmp_path):
    ended = train(mode, write_eager(optimizer={"type": "adam"}), tmp_path, resume=whole["eager"] / "iter_3", code=2)
    assert "the checkpoint's optimizer does not fit" in ended.err


@pytest.mark.slow
def test_value_yacs_runs_resume(static_yaml, tmp_path):
    """A yacs run of two epochs, stopped after one. HRNet: its network has no dropout."""
    words = ["MODEL.MODEL_NAME", "hrnet", "MODEL.HRNET.STAGE3.NUM_MODULES", "1", "MODEL.HRNET.STAGE4.NUM_MODULES", "1"]
    words += ["SOLVER.NUM_EPOCHS", "2"]
    given = ("--cfg", static_yaml, *SEEDED, *words, "TRAIN.MODEL_SAVE_DIR")
    succeed(static.train, *given, tmp_path / "whole")
    resume = ("TRAIN.RESUME_MODEL_DIR", tmp_path / "whole" / "iter_4")
    succeed(static.train, *given, tmp_path / "rest", *resume)
    assert unequal(tmp_path / "rest" / "iter_8", tmp_path / "whole" / "iter_8") == []

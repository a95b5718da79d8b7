"""Training commands as several processes: equal losses, one writer, deaths, signals, and runs that must not begin."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import pytest

from dygraph import cli
from legacy.pdseg import cli as static_cli
from tests.integration.conftest import arrays_of, checkpoints, finish, records, succeed, unequal
from tests.launching import ROOT, fleetrun, run_ranks, started

SEED = 5
WITHIN = 60  # seconds in which the others must have left


def command(mode: str, config: str, out: Path, iters: int, interval: int = 1000) -> list[object]:
    """The words after ``python`` that train ``config`` in one mode."""
    values = {"iters": iters, "save_interval": interval, "save_dir": out}
    if mode == "eager":
        flags = [word for key, value in values.items() for word in (f"--{key}", value)]
        return ["dygraph/train.py", "--config", config, "--seed", SEED, "--log_iters", 1, *flags]
    words = [word for item in values.items() for word in item]
    return ["legacy/pdseg/train.py", "--cfg", config, "--seed", SEED, "--log_steps", 1, *words]


def resumed(words: list[object], mode: str) -> list[object]:
    """The same command, going on from the newest checkpoint of its folder."""
    return [*words, *(("--resume_model", "auto") if mode == "eager" else ("resume_model", "auto"))]


def losses(out: Path) -> list[tuple[int, float]]:
    return [(line["iter"], line["loss"]) for line in records(out)]


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["eager", "static"])
def test_smoke_fleetrun(mode, eager_yaml, tmp_path):
    """The commands of the README, by fleetrun itself."""
    out = tmp_path / "run"
    said = fleetrun(2, command(mode, eager_yaml, out, 2), ROOT, tmp_path)
    assert "batch 2 per card, 4 global, 2 processes" in said
    assert checkpoints(out) == ["iter_2"]
    assert [iteration for iteration, _ in losses(out)] == [1, 2]


@pytest.mark.slow
def test_parity_two_ranks_in_both_modes(eager_yaml, tmp_path):
    """Same losses, same checkpoint bits, same scores; the scores are those of one process; one rank writes."""
    config = eager_yaml
    outs = {}
    for mode in ("eager", "static"):
        outs[mode] = tmp_path / mode
        words = [*command(mode, config, outs[mode], 3), *(["--do_eval"] if mode == "eager" else [])]
        if mode == "static":
            words.insert(words.index("iters"), "--do_eval")
        job = run_ranks([words] * 2, tmp_path)
        assert "[TRAIN]" in job.said(0)
        assert "[INFO]" not in job.said(1)
        assert checkpoints(outs[mode]) == ["iter_3"]
    assert losses(outs["eager"]) == losses(outs["static"])
    assert unequal(outs["eager"] / "iter_3", outs["static"] / "iter_3") == []
    scored = [records(out, "eval")[0] for out in outs.values()]
    assert scored[0]["miou"] == scored[1]["miou"]
    assert scored[0]["images"] == 4
    alone = succeed(
        cli.val, "--config", config, "--model_path", outs["eager"] / "iter_3", "--save_dir", tmp_path / "val"
    )
    assert f"mIoU {scored[0]['miou']:.4f} (stored with the checkpoint: {scored[0]['miou']:.4f})" in alone.out


@pytest.mark.slow
@pytest.mark.parametrize(("mode", "dead"), [("eager", 1), ("static", 1), ("static", 0)])
def test_value_a_killed_rank_ends_the_run_which_goes_on_to_the_same_end(mode, dead, eager_yaml, tmp_path):
    """The emergency checkpoint is exact: the resumed run ends in the bits of one that nothing disturbed.

    Where the writing rank died, the statistics of batch norm are those of the other one's batches, and fade.
    """
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    iters = {"eager": 60, "static": 100}[mode] if dead == 1 else 200
    words = command(mode, eager_yaml, broken, iters)
    with started([words] * 2, tmp_path) as job:
        job.wait_for(0, "iter: 5/")
        job.processes[dead].kill()
        codes = job.wait(WITHIN)
        said = job.said(1 - dead)
    assert codes[dead] == -signal.SIGKILL
    assert codes[1 - dead] == 1
    assert f"rank {dead} has ended the run" in said, said
    assert "which is saved: resume from it" in said
    (checkpoint,) = checkpoints(broken)
    reached = int(checkpoint[5:])
    assert 5 <= reached < iters
    run_ranks([resumed(words, mode)] * 2, tmp_path)
    run_ranks([command(mode, eager_yaml, whole, iters)] * 2, tmp_path)
    assert unequal(whole / f"iter_{iters}", broken / f"iter_{iters}") == []


RAISES = """
import sys
sys.path[0] = {root!r}
from dygraph.cli import train
from dygraph.engine.stepper import EagerStepper
from shared.commands.run import run_command
real, count = EagerStepper.train_step, [0]
def step(self, *arguments):
    count[0] += 1
    if count[0] == 4:
        raise ValueError("planted")
    return real(self, *arguments)
EagerStepper.train_step = step
run_command(train)
"""


def test_error_a_rank_that_raises_ends_the_run(eager_yaml, tmp_path):
    """The other one names it and its exception, and saves the three steps that were done."""
    script = tmp_path / "raises.py"
    script.write_text(RAISES.format(root=str(ROOT)))
    words = command("eager", eager_yaml, tmp_path / "run", 50)
    with started([words, [script, *words[1:]]], tmp_path) as job:
        codes = job.wait(WITHIN + 60)
        assert codes == [1, 1], job.all_said()
        assert re.search(r"rank 1 has ended the run: ValueError: planted\. .* after iteration 3, which is", job.said(0))
    assert checkpoints(tmp_path / "run") == ["iter_3"]


def test_error_ranks_with_different_configs(eager_yaml, tmp_path):
    words = [command("eager", eager_yaml, tmp_path / "run", iters) for iters in (4, 6)]
    with started(words, tmp_path) as job:
        assert job.wait(WITHIN + 60) == [2, 2], job.all_said()
        for rank in (0, 1):
            assert "train.iters: rank 0 has 4, rank 1 has 6" in job.said(rank)
    assert not (tmp_path / "run").exists()


def test_value_a_signal_to_one_rank_ends_all_at_one_iteration(eager_yaml, tmp_path):
    out = tmp_path / "run"
    with started([command("eager", eager_yaml, out, 500)] * 2, tmp_path) as job:
        job.wait_for(0, "iter: 3/")
        job.processes[1].send_signal(signal.SIGTERM)
        codes = job.wait(WITHIN)
        assert codes == [128 + signal.SIGTERM] * 2, job.all_said()
    (checkpoint,) = checkpoints(out)
    for rank in (0, 1):
        assert f"stopped by signal 15 after iteration {checkpoint[5:]};" in job.said(rank)
    assert len(arrays_of(out / checkpoint)) > 100


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["eager", "static"])
def test_value_ranks_end_early_together(mode, write_eager, tmp_path):
    """A rate of nothing: the second evaluation brings no better score."""
    rate = {"type": "Constant", "learning_rate": 1e-12}
    config = write_eager(do_eval=True, early_stop_intervals=1, lr_scheduler=rate)
    out = tmp_path / "run"
    job = run_ranks([command(mode, config, out, 12, 2)] * 2, tmp_path)
    assert "early stop: the last 1 evaluations brought no better mIoU than that of iteration 2" in job.said(0)
    assert checkpoints(out) == ["iter_2", "iter_4"]
    assert [iteration for iteration, _ in losses(out)] == [1, 2, 3, 4]


@pytest.fixture
def as_rank(monkeypatch):
    """This process as rank 1 of 3, which must end before it looks for the others."""
    monkeypatch.setenv("PADDLE_TRAINER_ID", "1")
    monkeypatch.setenv("PADDLE_TRAINERS_NUM", "3")
    monkeypatch.setenv("PADDLE_DISTRI_BACKEND", "gloo")


@pytest.mark.usefixtures("as_rank")
def test_error_a_global_batch_that_does_not_divide(static_yaml, tmp_path):
    words = ("--cfg", static_yaml, "BATCH_SIZE", 4, "TRAIN.MODEL_SAVE_DIR", tmp_path / "run")
    ended = finish(static_cli.train, *words)
    assert ended.code == 2
    assert "BATCH_SIZE: got 4, which does not divide over 3 processes" in ended.err
    assert "set BATCH_SIZE 3 or 6" in ended.err
    assert not (tmp_path / "run").exists()


@pytest.mark.usefixtures("as_rank")
def test_error_more_images_are_needed_than_there_are(eager_yaml, tmp_path):
    ended = finish(cli.train, "--config", eager_yaml, "--batch_size", 3, "--save_dir", tmp_path / "run")
    assert ended.code == 2
    assert "8 images, fewer than one batch of 9 (3 a card x 3 cards)" in ended.err
    assert not (tmp_path / "run").exists()


@pytest.mark.usefixtures("as_rank")
@pytest.mark.parametrize("main", [cli.val, cli.predict, cli.export], ids=lambda main: main.__name__)
def test_error_only_training_takes_several_processes(main, eager_yaml, eager_weights, scenes, tmp_path):
    more = ("--image_path", scenes) if main is cli.predict else ()
    ended = finish(main, "--config", eager_yaml, "--model_path", eager_weights, "--save_dir", tmp_path / "out", *more)
    assert ended.code == 2
    assert "only training takes several" in ended.err

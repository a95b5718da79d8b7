"""A training run over a stepper of NumPy: cadence, best checkpoint, seeds, and earlier runs."""

from __future__ import annotations

import dataclasses
import json
import logging

import numpy as np
import pytest

from shared.config.run_config import Component, LossTerm, ScheduleConfig
from shared.engine.checkpoint import load_checkpoint
from shared.engine.stepper import StepperState, StepResult
from shared.engine.train import Mode, train
from shared.errors import ConfigError, DataError, MachineError
from tests.shared.engine.test_data import folder, run, section  # noqa: F401 - a fixture

CROP = (Component("RandomPaddingCrop", {"crop_size": [8, 8]}), Component("Normalize"))


class Clockwork:
    """Counts its steps in a weight; predicts the right class of image n after step ``rights[n]`` only."""

    def __init__(self, scores=()):
        self.steps = 0.0
        self.scores = list(scores)
        self.seen = []

    def reseed(self, seed):
        pass

    def train_step(self, images, labels, lr):
        self.steps += 1
        self.seen.append((images.copy(), lr))
        return StepResult(1.0, (1.0,))

    def logits(self, images):
        """Class 0, 1 or 2 everywhere, as ``scores`` says for the evaluation at hand; 2 above the other logits."""
        logits = np.zeros((1, 3, *images.shape[2:]), np.float32)
        logits[:, self.scores[int(self.steps) - 1]] = 2
        return logits

    def state(self):
        return StepperState({"w": np.array([self.steps])}, {"velocity/w": np.array([-self.steps])})

    def load_state(self, state):
        self.steps = float(state.model["w"][0])
        assert state.optimizer["velocity/w"][0] == -self.steps


def start(config, save_dir, stepper=None, **train_settings):
    stepper = stepper or Clockwork()
    settings = dataclasses.replace(config.train, save_dir=str(save_dir), **train_settings)
    seeds = []

    def make(_, seed, shape):
        assert tuple(shape) == (config.train.batch_size, 3, 8, 8)
        seeds.append(seed)
        return stepper

    last = train(config.replace(train=settings), Mode("eager", make, ["a note of the mode"]))
    return last, stepper, seeds[0]


@pytest.fixture
def config(folder):  # noqa: F811
    """Two iterations an epoch, a learning rate of 1/2."""
    both = section(folder, "train", CROP), section(folder, "val")
    return run(*both, epochs=2, batch_size=2).replace(schedule=ScheduleConfig("constant", 0.5))


def iterations(save_dir):
    return sorted(int(p.name[5:]) for p in save_dir.glob("iter_*"))


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        ({}, [4]),
        ({"save_interval": 3}, [3, 4]),
        ({"save_interval_epochs": 1}, [2, 4]),
        ({"save_interval": 1, "keep_checkpoint_max": 2}, [3, 4]),
        ({"iters": 5, "epochs": None, "save_interval": 2}, [2, 4, 5]),
    ],
    ids=["default", "interval", "epochs", "kept", "iters"],
)
def test_value_checkpoints_come_on_time(config, tmp_path, settings, wanted):
    last, stepper, _ = start(config, tmp_path / "out", **settings)
    assert iterations(tmp_path / "out") == wanted
    assert last == tmp_path / "out" / f"iter_{wanted[-1]}"
    assert stepper.steps == wanted[-1]
    assert all(lr == 0.5 for _, lr in stepper.seen)
    state, progress, meta = load_checkpoint(last)
    assert (state.model["w"][0], progress.iteration, meta["mode"]) == (wanted[-1], wanted[-1], "eager")


def test_value_the_best_evaluation_is_kept_with_its_score(config, tmp_path):
    """Labels are 0, 1, 2 and 0, of 600, 884, 960 and 600 pixels: predicting one class everywhere scores by area."""
    out = tmp_path / "out"
    stepper = Clockwork([1, 0, 2, 2])
    start(config, out, stepper, do_eval=True, save_interval=1)
    pixels = 600 + 884 + 960 + 600
    wanted = [area / pixels / 3 for area in (884, 1200, 960, 960)]
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert [line["miou"] for line in lines if line["kind"] == "eval"] == pytest.approx(wanted)
    state, progress, _ = load_checkpoint(out / "best_model")
    assert (state.model["w"][0], progress.iteration, progress.best_iteration) == (2, 2, 2)
    assert progress.best_score == pytest.approx(wanted[1])
    _, progress, _ = load_checkpoint(out / "iter_4")
    assert (progress.best_score, progress.best_iteration) == (pytest.approx(wanted[1]), 2)


def test_value_a_resumed_run_sees_the_batches_that_were_left(config, tmp_path):
    _, whole, seed = start(config, tmp_path / "a", save_interval=1)
    rest = Clockwork()
    _, _, again = start(config, tmp_path / "b", rest, resume_from=str(tmp_path / "a" / "iter_3"))
    assert again == seed, "the seed that was drawn stands in the checkpoint"
    assert rest.steps == 4
    ((images, _),) = rest.seen
    assert np.array_equal(images, whole.seen[3][0])


def test_value_a_seed_that_is_asked_for_wins(config, tmp_path):
    start(config, tmp_path / "a", seed=3, save_interval=1)
    *_, seed = start(config, tmp_path / "b", resume_from=str(tmp_path / "a" / "iter_1"), seed=4)
    assert seed == 4


def test_value_an_earlier_run_is_kept_and_foreign_files_stay(config, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    for _ in range(3):
        start(config, tmp_path)
    assert (tmp_path / "notes.txt").read_text() == "mine"
    for place in (tmp_path, tmp_path / "earlier_runs" / "1", tmp_path / "earlier_runs" / "2"):
        assert iterations(place) == [4]
        assert (place / "metrics.jsonl").is_file()
        assert (place / "train.log").is_file()


def test_value_the_plan_says_what_will_happen(config, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    start(config, tmp_path, seed=8, log_iters=1)
    log = (tmp_path / "train.log").read_text()
    for piece in (
        "run plan: FCN in eager mode",
        "4 images, 3 classes, batch 2 (per card, 1 process), reader inline",
        "length: 4 iterations of (2, 3, 8, 8), 2 an epoch, 2.0 epochs",
        "lr 0.5 (peak 0.5, end 0.5, constant)",
        "no evaluation (--do_eval)",
        "seed: 8",
        "note: a note of the mode",
    ):
        assert piece in log, piece


def test_value_the_plan_notes_edges_that_nothing_reads(config, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    train_data, val_data = (dataclasses.replace(data, edge=True) for data in (config.train_data, config.val_data))
    start(config.replace(train_data=train_data, val_data=val_data), tmp_path / "unread")
    assert "note: train_dataset.edge: no loss reads edges, so none are made" in caplog.text
    assert "note: val_dataset.edge: the loss of an evaluation reads no edges, so none are made" in caplog.text
    caplog.clear()
    reading = (LossTerm(Component("BCELoss", {"edge_label": True})),)
    start(config.replace(train_data=train_data, losses=reading), tmp_path / "read")
    assert "run plan" in caplog.text
    assert "_dataset.edge" not in caplog.text


def test_error_a_bad_label_is_found_before_anything_is_moved(config, folder, tmp_path):  # noqa: F811
    out = tmp_path / "out"
    start(config, out)
    (folder / "2_label.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"2_label\.png"):
        start(config, out)
    assert iterations(out) == [4]
    assert not (out / "earlier_runs").exists()


def test_error_nothing_is_left_to_train(config, tmp_path):
    last, *_ = start(config, tmp_path / "a")
    with pytest.raises(ConfigError, match="is at iteration 4, and the run ends at 4"):
        start(config, tmp_path / "b", resume_from=str(last))


def test_error_a_save_dir_that_is_a_file(config, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises((MachineError, DataError, ConfigError), match="file"):
        start(config, tmp_path / "file")


def test_value_resuming_from_another_directory_keeps_what_lies_in_this_one(config, tmp_path):
    start(config, tmp_path / "first", save_interval=2)
    start(config, tmp_path / "second", save_interval=2)
    resumed = str(tmp_path / "first" / "iter_2")
    start(config, tmp_path / "second", resume_from=resumed)
    assert iterations(tmp_path / "second") == [4]
    assert iterations(tmp_path / "second" / "earlier_runs" / "1") == [2, 4]
    assert iterations(tmp_path / "first") == [2, 4]


def test_value_resuming_an_older_checkpoint_moves_the_later_ones_aside(config, tmp_path):
    start(config, tmp_path, Clockwork([1, 0, 2, 2]), do_eval=True, save_interval=1)
    start(
        config, tmp_path, Clockwork([1, 1, 1, 1]), do_eval=True, save_interval=1, resume_from=str(tmp_path / "iter_1")
    )
    assert iterations(tmp_path) == [1, 2, 3, 4]
    assert iterations(tmp_path / "earlier_runs" / "1") == [2, 3, 4]
    assert load_checkpoint(tmp_path / "earlier_runs" / "1" / "best_model")[1].iteration == 2
    assert [p.name for p in tmp_path.glob("earlier_runs/*")] == ["1"]


def test_value_resuming_out_of_an_earlier_run_moves_the_present_one_aside(config, tmp_path):
    start(config, tmp_path, save_interval=2)
    start(config, tmp_path, save_interval=2)
    start(config, tmp_path, resume_from=str(tmp_path / "earlier_runs" / "1" / "iter_2"))
    assert iterations(tmp_path) == [4]
    assert iterations(tmp_path / "earlier_runs" / "1") == iterations(tmp_path / "earlier_runs" / "2") == [2, 4]


def test_error_seed_too_large(config, tmp_path):
    with pytest.raises(ConfigError, match="seed: got 2147483648, expected a number below"):
        start(config, tmp_path, seed=2**31)

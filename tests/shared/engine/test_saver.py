"""Checkpoint first, evaluation second: patience, evaluations that were broken off, and what a resumed run is told."""

from __future__ import annotations

import dataclasses
import json
import logging

import numpy as np
import pytest

from shared.config.run_config import ScheduleConfig
from shared.engine.checkpoint import load_checkpoint
from shared.engine.saver import EVALUATION_DUE, WITHOUT_GAIN
from shared.errors import ConfigError
from tests.shared.engine.test_data import folder, run, section  # noqa: F401 - a fixture
from tests.shared.engine.test_train import CROP, Clockwork, iterations, start

BEST, SECOND, WORST = 0, 2, 1  # labels are of 1200, 960 and 884 pixels: the class predicted everywhere is the score


@pytest.fixture
def config(folder):  # noqa: F811
    """Two iterations an epoch, twelve iterations."""
    both = section(folder, "train", CROP), section(folder, "val")
    settings = {"iters": 12, "batch_size": 2, "do_eval": True, "save_interval": 1}
    return run(*both, **settings).replace(schedule=ScheduleConfig("constant", 0.5))


def evaluations(save_dir):
    lines = [json.loads(line) for line in (save_dir / "metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if line["kind"] == "eval"]


class Dies(Clockwork):
    """As its parent, but the evaluation after step ``at`` raises, once."""

    def __init__(self, scores, at):
        super().__init__(scores)
        self.at = at

    def logits(self, images):
        if self.steps == self.at:
            raise KeyboardInterrupt
        return super().logits(images)


def test_value_a_run_that_no_longer_improves_ends(config, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    scores = [WORST, BEST, SECOND, WORST, SECOND, BEST, *[BEST] * 6]
    last, stepper, _ = start(config, tmp_path, Clockwork(scores), early_stop_intervals=3)
    assert stepper.steps == 5
    assert last == tmp_path / "iter_5"
    assert "the run ends after 3 without a better mIoU" in caplog.text
    assert "early stop: the last 3 evaluations brought no better mIoU than that of iteration 2" in caplog.text
    assert load_checkpoint(last)[1].extra[WITHOUT_GAIN] == 3


def test_value_patience_is_counted_across_a_resume(config, tmp_path):
    scores = [BEST, SECOND, SECOND, SECOND, *[BEST] * 8]
    start(config, tmp_path, Clockwork(scores), iters=3)
    _, stepper, _ = start(config, tmp_path, Clockwork(scores), early_stop_intervals=3, resume_from="auto")
    assert stepper.steps == 4, "two were counted before, the fourth evaluation is the third without a gain"


def test_error_a_run_that_ended_early_is_not_resumed(config, tmp_path):
    start(config, tmp_path, Clockwork([BEST, SECOND, SECOND]), early_stop_intervals=2)
    with pytest.raises(ConfigError, match=r"2 evaluations in a row .* iteration 1; raise early_stop_intervals \(2\)"):
        start(config, tmp_path, Clockwork([]), early_stop_intervals=2, resume_from="auto")
    _, stepper, _ = start(config, tmp_path, Clockwork([BEST] * 12), resume_from="auto")
    assert stepper.steps == 12


def test_error_patience_without_evaluations(config, tmp_path):
    with pytest.raises(ConfigError, match="early_stop_intervals: is 2, and counts evaluations"):
        start(config, tmp_path, early_stop_intervals=2, do_eval=False)


@pytest.mark.parametrize("scores", [[SECOND, BEST, SECOND, WORST], [BEST, SECOND, WORST, SECOND]])
def test_value_an_evaluation_that_was_broken_off_is_made_up_for(config, tmp_path, scores):
    """Whoever resumes ends with the scores, the best checkpoint and the counters of a run that nothing disturbed."""
    start(config, tmp_path / "whole", Clockwork(scores), iters=4)
    for broken in (2, 4):
        out = tmp_path / f"broken{broken}"
        with pytest.raises(KeyboardInterrupt):
            start(config, out, Dies(scores, broken), iters=4)
        assert load_checkpoint(out / f"iter_{broken}")[1].extra[EVALUATION_DUE]
        start(config, out, Clockwork(scores), iters=4, resume_from="auto")
        assert iterations(out) == [1, 2, 3, 4]
        for name in ("iter_4", "best_model"):
            whole, again = load_checkpoint(tmp_path / "whole" / name), load_checkpoint(out / name)
            assert dataclasses.replace(again[1], extra={**again[1].extra, "seed": 0}) == dataclasses.replace(
                whole[1], extra={**whole[1].extra, "seed": 0}
            )
            assert np.array_equal(whole[0].model["w"], again[0].model["w"])
        told = [[(line["iter"], line["miou"]) for line in evaluations(where)] for where in (tmp_path / "whole", out)]
        assert told[0] == told[1], "each evaluation stands in metrics.jsonl once"


@pytest.mark.parametrize("where", ["save_best", "update_progress"])
def test_value_a_process_that_dies_with_its_score_half_kept(config, tmp_path, monkeypatch, where):
    """Between the record, the best checkpoint and the progress: once more, and each stands once."""
    scores = [SECOND, BEST, WORST, SECOND]
    start(config, tmp_path / "whole", Clockwork(scores), iters=4)

    def dies(*_):
        raise KeyboardInterrupt

    start(config, tmp_path / "broken", Clockwork(scores), iters=1)
    with monkeypatch.context() as patched:
        patched.setattr(f"shared.engine.saver.{where}", dies)
        with pytest.raises(KeyboardInterrupt):
            start(config, tmp_path / "broken", Clockwork(scores), iters=4, resume_from="auto")
    start(config, tmp_path / "broken", Clockwork(scores), iters=4, resume_from="auto")
    told = [[(line["iter"], line["miou"]) for line in evaluations(tmp_path / name)] for name in ("whole", "broken")]
    assert told[0] == told[1]
    for name in ("iter_4", "best_model"):
        whole, again = (load_checkpoint(tmp_path / run_dir / name)[1] for run_dir in ("whole", "broken"))
        assert (again.best_score, again.best_iteration) == (whole.best_score, 2)
        assert again.extra[WITHOUT_GAIN] == whole.extra[WITHOUT_GAIN]


def test_value_a_checkpoint_of_another_folder_is_evaluated_and_left_alone(config, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        start(config, tmp_path / "a", Dies([SECOND, BEST, BEST, BEST], 2), iters=4)
    before = (tmp_path / "a/iter_2/state.json").read_bytes()
    resumed = str(tmp_path / "a/iter_2")
    start(config, tmp_path / "b", Clockwork([BEST] * 4), iters=4, resume_from=resumed)
    assert (tmp_path / "a/iter_2/state.json").read_bytes() == before
    assert [line["iter"] for line in evaluations(tmp_path / "b")] == [2, 3, 4]
    assert load_checkpoint(tmp_path / "b/best_model")[1].best_iteration == 2


def test_value_the_validation_loss_stands_beside_the_score(config, tmp_path, caplog):
    """The right class has logit 2 where it is predicted and 0 elsewhere, beside two or one others of 0."""
    caplog.set_level(logging.INFO)
    start(config, tmp_path, Clockwork([BEST]), iters=1)
    pixels = np.array([1200, 884, 960])
    total = np.log(np.exp(2) + 2)
    wanted = float(pixels @ np.array([total - 2, total, total]) / pixels.sum())
    assert evaluations(tmp_path)[0]["loss"] == pytest.approx(wanted, rel=1e-6)
    assert f"loss {wanted:.4f}; best" in caplog.text


def test_value_a_changed_config_is_told(config, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    start(config, tmp_path, Clockwork([BEST] * 12), iters=2)
    assert "changed since" not in caplog.text
    changed = config.replace(schedule=ScheduleConfig("constant", 0.25), num_classes=3)
    start(changed, tmp_path, Clockwork([BEST] * 12), iters=3, resume_from="auto")
    told = [line.split("changed since that checkpoint: ")[1] for line in caplog.messages if "changed since" in line]
    assert told == ["schedule.learning_rate: was 0.5, now 0.25", "train.iters: was 2, now 3"]


def test_value_disk_and_evaluations_stand_in_the_plan(config, tmp_path, caplog, monkeypatch):
    caplog.set_level(logging.INFO)
    monkeypatch.setattr("shared.engine.plan.free_bytes", lambda _: 100)
    start(config, tmp_path, Clockwork([BEST] * 12), keep_checkpoint_max=3)
    assert "12 in " in caplog.text
    assert ", 3 kept, 0.0 MB each; evaluated each time" in caplog.text
    assert not any("may need" in line for line in caplog.messages), "5 checkpoints of 16 bytes"
    caplog.clear()
    monkeypatch.setattr("shared.engine.plan.free_bytes", lambda _: 79)
    start(config, tmp_path / "b", Clockwork([BEST] * 12), keep_checkpoint_max=3)
    assert "note: the checkpoints may need 0.0 MB" in caplog.text

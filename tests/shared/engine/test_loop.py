"""The training loop over a stepper that computes nothing."""

from __future__ import annotations

import json
import math
import os
import signal
import sys
import time

import numpy as np
import pytest

from shared.config.run_config import ScheduleConfig
from shared.engine.loop import Cadence, InterruptedRunError, TrainLoop
from shared.engine.records import Interval, RunRecords, format_eta
from shared.engine.schedule import Schedule
from shared.engine.stepper import Batch, StepResult
from shared.errors import DataError, RunFailedError


class CountingStepper:
    """Loss = iteration number, so that means can be checked by hand; remembers the learning rates it was given."""

    def __init__(self, losses=None):
        self.rates = []
        self.losses = losses
        self.seeds = []

    def reseed(self, seed):
        self.seeds.append(seed)

    def train_step(self, images, labels, lr):
        self.rates.append(lr)
        loss = float(len(self.rates)) if self.losses is None else self.losses[len(self.rates) - 1]
        return StepResult(loss, (loss,))


def batch(name="a.png"):
    return Batch(np.zeros((2, 3, 4, 4), np.float32), np.zeros((2, 4, 4), np.int64), [name, name])


def make_loop(tmp_path, stepper, save, total=6, log=2, interval=3, first=0):
    schedule = Schedule(ScheduleConfig("constant", 0.5), total, 3)
    records = RunRecords(tmp_path, resumed_at=first)
    return TrainLoop(stepper, schedule, Cadence(total, 3, log, interval), records, save, first), records


def read_records(tmp_path):
    return [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]


def test_value_log_holds_interval_means_and_saves_come_on_time(tmp_path):
    saves = []
    loop, records = make_loop(tmp_path, CountingStepper(), lambda done, evaluate: saves.append((done, evaluate)))
    with records:
        loop.run(batch() for _ in range(6))
    lines = read_records(tmp_path)
    assert [line["iter"] for line in lines] == [2, 4, 6]
    assert [line["loss"] for line in lines] == [1.5, 3.5, 5.5]
    assert [line["epoch"] for line in lines] == [1, 2, 2]
    assert saves == [(3, True), (6, True)]
    assert loop.stepper.rates == [0.5] * 6


def test_value_resumed_run_does_only_the_rest(tmp_path):
    saves = []
    stepper = CountingStepper()
    loop, records = make_loop(tmp_path, stepper, lambda done, _: saves.append(done), first=4)
    with records:
        loop.run(batch() for _ in range(2))
    assert len(stepper.rates) == 2
    assert saves == [6]
    assert stepper.seeds == [4, 5], "the seeds of iterations 4 and 5, as in a run that was never stopped"


def test_value_last_iteration_is_saved_and_logged_off_cadence(tmp_path):
    saves = []
    loop, records = make_loop(tmp_path, CountingStepper(), lambda done, _: saves.append(done), total=5, interval=4)
    with records:
        loop.run(batch() for _ in range(5))
    assert saves == [4, 5]
    assert [line["iter"] for line in read_records(tmp_path)] == [2, 4, 5]


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_error_loss_not_finite_names_files_and_rate(tmp_path, bad):
    saves = []
    loop, records = make_loop(tmp_path, CountingStepper([1.0, bad]), lambda done, _: saves.append(done))
    with records, pytest.raises(RunFailedError, match=r"iteration 2 .*lr 0\.5; files street\.png"):
        loop.run(batch("street.png") for _ in range(6))
    assert saves == []


class OverflowingStepper(CountingStepper):
    """Skips the steps (from 1) it is told to; a skipped step's loss is infinite."""

    def __init__(self, skipped):
        super().__init__()
        self.skipped = skipped

    def train_step(self, images, labels, lr):
        result = super().train_step(images, labels, lr)
        if len(self.rates) not in self.skipped:
            return result
        return StepResult(math.inf, (math.inf,), skipped=True)


def test_value_skipped_steps_are_counted_and_left_out_of_the_mean(tmp_path, caplog):
    loop, records = make_loop(tmp_path, OverflowingStepper({1, 2, 3, 6}), lambda *_: None, log=3)
    with records, caplog.at_level("INFO"):
        loop.run(batch() for _ in range(6))
    lines = read_records(tmp_path)
    assert [line["skipped"] for line in lines] == [3, 1]
    assert [line["loss"] for line in lines] == [None, 4.5], "steps 4 and 5"
    assert [line.partition(", skipped: ")[2] for line in caplog.messages if "[TRAIN]" in line] == ["3", "1"]


@pytest.mark.parametrize(("log", "stopped_at"), [(2, 10), (4, 12), (10, 10), (13, 13), (50, 20)])
def test_error_an_interval_of_overflows_ends_the_run(tmp_path, log, stopped_at):
    stepper = OverflowingStepper(range(1, 99))
    loop, records = make_loop(tmp_path, stepper, lambda *_: None, total=20, log=log, interval=50)
    with records, pytest.raises(RunFailedError, match=rf"up to iteration {stopped_at}, .*bf16.*fp32.*learning rate"):
        loop.run(batch() for _ in range(20))
    assert len(stepper.rates) == stopped_at


def test_value_a_few_overflows_at_the_beginning_do_not(tmp_path):
    stepper = OverflowingStepper(range(1, 10))
    loop, records = make_loop(tmp_path, stepper, lambda *_: None, total=12, log=1, interval=50)
    with records:
        loop.run(batch() for _ in range(12))
    assert len(stepper.rates) == 12


def test_value_a_step_that_hangs_shows_where(tmp_path, monkeypatch, capfd):
    """Of every process, not only of ranks; a step that ends in time shows nothing."""
    monkeypatch.setattr("shared.engine.loop.STUCK_SECONDS", 0.3)
    monkeypatch.setattr("sys.__stderr__", sys.stderr)

    class Hangs(CountingStepper):
        def train_step(self, images, labels, lr):
            if len(self.rates) == 1:
                time.sleep(0.8)
            return super().train_step(images, labels, lr)

    loop, records = make_loop(tmp_path, Hangs(), lambda *_: None, total=3)
    with records:
        loop.run(batch() for _ in range(3))
    said = capfd.readouterr().err
    assert said.count("Timeout (0:00:00.3") == 1
    assert "in train_step" in said


def test_error_reader_ends_early(tmp_path):
    loop, records = make_loop(tmp_path, CountingStepper(), lambda *_: None)
    with records, pytest.raises(RunFailedError, match="ended after 2 of 6"):
        loop.run(batch() for _ in range(2))


@pytest.mark.parametrize(
    "error", [DataError("broken.png"), RunFailedError("broken: a worker died"), ValueError("broken")]
)
def test_error_bad_data_in_the_middle_saves_what_was_done(tmp_path, error):
    saves = []
    loop, records = make_loop(tmp_path, CountingStepper(), lambda *arguments: saves.append(arguments), interval=100)

    def batches():
        yield batch()
        yield batch()
        raise error

    with records, pytest.raises(type(error), match="broken"):
        loop.run(batches())
    assert saves == [(2, False)]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_value_signal_saves_and_leaves(tmp_path, number):
    saves = []
    loop, records = make_loop(tmp_path, CountingStepper(), lambda *arguments: saves.append(arguments), interval=100)

    def batches():
        yield batch()
        os.kill(os.getpid(), number)
        while True:
            yield batch()

    before = signal.getsignal(number)
    with records, pytest.raises(InterruptedRunError) as caught:
        loop.run(batches())
    assert caught.value.exit_code == 128 + number
    assert saves == [(2, False)]
    assert signal.getsignal(number) is before


def test_value_new_run_keeps_the_old_metrics_aside_and_a_resumed_one_cuts_back(tmp_path):
    for iteration in (2, 4, 6):
        with RunRecords(tmp_path, resumed_at=iteration - 1) as records:
            records.write({"kind": "train", "iter": iteration})
    with RunRecords(tmp_path, resumed_at=4):
        assert [line["iter"] for line in read_records(tmp_path)] == [2, 4]
    with RunRecords(tmp_path):
        assert read_records(tmp_path) == []
    assert len((tmp_path / "metrics.jsonl.bak").read_text().splitlines()) == 2


def test_value_log_line():
    interval = Interval(2, 30, 80000, 1.25, (1.0, 0.25), 0.0099, 1.5, 0.25, 1.3333, 95999.6)
    assert interval.line() == (
        "[TRAIN] epoch: 2, iter: 30/80000, loss: 1.2500 (1.0000 + 0.2500), lr: 0.009900, batch_cost: 1.5000, "
        "reader_cost: 0.25000, ips: 1.3333 images/s, ETA 26:40:00"
    )


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00:00"), (59.4, "0:00:59"), (3661, "1:01:01"), (-5, "0:00:00")])
def test_value_eta(seconds, text):
    assert format_eta(seconds) == text


def test_value_signal_during_the_last_save_ends_a_run_that_is_complete(tmp_path):
    saves = []

    def save(done, evaluate):
        saves.append((done, evaluate))
        if done == 3:
            os.kill(os.getpid(), signal.SIGTERM)

    loop, records = make_loop(tmp_path, CountingStepper(), save, total=6, interval=3)
    with records, pytest.raises(InterruptedRunError, match="after iteration 3"):
        loop.run(batch() for _ in range(6))
    assert saves == [(3, True)], "saved once, and no further step was done"
    assert len(loop.stepper.rates) == 3


@pytest.mark.parametrize(
    ("waits", "advice", "said"),
    [
        ([9.0] * 8, "raise it", 1),
        ([0.0] * 8, "raise it", 0),
        ([9.0] * 8, "", 0),
        ([9.0] * 2 + [0.0] * 6, "raise it", 0),
    ],
    ids=["always", "never", "nothing to raise", "while the workers start"],
)
def test_value_a_run_that_waits_for_data_says_so_once(tmp_path, caplog, monkeypatch, waits, advice, said):
    monkeypatch.setattr(TrainLoop, "_next_batch", lambda *words: (batch(), waits[words[-1]]))
    loop, records = make_loop(tmp_path, CountingStepper(), lambda *_: None, total=8)
    loop.reading_advice = advice
    with records, caplog.at_level("WARNING"):
        loop.run([])
    lines = [r.getMessage() for r in caplog.records if "data is the bottleneck" in r.getMessage()]
    assert len(lines) == said
    assert all(line.endswith("waiting for its batch; raise it") for line in lines)

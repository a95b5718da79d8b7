"""Runs that are killed at random moments, during saves too, and resumed, end in the bits of the run nobody touched.

The moments are drawn anew each time; the seed is printed, and ``DUALSEG_FAULT_SEED`` repeats one. What a draw hits
still depends on how fast the machine is.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from shared.engine.checkpoint import find_resumable, load_checkpoint
from shared.reading.parcel import SHARED_MEMORY
from tests.integration.conftest import checkpoints, records, unequal
from tests.launching import ROOT, run_ranks, started, until

KILLS = 15  # in each mode
ITERS = 64
PAIR_ITERS = 10
MOST_STEPS = 4  # that a life makes before it is killed
FRESH = 1  # lives that are killed before Paddle is imported, let alone anything saved
STARTING = 3  # lives that are killed while they start
SAVING = 4  # lives that are killed as soon as a save has begun
LEAST_IN_SAVES = 3
PATIENCE = 120.0  # seconds for what takes a few
NETWORK = {"type": "FastSCNN", "enable_auxiliary_loss": False}  # with dropout, and 11 MB a checkpoint

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def config(write_eager) -> str:
    """FastSCNN with augmentation, read by a worker process, Adam: as much state as there is."""
    return write_eager(model=NETWORK, optimizer={"type": "adam", "weight_decay": 1e-4}, num_workers=1)


@pytest.fixture
def draw() -> random.Random:
    """A generator whose seed is told."""
    seed = int(os.environ.get("DUALSEG_FAULT_SEED", random.SystemRandom().randrange(10**6)))
    print(f"DUALSEG_FAULT_SEED={seed}")
    return random.Random(seed)


def command(mode: str, config: str, out: Path, iters: int = ITERS, interval: int = 1) -> list[object]:
    """The words after ``python`` that train to the end, going on from what there is."""
    values = {"iters": iters, "save_interval": interval, "save_dir": out, "keep_checkpoint_max": 3}
    if any(out.glob("iter_*")):
        values["resume_model"] = "auto"
    seeded = ["--seed", 5, "--deterministic", "--do_eval"]
    if mode == "eager":
        flags = [word for key, value in values.items() for word in (f"--{key}", value)]
        return ["dygraph/train.py", "--config", config, "--log_iters", 1, *seeded, *flags]
    return [
        *("legacy/pdseg/train.py", "--cfg", config, "--use_mpio", "--log_steps", 1, *seeded),
        *(word for item in values.items() for word in item),
    ]


@dataclass
class Tally:
    """What the kills have hit."""

    kills: int = 0
    before_a_save: int = 0
    in_a_save: list[str] = field(default_factory=list)


@contextmanager
def life(mode: str, config: str, out: Path, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A training process in a group of its own, which does not outlive the body."""
    words = [sys.executable, *map(str, command(mode, config, out))]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    with log.open("ab") as file:
        process = subprocess.Popen(words, cwd=ROOT, stdout=file, stderr=file, env=env, start_new_session=True)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def steps_done(out: Path) -> int:
    """Lines of training in ``metrics.jsonl``; the process may be writing one."""
    try:
        return (out / "metrics.jsonl").read_bytes().count(b'"kind": "train"')
    except FileNotFoundError:
        return 0


def being_saved(out: Path, process: subprocess.Popen[bytes]) -> list[str]:
    """Names of the folders that this process is writing, or has left half written."""
    return (
        [entry.name for entry in os.scandir(out) if entry.name.endswith(f".tmp-{process.pid}")] if out.exists() else []
    )


def wait_for(condition: Callable[[], object], process: subprocess.Popen[bytes], log: Path, pause: float = 0.01) -> None:
    """Until ``condition`` holds; a process that ends before is a failure."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert process.poll() is None, f"ended by itself with {process.returncode}: {log.read_text()[-3000:]}"
        assert time.monotonic() < end, log.read_text()[-3000:]
        time.sleep(pause)


def wait_for_the_moment(kind: str, draw: random.Random, out: Path, process: subprocess.Popen[bytes], log: Path) -> None:
    """Sleep until the process is to die."""
    if kind in ("fresh", "starting"):
        time.sleep(draw.uniform(0, 1 if kind == "fresh" else 3))
        return
    before = steps_done(out) if any(out.glob("iter_*")) else 0
    wait_for(lambda: steps_done(out) > before, process, log)  # it runs
    goal = steps_done(out) + draw.randrange(MOST_STEPS)
    wait_for(lambda: steps_done(out) >= goal, process, log)
    if kind == "saving":
        wait_for(lambda: being_saved(out, process), process, log, 0.001)
        time.sleep(draw.uniform(0, 0.02))
    else:
        time.sleep(draw.uniform(0, 0.15))


def kill_once(kind: str, draw: random.Random, out: Path, mode: str, config: str, log: Path, tally: Tally) -> None:
    """One life and its end, after which nothing of it may be left in memory."""
    with life(mode, config, out, log) as process:
        wait_for_the_moment(kind, draw, out, process, log)
        assert process.poll() is None, f"ended by itself with {process.returncode}: {log.read_text()[-3000:]}"
        process.send_signal(signal.SIGKILL)
        assert process.wait(PATIENCE) == -signal.SIGKILL
        tally.kills += 1
        tally.in_a_save += being_saved(out, process)
        tally.before_a_save += not any(out.glob("iter_*/state.json"))
    left = f"dualseg-{process.pid}-"
    assert until(lambda: not any(name.startswith(left) for name in os.listdir(SHARED_MEMORY)), 20)


@pytest.fixture(scope="module")
def untouched(config, tmp_path_factory) -> Path:
    """The run nobody touches. It is eager; the static one has its bits (tests/parity)."""
    folder = tmp_path_factory.mktemp("untouched")
    log = folder / "console.log"
    with life("eager", config, folder / "run", log) as process:
        assert process.wait(PATIENCE) == 0, log.read_text()[-3000:]
    return folder / "run"


@pytest.fixture(scope="module")
def untouched_pair(config, tmp_path_factory) -> Path:
    """The same of two ranks, shorter."""
    folder = tmp_path_factory.mktemp("pair")
    run_ranks([command("eager", config, folder / "run", PAIR_ITERS, 2)] * 2, folder, PATIENCE)
    return folder / "run"


@pytest.mark.parametrize("mode", ["eager", "static"])
def test_value_fifteen_kills_and_a_signal_change_no_bit(mode, config, untouched, draw, tmp_path):
    out, log, tally = tmp_path / "run", tmp_path / "console.log", Tally()
    kinds = ["starting"] * STARTING + ["saving"] * SAVING
    kinds += ["running"] * (KILLS - FRESH - len(kinds))
    draw.shuffle(kinds)
    for kind in ["fresh"] * FRESH + kinds:
        kill_once(kind, draw, out, mode, config, log, tally)
    with life(mode, config, out, log) as process:  # and one that is asked to stop, as Slurm does: the workers too
        wait_for_the_moment("running", draw, out, process, log)
        os.killpg(process.pid, signal.SIGTERM)
        assert process.wait(PATIENCE) == 128 + signal.SIGTERM
    reached = load_checkpoint(find_resumable(out))[1].iteration
    assert reached < ITERS - 5, "the kills came too late to mean anything"
    with life(mode, config, out, log) as process:
        assert process.wait(PATIENCE) == 0, log.read_text()[-3000:]
    print(f"{tally}, {reached} iterations before the last life")

    assert tally.kills == KILLS
    assert tally.before_a_save >= FRESH
    assert len(tally.in_a_save) >= LEAST_IN_SAVES
    assert "Traceback" not in log.read_text()
    assert checkpoints(out) == [f"iter_{n}" for n in range(ITERS - 2, ITERS + 1)]
    assert not [path.name for path in out.iterdir() if path.name.startswith(".")], "half a checkpoint is left"
    for name in (f"iter_{ITERS}", "best_model"):
        assert unequal(out / name, untouched / name) == []
        assert load_checkpoint(out / name)[1] == load_checkpoint(untouched / name)[1]
    for kind, keys in (("train", ("iter", "loss", "lr")), ("eval", ("iter", "miou", "loss"))):
        told = [[line[key] for key in keys] for line in records(out, kind)]
        assert told == [[line[key] for key in keys] for line in records(untouched, kind)]


@pytest.mark.parametrize("mode", ["eager", "static"])
def test_value_two_ranks_with_workers_are_killed_and_resumed(mode, config, untouched_pair, draw, tmp_path):
    """Both at once, at a random step: an exact checkpoint is there, or the last one on time is."""
    out = tmp_path / "run"
    with started([command(mode, config, out, PAIR_ITERS, 2)] * 2, tmp_path) as job:
        job.wait_for(0, f"iter: {draw.randrange(3, PAIR_ITERS - 2)}/", PATIENCE)
        time.sleep(draw.uniform(0, 0.1))
        for process in draw.sample(job.processes, 2):
            process.kill()
        job.wait(PATIENCE)
    reached = load_checkpoint(find_resumable(out))[1].iteration
    assert 2 <= reached < PAIR_ITERS
    run_ranks([command(mode, config, out, PAIR_ITERS, 2)] * 2, tmp_path, PATIENCE)
    for name in (f"iter_{PAIR_ITERS}", "best_model"):
        assert unequal(out / name, untouched_pair / name) == []
        assert load_checkpoint(out / name)[1] == load_checkpoint(untouched_pair / name)[1]

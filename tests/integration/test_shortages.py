"""Runs that run out of disk, of memory or of shared memory, for real, and of good images: in both modes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from shared.engine.checkpoint import find_resumable, load_checkpoint
from tests.integration.commands import CLASSES, CONFIG_FLAG, MODES, ROOT, Project, invoke
from tests.integration.conftest import MODEL, checkpoints, records, unequal

EAGER, STATIC = MODES


pytestmark = pytest.mark.slow


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project in the working directory."""
    monkeypatch.chdir(tmp_path)
    return Project(tmp_path)


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """Mounts a file system of so many KB in memory, or resizes it; skips where that is not allowed."""
    folder = tmp_path / "small"
    folder.mkdir()

    def mount(kilobytes: int) -> Path:
        options = f"{'remount,' if folder.is_mount() else ''}size={kilobytes}k"
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], capture_output=True, text=True, check=False
        )
        if done.returncode:
            pytest.skip(f"file systems cannot be mounted here: {done.stderr.strip()}")
        return folder

    yield mount
    if folder.is_mount():
        subprocess.run(["umount", "--lazy", folder], check=True)


SMALL = {"model": {**MODEL, "num_classes": CLASSES}}  # 0.9 MB a checkpoint, and quick to lower


def words(mode: str, project: Project, config: Path, **values: object) -> list[object]:
    """The command line of a training in either mode of a file of ``configs/``."""
    values = {"save_dir": project.save_dir, **values}
    seeded = ["--seed", 3, "--deterministic"]
    if mode == EAGER:
        return [
            *(CONFIG_FLAG[mode], config, *seeded, "--log_iters", 1, "--opts"),
            *(f"{key}={value}" for key, value in values.items()),
        ]
    return [CONFIG_FLAG[mode], config, *seeded, "--log_steps", 1, *(f"{key}={value}" for key, value in values.items())]


@pytest.mark.parametrize(("mode", "seen"), [(EAGER, "before"), (EAGER, "while"), (STATIC, "while")])
def test_error_a_full_disk_costs_nothing(mode, seen, project, mounted, capsys, monkeypatch):
    """Two checkpoints of 0.9 MB fit, the third does not; with more room the run goes on to the same bits as ever."""
    out = mounted(2_400)
    config = project.config(EAGER, SMALL)
    settings = {"iters": 5, "save_interval": 1, "keep_checkpoint_max": 0}
    if seen == "while":  # the free space is not asked for: the write itself fails
        monkeypatch.setattr("shared.engine.checkpoint_folder.free_bytes", lambda _: None)
    ended = invoke(mode, "train", words(mode, project, config, save_dir=out, **settings), capsys)
    assert (ended.code, ended.errors) == (1, 1), ended.err
    assert "Traceback" not in ended.err
    kept = f"iteration 3 is not saved, {out / 'iter_2'} is: --resume goes on from it"
    for word in ("disk full", str(out), " MB", "delete old runs or choose another directory", kept):
        assert word in ended.message
    assert checkpoints(out) == ["iter_1", "iter_2"]
    assert find_resumable(out) == out / "iter_2"
    assert not [path.name for path in out.iterdir() if path.name.startswith(".")]

    mounted(12_000)
    resumed = invoke(mode, "train", words(mode, project, config, save_dir=out, resume_model="auto", **settings), capsys)
    assert resumed.code == 0, resumed.err
    whole = invoke(mode, "train", words(mode, project, config, **settings), capsys)
    assert whole.code == 0, whole.err
    assert unequal(out / "iter_5", project.save_dir / "iter_5") == []


def test_error_a_disk_that_fills_up_under_the_log(project, mounted, capsys):
    """Not even the log's line about it can be written."""
    out = mounted(1_400)
    settings = {"iters": 3, "save_interval": 1, "keep_checkpoint_max": 0}
    command = words(EAGER, project, project.config(EAGER, SMALL), save_dir=out, **settings)
    (out / "ballast").write_bytes(bytes(1_390_000))
    ended = invoke(EAGER, "train", command, capsys)
    assert ended.code in (1, 2)
    assert ended.errors == 1
    assert "Traceback" not in ended.err


@pytest.mark.parametrize("mode", MODES)
def test_value_batches_take_another_way_where_shared_memory_is_full(mode, project, mounted, capsys, monkeypatch):
    monkeypatch.setattr("shared.reading.parcel.SHARED_MEMORY", str(mounted(16)))
    edits = {**SMALL, "num_workers": 1, "reader": {"kind": "process"}}
    config = project.config(EAGER, edits)
    ended = invoke(mode, "train", words(mode, project, config), capsys)
    assert ended.code == 0, ended.err
    assert ended.err.count("has no room for a batch of") == 1
    assert re.search(r"note: /dev/shm has 0\.0 MB free, and the batches under way may need", ended.err)
    inline = invoke(
        mode, "train", words(mode, project, project.config(EAGER, SMALL), save_dir=project.folder / "b"), capsys
    )
    assert inline.code == 0
    assert unequal(project.save_dir / "iter_2", project.folder / "b/iter_2") == []


LIMITED = """
import resource, sys
import numpy as np
sys.path[0] = {root!r}
import shared.engine.saver as saver
from {module} import train
from shared.commands.run import run_command
evaluate = saver.evaluate
def limited(*arguments, **options):
    arguments[0].logits(np.zeros((1, 3, 256, 256), np.float32))  # libraries that are loaded late
    saver.evaluate = evaluate
    pages = int(open("/proc/self/statm").read().split()[0])
    limit = pages * resource.getpagesize() + {room}
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    return evaluate(*arguments, **options)
if {room}:
    saver.evaluate = limited
run_command(train)
"""


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
def test_value_an_evaluation_without_memory_goes_through_windows(mode, project):
    """Paddle itself runs out, under a limit of the process; score and weights are those of a run with enough."""
    for index in (4, 5):
        rng = np.random.default_rng(index)
        cv2.imwrite(str(project.image(index)), rng.integers(0, 256, (1024, 1536, 3), dtype=np.uint8))
        cv2.imwrite(str(project.label(index)), rng.integers(0, CLASSES, (1024, 1536), dtype=np.uint8))
    edits = {"val_dataset.transforms": [{"type": "Normalize"}], "test_config": {"crop_size": [256, 256]}}
    config = project.config(EAGER, edits)
    module = "dygraph.cli" if mode == EAGER else "legacy.pdseg.cli"
    told = {}
    least = 240 * 2**20
    for room in (0, least):
        out = project.folder / f"run_{room}"
        script = project.folder / "limited.py"
        script.write_text(LIMITED.format(root=str(ROOT), module=module, room=room))
        settings = {"do_eval": True, "save_dir": out, "iters": 3, "save_interval": 2, "keep_checkpoint_max": 0}
        command = [str(word) for word in words(mode, project, config, **settings)]
        environment = {**os.environ, "MALLOC_ARENA_MAX": "1"}  # reserved addresses of threads count as memory, too
        done = subprocess.run(
            [sys.executable, script, *command], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr[-3000:]
        told[room] = done.stderr
        assert load_checkpoint(out / "iter_3")[1].best_score is not None
    few, enough = told.pop(least), told.pop(0)
    assert "too little memory" not in enough
    assert few.count("too little memory for height 1024 x width 1536 in one piece") == 1
    assert "windows of 256 x 256" in few
    assert unequal(*(project.folder / f"run_{room}/iter_3" for room in (0, least))) == [], "training is none the wiser"
    scores = [records(project.folder / f"run_{room}", "eval")[0] for room in (0, least)]
    assert scores[1]["images"] == scores[0]["images"] == 2
    assert scores[1]["miou"] == pytest.approx(scores[0]["miou"], abs=0.02)
    assert scores[1]["loss"] == pytest.approx(scores[0]["loss"], rel=0.02)


def many(project: Project) -> None:
    """Twelve images to train on, of which one has a label that is none."""
    lines = [f"images/{n % 4}.png labels/{n % 4}.png\n" for n in range(11)]
    bad = project.data / "labels/bad.png"
    cv2.imwrite(str(project.data / "images/bad.png"), cv2.imread(str(project.image(0))))
    cv2.imwrite(str(bad), np.full((24, 32), 9, np.uint8))
    (project.data / "train.txt").write_text("".join([*lines, "images/bad.png labels/bad.png\n"]), encoding="utf-8")


@pytest.mark.parametrize("mode", MODES)
def test_value_a_broken_sample_is_skipped_alike_by_all_readers(mode, project, capsys):
    many(project)
    results = []
    for name, edits in (("inline", {}), ("process", {"num_workers": 2}), ("thread", {"num_workers": 2})):
        config = project.config(
            EAGER, {**SMALL, **edits, "on_bad_sample": "skip", "reader": {"kind": name}, "iters": 12}
        )
        results.append(project.folder / name)
        ended = invoke(mode, "train", words(mode, project, config, save_dir=results[-1]), capsys)
        assert ended.code == 0, ended.err
        assert ended.err.count("skipped, as on_bad_sample says (file 1 so far)") == 1
        assert "labels/bad.png: label value 9" in ended.err
        assert ", broken samples: 1" in ended.err
        assert sum(line["broken"] for line in records(results[-1])) == 2, "two epochs"
        assert unequal(results[-1] / "iter_12", results[0] / "iter_12") == []


@pytest.mark.parametrize("mode", MODES)
def test_error_a_broken_sample_ends_the_run_unless_it_is_skipped(mode, project, capsys):
    many(project)
    ended = invoke(mode, "train", words(mode, project, project.config(EAGER, SMALL)), capsys)
    assert ended.code == 2
    assert "labels/bad.png: label value 9" in ended.message


def test_value_yacs_skips_too(project, capsys):
    many(project)
    edits = {"DATALOADER.ON_BAD_SAMPLE": "skip", "TRAIN.EARLY_STOP_INTERVALS": 1, "SOLVER.NUM_EPOCHS": 4}
    config = project.config(STATIC, {**edits, "TRAIN.SNAPSHOT_EPOCH": 1, "SOLVER.LR": 1e-9})
    ended = invoke(STATIC, "train", [CONFIG_FLAG[STATIC], config, "--seed", 1, "--do_eval", "--log_steps", 1], capsys)
    assert ended.code == 0, ended.err
    assert "skipped, as on_bad_sample says (file 1 so far)" in ended.err
    assert "early stop: the last 1 evaluations" in ended.err
    assert len(records(project.save_dir, "eval")) < 4

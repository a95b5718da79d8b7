from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest

from shared.engine.checkpoint import (
    Progress,
    ensure_writable,
    find_resumable,
    load_checkpoint,
    save_checkpoint,
    verify_checkpoint,
)
from shared.engine.stepper import StepperState
from shared.errors import CheckpointError, MachineError


def _save(save_dir, iteration, seed=0):
    state = StepperState({"w": np.random.default_rng(seed).standard_normal(5)}, {})
    return save_checkpoint(save_dir, state, Progress(iteration), mode="eager", config={}, keep_max=0)


def _names(folder):
    return sorted(p.name for p in folder.iterdir())


def _dead_pid() -> int:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


def test_error_disk_full_while_replacing_puts_the_former_back(tmp_path, monkeypatch):
    _save(tmp_path, 5, seed=1)
    real = os.replace

    def replace(source, target):
        if ".tmp-" in os.fspath(source) and os.fspath(target).endswith("iter_5"):
            raise OSError(errno.ENOSPC, "No space left on device")
        real(source, target)

    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(CheckpointError, match="disk full"):
        _save(tmp_path, 5, seed=2)
    assert _names(tmp_path) == ["iter_5"]
    former = np.random.default_rng(1).standard_normal(5)
    np.testing.assert_array_equal(load_checkpoint(tmp_path / "iter_5")[0].model["w"], former)


def test_value_interrupted_save_leaves_no_trace(tmp_path, monkeypatch):
    def interrupt(descriptor):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        _save(tmp_path, 5)
    assert _names(tmp_path) == []


def test_value_left_overs_of_dead_processes_are_removed(tmp_path):
    _save(tmp_path, 4)
    dead, alive = _dead_pid(), os.getppid()
    for name in (f".iter_5.tmp-{dead}", f".best_model.tmp-{dead}", f".iter_4.old-{dead}", f".iter_6.tmp-{alive}"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.safetensors").write_bytes(b"half")
    assert find_resumable(tmp_path) == tmp_path / "iter_4"
    assert len(_names(tmp_path)) == 5  # looking removes nothing
    _save(tmp_path, 7)
    assert _names(tmp_path) == [f".iter_6.tmp-{alive}", "iter_4", "iter_7"]


def test_value_a_crash_while_replacing_loses_nothing(tmp_path):
    """Between the two renames of a replacement only the hidden name exists."""
    path = _save(tmp_path, 5)
    path.rename(tmp_path / f".iter_5.old-{_dead_pid()}")
    assert find_resumable(tmp_path) == path
    assert verify_checkpoint(path)["iteration"] == 5


def test_value_ensure_writable_creates_and_leaves_nothing(tmp_path):
    assert ensure_writable(tmp_path / "a" / "b") == tmp_path / "a" / "b"
    assert _names(tmp_path / "a" / "b") == []


def test_error_ensure_writable(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("x")
    with pytest.raises(
        MachineError, match=r"file is not a writable directory \(File exists\).*another directory"
    ) as caught:
        ensure_writable(tmp_path / "file")
    assert caught.value.exit_code == 2
    if os.path.isdir("/proc/self"):
        with pytest.raises(MachineError, match="is not a writable directory"):
            ensure_writable("/proc/dualseg")
    shutil.rmtree(tmp_path / "full", ignore_errors=True)

    def full(self, data):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    with pytest.raises(MachineError, match="the disk is full"):
        ensure_writable(tmp_path / "full")


@pytest.mark.skipif(not hasattr(signal, "SIGXFSZ"), reason="file size limits are Unix's")
def test_error_real_failed_write(tmp_path):
    """The kernel refuses the write halfway (a file size limit), in a process of its own."""
    _save(tmp_path, 5)
    code = (
        "import resource, signal, sys, numpy as np\n"
        "from pathlib import Path\n"
        "from shared.engine.checkpoint import Progress, save_checkpoint\n"
        "from shared.engine.stepper import StepperState\n"
        "from shared.errors import CheckpointError\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "state = StepperState({'w': np.zeros(100_000)}, {})\n"
        "try:\n"
        "    save_checkpoint(Path(sys.argv[1]), state, Progress(6), mode='eager', config={}, keep_max=1)\n"
        "except CheckpointError as error:\n"
        "    print('refused:', error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=True)
    assert "refused: cannot write" in done.stdout
    assert _names(tmp_path) == ["iter_5"]

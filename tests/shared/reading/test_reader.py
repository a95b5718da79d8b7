"""Readers of all kinds: same batches, same errors, and nothing left behind."""

from __future__ import annotations

import ast
import itertools
import logging
import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from shared.errors import ConfigError, DataError, RunFailedError, UserError
from shared.reading import TrainSampler, eval_batches, open_reader
from tests.shared.reading.sources import (
    FailsAt,
    Hangs,
    KilledAt,
    Large,
    NeedsItsModule,
    NoRoomInMemory,
    Plain,
    Probe,
    TwoProblemsAt,
)

ROOT = Path(__file__).resolve().parents[3]
SETUPS = [("inline", 0), ("thread", 1), ("thread", 3), ("process", 1), ("process", 3)]
WORKERS = [setup for setup in SETUPS if setup[0] != "inline"]
needs_dev_shm = pytest.mark.skipif(not os.path.isdir("/dev/shm"), reason="files in memory are Linux's")


def left_behind(pid: int, elsewhere: Path) -> list[str]:
    """The reader's folders of a process, in memory and among its temporary files."""
    folders = [folder for folder in ("/dev/shm", elsewhere) if os.path.isdir(folder)]
    return [str(path) for folder in folders for path in Path(folder).glob(f"dualseg-{pid}-*")]


@pytest.fixture(autouse=True)
def nothing_is_left_behind(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    yield
    assert left_behind(os.getpid(), tmp_path) == []
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("reader")] == []


def is_running(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):  # gone before opening, or between opening and reading
        return False


def wait_until(condition, seconds=10.0):
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return condition()


@pytest.mark.parametrize(("kind", "workers"), SETUPS)
def test_value_every_kind_gives_the_batches_that_were_asked_for_in_order(kind, workers):
    asked = list(TrainSampler(9, 2, seed=0).batches(0, 10))
    with open_reader(Plain(), asked, kind=kind, workers=workers) as reader:
        batches = list(reader)
    assert len(batches) == 10
    for batch, pairs in zip(batches, asked):
        assert batch.paths == [f"{epoch}/{index}.png" for epoch, index in pairs]
        assert batch.undo == [[("resize", (index, 9))] for _, index in pairs]
        assert (batch.images.shape, batch.images.dtype) == ((2, 3, 5, 8), np.float32)
        assert (batch.labels.shape, batch.labels.dtype) == ((2, 5, 8), np.int64)
        for n, (epoch, index) in enumerate(pairs):
            rng = np.random.default_rng([7, epoch, index])
            rng.uniform(0, 0.01)
            np.testing.assert_array_equal(batch.images[n], rng.random((3, 5, 8), np.float32))
            assert (batch.labels[n] == index).all()
        batch.images += 1  # the arrays are the caller's own
        batch.labels += 1


@pytest.mark.parametrize(("kind", "workers"), SETUPS)
def test_value_large_batches_without_labels(kind, workers):
    with open_reader(Large(), eval_batches(5, 2), kind=kind, workers=workers) as reader:
        batches = list(reader)
    assert [batch.images.shape for batch in batches] == [(2, 3, 512, 1024), (2, 3, 512, 1024), (1, 3, 512, 1024)]
    assert [float(image.min()) for batch in batches for image in batch.images] == [0, 1, 2, 3, 4]
    assert [float(image.max()) for batch in batches for image in batch.images] == [0, 1, 2, 3, 4]
    assert {batch.labels for batch in batches} == {None}


@pytest.mark.parametrize(("kind", "workers"), WORKERS)
def test_value_looks_ahead_as_far_as_asked_and_no_further(kind, workers):
    asked = 0

    def endless():
        nonlocal asked
        for iteration in itertools.count():
            asked += 1
            yield [(0, iteration)]

    with open_reader(Plain(), endless(), kind=kind, workers=workers, prefetch=2) as reader:
        assert asked == 2 * workers
        for taken in range(1, 6):
            next(reader)
            assert asked == 2 * workers + taken


def test_value_wait_seconds_is_the_time_spent_in_next():
    with open_reader(Plain(), ([(0, i)] for i in range(20)), kind="inline") as reader:
        assert reader.wait_seconds == 0
        began = time.perf_counter()
        for _ in reader:
            pass
        elapsed = time.perf_counter() - began
        slept = sum(float(np.random.default_rng([7, 0, i]).uniform(0, 0.01)) for i in range(20))
        assert slept <= reader.wait_seconds <= elapsed


@pytest.mark.parametrize(("kind", "workers"), SETUPS)
def test_error_of_the_user_comes_out_as_itself(kind, workers):
    source = FailsAt(3, DataError("b.png: label value 9, expected 0 to 2"))
    with open_reader(source, eval_batches(8, 2), kind=kind, workers=workers) as reader:
        next(reader)
        with pytest.raises(DataError) as caught:
            next(reader)
    assert type(caught.value) is DataError
    assert str(caught.value) == "b.png: label value 9, expected 0 to 2"
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(("kind", "workers"), SETUPS)
def test_error_with_another_constructor_keeps_message_and_attributes(kind, workers):
    with (
        open_reader(TwoProblemsAt(), [[(0, 2)]], kind=kind, workers=workers) as reader,
        pytest.raises(ConfigError) as caught,
    ):
        next(reader)
    assert str(caught.value) == "2 config errors in x.yml:\n  - a: one\n  - b: two"
    assert caught.value.problems == ["a: one", "b: two"]


@pytest.mark.parametrize(("kind", "workers"), SETUPS)
def test_error_in_the_program_keeps_its_type(kind, workers):
    with (
        open_reader(FailsAt(0, IndexError("5 is out of bounds")), [[(0, 0)]], kind=kind, workers=workers) as reader,
        pytest.raises(IndexError, match="5 is out of bounds"),
    ):
        next(reader)


@pytest.mark.parametrize(("kind", "workers"), SETUPS)
def test_error_in_the_batches_comes_out(kind, workers):
    def batches():
        yield [(0, 0)]
        raise DataError("no more")

    with (
        pytest.raises(DataError, match="no more"),
        open_reader(Plain(), batches(), kind=kind, workers=workers) as reader,
    ):
        list(reader)


@pytest.mark.parametrize(
    ("how", "words"),
    [
        (-signal.SIGKILL, "was killed by SIGKILL, exit code -9 (the system kills so when memory runs out)"),
        (-signal.SIGSEGV, "was killed by SIGSEGV, exit code -11"),
        (-signal.SIGABRT, "was killed by SIGABRT, exit code -6"),
        (3, "ended with exit code 3"),
    ],
)
@pytest.mark.parametrize("workers", [1, 2])
def test_error_dead_worker_is_named_and_never_waited_for(how, words, workers):
    began = time.monotonic()
    with (
        open_reader(KilledAt(5, how), ([(0, i)] for i in range(50)), kind="process", workers=workers) as reader,
        pytest.raises(RunFailedError) as caught,
    ):
        list(reader)
    assert f"a worker process of the reader {words}" in str(caught.value)
    (files,) = re.findall(r" while it read one of ([^;]*); look at these files", str(caught.value))
    assert "5.png" in files.split(", ")
    assert len(files.split(", ")) <= workers
    assert time.monotonic() - began < 20


def test_value_workers_are_clean_processes():
    with open_reader(Probe(), ([(0, i)] for i in range(8)), kind="process", workers=2) as reader:
        probes = [ast.literal_eval(batch.paths[0]) for batch in reader]
    for probe in probes:
        assert probe["pid"] != os.getpid()
        assert probe["packages"] == ["cv2", "shared"]
        assert probe["main"] is None
        assert probe["cv2_threads"] == 1
        assert probe["ignores_sigint"]
    assert wait_until(lambda: not any(is_running(probe["pid"]) for probe in probes))


@pytest.mark.skipif(sys.version_info < (3, 11), reason="before Python 3.11 the working directory cannot be left out")
def test_value_workers_run_this_package_wherever_they_start(tmp_path):
    """A folder called ``shared`` in the working directory is another one."""
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared/__init__.py").write_text("raise SystemExit('the wrong package')")
    code = (
        f"import sys; sys.path[:] = [{str(ROOT)!r}] + [p for p in sys.path if p]\n"
        "from shared.reading import open_reader\n"
        "from tests.shared.reading.sources import Probe\n"
        "with open_reader(Probe(), [[(0, 0)]], kind='process', workers=1) as reader: print(next(reader).paths[0])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    probe = ast.literal_eval(done.stdout)
    assert probe["reader"] == str(ROOT / "shared/reading/worker.py"), done.stderr


def test_value_starting_workers_leaves_this_process_as_it_was(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    main = sys.modules["__main__"]
    with open_reader(Plain(), [[(0, 0)]], kind="process", workers=1) as reader:
        next(reader)
        assert sys.modules["__main__"] is main
        assert os.environ["OMP_NUM_THREADS"] == "2"
        assert not {"MKL_NUM_THREADS", "PYTHONSAFEPATH", "DUALSEG_READER_PREFIX"} & set(os.environ)
        assert "shared.reading.fork_server" not in sys.modules


@pytest.mark.parametrize(("kind", "workers"), WORKERS)
def test_value_leaving_early_is_quick_and_clean(kind, workers):
    began = 0.0

    def interrupted(reader):
        nonlocal began
        with reader:
            next(reader)
            began = time.monotonic()
            raise KeyboardInterrupt

    reader = open_reader(Large(), ([(0, i)] for i in itertools.count()), kind=kind, workers=workers)
    with pytest.raises(KeyboardInterrupt):
        interrupted(reader)
    assert time.monotonic() - began < 3
    reader.close()
    with pytest.raises(RuntimeError, match="the reader is closed"):
        next(reader)


def test_value_a_hanging_worker_is_killed_in_the_end(monkeypatch):
    monkeypatch.setattr("shared.reading.reader._GRACE_SECONDS", 0.5)
    began = None
    with open_reader(Hangs(), ([(0, i)] for i in range(9)), kind="process", workers=2) as reader:
        next(reader)
        began = time.monotonic()
    assert time.monotonic() - began < 5


@needs_dev_shm
def test_value_batches_travel_in_memory(caplog, tmp_path):
    with open_reader(Large(), eval_batches(4, 2), kind="process", workers=1) as reader:
        (folder,) = [path for path in left_behind(os.getpid(), tmp_path) if path.startswith("/dev/shm/")]
        assert wait_until(lambda: sum(f.stat().st_size for f in Path(folder).iterdir()) == 4 * 512 * 1024 * 3 * 4)
        assert len(list(reader)) == 2
    assert caplog.text == ""


@needs_dev_shm
def test_value_full_memory_falls_back_with_one_line(caplog):
    with (
        caplog.at_level(logging.INFO),
        open_reader(NoRoomInMemory(), eval_batches(5, 2), kind="process", workers=2) as reader,
    ):
        batches = list(reader)
    assert [float(image.mean()) for batch in batches for image in batch.images] == [0, 1, 2, 3, 4]
    (line,) = caplog.messages
    assert line.startswith("/dev/shm has no room for a batch of 12 MB: batches travel through ")
    assert "--shm-size" in line


def test_value_without_semaphores_threads_read_instead(caplog, monkeypatch):
    def refuses(*arguments, **options):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("multiprocessing.synchronize.SemLock.__init__", refuses)
    with open_reader(Probe(), eval_batches(4, 1), kind="process", workers=2) as reader:
        assert {ast.literal_eval(batch.paths[0])["pid"] for batch in reader} == {os.getpid()}
    (line,) = caplog.messages
    assert line == (
        "worker processes cannot be used here (/dev/shm: [Errno 30] Read-only file system); reading with 2 threads"
    )


def test_error_source_that_cannot_travel():
    with pytest.raises(UserError, match=r"cannot be handed to a worker process: .*lambda.* read with threads"):
        open_reader(FailsAt(0, lambda: None), [[(0, 0)]], kind="process", workers=1)
    with (
        open_reader(NeedsItsModule(), [[(0, 0)]], kind="process", workers=1) as reader,
        pytest.raises(UserError, match=r"ModuleNotFoundError: No module named 'a_module_that_is_not_there'"),
    ):
        next(reader)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kind": "fork"}, "reader kind is 'fork'; expected one of inline, thread, process"),
        ({"kind": "thread"}, "workers is 0 for reader kind 'thread'"),
        ({"kind": "process", "workers": -1}, "workers is -1"),
        ({"kind": "inline", "workers": 2}, "workers is 2 for reader kind 'inline'"),
        ({"kind": "thread", "workers": 1, "prefetch": 0}, "prefetch is 0"),
    ],
)
def test_error_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        open_reader(Plain(), [], **arguments)


SCRIPT = """
import os, sys
print("main runs", flush=True)
import dygraph  # what a worker must not import
from shared.reading import open_reader
from tests.shared.reading.sources import Probe

with open_reader(Probe(), ([(0, i)] for i in range(10**9)), kind="process", workers=2) as reader:
    for number, batch in enumerate(reader):
        if number < 6:
            print(batch.paths[0], flush=True)
"""


@pytest.fixture
def running_script(tmp_path):
    """A script without the ``__main__`` guard, reading for ever, and what its workers told of themselves."""
    path = tmp_path / "script.py"
    path.write_text(textwrap.dedent(SCRIPT))
    env = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)}
    process = subprocess.Popen(
        [sys.executable, str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=env,
        cwd=tmp_path,
        start_new_session=True,
    )
    try:
        lines = [process.stdout.readline() for _ in range(7)]
        assert lines[0] == "main runs\n"
        yield process, [ast.literal_eval(line) for line in lines[1:]]
    finally:
        process.kill()
        process.communicate()


def test_value_workers_do_not_run_the_main_script(running_script):
    _, probes = running_script
    for probe in probes:
        assert probe["packages"] == ["cv2", "shared"]
        assert probe["main"] is None
        assert probe["omp"] == "1"


def test_value_ctrl_c_ends_script_and_workers(running_script):
    process, probes = running_script
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: the whole group
    _, errors = process.communicate(timeout=20)
    assert process.returncode == -signal.SIGINT
    assert errors.count("Traceback") == 1
    assert wait_until(lambda: not any(is_running(probe["pid"]) for probe in probes))


def test_value_workers_and_their_files_go_with_a_killed_script(running_script, tmp_path):
    process, probes = running_script
    assert left_behind(process.pid, tmp_path) != []
    process.kill()
    process.wait()
    assert wait_until(lambda: not any(is_running(probe["pid"]) for probe in probes))
    assert wait_until(lambda: left_behind(process.pid, tmp_path) == [])


DIES = """
import os, signal, sys
from shared.reading import open_reader, reader
from shared.reading.parcel import Spool
from tests.shared.reading.sources import Large

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

if sys.argv[1] == "before the workers":
    reader.ProcessPoolExecutor = die
with open_reader(Large(), ([(0, i)] for i in range(10**9)), kind="process", workers=2) as batches:
    next(batches)
    Spool.remove = die
"""


@pytest.mark.parametrize("when", ["before the workers", "after the workers"])
def test_value_files_go_with_a_script_that_is_killed_when_it_has_no_workers(when, tmp_path):
    env = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)}
    with subprocess.Popen([sys.executable, "-c", DIES, when], env=env, cwd=tmp_path) as process:
        assert process.wait(60) == -signal.SIGKILL
    assert wait_until(lambda: left_behind(process.pid, tmp_path) == [])


STOPPED = """
import os, signal
from shared.reading import open_reader
from tests.shared.reading.sources import Plain

signals = []
signal.signal(signal.SIGTERM, lambda number, _: signals.append(number))
with open_reader(Plain(), ([(0, i)] for i in range(100)), kind="process", workers=2) as reader:
    for number, batch in enumerate(reader):
        if number == 10:
            os.killpg(0, signal.SIGTERM)
print(number, signals)
"""


def test_value_workers_leave_sigterm_to_the_main_process(tmp_path):
    """Slurm and systemd send it to every process of a job."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)}
    options = {"cwd": tmp_path, "stdout": subprocess.PIPE, "text": True, "start_new_session": True}
    with subprocess.Popen([sys.executable, "-c", STOPPED], env=env, **options) as process:
        assert process.communicate(timeout=60)[0] == "99 [15]\n"

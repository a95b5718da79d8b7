"""Worker processes: what they start from, which signals they heed, and that they and their files go with the run."""

from __future__ import annotations

import ast
import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap

import pytest

from shared.reading import open_reader
from tests.launching import ROOT, until
from tests.shared.reading.leftovers import is_running, left_behind
from tests.shared.reading.sources import Plain, Probe, heeds_sigterm


@pytest.fixture
def env(tmp_path):
    """Variables of a script that reads with this package, and keeps its temporary files apart."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)}


def test_value_workers_are_clean_processes():
    with open_reader(Probe(), ([(0, i)] for i in range(8)), kind="process", workers=2) as reader:
        probes = [ast.literal_eval(batch.paths[0]) for batch in reader]
    for probe in probes:
        assert probe["pid"] != os.getpid()
        assert probe["packages"] == ["cv2", "shared"]
        assert probe["main"] is None
        assert probe["cv2_threads"] == 1
        assert probe["ignores_sigint"]
    assert until(lambda: not any(is_running(probe["pid"]) for probe in probes))


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
def running_script(env, tmp_path):
    """A script without the ``__main__`` guard, reading for ever, and what its workers told of themselves."""
    path = tmp_path / "script.py"
    path.write_text(textwrap.dedent(SCRIPT))
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
    assert until(lambda: not any(is_running(probe["pid"]) for probe in probes))


def test_value_workers_and_their_files_go_with_a_killed_script(running_script, tmp_path):
    process, probes = running_script
    assert left_behind(process.pid, tmp_path) != []
    process.kill()
    process.wait()
    assert until(lambda: not any(is_running(probe["pid"]) for probe in probes))
    assert until(lambda: left_behind(process.pid, tmp_path) == [])


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
def test_value_files_go_with_a_script_that_is_killed_when_it_has_no_workers(when, env, tmp_path):
    with subprocess.Popen([sys.executable, "-c", DIES, when], env=env, cwd=tmp_path) as process:
        assert process.wait(60) == -signal.SIGKILL
    assert until(lambda: left_behind(process.pid, tmp_path) == [])


SWEEPS = """
from shared.reading import fork_server, parcel

parcel.SHARED_MEMORY = "/there/is/none"
fork_server._remove_folders("dualseg-1-")
"""


def test_value_files_go_where_there_is_no_dev_shm(env, tmp_path):
    for name in ("dualseg-1-a", "dualseg-1-b", "dualseg-12-c", "other"):
        (tmp_path / name).mkdir()
    (tmp_path / "dualseg-1-a/parcel").touch()
    subprocess.run([sys.executable, "-c", SWEEPS], env=env, cwd=tmp_path, check=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dualseg-12-c", "other"]


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


def test_value_workers_leave_sigterm_to_the_main_process(env, tmp_path):
    """Slurm and systemd send it to every process of a job."""
    options = {"cwd": tmp_path, "stdout": subprocess.PIPE, "text": True, "start_new_session": True}
    with subprocess.Popen([sys.executable, "-c", STOPPED], env=env, **options) as process:
        assert process.communicate(timeout=60)[0] == "99 [15]\n"


def test_value_other_processes_of_the_fork_server_heed_sigterm():
    with open_reader(Plain(), [[(0, 0)]], kind="process", workers=1) as reader:
        next(reader)
        process = multiprocessing.get_context("forkserver").Process(target=heeds_sigterm)
        process.start()
        process.join(20)
    assert process.exitcode == -signal.SIGTERM

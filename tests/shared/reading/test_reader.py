"""Readers of all kinds: same batches, same errors, and nothing left behind."""

from __future__ import annotations

import ast
import itertools
import logging
import os
import re
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from shared.errors import ConfigError, DataError, RunFailedError, UserError
from shared.reading import TrainSampler, eval_batches, open_reader
from tests.launching import until
from tests.shared.reading.leftovers import left_behind
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

SETUPS = [("inline", 0), ("thread", 1), ("thread", 3), ("process", 1), ("process", 3)]
WORKERS = [setup for setup in SETUPS if setup[0] != "inline"]
needs_dev_shm = pytest.mark.skipif(not os.path.isdir("/dev/shm"), reason="files in memory are Linux's")


@pytest.fixture(autouse=True)
def nothing_is_left_behind(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    yield
    assert left_behind(os.getpid(), tmp_path) == []
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("reader")] == []


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
        assert until(lambda: sum(f.stat().st_size for f in Path(folder).iterdir()) == 4 * 512 * 1024 * 3 * 4)
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

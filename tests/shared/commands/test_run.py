"""How a command ends: exit code, one message on stderr, and no traceback for what a user can cause."""

from __future__ import annotations

import logging
import os

import pytest

from shared.commands.run import run_command
from shared.engine.loop import InterruptedRunError
from shared.errors import CheckpointError, ConfigError, DataError, MachineError, RunFailedError, UserError


@pytest.fixture(autouse=True)
def as_it_was():
    root = logging.getLogger()
    handlers, level, environ = list(root.handlers), root.level, dict(os.environ)
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    os.environ.clear()
    os.environ.update(environ)


def end(main, *arguments):
    with pytest.raises(SystemExit) as ended:
        run_command(main, arguments)
    return ended.value.code


def raising(error):
    def main(argv):
        print("some output")
        raise error

    return main


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UserError("wrong"), 2),
        (ConfigError("wrong"), 2),
        (DataError("wrong"), 2),
        (CheckpointError("wrong"), 2),
        (MachineError("wrong"), 2),
        (RunFailedError("wrong"), 1),
        (InterruptedRunError("wrong", 15), 143),
        (InterruptedRunError("wrong", 2), 130),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_error_codes(error, code, capsys):
    assert end(raising(error)) == code
    out, err = capsys.readouterr()
    assert out == "some output\n"
    assert err.startswith("error: ")
    assert err.rstrip().endswith("wrong")
    assert "Traceback" not in err


def test_error_ctrl_c(capsys):
    assert end(raising(KeyboardInterrupt())) == 130
    assert capsys.readouterr().err.endswith("stopped by Ctrl-C\n")


def test_error_an_unforeseen_error_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError):
        run_command(raising(ZeroDivisionError()), [])


def test_value_done_and_the_arguments_arrive(monkeypatch, capsys):
    given = []
    assert end(given.append, "--a", "1") == 0
    assert list(given[0]) == ["--a", "1"]
    monkeypatch.setattr("sys.argv", ["train.py", "--b"])
    with pytest.raises(SystemExit) as ended:
        run_command(given.append)
    assert ended.value.code == 0
    assert given[1] == ["--b"]


def test_value_processor_settings_are_made_first():
    threads = "FLAGS_paddle_num_threads"
    os.environ.pop(threads, None)
    seen = []

    def main(argv):
        seen.append(os.environ.get(threads))

    assert end(main) == 0
    assert seen == [os.environ["OMP_NUM_THREADS"]]

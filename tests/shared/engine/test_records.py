"""The files a run writes down, the console, and VisualDL where it is there."""

from __future__ import annotations

import json
import logging
import sys

import pytest

from shared.engine.records import RunRecords, setup_console
from shared.errors import MachineError


@pytest.fixture
def root_logger():
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield root
    root.handlers[:] = handlers
    root.setLevel(level)


class Writer:
    """Stands for VisualDL's."""

    made: list = []  # noqa: RUF012

    def __init__(self, logdir):
        self.logdir, self.scalars, self.closed = logdir, [], False
        Writer.made.append(self)

    def add_scalar(self, tag, value, step):
        self.scalars.append((tag, value, step))

    def close(self):
        self.closed = True


def test_value_records_are_lines_of_json_and_there_at_once(tmp_path):
    with RunRecords(tmp_path) as records:
        records.write({"kind": "train", "iter": 1, "loss": 0.5, "terms": [0.25, 0.25]})
        assert json.loads((tmp_path / "metrics.jsonl").read_text()) == {
            "kind": "train",
            "iter": 1,
            "loss": 0.5,
            "terms": [0.25, 0.25],
        }


def test_value_train_log_takes_what_is_logged_while_open(tmp_path, root_logger):
    root_logger.setLevel(logging.INFO)
    with RunRecords(tmp_path):
        logging.getLogger("anywhere").info("inside ü")
    logging.getLogger("anywhere").info("outside")
    text = (tmp_path / "train.log").read_text(encoding="utf-8")
    assert "[INFO] inside ü" in text
    assert "outside" not in text
    with RunRecords(tmp_path, resumed_at=1):
        logging.getLogger("anywhere").info("again")
    assert "inside" in (tmp_path / "train.log").read_text(encoding="utf-8"), "the log is appended to"


def test_value_visualdl_gets_the_numbers(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "visualdl", type("visualdl", (), {"LogWriter": Writer}))
    with RunRecords(tmp_path, tmp_path / "vdl") as records:
        records.write({"kind": "train", "iter": 7, "epoch": 2, "loss": 0.5, "terms": [0.5]})
    writer = Writer.made[-1]
    assert writer.logdir == str(tmp_path / "vdl")
    assert writer.scalars == [("train/loss", 0.5, 7)]
    assert writer.closed


def test_error_visualdl_is_missing(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "visualdl", None)
    with pytest.raises(MachineError, match=r"pip install visualdl"):
        RunRecords(tmp_path, tmp_path / "vdl")
    assert list(tmp_path.iterdir()) == []


def test_value_a_line_cut_short_by_a_crash_is_dropped_on_resume(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"iter": 1}\n{"iter": 2}\n{"iter": 3, "lo')
    with RunRecords(tmp_path, resumed_at=5) as records:
        records.write({"kind": "train", "iter": 6})
    lines = [json.loads(line)["iter"] for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert lines == [1, 2, 6]


@pytest.mark.parametrize("verbose", [False, True])
def test_value_console(root_logger, capsys, verbose):
    setup_console(verbose)
    setup_console(verbose)
    logging.getLogger("here").debug("fine print")
    logging.getLogger("here").info("a line")
    logging.getLogger("matplotlib").info("noise")
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("a line") == 1, "one handler, however often it is set up"
    assert ("fine print" in err) is verbose
    assert "noise" not in err


def test_value_a_line_that_is_no_json_is_dropped_on_resume(tmp_path):
    good = '{"kind": "train", "iter": 1}\n'
    (tmp_path / "metrics.jsonl").write_bytes(good.encode() + b"\0\0\0\n" + b'{"kind": "train"}\n')
    with RunRecords(tmp_path, resumed_at=5):
        assert (tmp_path / "metrics.jsonl").read_text() == good

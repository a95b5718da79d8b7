"""The files a run writes down, the console, and VisualDL where it is there."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path

import pytest

from shared.engine.records import RunRecords, setup_console
from shared.errors import MachineError


@pytest.fixture
def root_logger():
    """As it is, without handlers of libraries that an earlier test's captured output went away from under."""
    root = logging.getLogger()
    level = root.level
    handlers = [one for one in root.handlers if not getattr(getattr(one, "stream", None), "closed", False)]
    root.handlers[:] = handlers
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


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device that is always full is Linux's")
def test_value_a_full_disk_costs_lines_and_not_the_run(tmp_path, root_logger, capsys, caplog):
    root_logger.setLevel(logging.INFO)
    (tmp_path / "train.log").symlink_to("/dev/full")
    with RunRecords(tmp_path) as records:
        records._metrics.close()
        records._metrics = open("/dev/full", "w")  # noqa: SIM115 - the records close it
        for n in range(3):
            logging.getLogger("anywhere").info("line %d", n)
            records.write({"kind": "train", "iter": n})
    said = [line for line in caplog.messages if "cannot be written" in line]
    assert said[0] == "train.log cannot be written (No space left on device): its lines are lost, the run goes on"
    assert [line for line in said if line.startswith("train.log")] == said[:1]
    assert sum(line.startswith("metrics.jsonl cannot") for line in said) == 3
    assert "Logging error" not in capsys.readouterr().err

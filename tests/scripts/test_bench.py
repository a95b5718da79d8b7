"""The benchmarks' own arithmetic and machinery: ratios, turns, a side that dies, lists of frames."""

from __future__ import annotations

import argparse
import json
import sys

import pytest

from scripts.bench import contest, frames, peers, report
from scripts.bench.contest import Contender, hold, ratio

SIDE = """
import sys
import time
sys.path.insert(0, {sides!r})
from loop import serve

def play(label, log):
    print("noise on standard output")
    def turn():
        with open(log, "a") as file:
            file.write(label)
        return {{"seconds": 2.0 if label == "a" else 0.5}}
    return turn

def clocked():
    return lambda: None

def three_seconds():
    now = [0.0]
    time.perf_counter = lambda: now[0]
    def turn():
        now[0] += 3.0
    return turn

def die():
    raise SystemExit("the reason")

serve({{"play": play, "clocked": clocked, "three_seconds": three_seconds, "die": die}})
"""


@pytest.fixture
def side(tmp_path, monkeypatch):
    script = tmp_path / "side.py"
    script.write_text(SIDE.format(sides=str(peers.SIDES)))
    monkeypatch.setattr(contest.peers, "command", lambda _: [sys.executable, str(script)])
    return tmp_path


def test_value_contenders_take_turns_in_changing_order(side):
    log = side / "log"
    records = hold([Contender(name, "x", "play", {"label": name, "log": str(log)}) for name in "ab"], 3, warm_up=1)
    assert log.read_text() == "ab" + "ab" + "ba" + "ab"
    assert records["a"].values() == [2.0] * 3
    assert records["a"].first_seconds == 2.0
    assert all(one["peak_mib"] > 1 for one in records["b"].rounds)
    assert str(ratio(records["a"].values(), records["b"].values())) == "4.00x (4.00 to 4.00)"


def test_value_a_side_without_a_clock_is_measured(side):
    (record,) = hold([Contender("x", "x", "clocked")], 2).values()
    assert all(0 <= seconds < 1 for seconds in record.values())


def test_value_rounds_in_a_row_count_as_one_of_their_mean(side):
    log = side / "log"
    contenders = [
        Contender("seconds", "x", "three_seconds", {"in_a_row": 4}),
        Contender("turns", "x", "play", {"label": "b", "log": str(log), "in_a_row": 4}),
    ]
    assert hold(contenders, 2, warm_up=0)["seconds"].values() == [3.0, 3.0]
    assert log.read_text() == "bbbb" * 2


def test_error_a_side_that_dies_is_named_with_its_words(side):
    with pytest.raises(SystemExit, match=r"(?s)error: mine ended with exit code 1:.*the reason"):
        hold([Contender("mine", "x", "die")], 1)


def test_value_ratio_by_hand():
    found = ratio([1.0, 4.0, 9.0, 8.0, 10.0], [1.0, 2.0, 3.0, 2.0, 2.0])
    assert (found.low, found.median, found.high) == (2.0, 3.0, 4.0)
    assert ratio([3.0], [2.0]).as_json() == {"median": 1.5, "low": 1.5, "high": 1.5}


def test_value_table():
    assert report.table(("a", "b"), [("x", 1)]) == "| a | b |\n|---|---:|\n| x | 1 |"


def test_error_rounds():
    with pytest.raises(SystemExit):
        report.parser("x", 3).parse_args(["--rounds", "0"])
    with pytest.raises(argparse.ArgumentTypeError, match="got 'two', expected a whole number of 1 or more"):
        report.positive("two")


def test_value_numbers_are_written_with_machine_and_versions(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(peers, "versions", lambda side: {"numpy": side})
    report.finish("data", tmp_path / "out" / "data.json", ("ours",), {"ratio": 2}, "the table")
    written = json.loads((tmp_path / "out" / "data.json").read_text())
    assert (written["benchmark"], written["ratio"], written["versions"]) == ("data", 2, {"ours": {"numpy": "ours"}})
    assert written["machine"]["cores"] >= 1
    assert capsys.readouterr().out.startswith("the table")


def test_value_frames_are_listed_in_pairs(tmp_path, monkeypatch):
    monkeypatch.setattr(peers, "HOME", tmp_path / "home")
    for folder, suffix in (("leftImg8bit", "_leftImg8bit.png"), ("gtFine", "_gtFine_labelTrainIds.png")):
        place = tmp_path / "data" / folder / "train" / "bonn"
        place.mkdir(parents=True)
        (place / f"bonn_1{suffix}").touch()
    (tmp_path / "data/leftImg8bit/train/bonn/bonn_2_leftImg8bit.png").touch()  # no label
    listed = frames.list_file(frames.root_of_frames(tmp_path / "data")).read_text()
    pair = "train/bonn/bonn_1_leftImg8bit.png gtFine/train/bonn/bonn_1_gtFine_labelTrainIds.png"
    assert listed == f"leftImg8bit/{pair}\n"
    with pytest.raises(SystemExit, match="has no folder leftImg8bit"):
        frames.root_of_frames(tmp_path)


def test_value_the_recipes_transforms_are_measured():
    steps = frames.training_steps((512, 256))
    assert [step["type"] for step in steps][:2] == ["ResizeStepScaling", "RandomPaddingCrop"]
    assert steps[1]["crop_size"] == [512, 256]

"""Looking at a data set: all findings in one report, and class shares counted by hand."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from shared.commands.check import check_fully
from shared.datasets.dataset import Dataset
from shared.engine.preflight import SAMPLED, check_records, check_sampled
from shared.errors import DataError
from tests.shared.engine.test_data import run, section


def write(folder, count, broken=()):
    """``count`` pairs of 10x8; every label holds 20 pixels of class 1, 10 ignored ones and 50 of class 0."""
    label = np.zeros(80, np.uint8)
    label[:20], label[20:30] = 1, 255
    lines = []
    for n in range(count):
        Image.new("RGB", (10, 8)).save(folder / f"{n:03d}.png")
        values = np.full(80, 7, np.uint8) if n in broken else label
        Image.fromarray(values.reshape(8, 10)).save(folder / f"{n:03d}_label.png")
        lines.append(f"{n:03d}.png {n:03d}_label.png\n")
    (folder / "list.txt").write_text("".join(lines))
    return Dataset(str(folder), 3, train_path="list.txt")


def test_value_counts_and_findings(tmp_path):
    dataset = write(tmp_path, 5, broken=(1, 3))
    (tmp_path / "004.png").write_bytes(b"no image")
    problems, counts = check_records(dataset.records, dataset)
    assert counts.tolist() == [2 * 50, 2 * 20, 0]
    assert len(problems) == 3
    for name, problem in zip(("001_label.png", "003_label.png", "004.png"), sorted(problems)):
        assert name in problem
    assert "7" in problems[0]


def test_error_all_findings_stand_in_one_report(tmp_path):
    dataset = write(tmp_path, 4, broken=(0, 2))
    with pytest.raises(DataError, match=r"2 problems in the data set:[\s\S]*000_label[\s\S]*002_label"):
        check_sampled([dataset])


def test_value_samples_are_spread_from_first_to_last(tmp_path):
    for broken, found in ((0, True), (39, True), (1, False)):
        dataset = write(tmp_path, 40, broken=(broken,))
        if found:
            with pytest.raises(DataError, match=rf"the data set has a problem:[\s\S]*{broken:03d}_label"):
                check_sampled([dataset])
        else:
            check_sampled([dataset])
    assert SAMPLED == 16


def test_value_check_fully_prints_shares(tmp_path, capsys):
    write(tmp_path, 2)
    check_fully(run(section(tmp_path, "train")))
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "train_dataset: 2 images, 0 with problems",
        "    0 class 0  71.429 %",
        "    1 class 1  28.571 %",
        "    2 class 2   0.000 %",
        "warning: train_dataset has no pixel of class 2",
        "no problems found",
    ]


def test_error_check_fully_looks_at_every_file(tmp_path, capsys):
    write(tmp_path, 40, broken=(1, 17, 33))
    with pytest.raises(DataError, match="6 problems in the data set"):
        check_fully(
            run(section(tmp_path, "train"), section(tmp_path, "val").__class__(section(tmp_path, "val").dataset))
        )
    assert "val_dataset: 40 images, 3 with problems" in capsys.readouterr().out

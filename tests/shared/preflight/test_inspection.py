"""Looking at the data of a run: all findings in one report, and class shares counted by hand."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from PIL import Image

from shared.commands.check import check_fully
from shared.config.run_config import ReaderConfig, RunConfig
from shared.errors import DataError
from shared.preflight.inspection import SAMPLED, TRAIN, VAL, inspect
from tests.shared.engine.test_data import run, section


def write(folder, count, broken=(), shade=0):
    """``count`` pairs of 10x8; every label holds 20 pixels of class 1, 10 ignored ones and 50 of class 0."""
    folder.mkdir(exist_ok=True)
    label = np.zeros(80, np.uint8)
    label[:20], label[20:30] = 1, 255
    lines = []
    for n in range(count):
        Image.new("RGB", (10, 8), (shade, n, 0)).save(folder / f"{n:03d}.png")
        values = np.full(80, 7, np.uint8) if n in broken else label
        Image.fromarray(values.reshape(8, 10)).save(folder / f"{n:03d}_label.png")
        lines.append(f"{n:03d}.png {n:03d}_label.png\n")
    (folder / "list.txt").write_text("".join(lines))
    return folder


def both(folder, train, val, wrong_train=(), wrong_val=()) -> RunConfig:
    """A run over two folders of different images."""
    write(folder / "a", train, wrong_train)
    write(folder / "b", val, wrong_val, shade=99)
    return run(section(folder / "a", "train"), section(folder / "b", "val"))


def causes(report):
    return [(finding.cause, finding.section, finding.is_error) for finding in report.findings]


def test_value_counts_and_findings(tmp_path):
    write(tmp_path, 5, broken=(1, 3))
    (tmp_path / "004.png").write_bytes(b"no image")
    report = inspect(run(section(tmp_path, "train")))
    split = report.splits[TRAIN]
    assert (split.images, split.looked_at, split.class_pixels) == (5, 5, [2 * 50, 2 * 20, 0])
    assert causes(report) == [
        ("values", TRAIN, True),
        ("values", TRAIN, True),
        ("unreadable", TRAIN, True),
        ("absent", TRAIN, False),
    ]
    for name, finding in zip(("001_label.png", "003_label.png", "004.png", "class 2"), report.findings):
        assert name in finding.message


def test_value_findings_name_the_line_of_the_list(tmp_path):
    write(tmp_path, 5, broken=(3,))
    (tmp_path / "004.png").write_bytes(b"")
    origin = tmp_path / "list.txt"
    errors = inspect(run(section(tmp_path, "train"))).errors
    assert len(errors) == 2
    for n, error in zip((4, 5), errors):
        assert error.message.startswith(f"{origin}:{n}: {tmp_path}/00{n - 1}")


def test_value_class_names_of_a_list_with_an_error(tmp_path):
    write(tmp_path, 3)
    (tmp_path / "classes.txt").write_text("road\nsky\ncar\n")
    with (tmp_path / "list.txt").open("a") as file:
        file.write("none.png 000_label.png\n")
    report = inspect(run(section(tmp_path, "train")))
    assert report.splits[TRAIN].class_names == ["road", "sky", "car"]
    assert ("entries", TRAIN, True) in causes(report)


def test_error_names_and_entries_of_one_list_come_out_together(tmp_path):
    write(tmp_path, 3)
    with (tmp_path / "list.txt").open("a") as file:
        file.write("none.png 000_label.png\n")
    listed = section(tmp_path, "train")
    named = dataclasses.replace(listed.dataset, args={**listed.dataset.args, "class_names": ["road", "sky"]})
    report = inspect(run(dataclasses.replace(listed, dataset=named)))
    messages = [error.message for error in report.errors]
    assert len(messages) == 2
    assert "none.png does not exist" in messages[0]
    assert "class_names has 2 names, num_classes is 3" in messages[1]
    assert report.splits[TRAIN].images == 3


def test_error_all_findings_stand_in_one_report_grouped_by_cause(tmp_path):
    asked = both(tmp_path, 14, 3, wrong_val=(1,))
    for n in range(12):
        Image.new("RGB", (10, 8), (n + 1, 0, 0)).save(tmp_path / f"a/{n:03d}_label.png")
    lines = (tmp_path / "a/list.txt").read_text() + "none.png 000_label.png\n"
    (tmp_path / "a/list.txt").write_text(lines)
    with pytest.raises(DataError) as caught:
        inspect(asked).raise_errors()
    text = str(caught.value)
    assert text.startswith("14 problems in the data set:\n  entries without a file or a partner (1):\n    - ")
    assert "list.txt:15: image" in text
    assert "none.png does not exist" in text
    assert "  labels that are colour-coded (12):\n" in text
    assert "    ... and 2 more; `--json` of the check command lists all" in text
    assert "  label values that are no class (1):\n" in text
    assert "b/001_label.png" in text


@pytest.mark.parametrize(("broken", "is_error"), [((3,), False), ((3, 7), False), ((3, 7, 9), True)])
def test_value_a_few_broken_entries_are_warnings_where_they_are_skipped(tmp_path, broken, is_error):
    write(tmp_path, 20, broken=broken)
    asked = run(section(tmp_path, "train"), reader=ReaderConfig(on_bad_sample="skip"))
    found = [finding.is_error for finding in inspect(asked).findings if finding.cause == "values"]
    assert found == [is_error] * len(broken)


def test_value_what_is_in_order_of_a_broken_list_is_looked_at(tmp_path):
    asked = both(tmp_path, 3, 2, wrong_train=(1,))
    (tmp_path / "a/002.png").unlink()
    report = inspect(asked)
    assert causes(report)[:2] == [("entries", TRAIN, True), ("values", TRAIN, True)]
    assert report.splits[TRAIN].looked_at == 2
    assert report.splits[VAL].looked_at == 2


def test_value_samples_are_spread_from_first_to_last(tmp_path):
    for broken, found in ((0, 1), (39, 1), (1, 0)):
        write(tmp_path, 40, broken=(broken,))
        report = inspect(run(section(tmp_path, "train")), most=SAMPLED)
        assert len(report.errors) == found
        assert report.splits[TRAIN].looked_at == SAMPLED == 16
        assert report.warnings == [], "a class may be absent from a sample"


@pytest.mark.parametrize(("cards", "batch", "is_global", "is_error"), [(1, 4, False, True), (1, 3, False, False)])
def test_error_fewer_images_than_a_batch(tmp_path, cards, batch, is_global, is_error):
    write(tmp_path, 3)
    asked = run(section(tmp_path, "train"), batch_size=batch, batch_is_global=is_global)
    report = inspect(asked, cards=cards)
    assert [finding.cause for finding in report.errors] == ["few"] * is_error


def test_error_fewer_images_than_a_batch_of_all_cards(tmp_path):
    write(tmp_path, 3)
    settings = {"batch_size": 2}
    assert inspect(run(section(tmp_path, "train"), **settings), cards=1).errors == []
    (finding,) = inspect(run(section(tmp_path, "train"), **settings), cards=2).errors
    assert "3 images, fewer than one batch of 4" in finding.message
    shared = {"batch_size": 2, "batch_is_global": True}
    assert inspect(run(section(tmp_path, "train"), **shared), cards=2).errors == []


def test_value_an_image_of_both_sets_is_a_warning(tmp_path):
    asked = both(tmp_path, 3, 3)
    copied = (tmp_path / "a/001.png").read_bytes()
    (tmp_path / "b/002.png").write_bytes(copied)
    (finding,) = [found for found in inspect(asked).findings if found.cause == "twice"]
    assert not finding.is_error
    assert "b/002.png" in finding.message
    assert "a/001.png" in finding.message
    same = inspect(dataclasses.replace(asked, val_data=section(tmp_path / "a", "val")))
    assert sum(found.cause == "twice" for found in same.findings) == 3


def test_error_masks_whose_255_is_ignored(tmp_path):
    write(tmp_path, 40)
    for n in range(40):
        values = np.zeros((8, 10), np.uint8)
        values[2:4] = 255
        Image.fromarray(values).save(tmp_path / f"{n:03d}_label.png")
    train = section(tmp_path, "train")
    binary = dataclasses.replace(
        train, dataset=dataclasses.replace(train.dataset, args={**train.dataset.args, "num_classes": 2})
    )
    (finding,) = inspect(run(binary)).errors
    assert finding.cause == "mask"
    assert "40 of 40 labels hold 0 and 255 alone" in finding.message
    assert "label = label // 255" in finding.message
    sampled = inspect(run(binary), most=SAMPLED)
    assert causes(sampled) == [("mask", TRAIN, False)], "of a sample it is a guess"
    values[0, 0] = 1
    Image.fromarray(values).save(tmp_path / "007_label.png")
    (finding,) = inspect(run(binary)).findings
    assert not finding.is_error
    assert "39 of 40 labels" in finding.message


def test_value_check_fully_prints_shares(tmp_path, capsys):
    write(tmp_path, 2)
    check_fully(run(section(tmp_path, "train")))
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "train_dataset: 2 images, 0 with problems",
        "    0 class 0  71.429 %",
        "    1 class 1  28.571 %",
        "    2 class 2   0.000 %",
        "1 warning:",
        "  classes that do not occur (1):",
        "    - train_dataset has no pixel of class 2",
        "no problems found",
    ]


def test_error_check_fully_looks_at_every_file(tmp_path, capsys):
    write(tmp_path, 40, broken=(1, 17, 33))
    asked = run(section(tmp_path, "train"), section(tmp_path, "val"))
    with pytest.raises(DataError, match="6 problems in the data set"):
        check_fully(asked)
    assert "val_dataset: 40 images, 3 with problems" in capsys.readouterr().out


def test_value_check_fully_as_json_leaves_nothing_out(tmp_path, capsys):
    broken = tuple(range(13))
    write(tmp_path, 20, broken)
    with pytest.raises(DataError, match="13 problems"):
        check_fully(run(section(tmp_path, "train")), "-")
    report = json.loads(capsys.readouterr().out)
    assert (report["errors"], report["warnings"]) == (13, 1)
    errors = [found for found in report["findings"] if found["severity"] == "error"]
    assert [f"{n:03d}_label.png" in found["message"] for n, found in zip(broken, errors)] == [True] * 13
    assert report["sections"][TRAIN] == {
        "images": 20,
        "looked_at": 20,
        "class_names": ["class 0", "class 1", "class 2"],
        "class_pixels": [7 * 50, 7 * 20, 0],
    }
    with pytest.raises(DataError):
        check_fully(run(section(tmp_path, "train")), str(tmp_path / "report/found.json"))
    assert json.loads((tmp_path / "report/found.json").read_text()) == report

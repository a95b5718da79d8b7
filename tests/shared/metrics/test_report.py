"""Table, JSON and picture of the scores."""

from __future__ import annotations

import json
import unicodedata

import numpy as np
import pytest
from PIL import Image

from shared.metrics.report import confusion_picture, format_table, save_json, to_json_dict
from shared.metrics.scores import Scores

# Class 0 is found in part, 1 labelled only, 2 predicted only, 3 absent.
MATRIX = np.array([[6, 0, 2, 0], [4, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]])
NAMES = ["road", "traffic light", "sky", "道路"]


def columns(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def test_value_table():
    lines = format_table(Scores.from_matrix(MATRIX), NAMES).splitlines()
    assert lines[0].split() == ["class", "pixels", "IoU", "recall=acc", "precision", "Dice"]
    assert lines[2].split() == ["road", "66.67", "50.00", "75.00", "60.00", "66.67"]
    assert lines[3].split() == ["traffic", "light", "33.33", "0.00", "0.00", "-", "0.00"]
    assert lines[4].split() == ["sky", "0.00", "0.00", "-", "0.00", "0.00"]
    assert lines[5].split() == ["道路", "0.00", "-", "-", "-", "-"]
    assert lines[7].split("   ") == ["mIoU 16.67", "mean accuracy 37.50", "mean Dice 22.22"]
    # observed 0.5, by chance (8 * 10 + 4 * 0 + 0 * 2) / 144
    kappa = (0.5 - 80 / 144) / (1 - 80 / 144)
    assert lines[8].split("   ") == [
        "pixel accuracy 50.00",
        f"kappa {kappa:.4f}",
        "(1 of 4 classes absent and left out)",
    ]


def test_shape_table_is_aligned_and_narrow():
    names = ["a name that is far too long for any table", "道路" * 20, "sky", "道路"]
    lines = format_table(Scores.from_matrix(MATRIX), names).splitlines()
    widths = {columns(line) for line in lines[:6]}
    assert len(widths) == 1
    assert max(columns(line) for line in lines) <= 80


def test_value_table_of_nothing():
    lines = format_table(Scores.from_matrix(np.zeros((2, 2), np.int64)), ["a", "b"]).splitlines()
    assert lines[-1].split("   ")[:2] == ["pixel accuracy -", "kappa -"]


def test_value_json(tmp_path):
    scores = Scores.from_matrix(MATRIX)
    path = tmp_path / "neu é" / "scores.json"
    save_json(path, scores, NAMES)
    stored = json.loads(path.read_text(encoding="utf-8"), parse_constant=lambda name: pytest.fail(f"{name} in JSON"))
    assert stored == to_json_dict(scores, NAMES)
    assert stored["miou"] == pytest.approx(0.5 / 3)
    assert stored["pixel_accuracy"] == 0.5
    assert stored["classes"][0] == {
        "name": "road",
        "iou": 0.5,
        "accuracy": 0.75,
        "precision": 0.6,
        "recall": 0.75,
        "dice": pytest.approx(12 / 18),
        "label_pixels": 8,
        "predicted_pixels": 10,
    }
    assert stored["classes"][3]["iou"] is None
    assert [c["name"] for c in stored["classes"]] == NAMES


def test_value_json_of_a_single_class():
    assert to_json_dict(Scores.from_matrix(np.array([[3]])), ["cell"])["kappa"] is None


def picture_of(matrix, names, path):
    confusion_picture(np.asarray(matrix), names, path)
    return np.asarray(Image.open(path).convert("RGB")).astype(int)


def test_value_picture_shows_rows_as_shares(tmp_path):
    path = tmp_path / "new" / "bild é.png"
    picture = picture_of([[90, 10], [0, 5]], ["a", "b"], path)
    # A row is normalised, so scaling the counts of one class changes no pixel ...
    np.testing.assert_array_equal(picture, picture_of([[180, 20], [0, 5]], ["a", "b"], path))
    # ... and changing its shares does.
    assert (picture != picture_of([[10, 90], [0, 5]], ["a", "b"], path)).any()
    assert (picture != picture_of([[90, 0], [10, 5]], ["a", "b"], path)).any()


@pytest.mark.parametrize("num_classes", [1, 19, 150])
def test_smoke_picture_sizes(tmp_path, num_classes):
    matrix = np.random.default_rng(0).integers(0, 9, (num_classes, num_classes))
    matrix[0] = 0
    picture = picture_of(matrix, [f"class {k}" for k in range(num_classes)], tmp_path / "m.png")
    assert 300 < picture.shape[0] <= 2600
    assert picture.std() > 5


def test_error_names():
    scores = Scores.from_matrix(MATRIX)
    for call in (lambda: format_table(scores, NAMES[:3]), lambda: to_json_dict(scores, NAMES[:3])):
        with pytest.raises(ValueError, match="got 3 class names; expected one per class, 4"):
            call()
    with pytest.raises(ValueError, match=r"shape \(4, 4\); expected \[K, K\] with 3 class names"):
        confusion_picture(MATRIX, NAMES[:3], "never.png")

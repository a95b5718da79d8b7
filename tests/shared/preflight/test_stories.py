"""What users' data is wrong with, each recognised by name from a generated file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from shared.config.run_config import Component, DatasetConfig
from shared.preflight.findings import Report
from shared.preflight.inspection import inspect
from tests.shared.engine.test_data import run

CLASSES = 5
IGNORED = 250
SIZE_HW = (24, 36)


def ids(seed: int = 0) -> np.ndarray:
    """Class ids 0 to 4 in blocks of 6x6."""
    return (
        np.random.default_rng(seed).permutation(24).reshape(4, 6).repeat(6, 0).repeat(6, 1).astype(np.uint8) % CLASSES
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four good pairs and ``list.txt``."""
    rng = np.random.default_rng(1)
    for n in range(4):
        cv2.imwrite(str(tmp_path / f"{n}.png"), rng.integers(0, 256, (*SIZE_HW, 3), np.uint8))
        cv2.imwrite(str(tmp_path / f"{n}_label.png"), ids(n))
    write_list(tmp_path)
    return tmp_path


def write_list(folder: Path, names=None, start: bytes = b"", end: str = "\n") -> None:
    names = [(f"{n}.png", f"{n}_label.png") for n in range(4)] if names is None else names
    (folder / "list.txt").write_bytes(start + "".join(f"{image} {label}{end}" for image, label in names).encode())


def look(folder: Path, ignore_index: int = IGNORED) -> Report:
    args = {"dataset_root": str(folder), "num_classes": CLASSES, "mode": "train", "train_path": "list.txt"}
    return inspect(run(DatasetConfig(Component("Dataset", {**args, "ignore_index": ignore_index})), batch_size=1))


def save(folder: Path, name: str, array: np.ndarray, **options) -> None:
    Image.fromarray(array).save(folder / name, **options)


def mask(folder: Path) -> None:
    save(folder, "2_label.png", ((ids() > 2) * 255).astype(np.uint8))


def one_based(folder: Path) -> None:
    save(folder, "2_label.png", ids() + 1)


def interpolated(folder: Path) -> None:
    smaller = cv2.resize(ids() * 60, (29, 19), interpolation=cv2.INTER_LINEAR)
    save(folder, "2_label.png", cv2.resize(smaller, SIZE_HW[::-1], interpolation=cv2.INTER_CUBIC))


def colours(folder: Path) -> None:
    palette = np.random.default_rng(3).integers(0, 256, (CLASSES, 3), np.uint8)
    save(folder, "2_label.png", palette[ids()])


def grey_as_rgb(folder: Path) -> None:
    save(folder, "2_label.png", np.repeat(ids()[..., None], 3, axis=2))


def with_alpha(folder: Path) -> None:
    save(folder, "2_label.png", np.dstack([ids(), np.full(SIZE_HW, 255, np.uint8)]))


def wide(folder: Path) -> None:
    cv2.imwrite(str(folder / "2_label.png"), ids().astype(np.uint16) * 1000)


def swapped(folder: Path) -> None:
    save(folder, "2_label.png", np.ascontiguousarray(ids().T))


def other_size(folder: Path) -> None:
    save(folder, "2_label.png", ids()[:, :30])


def exif(folder: Path) -> None:
    turned = Image.new("RGB", SIZE_HW[::-1], (9, 90, 30))
    marks = Image.Exif()
    marks[0x0112] = 6
    turned.save(folder / "2.jpg", exif=marks)
    write_list(folder, [("0.png", "0_label.png"), ("2.jpg", "2_label.png")])


def cut_off(folder: Path) -> None:
    data = (folder / "2.png").read_bytes()
    (folder / "2.png").write_bytes(data[: len(data) // 2])


def missing(folder: Path) -> None:
    (folder / "2.png").unlink()


def raw_ids(folder: Path) -> None:
    save(folder, "frame_gtFine_labelIds.png", ids() + 7)
    write_list(folder, [("0.png", "0_label.png"), ("2.png", "frame_gtFine_labelIds.png")])


def too_few_classes(folder: Path) -> None:
    save(folder, "2_label.png", np.where(ids() == 4, 6, ids()).astype(np.uint8))


STORIES = [
    (mask, "mask", ("2_label.png", "255 (", "replace 255 by 1")),
    (one_based, "one-based", ("2_label.png", "value 5", "subtract 1 from every class id")),
    (interpolated, "interpolated", ("2_label.png", "nearest neighbour")),
    (colours, "colours", ("2_label.png", "3 channels", "replace every colour by its class id")),
    (grey_as_rgb, "channels", ("2_label.png", "channels are equal", "keep one")),
    (with_alpha, "channels", ("2_label.png", "alpha channel")),
    (wide, "wide", ("2_label.png", "more than 8 bits", "0 to 4000")),
    (swapped, "swapped", ("height 36 x width 24", "height and width are swapped", "transpose")),
    (other_size, "size", ("height 24 x width 30", "they must be equal")),
    (exif, "exif", ("EXIF orientation 6", "turn the label too")),
    (cut_off, "unreadable", ("2.png", "cut off", "copy or download it again")),
    (missing, "entries", ("list.txt:3", "2.png does not exist", "the line is '2.png 2_label.png'")),
    (raw_ids, "raw ids", ("_labelIds.png", "*_labelTrainIds.png")),
    (too_few_classes, "values", ("2_label.png", "value 6", "Is num_classes too small")),
]


@pytest.mark.parametrize(("spoil", "cause", "words"), STORIES, ids=[story[0].__name__ for story in STORIES])
def test_error_a_story_is_recognised(folder: Path, spoil: Callable[[Path], None], cause: str, words: tuple[str, ...]):
    spoil(folder)
    (finding,) = look(folder).errors
    assert finding.cause == cause
    for word in words:
        assert word in finding.message


def test_error_eight_faults_in_one_report(folder: Path):
    rng = np.random.default_rng(5)
    for n in range(4, 10):
        cv2.imwrite(str(folder / f"{n}.png"), rng.integers(0, 256, (*SIZE_HW, 3), np.uint8))
    labels = {4: mask, 5: one_based, 6: interpolated, 7: colours, 8: wide, 9: swapped}
    for n, spoil in labels.items():
        spoil(folder)
        (folder / "2_label.png").rename(folder / f"{n}_label.png")
    cut_off(folder)
    cv2.imwrite(str(folder / "2_label.png"), ids(2))
    write_list(folder, [(f"{n}.png", f"{n}_label.png") for n in (*range(10), 99)])
    found = [finding.cause for finding in look(folder).errors]
    assert sorted(found) == sorted(
        ["entries", "unreadable", "mask", "one-based", "interpolated", "colours", "wide", "swapped"]
    )


def test_value_a_mask_whose_255_is_ignored_is_a_warning(folder: Path):
    mask(folder)
    report = look(folder, ignore_index=255)
    assert report.errors == []
    (finding,) = report.warnings
    assert finding.cause == "mask"
    assert "1 of 4 labels hold 0 and 255 alone" in finding.message
    assert "2_label.png" in finding.message


@pytest.mark.parametrize(
    ("start", "end", "names"),
    [
        (b"\xef\xbb\xbf", "\n", None),
        (b"", "\r\n", None),
        (b"", "\n", [("a photo.png", "a label.png")]),
        (b"", "\n", [("街道 一.png", "标签.png")]),
    ],
    ids=["byte-order-mark", "crlf", "spaces", "chinese"],
)
def test_value_lists_as_editors_write_them(folder: Path, start: bytes, end: str, names):
    for image, label in names or ():
        (folder / "0.png").rename(folder / image)
        (folder / "0_label.png").rename(folder / label)
    write_list(folder, names, start, end)
    assert look(folder).errors == []

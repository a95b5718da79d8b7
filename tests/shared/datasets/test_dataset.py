"""``Dataset``: from lists and from folders."""

from __future__ import annotations

import logging
import pickle

import pytest

from shared.datasets import Dataset
from shared.errors import DataError
from shared.registry import DATASETS


@pytest.fixture
def folder(tmp_path):
    for split, names in (("train", "abc"), ("val", "de")):
        lines = []
        for name in names:
            for kind in ("images", "labels"):
                (tmp_path / kind / split).mkdir(parents=True, exist_ok=True)
                (tmp_path / kind / split / f"{name}.png").touch()
            lines.append(f"images/{split}/{name}.png labels/{split}/{name}.png\n")
        (tmp_path / f"{split}.txt").write_text("".join(lines))
    (tmp_path / "test.txt").write_text("images/val/d.png\n")
    return tmp_path


def make(folder, **arguments):
    lists = {f"{split}_path": str(folder / f"{split}.txt") for split in ("train", "val", "test")}
    return Dataset(**{"dataset_root": str(folder), "num_classes": 2, **lists, **arguments})


def folders(folder, **arguments):
    given = {"image_dir": "images", "label_dir": "labels", "num_classes": 2, **arguments}
    return Dataset(dataset_root=str(folder), **given)


def images(dataset):
    return [record.image.rpartition("/")[2] for record in dataset.records]


def test_smoke_is_registered_under_the_name_configs_use():
    assert DATASETS["Dataset"] is Dataset
    assert "dataset_root" in DATASETS.parameters("Dataset")


@pytest.mark.parametrize(
    ("mode", "names"),
    [
        ("train", ["a.png", "b.png", "c.png"]),
        ("val", ["d.png", "e.png"]),
        ("trainval", ["a.png", "b.png", "c.png", "d.png", "e.png"]),
        ("test", ["d.png"]),
    ],
)
def test_value_modes(folder, mode, names):
    dataset = make(folder, mode=mode)
    assert images(dataset) == names
    assert len(dataset) == len(names)
    assert dataset.records[0].label == (
        None if mode == "test" else dataset.records[0].image.replace("/images/", "/labels/")
    )


def test_value_list_beside_the_images_or_from_the_working_directory(folder, monkeypatch):
    assert images(make(folder, train_path="train.txt")) == ["a.png", "b.png", "c.png"]
    monkeypatch.chdir(folder.parent)
    dataset = make(folder, dataset_root=folder.name, train_path=f"{folder.name}/train.txt")
    assert dataset.records[0].image == str(folder / "images/train/a.png")
    assert dataset.records[0].origin == f"{folder.name}/train.txt:1"


def test_value_folders_pair_by_stem_whatever_the_extension(folder):
    (folder / "labels/val/e.png").rename(folder / "labels/val/e.BMP")
    (folder / "images/val/._e.png").touch()
    (folder / "images/val/Thumbs.db").touch()
    dataset = folders(folder)
    assert images(dataset) == ["a.png", "b.png", "c.png", "d.png", "e.png"]
    assert dataset.records[4].label == str(folder / "labels/val/e.BMP")
    assert dataset.records[0].label == str(folder / "labels/train/a.png")


def test_value_folders_follow_links_and_survive_a_loop(folder):
    (folder / "images/train/again").symlink_to(folder / "images")
    (folder / "linked").symlink_to(folder / "images/val")
    assert images(folders(folder)) == ["a.png", "b.png", "c.png", "d.png", "e.png"]
    assert images(folders(folder, image_dir="linked", label_dir="labels/val")) == ["d.png", "e.png"]


def test_value_test_folder_needs_no_labels(folder):
    dataset = folders(folder, label_dir=None, mode="test")
    assert [record.label for record in dataset.records] == [None] * 5


def test_value_class_names(folder, caplog):
    assert make(folder).class_names == ["class 0", "class 1"]
    assert make(folder, class_names=["road", "rest"]).class_names == ["road", "rest"]
    (folder / "names.txt").write_bytes("\ufeffStraße\r\nrest\r\n".encode())
    assert make(folder, class_names="names.txt").class_names == ["Straße", "rest"]
    (folder / "classes.txt").write_text("sky\nsea\n")
    assert make(folder).class_names == ["sky", "sea"]
    assert folders(folder).class_names == ["sky", "sea"]
    with caplog.at_level(logging.WARNING):
        assert make(folder, num_classes=3).class_names == ["class 0", "class 1", "class 2"]
    assert "classes.txt has 2 names, num_classes is 3" in caplog.text


def test_value_survives_pickling(folder):
    dataset = make(folder)
    copy = pickle.loads(pickle.dumps(dataset))
    assert (copy.records, copy.num_classes, copy.ignore_index) == (dataset.records, 2, 255)


def test_error_all_problems_of_all_lists_come_together(folder):
    (folder / "train.txt").write_text("".join(f"lost{i}.png images/train/a.png\n" for i in range(12)))
    (folder / "val.txt").write_text("images/val/d.png\n")
    with pytest.raises(DataError) as caught:
        make(folder, mode="trainval")
    message = str(caught.value)
    assert "(13 problems)" in message
    assert "train.txt:1: " in message
    assert "lost9.png" in message
    assert "lost10.png" not in message
    assert message.endswith("and 3 more")


def test_error_folders_that_do_not_pair(folder):
    (folder / "images/val/e.png").rename(folder / "images/val/f.png")
    (folder / "images/train/a.jpg").touch()
    with pytest.raises(DataError) as caught:
        folders(folder)
    message = str(caught.value)
    assert "(3 problems)" in message
    assert f"{folder}/images/train/a.png: has the same name as {folder}/images/train/a.jpg" in message
    assert f"{folder}/images/val/f.png: image without a label" in message
    assert f"{folder}/labels/val/e.png: label without an image" in message


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"dataset_root": "/no/such/root"},
            r"dataset_root /no/such/root is not a folder: /no does not exist; / contains",
        ),
        ({"train_path": "lost.txt"}, r"train_path 'lost.txt' does not exist; looked for .* contains .*train\.txt"),
        ({"class_names": ["one"]}, "class_names has 1 names, num_classes is 2"),
        ({"class_names": "train.txt"}, r"has 3 names, num_classes is 2; .* in train\.txt"),
        ({"class_names": "lost.txt"}, r"class_names 'lost\.txt' does not exist"),
    ],
)
def test_error_files(folder, arguments, message):
    with pytest.raises(DataError, match=message):
        make(folder, **arguments)


def test_error_empty_list_and_empty_folder(folder):
    (folder / "train.txt").write_text("# nothing yet\n")
    with pytest.raises(DataError, match="lists no image"):
        make(folder)
    (folder / "empty").mkdir()
    with pytest.raises(DataError, match=r"image_dir holds no image .*empty is empty"):
        folders(folder, image_dir="empty")
    with pytest.raises(DataError, match=r"label_dir .*lost is not a folder: .*lost does not exist"):
        folders(folder, label_dir="lost")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mode": "trian"}, "mode is 'trian'; expected one of train, val"),
        ({"train_path": None}, "mode 'train' needs train_path"),
        ({"num_classes": 0}, "num_classes is 0; expected a whole number from 1 to 256"),
        ({"num_classes": 257}, "num_classes is 257"),
        ({"num_classes": "2"}, "num_classes is '2'"),
        ({"ignore_index": 256}, "ignore_index is 256"),
        ({"img_channels": 4}, "img_channels is 4; only 3"),
        ({"separator": ""}, "separator is empty"),
        ({"image_dir": "images", "label_dir": "labels"}, "both list files and image_dir"),
    ],
)
def test_error_arguments(folder, arguments, message):
    with pytest.raises(ValueError, match=message):
        make(folder, **arguments)


def test_error_folder_arguments(folder):
    with pytest.raises(ValueError, match="label_dir is None; mode 'train' needs both"):
        folders(folder, label_dir=None)
    with pytest.raises(ValueError, match="image_dir is None"):
        folders(folder, image_dir=None)

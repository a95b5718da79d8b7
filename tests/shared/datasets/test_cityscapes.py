"""Cityscapes: the official layout, generated empty (nothing is decoded here), and what deviates from it."""

from __future__ import annotations

import pytest

from shared.datasets import Cityscapes
from shared.datasets.reading import check_label, read_sample
from shared.errors import DataError
from shared.registry import DATASETS

FRAMES = {
    "train": ["aachen_000000_000019", "aachen_000001_000019", "bochum_000000_000313"],
    "val": ["lindau_000000_000019"],
    "test": ["berlin_000000_000019"],
}


def label_path(root, split, frame, kind="labelTrainIds"):
    return root / "gtFine" / split / frame.partition("_")[0] / f"{frame}_gtFine_{kind}.png"


def image_path(root, split, frame):
    return root / "leftImg8bit" / split / frame.partition("_")[0] / f"{frame}_leftImg8bit.png"


@pytest.fixture
def cityscapes(tmp_path):
    root = tmp_path / "cityscapes"
    for split, frames in FRAMES.items():
        for frame in frames:
            kinds = ("labelTrainIds", "labelIds", "color", "instanceIds") if split != "test" else ("labelIds",)
            for path in [image_path(root, split, frame)] + [label_path(root, split, frame, kind) for kind in kinds]:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()
    return root


@pytest.mark.parametrize("mode", ["train", "val", "trainval"])
def test_value_pairs_in_order(cityscapes, mode):
    expected = [
        (str(image_path(cityscapes, split, frame)), str(label_path(cityscapes, split, frame)))
        for split in ("train", "val")
        if split in mode
        for frame in FRAMES[split]
    ]
    dataset = Cityscapes(dataset_root=str(cityscapes), mode=mode)
    assert [(record.image, record.label) for record in dataset.records] == expected
    assert len(dataset) == len(expected)


def test_value_test_split_has_no_labels(cityscapes):
    (record,) = Cityscapes(str(cityscapes), "test").records
    assert (record.image, record.label) == (str(image_path(cityscapes, "test", FRAMES["test"][0])), None)


def test_value_links_and_strays_do_not_disturb(cityscapes, tmp_path):
    stray = image_path(cityscapes, "train", "aachen_000000_000019")
    (stray.parent / f"._{stray.name}").touch()
    (stray.parent.parent / "license.txt").touch()
    (cityscapes / "gtFine" / "val").rename(tmp_path / "elsewhere")
    (cityscapes / "gtFine" / "val").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "link").symlink_to(cityscapes)
    assert len(Cityscapes(str(tmp_path / "link"), "trainval")) == 4


def test_value_classes_and_colours_are_the_official_ones():
    assert DATASETS["Cityscapes"] is Cityscapes
    assert (Cityscapes.num_classes, Cityscapes.ignore_index) == (19, 255)
    assert len(Cityscapes.class_names) == len(Cityscapes.palette) == len(set(Cityscapes.palette)) == 19
    colours = dict(zip(Cityscapes.class_names, Cityscapes.palette))  # four by the paper's figures
    assert colours["road"] == (128, 64, 128)
    assert colours["sky"] == (70, 130, 180)
    assert colours["car"] == (0, 0, 142)
    assert colours["bicycle"] == (119, 11, 32)


def test_error_only_raw_ids(cityscapes):
    for path in cityscapes.rglob("*labelTrainIds.png"):
        path.unlink()
    with pytest.raises(DataError, match=r"3 \*_gtFine_labelIds\.png files but none .* createTrainIdLabelImgs"):
        Cityscapes(str(cityscapes))


def test_error_unmatched_files_are_all_named_up_to_ten(cityscapes):
    label_path(cityscapes, "train", "aachen_000001_000019").unlink()
    image_path(cityscapes, "train", "bochum_000000_000313").unlink()
    with pytest.raises(DataError) as caught:
        Cityscapes(str(cityscapes))
    assert "(2 problems)" in str(caught.value)
    assert "train/aachen/aachen_000001_000019: image without *_gtFine_labelTrainIds.png, though" in str(caught.value)
    assert "train/bochum/bochum_000000_000313: label without an image" in str(caught.value)
    for number in range(20):
        image_path(cityscapes, "train", f"aachen_{number:06d}_000500").touch()
    with pytest.raises(DataError, match=r"(?s)22 problems.*and 12 more$"):
        Cityscapes(str(cityscapes))


def test_error_wrong_root_says_what_is_there(cityscapes):
    with pytest.raises(DataError, match=r"expected leftImg8bit/train/<city>/.*train contains aachen, bochum"):
        Cityscapes(str(cityscapes / "leftImg8bit" / "train"))
    with pytest.raises(DataError, match=r"lost does not exist; .* contains cityscapes\. Unpack"):
        Cityscapes(str(cityscapes.parent / "lost"))
    (cityscapes / "gtFine").rename(cityscapes / "gtCoarse")
    with pytest.raises(DataError, match=r"gtFine does not exist; .*cityscapes contains gtCoarse, leftImg8bit"):
        Cityscapes(str(cityscapes))


def test_error_mode(cityscapes):
    with pytest.raises(ValueError, match="mode is 'valid'"):
        Cityscapes(str(cityscapes), mode="valid")


@pytest.mark.realdata
def test_value_real_frames(real_data):
    dataset = Cityscapes(str(real_data / "cityscapes_demo"), "trainval")
    assert len(dataset) == 4
    sample = read_sample(dataset.records[3])
    assert sample.image.shape == (1024, 2048, 3)
    assert sample.label.shape == (1024, 2048)
    for record in dataset.records:
        check_label(read_sample(record).label, 19, 255, record.label)
    names = (real_data / "cityscapes_demo" / "classes.txt").read_text().split("\n")
    assert list(dataset.class_names) == [name for name in names if name]

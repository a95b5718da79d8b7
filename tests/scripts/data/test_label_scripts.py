"""The scripts that prepare data sets: what they write is read back by the data set it is for."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.io import savemat

from scripts.data import coco_stuff, pascal_context, voc_aug
from shared.datasets import CocoStuff, PascalContext, PascalVOC
from shared.datasets.reading import read_sample
from tests.shared.datasets.trees import TREES, write_image, write_label

SCRIPTS = Path(__file__).resolve().parents[3] / "scripts" / "data"


def draw(seed, low, high):
    return np.random.default_rng(seed).integers(low, high, (5, 8)).astype(np.uint8)


def labels_of(dataset):
    return [read_sample(record, dataset.label_map).label for record in dataset.records]


def fails(command, *words, code=2, capsys):
    with pytest.raises(SystemExit) as caught:
        command([str(word) for word in words])
    assert caught.value.code == code
    return capsys.readouterr().err


# --- SBD -> PascalVOC(mode="trainaug") ----------------------------------------------------------------------------


SBD = {
    name: draw(seed, 0, 21) for seed, name in enumerate(("2007_000032", "2008_000021", "2008_000009", "2010_000111"))
}


@pytest.fixture
def voc(tmp_path):
    """VOC 2012 without the additional labels, but with their images."""
    root = TREES["PascalVOC"].write(tmp_path / "VOCdevkit")
    (root / "VOC2012/ImageSets/Segmentation/aug.txt").unlink()
    for name in SBD:
        write_image(root / f"VOC2012/JPEGImages/{name}.jpg")
    return root


@pytest.fixture
def sbd(tmp_path):
    root = tmp_path / "benchmark_RELEASE"
    (root / "dataset/cls").mkdir(parents=True)
    for name, label in SBD.items():
        truth = {"Segmentation": label, "CategoriesPresent": np.unique(label), "Boundaries": np.zeros((20, 1))}
        savemat(root / f"dataset/cls/{name}.mat", {"GTcls": truth}, do_compression=True)
    (root / "dataset/train.txt").write_text("2008_000021\n2007_000032\n")  # the second one is in VOC's own train.txt
    (root / "dataset/val.txt").write_text("2010_000111\n2008_000009\n")
    return root


@pytest.mark.parametrize("workers", [1, 2])
def test_value_voc_aug(voc, sbd, capsys, workers):
    assert voc_aug.main(["--sbd", str(sbd), "--voc", str(voc), "--workers", str(workers)]) == 0
    assert "3 images in aug.txt, 3 labels written, 0 were there already" in capsys.readouterr().out
    dataset = PascalVOC(str(voc), "trainaug")
    names = [Path(record.image).stem for record in dataset.records]
    assert names == ["2007_000032", "2007_000039", "2008_000009", "2008_000021", "2010_000111"]
    for name, label in list(zip(names, labels_of(dataset)))[2:]:
        np.testing.assert_array_equal(label, SBD[name])


def test_value_voc_aug_goes_on_where_it_stopped(voc, sbd, capsys):
    (sbd / "dataset/cls/2010_000111.mat").write_bytes(b"cut off")
    error = fails(voc_aug.main, "--sbd", sbd, "--voc", voc, "--workers", 1, capsys=capsys)
    assert "2010_000111.mat is damaged or holds no 'GTcls'" in error
    assert not (voc / "VOC2012/ImageSets/Segmentation/aug.txt").exists()
    first = voc / "VOC2012/SegmentationClassAug/2008_000009.png"
    made = first.stat().st_mtime_ns
    savemat(sbd / "dataset/cls/2010_000111.mat", {"GTcls": {"Segmentation": SBD["2010_000111"]}})
    voc_aug.main(["--sbd", str(sbd), "--voc", str(voc), "--workers", "1"])
    assert "3 images in aug.txt, 1 labels written, 2 were there already" in capsys.readouterr().out
    assert first.stat().st_mtime_ns == made
    assert sorted(p.name for p in first.parent.iterdir()) == [
        "2008_000008.png",
        "2008_000009.png",
        "2008_000021.png",
        "2010_000111.png",
    ]


def test_error_voc_aug_folders(voc, sbd, tmp_path, capsys):
    error = fails(voc_aug.main, "--sbd", sbd / "dataset", "--voc", tmp_path, "--workers", 1, capsys=capsys)
    assert "(6 problems)" in error
    assert f"{sbd}/dataset/dataset/cls does not exist" in error
    assert f"{tmp_path}/VOC2012/ImageSets/Segmentation/val.txt does not exist" in error
    (sbd / "dataset/cls/2008_000009.mat").unlink()
    (voc / "VOC2012/JPEGImages/2008_000021.jpg").unlink()
    error = fails(voc_aug.main, "--sbd", sbd, "--voc", voc, "--workers", 1, capsys=capsys)
    assert "(2 problems)" in error


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"GTcls": {"Segmentation": np.full((2, 2), 21)}}, "no map of class ids 0 to 20"),
        ({"GTcls": {"Segmentation": np.zeros((2, 2, 2))}}, "no map of class ids"),
        ({"GTcls": {"Boundaries": np.zeros(2)}}, r"holds no GTcls\.Segmentation"),
        ({"GTinst": {"Segmentation": np.zeros((2, 2))}}, "holds no 'GTcls'"),
    ],
)
def test_error_voc_aug_label(voc, sbd, capsys, content, message):
    savemat(sbd / "dataset/cls/2008_000009.mat", content)
    error = fails(voc_aug.main, "--sbd", sbd, "--voc", voc, "--workers", 1, capsys=capsys)
    assert "2008_000009.mat" in error
    assert re.search(message, error)


def test_error_without_scipy(voc, sbd, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.io", None)
    error = fails(voc_aug.main, "--sbd", sbd, "--voc", voc, "--workers", 1, capsys=capsys)
    assert error == "error: reading .mat files needs SciPy: pip install scipy\n"


# --- pixel maps -> CocoStuff --------------------------------------------------------------------------------------


@pytest.fixture
def maps(tmp_path):
    """Published maps: of COCO's ids less one, 0 is person, 10 fire hydrant, 12 stop sign, 91 banner, 181 wood."""
    for split, name, seed in (("train2017", "000000000009", 0), ("val2017", "000000000139", 1)):
        values = draw(seed, 0, 10)
        values[0, :6] = 10, 12, 91, 181, 255, 24
        write_label(tmp_path / "maps" / split / f"{name}.png", values)
        write_image(tmp_path / "coco/images" / split / f"{name}.jpg")
    return tmp_path / "maps"


def test_value_coco_stuff(maps, capsys):
    out = maps.parent / "coco" / "annotations"
    assert coco_stuff.main(["--maps", str(maps), "--out", str(out), "--workers", "1"]) == 0
    assert "2 pixel maps, 2 labels written" in capsys.readouterr().out
    dataset = CocoStuff(str(maps.parent / "coco"), "train")
    (label,) = labels_of(dataset)
    names = [dataset.class_names[index] for index in label[0, :4]]
    assert names == ["fire hydrant", "stop sign", "banner", "wood"]
    assert label[0, 4:6].tolist() == [255, 23]
    np.testing.assert_array_equal(label[1:], draw(0, 0, 10)[1:])
    coco_stuff.main(["--maps", str(maps), "--out", str(out), "--workers", "1"])
    assert "0 labels written, 2 were there already" in capsys.readouterr().out


def test_value_coco_stuff_counts_every_class_once():
    """By the published list: COCO's ids 12, 26, 29, 30, 45, 66, 68, 69, 71, 83 and 91 are in no map."""
    gone = {12, 26, 29, 30, 45, 66, 68, 69, 71, 83, 91}
    kept = [number for number in range(1, 183) if number not in gone]
    label = np.array([[number - 1 for number in kept]], np.uint8)
    assert len(kept) == 171
    np.testing.assert_array_equal(coco_stuff._class_ids()[label][0], np.arange(171))


def test_error_coco_stuff(maps, tmp_path, capsys):
    def error(source, target):
        return fails(coco_stuff.main, "--maps", source, "--out", target, "--workers", 1, capsys=capsys)

    assert "--maps and --out are both" in error(maps, maps)
    assert f"holds no train2017/*.png or val2017/*.png: {tmp_path} contains" in error(tmp_path, tmp_path / "out")
    write_label(maps / "train2017/000000000011.png", np.array([[11, 25], [90, 200]], np.uint8))
    message = error(maps, tmp_path / "out")
    assert "000000000011.png: values 11, 25, 90, 200, which COCO-Stuff's pixel maps never have" in message


# --- PASCAL Context's .mat files -> PascalContext -----------------------------------------------------------------


@pytest.fixture
def context(tmp_path):
    """VOC 2010 with three images, maps of 459 ids, and a ``labels.txt`` whose numbers are the test's own."""
    names = [f"thing {i}" for i in range(400)] + [*PascalContext.class_names[1:]]
    order = np.random.default_rng(5).permutation(len(names))
    numbers = {names[index]: number for number, index in enumerate(order, start=1)}
    lines = [f"{number}: {name.replace('tvmonitor', 'tv monitor')}\n" for name, number in numbers.items()]
    (tmp_path / "labels.txt").write_text("".join(lines))
    splits = {"train": ["2008_2", "2008_7"], "val": ["2008_3"]}
    for split, listed in splits.items():
        (tmp_path / "VOC2010/ImageSets/Main").mkdir(parents=True, exist_ok=True)
        (tmp_path / f"VOC2010/ImageSets/Main/{split}.txt").write_text("".join(f"{name}\n" for name in listed))
        for name in listed:
            write_image(tmp_path / f"VOC2010/JPEGImages/{name}.jpg")
    values = np.array([[numbers["wood"], numbers["aeroplane"], 0], [numbers["thing 7"], numbers["tvmonitor"], 459]])
    values[1, 2] = numbers["person"]
    (tmp_path / "trainval").mkdir()
    for name in ("2008_2", "2008_7", "2008_3"):
        big = np.zeros((5, 8), np.uint16)
        big[:2, :3] = values
        savemat(tmp_path / f"trainval/{name}.mat", {"LabelMap": big})
    return tmp_path


def context_words(root, **changed):
    words = {"maps": root / "trainval", "labels": root / "labels.txt", "voc": root / "VOC2010", "workers": 1, **changed}
    return [str(word) for name, value in words.items() for word in (f"--{name}", value)]


def test_value_pascal_context(context, capsys):
    assert pascal_context.main(context_words(context)) == 0
    assert "3 images in the lists, 3 labels written" in capsys.readouterr().out
    for mode, names in (
        ("train", ["2008_2", "2008_7"]),
        ("val", ["2008_3"]),
        ("trainval", ["2008_2", "2008_3", "2008_7"]),
    ):
        dataset = PascalContext(str(context / "VOC2010"), mode)
        assert [Path(record.image).stem for record in dataset.records] == names
        for label in labels_of(dataset):
            found = [[dataset.class_names[index] for index in row] for row in label[:2, :3]]
            assert found == [["wood", "aeroplane", "background"], ["background", "tvmonitor", "person"]]
            assert label[2:].max() == 0


def test_error_pascal_context(context, capsys):
    def error(**changed):
        return fails(pascal_context.main, *context_words(context, **changed), capsys=capsys)

    assert "trainval_merged.json is a JSON file, which is not read here" in error(maps="trainval_merged.json")
    assert "(2 problems)" in error(labels="lost.txt", maps="lost")
    (context / "few.txt").write_text("1: aeroplane\n2: wood\n")
    assert "names 2 classes in lines of 'number: name', but not bag, bed, bedclothes" in error(
        labels=context / "few.txt"
    )
    (context / "trainval/2008_3.mat").unlink()
    assert "2008_3.mat does not exist" in error()
    savemat(context / "trainval/2008_3.mat", {"LabelMap": np.zeros((2, 2))})
    assert "LabelMap has shape (2, 2) and type float64; expected a map of ids" in error()
    assert not (context / "VOC2010/ImageSets/Segmentation").exists()


@pytest.mark.parametrize("name", ["voc_aug", "coco_stuff", "pascal_context"])
def test_smoke_the_command_starts_from_anywhere(name, tmp_path):
    words = [sys.executable, str(SCRIPTS / f"{name}.py"), "--help"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "--workers" in done.stdout
    assert importlib.import_module(f"scripts.data.{name}").__doc__.splitlines()[0].endswith(".")


def test_error_workers(capsys):
    assert "'0' is not a whole number of at least 1" in fails(
        coco_stuff.main, "--maps", "a", "--out", "b", "--workers", 0, capsys=capsys
    )


def test_value_labels_are_written_as_grey_pngs(maps, tmp_path):
    coco_stuff.main(["--maps", str(maps), "--out", str(tmp_path / "out"), "--workers", "1"])
    path = tmp_path / "out/train2017/000000000009.png"
    assert path.read_bytes()[24:26] == bytes((8, 0))  # PNG's bit depth and colour type
    assert cv2.imread(str(path), cv2.IMREAD_UNCHANGED).shape == (5, 8)

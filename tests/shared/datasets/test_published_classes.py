"""Names and colours of the published data sets, compared with what their papers and tools print; per-set errors."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from shared.datasets import ADE20K, CocoStuff, MiniDeepGlobeRoadExtraction, OpticDiscSeg, PascalContext, PascalVOC
from shared.datasets.reading import read_sample
from shared.errors import DataError
from tests.shared.datasets.trees import TREES, look_at_entries, write_label


def test_value_voc():
    assert (len(PascalVOC.class_names), PascalVOC.class_names[0]) == (21, "background")
    assert list(PascalVOC.class_names[1:]) == sorted(PascalVOC.class_names[1:])
    colours = dict(zip(PascalVOC.class_names, PascalVOC.palette))  # five as the development kit prints them
    assert colours["background"] == (0, 0, 0)
    assert colours["aeroplane"] == (128, 0, 0)
    assert colours["cow"] == (64, 128, 0)
    assert colours["person"] == (192, 128, 128)
    assert colours["tvmonitor"] == (0, 64, 128)


def test_value_pascal_context():
    names = PascalContext.class_names
    assert (len(names), names[0], names[59]) == (60, "background", "wood")
    assert list(names[1:]) == sorted(names[1:])
    assert set(PascalVOC.class_names) - set(names) == {"diningtable"}  # it is "table" here
    assert PascalContext.palette[:21] == PascalVOC.palette
    assert len(set(PascalContext.palette)) == 60


def test_value_ade20k():
    classes = list(zip(ADE20K.class_names, ADE20K.palette))
    assert len(classes) == 150
    at = {  # published number, from 1
        1: ("wall", (120, 120, 120)),
        3: ("sky", (6, 230, 230)),
        13: ("person", (150, 5, 61)),
        21: ("car", (0, 102, 200)),
        76: ("swivel chair", (10, 0, 255)),
        150: ("flag", (92, 0, 255)),
    }
    assert {number: classes[number - 1] for number in at} == at
    assert len(set(ADE20K.palette)) == 149  # road and skyscraper share one
    assert [ADE20K.label_map[value] for value in (0, 1, 2, 150)] == [255, 0, 1, 149]


def test_value_coco_stuff():
    names = CocoStuff.class_names
    assert (len(names), len(set(names))) == (171, 171)
    assert (names[0], names[79], names[80], names[170]) == ("person", "toothbrush", "banner", "wood")
    assert list(names[80:]) == sorted(names[80:])  # stuff is in alphabetical order


def test_value_binary_sets():
    assert OpticDiscSeg.class_names == ("background", "optic disc")
    assert MiniDeepGlobeRoadExtraction.class_names == ("background", "road")


def test_value_palette_labels_of_voc_are_read_as_indices_void_included(tmp_path):
    tree = TREES["PascalVOC"]
    dataset = PascalVOC(str(tree.write(tmp_path)), "val")
    colours = cv2.imread(dataset.records[0].label)
    assert (colours[..., 0] != colours[..., 1]).any()  # it is a colour picture to other readers
    label = read_sample(dataset.records[0], dataset.label_map).label
    np.testing.assert_array_equal(label, tree.expected_label(tree.pairs["val"][0][1]))
    assert {0, 20, 255} <= set(np.unique(label).tolist())


def test_error_ade_value_that_is_not_published(tmp_path):
    dataset = ADE20K(str(TREES["ADE20K"].write(tmp_path)), "val")
    values = np.zeros((5, 8), np.uint8)
    values[0] = 151
    values[1, :4] = 255
    write_label(tmp_path / "annotations/validation/ADE_val_00000001.png", values)
    with pytest.raises(DataError, match=r"values 151 \(20 % of the pixels\), 255 \(10 %.*, expected 0 to 150, as this"):
        look_at_entries(dataset)


def test_error_voc_without_the_additional_labels(tmp_path):
    root = TREES["PascalVOC"].write(tmp_path)
    (root / "VOC2012/ImageSets/Segmentation/aug.txt").unlink()
    with pytest.raises(DataError, match=r"'trainaug'.*Segmentation contains .* then run scripts/data/voc_aug\.py"):
        PascalVOC(str(root), "trainaug")
    assert len(PascalVOC(str(root), "train")) == 2


def test_error_voc_names_of_both_lists_come_together(tmp_path):
    root = TREES["PascalVOC"].write(tmp_path)
    (root / "VOC2012/JPEGImages/2007_000039.jpg").unlink()
    (root / "VOC2012/SegmentationClassAug/2008_000008.png").unlink()
    with pytest.raises(DataError) as caught:
        PascalVOC(str(root), "trainaug")
    message = str(caught.value)
    assert "(2 problems)" in message
    assert "Segmentation/train.txt:2: VOC2012/JPEGImages/2007_000039.jpg does not exist" in message
    assert "Segmentation/aug.txt:1: VOC2012/SegmentationClassAug/2008_000008.png does not exist" in message


@pytest.mark.parametrize(
    ("kind", "file"),
    [
        (PascalVOC, "VOC2012/ImageSets/Segmentation/train.txt"),
        (PascalContext, "ImageSets/Segmentation/train_context.txt"),
        (OpticDiscSeg, "train_list.txt"),
        (MiniDeepGlobeRoadExtraction, "train.txt"),
    ],
)
def test_error_empty_list(tmp_path, kind, file):
    root = TREES[kind.__name__].write(tmp_path)
    (root / file).write_text("\n")
    with pytest.raises(DataError, match=rf"{file} lists no image; expected .*[Ss]et dataset_root to"):
        kind(str(root))


def test_value_coco_labels_of_another_converter(tmp_path):
    """Its raw maps lie beside the converted ones, and are not taken where one is missing."""
    tree = TREES["CocoStuff"]
    root = tree.write(tmp_path)
    folder = root / "annotations" / "train2017"
    for path in sorted(folder.iterdir()):
        write_label(folder / f"{path.stem}_labelTrainIds.png", np.full((5, 8), 7, np.uint8))
    records = CocoStuff(str(root)).records
    assert [r.label.rpartition("/")[2] for r in records] == [
        "000000000009_labelTrainIds.png",
        "000000000025_labelTrainIds.png",
    ]
    (folder / "000000000025_labelTrainIds.png").unlink()
    with pytest.raises(DataError, match=r"000000000025\.jpg: image without a label"):
        CocoStuff(str(root))


def test_error_coco_raw_ids(tmp_path):
    dataset = CocoStuff(str(TREES["CocoStuff"].write(tmp_path)), "val")
    write_label(tmp_path / "annotations/val2017/000000000139.png", np.full((5, 8), 181, np.uint8))
    with pytest.raises(DataError, match=r"value 181 \(100 %.*COCO-Stuff's raw ids .* scripts/data/coco_stuff\.py"):
        look_at_entries(dataset)


def test_value_optic_disc_test_images_need_no_labels(tmp_path):
    root = TREES["OpticDiscSeg"].write(tmp_path)
    (root / "test_list.txt").write_text("JPEGImages/T4.jpg\n")
    (record,) = OpticDiscSeg(str(root), "test").records
    assert (record.image, record.label) == (str(root / "JPEGImages/T4.jpg"), None)

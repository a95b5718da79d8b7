"""Every registered data set, generated from the registry: one without a tree in ``trees.py`` turns this red."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from shared.config.data_sections import read_dataset, read_num_classes
from shared.config.section import Findings
from shared.errors import DataError
from shared.reading import SampleSource, eval_batches, open_reader
from shared.registry import DATASETS
from shared.transforms.compose import Compose
from shared.visualize.palette import resolve_palette
from tests.shared.datasets.trees import TREES, look_at_entries

MODES = [(name, mode) for name in sorted(DATASETS) for mode in TREES[name].pairs]
OFFICIAL = sorted(set(DATASETS) - {"Dataset"})


def build(name, root, mode="train"):
    return DATASETS[name](dataset_root=str(root), mode=mode, **TREES[name].arguments)


@pytest.mark.parametrize(("name", "mode"), MODES)
def test_value_records_and_what_they_decode_to(name, mode, tmp_path):
    tree = TREES[name]
    dataset = build(name, tree.write(tmp_path), mode)
    expected = tree.pairs[mode]
    assert [(r.image, r.label) for r in dataset.records] == [
        (f"{tmp_path}/{i}", f"{tmp_path}/{j}") for i, j in expected
    ]
    source = SampleSource(dataset, Compose([]), seed=0)
    for index, (image, label) in enumerate(expected):
        sample = source.get(0, index)
        rgb = cv2.imread(str(tmp_path / image))[..., ::-1]
        np.testing.assert_array_equal(sample.image, rgb.transpose(2, 0, 1))
        np.testing.assert_array_equal(sample.label, tree.expected_label(label))
        assert sample.label.dtype == np.uint8


@pytest.mark.parametrize("name", ["ADE20K", "PascalVOC", "CocoStuff"])
def test_value_in_worker_processes(name, tmp_path):
    tree = TREES[name]
    dataset = build(name, tree.write(tmp_path))
    source = SampleSource(dataset, Compose([]), seed=0)
    with open_reader(source, eval_batches(len(dataset), 1), kind="process", workers=2) as reader:
        labels = [batch.labels[0] for batch in reader]
    assert len(labels) == len(tree.pairs["train"])
    for label, (_, path) in zip(labels, tree.pairs["train"]):
        np.testing.assert_array_equal(label, tree.expected_label(path))


@pytest.mark.parametrize("name", OFFICIAL)
def test_value_classes(name, tmp_path):
    dataset = build(name, TREES[name].write(tmp_path))
    assert len(dataset.class_names) == len(set(dataset.class_names)) == dataset.num_classes
    assert dataset.num_classes == TREES[name].highest + (0 if name == "ADE20K" else 1)
    assert dataset.ignore_index == 255
    assert resolve_palette(None, dataset.num_classes, dataset.palette).shape == (dataset.num_classes, 3)
    look_at_entries(dataset)


@pytest.mark.parametrize("name", OFFICIAL)
def test_value_a_config_needs_no_class_count(name):
    spec = {"type": name, "dataset_root": "data", "transforms": [{"type": "Normalize"}]}
    findings = Findings()
    count = read_num_classes({"train_dataset": spec}, findings)
    assert count == DATASETS[name].num_classes
    section = read_dataset("val_dataset", spec, count, findings)
    assert findings == []
    assert section.dataset.args == {"dataset_root": "data", "mode": "val"}


@pytest.mark.parametrize("name", sorted(DATASETS))
def test_value_the_page_shows_the_layout(name, root):
    page = (root / "docs" / "data.md").read_text(encoding="utf-8")
    assert f"| `{name}` |" in page
    assert f"\n## {name}\n" in page


@pytest.mark.parametrize("name", sorted(DATASETS))
def test_error_mode(name, tmp_path):
    known = "one of train, " if name != "CocoStuff" else "one of train, val$"
    with pytest.raises(ValueError, match=f"mode is 'valid'; expected {known}"):
        build(name, TREES[name].write(tmp_path), "valid")


@pytest.mark.parametrize("name", OFFICIAL)
def test_error_wrong_root_says_what_was_expected_what_is_there_and_what_to_do(name, tmp_path):
    (tmp_path / "other_data").mkdir()
    with pytest.raises(DataError) as caught:
        build(name, tmp_path)
    message = str(caught.value)
    assert f"dataset_root {tmp_path} lacks the {name} split 'train': expected " in message
    assert f"{tmp_path} contains other_data" in message
    assert "set dataset_root to" in message.lower()
    with pytest.raises(DataError, match=f"{name} split 'val'.*no does not exist; {tmp_path} contains other_data"):
        build(name, tmp_path / "no", "val")


@pytest.mark.parametrize("name", sorted(set(DATASETS) - {"Dataset", "Cityscapes"}))
def test_error_all_missing_files_come_together(name, tmp_path):
    tree = TREES[name]
    root = tree.write(tmp_path)
    (image, its_label), (its_image, label) = tree.pairs["train"][:2]
    (root / image).unlink()
    (root / label).unlink()
    with pytest.raises(DataError) as caught:
        build(name, root)
    message = str(caught.value)
    assert "(2 problems)" in message
    for part in (image, label) if tree.lists else (f"{its_image}: image without", f"{its_label}: label without"):
        assert part in message

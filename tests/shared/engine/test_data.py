"""From data sections to batches: shapes, order, label sizes and refusals."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from shared.config.run_config import (
    Component,
    DatasetConfig,
    OptimizerConfig,
    ReaderConfig,
    RunConfig,
    ScheduleConfig,
    TrainConfig,
)
from shared.engine import data as data_module
from shared.engine.data import EvalData, TrainData, build_dataset, inference_section, inference_transforms
from shared.errors import ConfigError, DataError

NORMALIZE = Component("Normalize")
SIZES_WH = ((30, 20), (26, 34), (40, 24), (30, 20))


@pytest.fixture
def folder(tmp_path):
    """Four images of different sizes; image n is all of brightness 10 n, its label all of class n % 3."""
    lines = []
    for n, size in enumerate(SIZES_WH):
        Image.new("RGB", size, (10 * n, 0, 255)).save(tmp_path / f"{n}.png")
        Image.new("L", size, n % 3).save(tmp_path / f"{n}_label.png")
        lines.append(f"{n}.png {n}_label.png\n")
    (tmp_path / "list.txt").write_text("".join(lines))
    return tmp_path


def section(folder, mode, transforms=(NORMALIZE,), **options):
    args = {"dataset_root": str(folder), "num_classes": 3, "mode": mode, f"{mode}_path": "list.txt"}
    return DatasetConfig(Component("Dataset", args), tuple(transforms), **options)


def run(train=None, val=None, reader=None, **settings):
    parts = (Component("FCN"), (), OptimizerConfig(), ScheduleConfig(), TrainConfig(**settings), train, val)
    return RunConfig(*parts, reader=reader or ReaderConfig(), num_classes=3)


CROP = (Component("RandomPaddingCrop", {"crop_size": [32, 16]}), NORMALIZE)


@pytest.mark.parametrize("reader", [ReaderConfig(), ReaderConfig("thread", 2)], ids=["inline", "thread"])
def test_value_train_batches(folder, reader):
    data = TrainData(run(section(folder, "train", CROP), reader=reader), seed=1, batch_size=2)
    assert data.batch_shape() == (2, 3, 16, 32)
    with data.open(0, 4) as batches:
        batches = list(batches)
    assert len(batches) == 4
    for batch in batches:
        assert (batch.images.shape, batch.images.dtype) == ((2, 3, 16, 32), np.float32)
        assert (batch.labels.shape, batch.labels.dtype) == ((2, 16, 32), np.int64)
    for epoch in (batches[:2], batches[2:]):
        seen = sorted(path for batch in epoch for path in batch.paths)
        assert seen == [str(folder / f"{n}.png") for n in range(4)], "every image once an epoch"
    with data.open(2, 4) as rest:
        for batch, wanted in zip(rest, batches[2:]):
            assert batch.paths == wanted.paths
            assert np.array_equal(batch.images, wanted.images)


def test_value_eval_batches_keep_the_labels_size(folder):
    steps = (Component("Resize", {"target_size": [12, 8]}), NORMALIZE)
    data = EvalData(run(val=section(folder, "val", steps)))
    assert len(data) == 4
    with data.open() as batches:
        batches = list(batches)
    for n, (batch, (width, height)) in enumerate(zip(batches, SIZES_WH)):
        assert batch.images.shape == (1, 3, 8, 12)
        assert (batch.labels.shape, batch.labels.dtype) == ((1, height, width), np.uint8)
        assert np.all(batch.labels == n % 3)
        red = (10 * n / 255 - 0.5) / 0.5
        assert batch.images[0, :, 0, 0] == pytest.approx([red, -1, 1], abs=1e-6)


def test_value_bgr(folder):
    data = EvalData(run(val=section(folder, "val", to_rgb=False)))
    assert data.source.get(0, 3).image[:, 0, 0] == pytest.approx([1, -1, 60 / 255 - 1], abs=1e-6)


def test_error_no_section():
    with pytest.raises(ConfigError, match="val_dataset: missing, and this command needs it"):
        EvalData(run())


def test_error_arguments_the_data_set_refuses(folder):
    for args in ({"dataset_root": str(folder), "num_classes": 300}, {"dataset_root": str(folder), "colour": 3}):
        with pytest.raises(ConfigError, match="train_dataset: Dataset refuses its arguments"):
            build_dataset(DatasetConfig(Component("Dataset", {"num_classes": 3, **args})), "train_dataset")
    with pytest.raises(DataError, match="is not a folder"):
        build_dataset(section(folder / "elsewhere", "train"), "train_dataset")


def test_error_a_training_transform_in_an_evaluation(folder):
    steps = (Component("RandomRotation"), Component("RandomHorizontalFlip"), NORMALIZE)
    with pytest.raises(ConfigError, match=r"val_dataset\.transforms: .*RandomRotation.*belongs to training"):
        inference_transforms(section(folder, "val", steps), "val_dataset")


def test_value_without_a_validation_set_images_enter_as_in_training(folder):
    mine = Component("Normalize", {"mean": [0.1, 0.2, 0.3], "std": [0.5, 0.5, 0.5]})
    fixed = Component("Resize", {"target_size": [8, 8]})
    train = section(folder, "train", (fixed, Component("RandomHorizontalFlip"), mine))
    found = inference_section(run(train, None))
    assert found.transforms == (fixed, mine)
    assert found.to_rgb == train.to_rgb
    with pytest.raises(ConfigError, match="val_dataset: missing"):
        inference_section(run(None, None))


@pytest.mark.parametrize(
    ("reader", "fast_png", "words"),
    [
        (ReaderConfig(), True, "set num_workers to 3 (static: DATALOADER.NUM_WORKERS), or keep decoded images"),
        (ReaderConfig("process", 2), True, "raise num_workers from 2 to 4 "),
        (
            ReaderConfig("thread", 4, cache="ram"),
            True,
            "read with processes (reader.kind: process",
        ),
        (ReaderConfig("process", 4, cache="disk"), False, "install the faster PNG decoder (pip install -e '.[png]')"),
        (ReaderConfig("process", 4, cache="disk"), True, "every setting is at its best"),
    ],
)
def test_value_advice_for_slow_data(monkeypatch, reader, fast_png, words):
    monkeypatch.setattr(data_module, "usable_cores", lambda: 4)
    monkeypatch.setattr(data_module, "HAS_FAST_PNG", fast_png)
    assert data_module.reading_advice(reader).startswith(words)

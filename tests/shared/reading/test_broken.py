"""Samples that break during a run: fatal, or replaced alike by every reader, named once, counted, and bounded."""

from __future__ import annotations

import logging

import cv2
import numpy as np
import pytest

from shared.config.run_config import EvalConfig
from shared.datasets import Dataset
from shared.engine.evaluate import evaluate
from shared.engine.inference import argmax_classes
from shared.errors import DataError, RunFailedError
from shared.reading import SampleSource, TrainSampler, open_reader
from shared.reading.broken import BrokenSamples, too_many
from tests.shared.reading.sources import flip_and_scale

COUNT = 12
BROKEN = (3, 7)


@pytest.fixture
def dataset(tmp_path):
    rng = np.random.default_rng(0)
    lines = []
    for n in range(COUNT):
        cv2.imwrite(str(tmp_path / f"{n}.png"), rng.integers(0, 256, (6, 6, 3)).astype(np.uint8))
        cv2.imwrite(str(tmp_path / f"{n}_label.png"), rng.integers(0, 3, (6, 6)).astype(np.uint8))
        lines.append(f"{n}.png {n}_label.png\n")
    (tmp_path / "list.txt").write_text("".join(lines))
    found = Dataset(str(tmp_path), num_classes=3, train_path="list.txt")
    (tmp_path / "3.png").write_bytes(b"\x89PNG\r\n\x1a\n cut off")
    cv2.imwrite(str(tmp_path / "7_label.png"), np.full((6, 6), 9, np.uint8))
    return found


def chw(sample, rng):
    """What Normalize leaves: channels first."""
    flip_and_scale(sample, rng)
    sample.image = np.ascontiguousarray(sample.image.transpose(2, 0, 1))


def read(dataset, kind, workers, seed=5):
    source = SampleSource(dataset, chw, seed, "skip")
    sampler = TrainSampler(COUNT, 4, seed)
    with open_reader(source, sampler.batches(0, 9), kind=kind, workers=workers) as reader:
        return list(reader)


def test_error_stop_is_the_default(dataset):
    source = SampleSource(dataset, chw, 0)
    for index, words in ((3, r"3\.png: the file is cut off"), (7, r"7_label\.png: label value 9")):
        with pytest.raises(DataError, match=words):
            source.get(0, index)


def test_value_every_reader_puts_the_same_sample_in_its_place(dataset):
    wanted = read(dataset, "inline", 0)
    assert sorted({path for batch in wanted for path, _ in batch.broken}) == [
        str(dataset.records[index].image) for index in BROKEN
    ]
    assert sum(len(batch.broken) for batch in wanted) >= 3 * len(BROKEN), "each once an epoch, or more as a substitute"
    for kind, workers in (("thread", 3), ("process", 2)):
        for found, batch in zip(read(dataset, kind, workers), wanted):
            assert found.paths == batch.paths
            assert found.broken == batch.broken
            assert np.array_equal(found.images, batch.images)
            assert np.array_equal(found.labels, batch.labels)


def test_value_the_place_is_drawn_by_seed_and_epoch_and_is_no_copy(dataset):
    source = SampleSource(dataset, chw, 1, "skip")
    chosen = [source.get(epoch, 3) for epoch in range(20)]
    assert len({sample.path for sample in chosen}) > 3
    for epoch, sample in enumerate(chosen):
        index = next(n for n, record in enumerate(dataset.records) if record.image == sample.path)
        assert index not in BROKEN
        own = source.get(epoch, index)
        assert own.broken == []
        assert not np.array_equal(own.image, sample.image)
    assert [s.path for s in chosen] != [SampleSource(dataset, chw, 2, "skip").get(e, 3).path for e in range(20)]


def test_error_nothing_but_broken_samples(dataset):
    for record in dataset.records:
        open(record.image, "wb").close()
    with pytest.raises(RunFailedError, match=r"11 samples in a row are broken, .*3\.png first: .*check_data"):
        SampleSource(dataset, chw, 1, "skip").get(0, 3)


def test_value_each_file_is_named_once_and_every_time_counts(caplog):
    caplog.set_level(logging.INFO)
    broken = BrokenSamples("train_dataset", 100)
    for _ in range(3):
        broken.add([("a.png", "a.png: is empty"), ("b.png", "b.png: is cut off")])
    assert broken.skipped == 6
    assert caplog.messages == [
        "skipped, as on_bad_sample says (file 1 so far): a.png: is empty",
        "skipped, as on_bad_sample says (file 2 so far): b.png: is cut off",
    ]


def test_error_too_many_broken_files():
    broken = BrokenSamples("train_dataset", 30)
    broken.add([(str(n), f"{n}: broken") for n in range(3)])
    with pytest.raises(RunFailedError, match=r"train_dataset: 4 of 30 samples are broken, more than 10% \(first: 0"):
        broken.add([("3", "3: broken")])
    assert [too_many(*pair) for pair in ((1, 5), (2, 5), (2, 20), (3, 20))] == [False, True, False, True]


def test_value_an_evaluation_leaves_them_out(dataset):
    class Own:
        def class_ids(self, images):
            return argmax_classes(images)

    def chw_alone(sample, rng):
        sample.image = np.ascontiguousarray(sample.image.transpose(2, 0, 1)).astype(np.float32)

    source = SampleSource(dataset, chw_alone, 0, "skip", replaces=False)
    broken = BrokenSamples("val_dataset", COUNT)
    broken.length = 100
    with open_reader(source, ([(0, n)] for n in range(COUNT))) as batches:
        result = evaluate(Own(), batches, EvalConfig(), 3, 255, broken=broken)
    assert (result.images, result.left_out, broken.skipped) == (COUNT - 2, 2, 2)
    assert result.matrix.sum() == 36 * (COUNT - 2)

"""Images that do not fit into the memory: windows from then on, one line, and a sentence where that is no help."""

from __future__ import annotations

import dataclasses
import logging

import cv2
import numpy as np
import pytest
from PIL import Image

from shared.config.run_config import Component, EvalConfig, ScheduleConfig
from shared.engine.evaluate import evaluate
from shared.engine.inference import predict_ids
from shared.engine.memory import MemoryGuard, fallback_window, is_out_of_memory
from shared.engine.predict import predict
from shared.engine.stepper import Batch
from shared.errors import RunFailedError
from shared.transforms.compose import Compose
from shared.transforms.photometric import Normalize
from tests.shared.engine.test_data import run, section
from tests.shared.engine.test_train import CROP, Clockwork, iterations, start

K = 3
PADDLE = RuntimeError("\n\nOut of memory error on GPU 0. Cannot allocate 12GB memory on GPU 0")


class Small:
    """Each pixel's logits are its colours; refuses images of more pixels than it has room for."""

    def __init__(self, room: int, error: Exception) -> None:
        self.room = room
        self.error = error
        self.seen: list[tuple[int, int]] = []

    def logits(self, images: np.ndarray) -> np.ndarray:
        self.seen.append(images.shape[2:])
        if images.shape[2] * images.shape[3] > self.room:
            raise self.error
        return images.copy()

    def class_ids(self, images: np.ndarray) -> np.ndarray:
        return self.logits(images).argmax(axis=1).astype(np.int32)


def batches(*sizes):
    rng = np.random.default_rng(3)
    for n, size_hw in enumerate(sizes):
        images = rng.standard_normal((1, 3, *size_hw)).astype(np.float32)
        yield Batch(images, rng.integers(0, K, (1, *size_hw)), [f"{n}.png"], [[]])


@pytest.mark.parametrize("error", [MemoryError("std::bad_alloc"), PADDLE], ids=["python", "paddle"])
@pytest.mark.parametrize("with_loss", [False, True])
def test_value_windows_from_the_size_on_that_did_not_fit(error, with_loss, caplog):
    sizes = [(10, 12), (40, 30), (30, 40), (41, 30), (12, 10)]
    wanted = evaluate(Small(10**9, error), batches(*sizes), EvalConfig(), K, 255, with_loss=with_loss)
    small = Small(400, error)
    found = evaluate(small, batches(*sizes), EvalConfig(), K, 255, with_loss=with_loss, guard=MemoryGuard((16, 16)))
    assert np.array_equal(found.matrix, wanted.matrix)
    assert found.loss == pytest.approx(wanted.loss, rel=1e-5, nan_ok=True)
    assert [size for size in small.seen if size not in ((16, 16), (10, 12), (12, 10))] == [(40, 30)]
    (line,) = caplog.messages
    assert line.startswith("1.png: too little memory for height 40 x width 30 in one piece; images of this size")
    assert "windows of 16 x 16" in line


def test_value_windows_overlap_by_a_third():
    seen = []

    def forward(config):
        seen.append(config)
        if not config.is_slide:
            raise MemoryError
        return config

    MemoryGuard((30, 60)).run(forward, EvalConfig(aug_eval=True, scales=(0.5,)), (100, 100), "x.png")
    assert seen[1] == EvalConfig(aug_eval=True, scales=(0.5,), is_slide=True, crop_hw=(30, 60), stride_hw=(20, 40))


@pytest.mark.parametrize(
    ("config", "size_hw", "words"),
    [
        (EvalConfig(), (100, 90), "height 100 x width 90 even in windows of 16 x 16"),
        (EvalConfig(), (16, 10), r"height 16 x width 10 \(MemoryError"),
        (EvalConfig(is_slide=True, crop_hw=(40, 50), stride_hw=(40, 50)), (99, 99), "even in windows of 40 x 50"),
    ],
)
def test_error_windows_that_are_no_help(config, size_hw, words):
    with pytest.raises(RunFailedError, match=rf"0\.png: too little memory for .*{words}.*crop_size.* are whole"):
        evaluate(Small(4, MemoryError("full")), batches(size_hw), config, K, 255, guard=MemoryGuard((16, 16)))


def test_error_other_exceptions_are_themselves():
    with pytest.raises(RuntimeError, match="no such operator"):
        evaluate(Small(4, RuntimeError("no such operator")), batches((9, 9)), EvalConfig(), K, 255)
    assert not is_out_of_memory(ValueError("shape"))


def test_value_opencv_says_it_in_its_own_words():
    with pytest.raises(cv2.error) as caught:
        cv2.resize(np.zeros((9000, 1), np.uint8), (2**31 - 2, 2**20))
    assert is_out_of_memory(caught.value), str(caught.value)


def test_value_the_window_is_the_configs_or_the_crop(tmp_path):
    asked = run(section(tmp_path, "train", (Component("RandomPaddingCrop", {"crop_size": [32, 16]}),)))
    assert fallback_window(asked) == (16, 32)
    assert fallback_window(asked.replace(evaluation=EvalConfig(crop_hw=(7, 8)))) == (7, 8)
    assert fallback_window(run(section(tmp_path, "train"))) == (512, 512)


def test_value_predictions_fall_back_too(tmp_path, caplog):
    pixels = np.random.default_rng(1).integers(0, 256, (40, 30, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    palette = np.eye(3, dtype=np.uint8) * 255
    results = []
    for room in (10**9, 300):
        out = tmp_path / str(room)
        predict(
            Small(room, MemoryError()),
            [tmp_path / "a.png"],
            tmp_path,
            Compose([Normalize()]),
            EvalConfig(),
            out,
            palette,
            save_probabilities=True,
            guard=MemoryGuard((16, 16)),
        )
        results.append(np.asarray(Image.open(out / "pseudo_color_prediction/a.png")))
    assert np.array_equal(*results)
    assert "a.png: too little memory" in caplog.text
    whole = predict_ids(Small(10**9, MemoryError()), np.zeros((1, 3, 4, 4), np.float32), EvalConfig())
    assert whole.shape == (1, 4, 4)


def test_value_a_run_whose_evaluation_dies_has_its_checkpoint(tmp_path):
    label = np.zeros((20, 30), np.uint8)
    for n in range(4):
        Image.new("RGB", (30, 20), (n, 0, 0)).save(tmp_path / f"{n}.png")
        Image.fromarray(label).save(tmp_path / f"{n}_label.png")
    (tmp_path / "list.txt").write_text("".join(f"{n}.png {n}_label.png\n" for n in range(4)))

    class Full(Clockwork):
        def logits(self, images):
            raise MemoryError("std::bad_alloc")

    both = section(tmp_path, "train", CROP), section(tmp_path, "val")
    config = run(*both, iters=3, batch_size=2, do_eval=True, save_interval=2)
    config = config.replace(schedule=ScheduleConfig("constant", 0.5))
    with pytest.raises(RunFailedError, match=r"even in windows of 8 x 8 \(MemoryError: std::bad_alloc\)"):
        start(dataclasses.replace(config), tmp_path / "out", Full())
    assert iterations(tmp_path / "out") == [2]
    assert logging.getLogger().handlers is not None

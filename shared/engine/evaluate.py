"""Evaluation of a network over a data set: one confusion matrix at the labels' own sizes, in constant memory."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from shared.config.run_config import EvalConfig
from shared.engine.inference import argmax_classes, predict_ids, predict_logits
from shared.engine.memory import DEFAULT_WINDOW_HW, MemoryGuard
from shared.engine.ranks import Ranks
from shared.engine.stepper import Batch, Predictor
from shared.metrics.confusion import ConfusionMatrix
from shared.metrics.loss import MeanLoss
from shared.metrics.scores import Scores
from shared.reading.broken import BrokenSamples
from shared.transforms.compose import undo_geometry

logger = logging.getLogger(__name__)

QUIET_SECONDS = 30.0  # without a progress bar, a line is logged this often


@dataclass(frozen=True)
class Evaluation:
    """Scores, the matrix ``[K, K]`` (rows: labels) they come from, and seconds spent.

    ``loss`` is the mean cross entropy of the main logits, whatever losses the run trains with; nan where it was not
    asked for. ``loss_pixels`` is how many pixels it is the mean of, ``left_out`` how many images could not be read.
    """

    scores: Scores
    matrix: np.ndarray
    images: int
    seconds: float
    loss: float = float("nan")
    loss_pixels: int = 0
    left_out: int = 0


def label_maps(predictor: Predictor, batch: Batch, config: EvalConfig) -> list[np.ndarray]:
    """One ``[h, w]`` int32 map of class ids per image of the batch, at the size before the transforms.

    Where a transform resized the image, the logits are brought back before the argmax.
    """
    if any(step[0] == "resize" for undo in batch.undo for step in undo):
        logits = predict_logits(predictor, batch.images, config)
        return [undo_geometry(one, undo).argmax(axis=0).astype(np.int32) for one, undo in zip(logits, batch.undo)]
    ids = predict_ids(predictor, batch.images, config)
    return [undo_geometry(one, undo) for one, undo in zip(ids, batch.undo)]


def logit_maps(predictor: Predictor, batch: Batch, config: EvalConfig) -> list[np.ndarray]:
    """One ``[K, h, w]`` float32 map of logits per image of the batch, at the size before the transforms.

    The argmax over K is what :func:`label_maps` gives.
    """
    logits = predict_logits(predictor, batch.images, config)
    return [undo_geometry(one, undo) for one, undo in zip(logits, batch.undo)]


def evaluate(
    predictor: Predictor,
    batches: Iterable[Batch],
    config: EvalConfig,
    num_classes: int,
    ignore_index: int,
    total: int | None = None,
    show_progress: bool = False,
    stop: Callable[[], bool] = lambda: False,
    with_loss: bool = False,
    guard: MemoryGuard | None = None,
    broken: BrokenSamples | None = None,
) -> Evaluation | None:
    """Run ``predictor`` over labelled batches.

    Args:
        batches: labels are ``[N, h, w]`` at their original size.
        total: number of batches, for the progress bar.
        stop: asked before every batch; once it is true the evaluation is given up and the result is None.
        with_loss: also compute the loss, for which logits leave the device instead of class ids.
        guard: predicts what is too large for the memory through windows; one is made where none is given.
        broken: told of samples that could not be read, which are left out of the scores.

    Raises:
        RunFailedError: an image does not fit into the memory even in windows, or too many samples are broken.
    """
    confusion = ConfusionMatrix(num_classes, ignore_index)
    loss = MeanLoss(ignore_index)
    guard = guard or MemoryGuard(DEFAULT_WINDOW_HW)
    predict = logit_maps if with_loss else label_maps
    started = said = time.perf_counter()
    images = left_out = 0
    for batch in tqdm(batches, total=total, unit="image", disable=not show_progress, leave=False, dynamic_ncols=True):
        if stop():
            return None
        if batch.broken:
            left_out += len(batch.broken)
            if broken is not None:
                broken.add(batch.broken)
            continue
        maps = guard.run(
            lambda how, batch=batch: predict(predictor, batch, how), config, batch.images.shape[2:], batch.paths[0]
        )
        for found, label in zip(maps, batch.labels):
            if with_loss:
                loss.update(found, label)
                found = argmax_classes(found[None])[0]
            confusion.update(found, label)
            images += 1
        if not show_progress and time.perf_counter() - said > QUIET_SECONDS:
            said = time.perf_counter()
            logger.info("evaluated %d images%s", images, f" of {total}" if total is not None else "")
    scores = Scores.from_matrix(confusion.matrix)
    seconds = time.perf_counter() - started
    return Evaluation(scores, confusion.matrix, images, seconds, loss.mean, loss.pixels, left_out)


def merged(mine: Evaluation | None, ranks: Ranks) -> Evaluation | None:
    """What all ranks together have counted, alike on each; None where one of them gave up.

    Counts are integers, so their sum is what one process over all images would have.
    """
    if ranks.world == 1:
        return mine
    said = ranks.gather(None if mine is None else _told(mine))
    if any(one is None for one in said):
        return None
    matrix = np.sum([one["matrix"] for one in said], axis=0, dtype=np.int64)
    images, left_out, pixels = (sum(one[key] for one in said) for key in ("images", "left_out", "pixels"))
    loss = sum(one["loss"] * one["pixels"] for one in said if one["pixels"]) / pixels if pixels else float("nan")
    seconds = max(one["seconds"] for one in said)
    return Evaluation(Scores.from_matrix(matrix), matrix, images, seconds, loss, pixels, left_out)


def _told(mine: Evaluation) -> dict[str, object]:
    loss = mine.loss if mine.loss_pixels else 0.0  # JSON has no nan
    return {
        "matrix": mine.matrix,
        "images": mine.images,
        "left_out": mine.left_out,
        "pixels": mine.loss_pixels,
        "loss": loss,
        "seconds": mine.seconds,
    }

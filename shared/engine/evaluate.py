"""Evaluation of a network over a data set: one confusion matrix at the labels' own sizes, in constant memory."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from shared.config.run_config import EvalConfig
from shared.engine.inference import predict_ids, predict_logits
from shared.engine.ranks import Ranks
from shared.engine.stepper import Batch, Predictor
from shared.metrics.confusion import ConfusionMatrix
from shared.metrics.scores import Scores
from shared.transforms.compose import undo_geometry

logger = logging.getLogger(__name__)

QUIET_SECONDS = 30.0  # without a progress bar, a line is logged this often


@dataclass(frozen=True)
class Evaluation:
    """Scores, the matrix ``[K, K]`` (rows: labels) they come from, and seconds spent."""

    scores: Scores
    matrix: np.ndarray
    images: int
    seconds: float


def label_maps(predictor: Predictor, batch: Batch, config: EvalConfig) -> list[np.ndarray]:
    """One ``[h, w]`` int32 map of class ids per image of the batch, at the size before the transforms.

    Where a transform resized the image, the logits are brought back before the argmax.
    """
    if any(step[0] == "resize" for undo in batch.undo for step in undo):
        logits = predict_logits(predictor, batch.images, config)
        return [undo_geometry(one, undo).argmax(axis=0).astype(np.int32) for one, undo in zip(logits, batch.undo)]
    ids = predict_ids(predictor, batch.images, config)
    return [undo_geometry(one, undo) for one, undo in zip(ids, batch.undo)]


def evaluate(
    predictor: Predictor,
    batches: Iterable[Batch],
    config: EvalConfig,
    num_classes: int,
    ignore_index: int,
    total: int | None = None,
    show_progress: bool = False,
    stop: Callable[[], bool] = lambda: False,
) -> Evaluation | None:
    """Run ``predictor`` over labelled batches.

    Args:
        batches: labels are ``[N, h, w]`` at their original size.
        total: number of batches, for the progress bar.
        stop: asked before every batch; once it is true the evaluation is given up and the result is None.
    """
    confusion = ConfusionMatrix(num_classes, ignore_index)
    started = said = time.perf_counter()
    images = 0
    for batch in tqdm(batches, total=total, unit="image", disable=not show_progress, leave=False, dynamic_ncols=True):
        if stop():
            return None
        for ids, label in zip(label_maps(predictor, batch, config), batch.labels):
            confusion.update(ids, label)
            images += 1
        if not show_progress and time.perf_counter() - said > QUIET_SECONDS:
            said = time.perf_counter()
            logger.info("evaluated %d images%s", images, f" of {total}" if total is not None else "")
    scores = Scores.from_matrix(confusion.matrix)
    return Evaluation(scores, confusion.matrix, images, time.perf_counter() - started)


def merged(mine: Evaluation | None, ranks: Ranks) -> Evaluation | None:
    """What all ranks together have counted, alike on each; None where one of them gave up.

    Counts are integers, so the sum is what one process over all images would have.
    """
    if ranks.world == 1:
        return mine
    said = ranks.gather(None if mine is None else {"matrix": mine.matrix, "images": mine.images, "s": mine.seconds})
    if any(one is None for one in said):
        return None
    matrix = np.sum([one["matrix"] for one in said], axis=0, dtype=np.int64)
    images, seconds = sum(one["images"] for one in said), max(one["s"] for one in said)
    return Evaluation(Scores.from_matrix(matrix), matrix, images, seconds)

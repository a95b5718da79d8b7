"""Scores of a segmentation, computed once from the confusion matrix of the whole set."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Scores:
    """What a confusion matrix says, per class and in sum.

    With TP, FP and FN the true positive, false positive and false negative pixels of a class:

    * ``iou`` = TP / (TP + FP + FN)
    * ``recall`` = TP / (TP + FN), of the label's pixels the share that was found
    * ``precision`` = TP / (TP + FP), of the predicted pixels the share that is right
    * ``dice`` = 2 TP / (2 TP + FP + FN), also called F1

    A score whose denominator is zero is ``nan`` and left out of the mean. So a class absent from labels and
    predictions is ``nan`` everywhere; a class that is labelled but never predicted has IoU, recall and Dice 0 and an
    undefined precision; one that is predicted but never labelled has IoU, precision and Dice 0 and an undefined recall.
    (PaddleSeg counts an absent class as IoU 0, which lowers its mean on sets that lack a class.)

    Attributes:
        iou, precision, recall, dice: ``[K]`` float64 in 0..1 or ``nan``.
        label_pixels, predicted_pixels: ``[K]`` int64, pixels that are labelled and predicted as each class.
        pixel_accuracy: the share of all pixels that is right.
        kappa: Cohen's kappa, agreement beyond chance: (po - pe) / (1 - pe); ``nan`` where pe is 1, that is, where
            label and prediction consist of one and the same class.
    """

    iou: np.ndarray
    precision: np.ndarray
    recall: np.ndarray
    dice: np.ndarray
    label_pixels: np.ndarray
    predicted_pixels: np.ndarray
    pixel_accuracy: float
    kappa: float

    @classmethod
    def from_matrix(cls, matrix: np.ndarray) -> Scores:
        """Scores of a ``[K, K]`` integer matrix, rows are the label and columns the prediction.

        Raises:
            ValueError: the matrix is not square.
        """
        if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
            raise ValueError(f"the confusion matrix has shape {matrix.shape}; expected [K, K]")
        counts = matrix.astype(np.float64)
        hits, labelled, predicted = np.diagonal(counts), counts.sum(axis=1), counts.sum(axis=0)
        return cls(
            iou=_divide(hits, labelled + predicted - hits),
            precision=_divide(hits, predicted),
            recall=_divide(hits, labelled),
            dice=_divide(2 * hits, labelled + predicted),
            label_pixels=matrix.sum(axis=1, dtype=np.int64),
            predicted_pixels=matrix.sum(axis=0, dtype=np.int64),
            pixel_accuracy=float(_divide(hits.sum(), counts.sum())),
            kappa=_kappa(hits.sum(), labelled, predicted),
        )

    @property
    def accuracy(self) -> np.ndarray:
        """Class accuracy ``[K]``: another name of ``recall``, as mmsegmentation's "Acc"."""
        return self.recall

    @property
    def miou(self) -> float:
        """Mean IoU over the classes that occur in labels or predictions; ``nan`` where none does."""
        return _mean(self.iou)

    @property
    def mean_accuracy(self) -> float:
        """Mean recall over the classes that occur in the labels; ``nan`` where none does."""
        return _mean(self.recall)

    @property
    def mean_dice(self) -> float:
        """Mean Dice over the classes that occur in labels or predictions; ``nan`` where none does."""
        return _mean(self.dice)


def _divide(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Float64 quotient with ``nan`` where the denominator is zero."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(np.equal(denominator, 0), np.nan, np.divide(numerator, denominator))


def _mean(values: np.ndarray) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")


def _kappa(hits: float, labelled: np.ndarray, predicted: np.ndarray) -> float:
    total = float(labelled.sum())
    if total == 0:
        return float("nan")
    observed = float(hits) / total
    expected = float((labelled / total) @ (predicted / total))
    return float("nan") if expected >= 1.0 else (observed - expected) / (1.0 - expected)

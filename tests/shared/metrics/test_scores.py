"""Scores against scikit-learn and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as sk

from shared.metrics.confusion import confusion_matrix
from shared.metrics.scores import Scores


@pytest.fixture(params=[2, 5, 19])
def case(request):
    """Labels and predictions that agree on about two thirds of the pixels, and their scores."""
    k = request.param
    rng = np.random.default_rng(k)
    label = rng.integers(0, k, 4000)
    prediction = np.where(rng.random(4000) < 0.6, label, rng.integers(0, k, 4000))
    return label, prediction, Scores.from_matrix(confusion_matrix(prediction, label, k))


def test_value_sklearn_per_class(case):
    label, prediction, scores = case
    np.testing.assert_allclose(scores.iou, sk.jaccard_score(label, prediction, average=None), rtol=1e-12)
    np.testing.assert_allclose(scores.precision, sk.precision_score(label, prediction, average=None), rtol=1e-12)
    np.testing.assert_allclose(scores.recall, sk.recall_score(label, prediction, average=None), rtol=1e-12)
    np.testing.assert_allclose(scores.dice, sk.f1_score(label, prediction, average=None), rtol=1e-12)
    np.testing.assert_array_equal(scores.accuracy, scores.recall)
    np.testing.assert_array_equal(scores.label_pixels, np.bincount(label))
    np.testing.assert_array_equal(scores.predicted_pixels, np.bincount(prediction))


def test_value_sklearn_sums(case):
    label, prediction, scores = case
    assert scores.miou == pytest.approx(sk.jaccard_score(label, prediction, average="macro"), rel=1e-12)
    assert scores.mean_accuracy == pytest.approx(sk.balanced_accuracy_score(label, prediction), rel=1e-12)
    assert scores.mean_dice == pytest.approx(sk.f1_score(label, prediction, average="macro"), rel=1e-12)
    assert scores.pixel_accuracy == pytest.approx(sk.accuracy_score(label, prediction), rel=1e-12)
    assert scores.kappa == pytest.approx(sk.cohen_kappa_score(label, prediction), rel=1e-12)


def test_value_by_hand():
    scores = Scores.from_matrix(np.array([[3, 1], [2, 4]]))
    assert scores.iou.tolist() == [3 / 6, 4 / 7]
    assert scores.precision.tolist() == [3 / 5, 4 / 5]
    assert scores.recall.tolist() == [3 / 4, 4 / 6]
    assert scores.dice.tolist() == [6 / 9, 8 / 11]
    assert scores.pixel_accuracy == 0.7
    assert scores.kappa == pytest.approx((0.7 - 0.5) / 0.5)  # by chance 0.4 * 0.5 + 0.6 * 0.5


def test_value_absent_classes():
    # Class 0 is found in part, 1 labelled only, 2 predicted only, 3 absent.
    matrix = np.zeros((4, 4), np.int64)
    matrix[0, 0], matrix[0, 2], matrix[1, 0] = 6, 2, 4
    scores = Scores.from_matrix(matrix)
    np.testing.assert_equal(scores.iou, [0.5, 0.0, 0.0, np.nan])
    np.testing.assert_equal(scores.dice, [12 / 18, 0.0, 0.0, np.nan])
    np.testing.assert_equal(scores.recall, [0.75, 0.0, np.nan, np.nan])
    np.testing.assert_equal(scores.precision, [0.6, np.nan, 0.0, np.nan])
    assert scores.miou == pytest.approx(0.5 / 3)
    assert scores.mean_accuracy == pytest.approx(0.375)
    assert scores.mean_dice == pytest.approx(2 / 9)


def test_value_perfect_and_single_class():
    perfect = Scores.from_matrix(np.diag([5, 7, 9]))
    assert (perfect.miou, perfect.pixel_accuracy, perfect.kappa) == (1.0, 1.0, 1.0)
    single = Scores.from_matrix(np.diag([5, 0, 0]))
    assert single.miou == 1.0
    assert np.isnan(single.kappa)


def test_value_nothing_counted():
    scores = Scores.from_matrix(np.zeros((3, 3), np.int64))
    assert np.isnan([scores.miou, scores.mean_accuracy, scores.mean_dice, scores.pixel_accuracy, scores.kappa]).all()


def test_value_large_counts():
    # 3e12 pixels a cell: products of sums leave int64, quotients must not.
    matrix = np.array([[3, 1], [1, 3]], np.int64) * 10**12
    assert Scores.from_matrix(matrix).kappa == pytest.approx(0.5)
    assert Scores.from_matrix(matrix).miou == pytest.approx(0.6)


@pytest.mark.parametrize("shape", [(3,), (3, 4)])
def test_error_not_square(shape):
    with pytest.raises(ValueError, match=r"expected \[K, K\]"):
        Scores.from_matrix(np.zeros(shape, np.int64))

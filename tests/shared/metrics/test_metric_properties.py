"""What holds of scores whatever is scored: order, division of the work, names of classes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from shared.metrics.confusion import ConfusionMatrix, confusion_matrix
from shared.metrics.scores import Scores

CHECKED = settings(max_examples=80, deadline=None, derandomize=True)
CLASSES = 6
LABELS = st.sampled_from([*range(CLASSES), 255])
PIXELS = st.integers(1, 60).flatmap(
    lambda n: st.tuples(arrays(np.uint8, n, elements=st.integers(0, CLASSES - 1)), arrays(np.uint8, n, elements=LABELS))
)


@CHECKED
@given(PIXELS, st.randoms(use_true_random=False))
def test_value_the_order_of_pixels_does_not_matter(pixels, random):
    prediction, label = pixels
    order = list(range(len(label)))
    random.shuffle(order)
    shuffled = confusion_matrix(prediction[order], label[order], CLASSES)
    np.testing.assert_array_equal(shuffled, confusion_matrix(prediction, label, CLASSES))


@CHECKED
@given(PIXELS, st.integers(1, 5))
def test_value_parts_that_are_merged_count_as_the_whole(pixels, parts):
    whole, merged = ConfusionMatrix(CLASSES), ConfusionMatrix(CLASSES)
    whole.update(*pixels)
    for prediction, label in zip(*(np.array_split(array, parts) for array in pixels)):
        part = ConfusionMatrix(CLASSES)
        part.update(prediction, label)
        merged.merge(part)
    np.testing.assert_array_equal(merged.matrix, whole.matrix)
    assert whole.matrix.sum() == np.count_nonzero(pixels[1] != 255)


@CHECKED
@given(PIXELS, st.permutations(range(CLASSES)))
def test_value_classes_may_be_numbered_otherwise(pixels, numbers):
    prediction, label = pixels
    table = np.arange(256, dtype=np.uint8)
    table[:CLASSES] = numbers
    before = Scores.from_matrix(confusion_matrix(prediction, label, CLASSES))
    after = Scores.from_matrix(confusion_matrix(table[prediction], table[label], CLASSES))
    for name in ("iou", "precision", "recall", "dice"):
        np.testing.assert_array_equal(getattr(after, name)[list(numbers)], getattr(before, name))
    for name in ("miou", "pixel_accuracy", "kappa"):
        assert getattr(after, name) == pytest.approx(getattr(before, name), nan_ok=True)


@CHECKED
@given(PIXELS)
def test_value_ranges_and_their_relations(pixels):
    scores = Scores.from_matrix(confusion_matrix(*pixels, CLASSES))
    known = ~np.isnan(scores.iou)
    for values in (scores.iou, scores.precision, scores.recall, scores.dice):
        assert ((values[~np.isnan(values)] >= 0) & (values[~np.isnan(values)] <= 1)).all()
    np.testing.assert_allclose(scores.dice[known], 2 * scores.iou[known] / (1 + scores.iou[known]), atol=1e-12)
    perfect = Scores.from_matrix(confusion_matrix(pixels[1] % 255, pixels[1], CLASSES))
    assert np.isnan(perfect.miou) or perfect.miou == 1.0

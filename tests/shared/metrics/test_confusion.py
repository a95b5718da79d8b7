"""The confusion matrix against scikit-learn, by hand, and under properties that hold for any counting."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix as sklearn_matrix

from shared.metrics.confusion import ConfusionMatrix, confusion_matrix


def draw(num_classes: int, ignore_index: int, dtype: type, shape: tuple[int, ...] = (40, 30), seed: int = 0):
    rng = np.random.default_rng(seed)
    label = rng.integers(0, num_classes, shape).astype(dtype)
    label[rng.random(shape) < 0.2] = ignore_index
    return rng.integers(0, num_classes, shape).astype(np.int32), label


def by_sklearn(prediction, label, num_classes, ignore_index):
    keep = label != ignore_index
    return sklearn_matrix(label[keep], prediction[keep], labels=np.arange(num_classes))


CASES = [
    (2, 255, np.uint8),
    (19, 255, np.uint8),
    (19, 255, np.int64),
    (19, -1, np.int32),
    (19, 7, np.uint8),
    (19, 0, np.int64),
    (19, 1000, np.int32),
    (255, 255, np.uint8),
    (256, -1, np.int16),
    (256, 17, np.uint8),
    (300, 299, np.uint16),
    (300, -1, np.int64),
    (300, 255, np.int64),
    (1, 255, np.uint8),
]


@pytest.mark.parametrize(("num_classes", "ignore_index", "dtype"), CASES)
@pytest.mark.filterwarnings("ignore:A single label")
def test_value_sklearn(num_classes, ignore_index, dtype):
    prediction, label = draw(num_classes, ignore_index, dtype)
    matrix = confusion_matrix(prediction, label, num_classes, ignore_index)
    assert matrix.dtype == np.int64
    np.testing.assert_array_equal(matrix, by_sklearn(prediction, label, num_classes, ignore_index))


def test_value_uint8_label_with_many_classes():
    prediction, label = draw(200, 255, np.uint8)
    expected = np.zeros((1000, 1000), np.int64)
    expected[:200, :200] = by_sklearn(prediction, label, 200, 255)
    np.testing.assert_array_equal(confusion_matrix(prediction, label, 1000, 255), expected)


def test_value_by_hand():
    label = np.array([[0, 0, 1], [2, 255, 1]], np.uint8)
    prediction = np.array([[0, 1, 1], [0, 2, 1]], np.uint8)
    expected = [[1, 1, 0], [0, 2, 0], [1, 0, 0]]
    assert confusion_matrix(prediction, label, 3, 255).tolist() == expected


def test_value_inputs_are_left_alone():
    prediction, label = draw(19, 255, np.uint8)
    before = prediction.copy(), label.copy()
    confusion_matrix(prediction, label, 19, 255)
    np.testing.assert_array_equal(prediction, before[0])
    np.testing.assert_array_equal(label, before[1])


def test_value_view_with_strides():
    prediction, label = draw(5, 255, np.uint8)
    np.testing.assert_array_equal(
        confusion_matrix(prediction[::2, ::-1], label[::2, ::-1], 5), by_sklearn(prediction[::2], label[::2], 5, 255)
    )


def test_shape_empty_and_all_ignored():
    empty = np.zeros((0, 4), np.uint8)
    assert confusion_matrix(empty, empty, 3).tolist() == np.zeros((3, 3)).tolist()
    assert confusion_matrix(np.zeros(5, np.int32), np.full(5, 255, np.uint8), 3).sum() == 0
    assert confusion_matrix(np.zeros(5, np.int32), np.full(5, -1), 3, -1).sum() == 0


def test_value_order_of_pixels_does_not_matter():
    prediction, label = draw(19, 255, np.uint8)
    order = np.random.default_rng(1).permutation(label.size)
    np.testing.assert_array_equal(
        confusion_matrix(prediction.ravel()[order], label.ravel()[order], 19), confusion_matrix(prediction, label, 19)
    )


def test_value_renaming_classes_permutes_the_matrix():
    prediction, label = draw(6, 255, np.uint8)
    names = np.array([3, 0, 5, 1, 4, 2])
    relabel = np.full(256, 255)
    relabel[:6] = names
    renamed = confusion_matrix(names[prediction], relabel[label], 6)
    np.testing.assert_array_equal(renamed[np.ix_(names, names)], confusion_matrix(prediction, label, 6))


def test_value_streaming_is_the_union():
    parts = [draw(19, 255, np.uint8, shape=(h, 31), seed=h) for h in (10, 17, 23)]
    stream, other = ConfusionMatrix(19, 255), ConfusionMatrix(19, 255)
    stream.update(*parts[0])
    other.update(*parts[1])
    other.update(*parts[2])
    stream.merge(other)
    prediction, label = (np.concatenate([part[i] for part in parts]) for i in (0, 1))
    np.testing.assert_array_equal(stream.matrix, by_sklearn(prediction, label, 19, 255))
    stream.merge(other.matrix)
    np.testing.assert_array_equal(stream.matrix - other.matrix, by_sklearn(prediction, label, 19, 255))


def test_value_matrix_is_a_copy():
    stream = ConfusionMatrix(2)
    stream.matrix[0, 0] = 99
    assert stream.matrix.sum() == 0


@pytest.mark.parametrize(
    ("prediction", "label", "num_classes", "ignore_index", "words"),
    [
        ([0, 19], [0, 0], 19, 255, "prediction holds the value 19; expected class ids in 0..18"),
        ([0, -3], [0, 255], 19, 255, "prediction holds the value -3"),
        ([0, 0], [0, 33], 19, 255, "label holds the value 33; expected class ids in 0..18 or ignore_index 255"),
        ([0, 0], [0, 255], 19, -1, "label holds the value 255"),
        ([0, 0], [0, -1], 19, 255, "label holds the value -1"),
        ([0, 0], [0, 70000], 19, 255, "label holds the value 70000"),
        ([0, 0], [400, 0], 300, 255, "label holds the value 400"),
    ],
)
def test_error_value(prediction, label, num_classes, ignore_index, words):
    with pytest.raises(ValueError, match=words):
        confusion_matrix(np.array(prediction), np.array(label), num_classes, ignore_index)


def test_error_uint8_label_value():
    with pytest.raises(ValueError, match="label holds the value 19"):
        confusion_matrix(np.zeros(2, np.uint8), np.array([19, 0], np.uint8), 19)


def test_error_arrays():
    ids = np.zeros((4, 5), np.uint8)
    with pytest.raises(ValueError, match=r"prediction has shape \(4, 5\) and label \(5, 4\)"):
        confusion_matrix(ids, ids.T, 2)
    with pytest.raises(ValueError, match="prediction has dtype float32"):
        confusion_matrix(ids.astype(np.float32), ids, 2)
    with pytest.raises(ValueError, match="label has dtype bool"):
        confusion_matrix(ids, ids.astype(bool), 2)
    with pytest.raises(ValueError, match="num_classes is 0"):
        confusion_matrix(ids, ids, 0)


def test_error_merge():
    stream = ConfusionMatrix(3)
    with pytest.raises(ValueError, match=r"shape \(4, 4\) .* expected integers of shape \(3, 3\)"):
        stream.merge(ConfusionMatrix(4))
    with pytest.raises(ValueError, match="dtype float64"):
        stream.merge(np.zeros((3, 3)))
    with pytest.raises(ValueError, match="num_classes is 0"):
        ConfusionMatrix(0)


def test_value_more_pixels_in_one_cell_than_a_float32_counts():
    pixels = 2**24 + 5
    counts = confusion_matrix(np.zeros(pixels, np.uint8), np.ones(pixels, np.uint8), 2)
    assert counts.tolist() == [[0, 0], [pixels, 0]]

"""Evaluation: the matrix against scikit-learn's, and logits brought to the label's size before the argmax."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from sklearn.metrics import confusion_matrix

from shared.config.run_config import EvalConfig
from shared.engine.evaluate import evaluate, label_maps
from shared.engine.stepper import Batch
from shared.transforms.base import Sample
from shared.transforms.compose import Compose
from shared.transforms.resizing import Resize

K, IGNORE = 4, 255


class Colours:
    """A linear map of each pixel's colour: no Paddle."""

    weight = np.random.default_rng(2).standard_normal((K, 3)).astype(np.float32)

    def logits(self, images):
        return np.einsum("kc,nchw->nkhw", self.weight, images).astype(np.float32)

    def class_ids(self, images):
        return self.logits(images).argmax(axis=1).astype(np.int32)


def labelled(seed, size_hw=(20, 30)):
    rng = np.random.default_rng(seed)
    label = rng.integers(0, K - 1, size_hw)  # the last class never occurs in a label
    label[:4, :7] = IGNORE
    return rng.standard_normal((1, 3, *size_hw)).astype(np.float32), label[None]


def test_value_matrix_equals_scikit_learn():
    batches = [
        Batch(*labelled(0), ["a"], [[]]),
        Batch(*(np.concatenate(pair) for pair in zip(labelled(1), labelled(2))), ["b", "c"], [[], []]),
        Batch(*labelled(3, (9, 40)), ["d"], [[]]),
    ]
    result = evaluate(Colours(), batches, EvalConfig(), K, IGNORE)
    ids = np.concatenate([Colours().class_ids(batch.images).ravel() for batch in batches])
    labels = np.concatenate([batch.labels.ravel() for batch in batches])
    valid = labels != IGNORE
    assert np.array_equal(result.matrix, confusion_matrix(labels[valid], ids[valid], labels=range(K)))
    assert result.images == 4
    assert result.scores.pixel_accuracy == pytest.approx(np.mean(ids[valid] == labels[valid]))
    assert result.seconds >= 0


def test_value_a_resized_image_gives_logits_of_the_labels_size():
    """Upsampling class ids would give another map than the argmax of upsampled logits."""
    rng = np.random.default_rng(5)
    sample = Sample(rng.integers(0, 256, (36, 50, 3)).astype(np.uint8), None, "a.png")
    Compose([Resize([25, 12])], to_rgb=False)(sample, rng)
    assert sample.image.shape == (3, 12, 25)
    logits = Colours().logits(sample.image[None])[0]
    larger = np.stack([cv2.resize(one, (50, 36), interpolation=cv2.INTER_LINEAR) for one in logits])
    wanted = larger.argmax(axis=0)
    nearest = cv2.resize(logits.argmax(axis=0).astype(np.uint8), (50, 36), interpolation=cv2.INTER_NEAREST)
    assert np.any(wanted != nearest)

    batch = Batch(sample.image[None], None, ["a.png"], [sample.undo])
    (found,) = label_maps(Colours(), batch, EvalConfig())
    assert found.dtype == np.int32
    assert np.array_equal(found, wanted)

    batch.labels = wanted[None].astype(np.int64)
    result = evaluate(Colours(), [batch], EvalConfig(), K, IGNORE)
    assert np.trace(result.matrix) == result.matrix.sum() == 36 * 50


def test_value_padding_is_cut_away_before_counting():
    image = np.zeros((1, 3, 10, 12), np.float32)
    image[:, :, :6, :9] = np.random.default_rng(1).standard_normal((3, 6, 9))
    (found,) = label_maps(Colours(), Batch(image, None, ["a"], [[("pad", (6, 9))]]), EvalConfig())
    assert found.shape == (6, 9)
    assert np.array_equal(found, Colours().class_ids(image)[0, :6, :9])


def test_value_nothing_but_ignored_pixels():
    images, label = labelled(0)
    result = evaluate(Colours(), [Batch(images, np.full_like(label, IGNORE), ["a"], [[]])], EvalConfig(), K, IGNORE)
    assert result.matrix.sum() == 0
    assert np.isnan(result.scores.miou)

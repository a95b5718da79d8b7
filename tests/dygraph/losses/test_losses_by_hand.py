"""Losses of examples worked by hand, what their arguments mean at the ends, and refusals."""

from __future__ import annotations

import math

import numpy as np
import paddle
import pytest

from dygraph import losses

IGNORE = 255
RNG = np.random.default_rng(5)
LOGITS = RNG.normal(scale=2.0, size=(2, 4, 3, 5))
LABELS = RNG.integers(0, 4, size=(2, 3, 5))


def _value(loss, logits, labels=LABELS):
    maps = [paddle.to_tensor(np.asarray(x, np.float64)) for x in (logits if isinstance(logits, tuple) else [logits])]
    return float(loss(maps[0] if len(maps) == 1 else tuple(maps), paddle.to_tensor(np.asarray(labels, np.int64))))


def _of_probabilities(*rows):
    """Logits ``[1, K, 1, P]`` whose softmax is the given probabilities, one row per pixel."""
    return np.log(np.array(rows)).T[None, :, None, :]


def test_value_cross_entropy_ignores_a_class_id_too():
    logits = _of_probabilities([0.5, 0.5], [0.75, 0.25])
    assert _value(losses.CrossEntropyLoss(ignore_index=0), logits, [[[0, 1]]]) == pytest.approx(math.log(4))


def test_value_a_class_of_weight_zero_alone_is_zero():
    assert _value(losses.CrossEntropyLoss(weight=[0, 1, 1, 1]), LOGITS, np.zeros_like(LABELS)) == 0.0


def test_value_ohem_keeps_all_of_few_pixels():
    logits = _of_probabilities([0.5, 0.5], [0.8, 0.2], [0.9, 0.1])
    labels = [[[0, 0, IGNORE]]]
    both = (math.log(2) - math.log(0.8)) / 2
    assert _value(losses.OhemCrossEntropyLoss(thresh=0.6, min_kept=2), logits, labels) == pytest.approx(both)
    assert _value(losses.OhemCrossEntropyLoss(thresh=0.6, min_kept=1), logits, labels) == pytest.approx(math.log(2))


def test_value_bootstrapped_of_more_pixels_than_there_are():
    logits = _of_probabilities([0.5, 0.5], [0.25, 0.75])
    loss = losses.BootstrappedCrossEntropyLoss(min_K=4096, loss_th=1.0)
    assert _value(loss, logits, [[[0, 0]]]) == pytest.approx((math.log(2) + math.log(4)) / 2)
    few = losses.BootstrappedCrossEntropyLoss(min_K=1, loss_th=1.0)
    assert _value(few, logits, [[[0, 0]]]) == pytest.approx(math.log(4))


def test_value_lovasz_softmax_of_two_pixels():
    """Class 0 errs by 0.6 on the second pixel (IoU 1/2), then by 0.2 on the first (IoU 0): 0.6 / 2 + 0.2 / 2.

    Class 1 errs by 0.6 on its only pixel, which leaves an IoU of 0 at once.
    """
    logits = _of_probabilities([0.8, 0.2], [0.6, 0.4])
    assert _value(losses.LovaszSoftmaxLoss(), logits, [[[0, 1]]]) == pytest.approx((0.4 + 0.6) / 2)


def test_value_lovasz_hinge_of_three_pixels():
    """Errors 1.5 (foreground, IoU 1/2 without it), 1.3 (background, IoU 1/3 with it) and 0."""
    score, labels = np.array([2.0, -0.5, 0.3, 9.0]), [[[1, 1, 0, IGNORE]]]
    expected = 1.5 / 2 + 1.3 * (1 / 2 - 1 / 3)
    assert _value(losses.LovaszHingeLoss(), score[None, None, None], labels) == pytest.approx(expected)
    pair = np.stack([1.0 - score, np.ones(4)])[None, :, None]  # the score is the difference of the channels
    assert _value(losses.LovaszHingeLoss(), pair, labels) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("truth", "larger", "smaller"), [((0, 0), 1, 0), ((0, 1), 1, 0), ((1, 0), 0.5, 0.5), ((1, 1), 0.5, 0.5)]
)
def test_value_and_gradient_lovasz_hinge_of_the_papers_two_pixels(truth, larger, smaller):
    """Figure 1 of the paper: two pixels under each ground truth; the second errs by 2.2, the first by 0.7.

    The Jaccard loss of a set of wrong pixels is its size over that of its union with the foreground. Its step from
    nothing to the second pixel is the slope of the larger error, its step from there to both that of the smaller.
    """
    signs = 2.0 * np.array(truth) - 1.0
    scores = paddle.to_tensor((signs * (1 - np.array([0.7, 2.2])))[None, None, None], stop_gradient=False)
    value = losses.LovaszHingeLoss()(scores, paddle.to_tensor([[truth]]))
    assert float(value) == pytest.approx(2.2 * larger + 0.7 * smaller, rel=1e-12)
    value.backward()
    np.testing.assert_allclose(scores.grad.numpy().ravel(), -signs * [smaller, larger], rtol=1e-12)


def test_value_lovasz_softmax_of_one_class_that_is_not_the_first():
    """Every pixel is of class 2: its errors 0.5 and 0.2 weigh 1/2 each; with all classes those of the others count.

    An absent class has no intersection, so its largest error alone counts: 0.3 and 0.2.
    """
    logits = _of_probabilities([0.3, 0.2, 0.5], [0.1, 0.1, 0.8], [0.1, 0.4, 0.5])
    labels = [[[2, 2, IGNORE]]]
    assert _value(losses.LovaszSoftmaxLoss(), logits, labels) == pytest.approx((0.5 + 0.2) / 2)
    everything = losses.LovaszSoftmaxLoss(classes="all")
    assert _value(everything, logits, labels) == pytest.approx((0.3 + 0.2 + 0.35) / 3)


def test_value_lovasz_of_a_hard_prediction_is_one_minus_iou():
    prediction = RNG.integers(0, 2, size=(1, 6, 7))
    labels = RNG.integers(0, 2, size=(1, 6, 7))
    logits = 200.0 * np.stack([prediction == 0, prediction == 1], axis=1)
    iou = [((prediction == c) & (labels == c)).sum() / ((prediction == c) | (labels == c)).sum() for c in (0, 1)]
    assert _value(losses.LovaszSoftmaxLoss(), logits, labels) == pytest.approx(1 - np.mean(iou), rel=1e-9)


def test_value_relaxed_labels_at_a_border():
    """Of three pixels 0 0 1 the last two may be either class."""
    logits = _of_probabilities([0.5, 0.3, 0.2], [0.1, 0.2, 0.7], [0.6, 0.3, 0.1])
    expected = -(math.log(0.5) + math.log(0.3) + math.log(0.9)) / 3
    assert _value(losses.RelaxBoundaryLoss(), logits, [[[0, 0, 1]]]) == pytest.approx(expected)
    strict = -(math.log(0.5) + math.log(0.1) + math.log(0.3)) / 3
    assert _value(losses.RelaxBoundaryLoss(border=0), logits, [[[0, 0, 1]]]) == pytest.approx(strict)
    # windows {0}, {0, 1}, {0, 1}: class 0 has 3 of 5 and weighs 1 + 2 * 2 / 5, class 1 weighs 1 + 2 * 3 / 5
    weighted = -(1.8 * math.log(0.5) + 2.0 * math.log(0.3) + 2.0 * math.log(0.9)) / 3
    loss = losses.RelaxBoundaryLoss(calculate_weights=True, upper_bound=2.0)
    assert _value(loss, logits, [[[0, 0, 1]]]) == pytest.approx(weighted)


def test_value_focal_of_one_pixel():
    logits = np.zeros((1, 2, 1, 1))  # both channels: p_t = 1/2
    expected = (0.3 + 0.7) * 0.5**2 * math.log(2) / 2
    assert _value(losses.FocalLoss(alpha=0.3, gamma=2.0), logits, [[[1]]]) == pytest.approx(expected)
    loss = losses.MultiClassFocalLoss(num_class=2, alpha=3.0, gamma=1.0)
    assert _value(loss, logits, [[[1]]]) == pytest.approx(3.0 * 0.5 * math.log(2))


def test_value_edge_attention_is_of_edge_pixels_alone():
    maps = (_of_probabilities([0.5, 0.5], [0.25, 0.75], [0.1, 0.9]), np.array([[[[0.9, 0.8, 0.99]]]]))
    labels = [[[0, 0, IGNORE]]]
    assert _value(losses.EdgeAttentionLoss(), maps, labels) == pytest.approx(math.log(2))  # 0.8 does not exceed 0.8
    assert _value(losses.EdgeAttentionLoss(edge_threshold=0.5), maps, labels) == pytest.approx(math.log(8) / 2)
    mined = losses.OhemEdgeAttentionLoss(edge_threshold=0.5, thresh=0.4, min_kept=1)
    assert _value(mined, maps, labels) == pytest.approx(math.log(4))


def test_value_dual_task_draws_anew_each_time():
    loss = losses.DualTaskLoss()
    logits, labels = LOGITS.repeat(2, axis=2), LABELS.repeat(2, axis=1)
    paddle.seed(1)
    first, second = _value(loss, logits, labels), _value(loss, logits, labels)
    paddle.seed(1)
    assert _value(loss, logits, labels) == first != second


def test_value_mixed():
    parts = [losses.CrossEntropyLoss(), losses.LovaszSoftmaxLoss()]
    expected = 0.8 * _value(parts[0], LOGITS) + 0.2 * _value(parts[1], LOGITS)
    assert _value(losses.MixedLoss(parts, [0.8, 0.2]), LOGITS) == pytest.approx(expected, rel=1e-12)


def test_value_mixed_losses_of_pairs_take_a_pair():
    parts = [losses.EdgeAttentionLoss(0.3), losses.OhemEdgeAttentionLoss(0.3)]
    maps = (LOGITS, RNG.uniform(size=(2, 1, 3, 5)))
    mixed = losses.MixedLoss(parts, [1, 2])
    assert mixed.maps == 2
    assert _value(mixed, maps) == pytest.approx(_value(parts[0], maps) + 2 * _value(parts[1], maps), rel=1e-12)


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: losses.CrossEntropyLoss(top_k_percent_pixels=0.0), r"\(0, 1\], got 0.0"),
        (lambda: losses.CrossEntropyLoss(data_format="NHWC"), "must be 'NCHW', got 'NHWC'"),
        (lambda: losses.CrossEntropyLoss(weight=[1, -1]), "non-negative"),
        (lambda: losses.CrossEntropyLoss(weight=[1, 2], avg_non_ignore=False), "avg_non_ignore"),
        (lambda: losses.OhemCrossEntropyLoss(thresh=1.5), "got 1.5"),
        (lambda: losses.OhemCrossEntropyLoss(min_kept=-1), "got -1"),
        (lambda: losses.BootstrappedCrossEntropyLoss(0, 0.3), "min_K must be at least 1, got 0"),
        (lambda: losses.BootstrappedCrossEntropyLoss(1, -0.3), "loss_th must not be negative, got -0.3"),
        (lambda: losses.BootstrappedCrossEntropyLoss(1, 0.3, weight=[-1]), "non-negative"),
        (lambda: losses.DiceLoss(smooth=0.0), "positive, got 0.0"),
        (lambda: losses.LovaszSoftmaxLoss(classes="some"), "got 'some'"),
        (lambda: losses.LovaszSoftmaxLoss(classes=[]), "at least one"),
        (lambda: losses.BCELoss(weight="static"), "got 'static'"),
        (lambda: losses.BCELoss(pos_weight=0.0), "got 0.0"),
        (lambda: losses.EdgeAttentionLoss(edge_threshold=1.1), r"\[0, 1\], got 1.1"),
        (lambda: losses.OhemEdgeAttentionLoss(edge_threshold=-0.1), r"\[0, 1\], got -0.1"),
        (lambda: losses.OhemEdgeAttentionLoss(min_kept=-1), "got -1"),
        (lambda: losses.DualTaskLoss(tau=0), "positive, got 0"),
        (lambda: losses.RelaxBoundaryLoss(border=-1), "got -1"),
        (lambda: losses.RelaxBoundaryLoss(upper_bound=-1), "got -1"),
        (lambda: losses.RelaxBoundaryLoss(upper_bound=2.0), "upper_bound 2.0 .* set calculate_weights"),
        (lambda: losses.FocalLoss(alpha=1.5), r"\[0, 1\], got 1.5"),
        (lambda: losses.FocalLoss(gamma=-1), "got -1"),
        (lambda: losses.MultiClassFocalLoss(0), "got 0"),
        (lambda: losses.MultiClassFocalLoss(2, alpha=0), "positive, got 0"),
        (lambda: losses.MixedLoss([losses.DiceLoss()], [1, 2]), "1 losses and coef"),
        (lambda: losses.MixedLoss([losses.BCELoss(edge_label=True)], [1]), "map of its own"),
        (
            lambda: losses.MixedLoss([losses.DiceLoss(), losses.EdgeAttentionLoss()], [1, 2]),
            "all take one map or all a pair, got DiceLoss, EdgeAttentionLoss",
        ),
    ],
)
def test_error_constructors(build, words):
    with pytest.raises(ValueError, match=words):
        build()


@pytest.mark.parametrize(
    ("loss", "logits", "words"),
    [
        (losses.CrossEntropyLoss(weight=[1, 2]), LOGITS, "2 numbers, but the logits have 4"),
        (losses.BootstrappedCrossEntropyLoss(3, 0.3, weight=[1, 2]), LOGITS, "2 numbers, but the logits have 4"),
        (losses.DiceLoss(weight=[1, 2]), LOGITS, "2 numbers, but the logits have 4"),
        (losses.LovaszSoftmaxLoss(classes=[4]), LOGITS, r"must lie in 0..3"),
        (losses.LovaszSoftmaxLoss(), LOGITS[:, :1], "at least 2 classes, got 1"),
        (losses.LovaszHingeLoss(), LOGITS, "1 or 2 channels, got 4"),
        (losses.FocalLoss(), LOGITS, "2 classes, got 4"),
        (losses.MultiClassFocalLoss(num_class=3), LOGITS, "num_class is 3, but the logits have 4"),
        (losses.BCELoss(edge_label=True), LOGITS, "1 channel, got 4"),
        (losses.DualTaskLoss(), LOGITS, r"at least 4, got \[3, 5\]"),
    ],
)
def test_error_logits_that_do_not_fit(loss, logits, words):
    with pytest.raises(ValueError, match=words):
        _value(loss, logits)

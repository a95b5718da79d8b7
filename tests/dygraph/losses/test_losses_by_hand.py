"""Losses against NumPy written from their definitions, gradients against central differences, and refusals."""

from __future__ import annotations

import numpy as np
import paddle
import pytest

from dygraph import losses

K, IGNORE = 4, 255
RNG = np.random.default_rng(5)
LOGITS = RNG.normal(scale=2.0, size=(2, K, 3, 5))
LABELS = RNG.integers(0, K, size=(2, 3, 5))
LABELS[0, 0, :3] = IGNORE
VALID = LABELS != IGNORE
WEIGHT = [0.3, 1.0, 2.2, 0.1]

CASES = {
    "cross_entropy": (losses.CrossEntropyLoss, {}),
    "cross_entropy_weight": (losses.CrossEntropyLoss, {"weight": WEIGHT}),
    "cross_entropy_all_pixels": (losses.CrossEntropyLoss, {"avg_non_ignore": False}),
    "cross_entropy_top": (losses.CrossEntropyLoss, {"top_k_percent_pixels": 0.4}),
    "cross_entropy_top_weight": (losses.CrossEntropyLoss, {"top_k_percent_pixels": 0.4, "weight": WEIGHT}),
    "ohem": (losses.OhemCrossEntropyLoss, {"thresh": 0.3, "min_kept": 4}),
    "ohem_few": (losses.OhemCrossEntropyLoss, {"thresh": 0.01, "min_kept": 12}),
    "ohem_no_minimum": (losses.OhemCrossEntropyLoss, {"thresh": 0.3, "min_kept": 0}),
    "dice": (losses.DiceLoss, {"smooth": 0.7}),
    "dice_weight": (losses.DiceLoss, {"weight": WEIGHT}),
    "lovasz": (losses.LovaszSoftmaxLoss, {}),
    "lovasz_all": (losses.LovaszSoftmaxLoss, {"classes": "all"}),
    "bce": (losses.BCELoss, {}),
    "bce_dynamic": (losses.BCELoss, {"weight": "dynamic"}),
    "bce_pos_dynamic": (losses.BCELoss, {"pos_weight": "dynamic"}),
    "mixed": (lambda: losses.MixedLoss([losses.CrossEntropyLoss(), losses.LovaszSoftmaxLoss()], [0.8, 0.2]), {}),
}


def _build(name):
    constructor, arguments = CASES[name]
    return constructor(**arguments)


def _value(loss, logits, labels=LABELS):
    return float(loss(paddle.to_tensor(logits), paddle.to_tensor(labels)))


def _gradient(loss, logits, labels=LABELS):
    x = paddle.to_tensor(logits, stop_gradient=False)
    loss(x, paddle.to_tensor(labels)).backward()
    return x.grad.numpy()


def _probabilities(logits=LOGITS):
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def _pixel_losses():
    """(probability of the true class, its cross entropy) of the pixels that count."""
    n, h, w = np.nonzero(VALID)
    p = _probabilities()[n, LABELS[VALID], h, w]
    return p, -np.log(p)


def test_value_cross_entropy():
    _, ce = _pixel_losses()
    weight = np.array(WEIGHT)[LABELS[VALID]]
    assert _value(_build("cross_entropy"), LOGITS) == pytest.approx(ce.mean(), rel=1e-12)
    assert _value(_build("cross_entropy_all_pixels"), LOGITS) == pytest.approx(ce.sum() / 30, rel=1e-12)
    weighted = (ce * weight).sum() / weight.sum()
    assert _value(_build("cross_entropy_weight"), LOGITS) == pytest.approx(weighted, rel=1e-12)


def test_value_cross_entropy_of_the_hardest_pixels():
    _, ce = _pixel_losses()
    weight = np.array(WEIGHT)[LABELS[VALID]]
    assert _value(_build("cross_entropy_top"), LOGITS) == pytest.approx(np.sort(ce)[-12:].mean(), rel=1e-12)
    chosen = np.argsort(ce * weight)[-12:]
    expected = (ce * weight)[chosen].sum() / weight[chosen].sum()
    assert _value(_build("cross_entropy_top_weight"), LOGITS) == pytest.approx(expected, rel=1e-12)


def test_value_cross_entropy_ignores_a_class_id_too():
    keep = LABELS == 2
    labels = np.where(keep, 2, 1)
    value = _value(losses.CrossEntropyLoss(ignore_index=1), LOGITS, labels)
    expected = -np.log(_probabilities()[:, 2][keep]).mean()
    assert value == pytest.approx(expected, rel=1e-12)


def test_value_ohem():
    p, ce = _pixel_losses()
    threshold = max(0.3, np.sort(p)[3])
    assert (p < threshold).sum() < len(p)
    assert _value(_build("ohem"), LOGITS) == pytest.approx(ce[p < threshold].mean(), rel=1e-12)
    assert _value(_build("ohem_no_minimum"), LOGITS) == pytest.approx(ce[p < 0.3].mean(), rel=1e-12)
    raised = np.sort(p)[11]
    assert raised > 0.01
    assert _value(_build("ohem_few"), LOGITS) == pytest.approx(ce[p < raised].mean(), rel=1e-12)
    everything = losses.OhemCrossEntropyLoss(thresh=0.01, min_kept=int(VALID.sum()))
    assert _value(everything, LOGITS) == pytest.approx(ce.mean(), rel=1e-12)


def test_value_dice():
    p = _probabilities() * VALID[:, None]
    target = np.stack([c == LABELS for c in range(K)], axis=1)
    terms = np.array(
        [
            [1 - (2 * p[n, c][target[n, c]].sum() + 0.7) / (p[n, c].sum() + target[n, c].sum() + 0.7) for c in range(K)]
            for n in range(2)
        ]
    )
    assert _value(_build("dice"), LOGITS) == pytest.approx(terms.mean(), rel=1e-12)
    weighted = losses.DiceLoss(weight=WEIGHT, smooth=0.7)
    assert _value(weighted, LOGITS) == pytest.approx((terms * WEIGHT).mean(), rel=1e-12)


def _jaccard_loss(wrong, target):
    """1 - IoU of a prediction that is wrong exactly on the set ``wrong``."""
    if not wrong.any():
        return 0.0
    prediction = np.where(wrong, ~target, target)
    return 1 - (prediction & target).sum() / (prediction | target).sum()


def _lovasz(errors, target):
    """The Lovász extension from its definition: errors in falling order times the growth of the set function."""
    total, wrong, before = 0.0, np.zeros(len(errors), bool), 0.0
    for i in np.argsort(-errors):
        wrong[i] = True
        now = _jaccard_loss(wrong, target)
        total, before = total + errors[i] * (now - before), now
    return total


def test_value_lovasz():
    labels = np.where(LABELS == 3, 0, LABELS)  # class 3 is absent
    p = _probabilities()
    targets = [labels[VALID] == c for c in range(K)]
    terms = [_lovasz(np.abs(targets[c] - p[:, c][VALID]), targets[c]) for c in range(K)]
    assert _value(_build("lovasz"), LOGITS, labels) == pytest.approx(np.mean(terms[:3]), rel=1e-12)
    assert _value(_build("lovasz_all"), LOGITS, labels) == pytest.approx(np.mean(terms), rel=1e-12)
    chosen = losses.LovaszSoftmaxLoss(classes=[0, 2, 3])
    assert _value(chosen, LOGITS, labels) == pytest.approx((terms[0] + terms[2]) / 2, rel=1e-12)


def test_value_lovasz_of_a_hard_prediction_is_one_minus_iou():
    prediction = RNG.integers(0, 2, size=(1, 6, 7))
    labels = RNG.integers(0, 2, size=(1, 6, 7))
    logits = 200.0 * np.stack([prediction == 0, prediction == 1], axis=1)
    iou = [((prediction == c) & (labels == c)).sum() / ((prediction == c) | (labels == c)).sum() for c in (0, 1)]
    assert _value(losses.LovaszSoftmaxLoss(), logits, labels) == pytest.approx(1 - np.mean(iou), rel=1e-9)


def test_value_binary():
    x, y = LOGITS[:, 0], np.where(VALID, LABELS % 2, IGNORE)
    p = 1 / (1 + np.exp(-x[VALID]))
    positive = y[VALID] == 1
    ce = -np.log(np.where(positive, p, 1 - p))
    share = positive.mean()
    factors = {
        "bce": np.ones_like(ce),
        "bce_dynamic": np.where(positive, 2 * (1 - share), 2 * share),
        "bce_pos_dynamic": np.where(positive, 2 * (1 - share), 1),
    }
    for name, factor in factors.items():
        assert _value(_build(name), x[:, None], y) == pytest.approx((ce * factor).mean(), rel=1e-12)
    constant = losses.BCELoss(weight=0.3, pos_weight=3.0)
    expected = (ce * 0.3 * np.where(positive, 3, 1)).mean()
    assert _value(constant, x[:, None], y) == pytest.approx(expected, rel=1e-12)


def test_value_mixed():
    parts = _value(_build("cross_entropy"), LOGITS), _value(_build("lovasz"), LOGITS)
    assert _value(_build("mixed"), LOGITS) == pytest.approx(0.8 * parts[0] + 0.2 * parts[1], rel=1e-12)


@pytest.mark.parametrize("name", list(CASES))
def test_grad_against_central_differences(name):
    loss, step = _build(name), 1e-6
    gradient = _gradient(loss, LOGITS)
    for index in map(tuple, RNG.integers(0, LOGITS.shape, size=(25, 4))):
        up, down = LOGITS.copy(), LOGITS.copy()
        up[index] += step
        down[index] -= step
        expected = (_value(loss, up) - _value(loss, down)) / (2 * step)
        assert gradient[index] == pytest.approx(expected, rel=1e-5, abs=1e-8), index
    ignored = np.broadcast_to(~VALID[:, None], LOGITS.shape)
    assert (gradient[ignored] == 0).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", list(CASES))
def test_value_nothing_to_learn_from_is_zero(name, dtype):
    labels = np.full_like(LABELS, IGNORE)
    logits = LOGITS.astype(dtype)
    assert _value(_build(name), logits, labels) == 0.0
    assert (_gradient(_build(name), logits, labels) == 0.0).all()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("name", list(CASES))
def test_value_half_precision_logits_are_widened(name, dtype):
    logits = paddle.to_tensor(LOGITS).astype(dtype)
    value = _build(name)(logits, paddle.to_tensor(LABELS))
    assert value.dtype == paddle.float32
    assert float(value) == _value(_build(name), logits.astype("float32").numpy())


def test_value_a_class_of_weight_zero_alone_is_zero():
    labels = np.zeros_like(LABELS)
    assert _value(losses.CrossEntropyLoss(weight=[0, 1, 1, 1]), LOGITS, labels) == 0.0


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: losses.CrossEntropyLoss(top_k_percent_pixels=0.0), r"\(0, 1\], got 0.0"),
        (lambda: losses.CrossEntropyLoss(data_format="NHWC"), "must be 'NCHW', got 'NHWC'"),
        (lambda: losses.CrossEntropyLoss(weight=[1, -1]), "non-negative"),
        (lambda: losses.CrossEntropyLoss(weight=[1, 2], avg_non_ignore=False), "avg_non_ignore"),
        (lambda: losses.OhemCrossEntropyLoss(thresh=1.5), "got 1.5"),
        (lambda: losses.OhemCrossEntropyLoss(min_kept=-1), "got -1"),
        (lambda: losses.DiceLoss(smooth=0.0), "positive, got 0.0"),
        (lambda: losses.LovaszSoftmaxLoss(classes="some"), "got 'some'"),
        (lambda: losses.LovaszSoftmaxLoss(classes=[]), "at least one"),
        (lambda: losses.BCELoss(weight="static"), "got 'static'"),
        (lambda: losses.BCELoss(pos_weight=0.0), "got 0.0"),
        (lambda: losses.MixedLoss([losses.DiceLoss()], [1, 2]), "1 losses and coef"),
    ],
)
def test_error_constructors(build, words):
    with pytest.raises(ValueError, match=words):
        build()


@pytest.mark.parametrize(
    ("loss", "words"),
    [
        (losses.CrossEntropyLoss(weight=[1, 2]), "2 numbers, but the logits have 4"),
        (losses.DiceLoss(weight=[1, 2]), "2 numbers, but the logits have 4"),
        (losses.LovaszSoftmaxLoss(classes=[4]), r"must lie in 0..3"),
    ],
)
def test_error_classes_the_logits_do_not_have(loss, words):
    with pytest.raises(ValueError, match=words):
        _value(loss, LOGITS)

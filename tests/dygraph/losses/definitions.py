"""Every registered loss in NumPy, written from its definition; pixel by pixel where that is plainer.

``DEFINITIONS[type](logits, label, **arguments)`` with logits ``[N, K, H, W]`` float64 and label ``[N, H, W]``; a loss
on a pair has the edge probabilities after the logits. 255 is ignored.
"""

from __future__ import annotations

import numpy as np

from scripts.oracle.loss_cases import fixed_noise

IGNORE = 255


def softmax(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def pixels(logits, label):
    """(probability of the true class, cross entropy, class) of the pixels that count, in order."""
    n, h, w = np.nonzero(label != IGNORE)
    p = softmax(logits)[n, label[n, h, w], h, w]
    return p, -np.log(p), label[n, h, w]


def mean(values):
    return float(np.mean(values)) if len(values) else 0.0


def cross_entropy(logits, label, weight=None, top_k_percent_pixels=1.0, avg_non_ignore=True):
    _, ce, classes = pixels(logits, label)
    weights = np.ones(len(ce)) if weight is None else np.array(weight)[classes]
    ce = ce * weights
    if top_k_percent_pixels < 1:
        kept = np.argsort(ce)[::-1][: int(top_k_percent_pixels * label.size)]
        return float(ce[kept].sum() / weights[kept].sum()) if len(kept) else 0.0
    if not len(ce):
        return 0.0
    return float(ce.sum() / (weights.sum() if avg_non_ignore else label.size))


def ohem(logits, label, thresh=0.7, min_kept=10000):
    p, ce, _ = pixels(logits, label)
    if 0 < len(p) <= min_kept:
        return mean(ce)
    threshold = max(thresh, np.sort(p)[min_kept - 1]) if min_kept else thresh
    return mean(ce[p < threshold])


def bootstrapped(logits, label, min_K, loss_th, weight=None):  # noqa: N803
    means = []
    for one_logits, one_label in zip(logits, label):
        _, ce, classes = pixels(one_logits[None], one_label[None])
        ce = ce if weight is None else ce * np.array(weight)[classes]
        losses = sorted([*ce, *[0.0] * (one_label.size - len(ce))], reverse=True)
        above = [loss for loss in losses if loss > loss_th]
        means.append(np.mean(above if len(above) >= min_K else losses[:min_K]))
    return float(np.mean(means))


def dice(logits, label, weight=None, smooth=1.0):
    p = softmax(logits) * (label != IGNORE)[:, None]
    terms = np.zeros(p.shape[:2])
    for n, k in np.ndindex(*terms.shape):
        target = label[n] == k
        terms[n, k] = 1 - (2 * p[n, k][target].sum() + smooth) / (p[n, k].sum() + target.sum() + smooth)
    return float((terms * (1.0 if weight is None else weight)).mean())


def jaccard_loss(wrong, target):
    """1 - IoU of a prediction that is wrong exactly on the set ``wrong``."""
    if not wrong.any():
        return 0.0
    prediction = np.where(wrong, ~target, target)
    return 1 - (prediction & target).sum() / (prediction | target).sum()


def lovasz(errors, target):
    """The Lovász extension from its definition: errors in falling order times the growth of the set function."""
    total, wrong, before = 0.0, np.zeros(len(errors), bool), 0.0
    for i in np.argsort(-errors):
        wrong[i] = True
        now = jaccard_loss(wrong, target)
        total, before = total + errors[i] * (now - before), now
    return total


def lovasz_softmax(logits, label, classes="present"):
    valid = label != IGNORE
    p = softmax(logits)
    terms = []
    for k in range(logits.shape[1]):
        target = label[valid] == k
        if valid.any() and (classes == "all" or (target.any() and (classes == "present" or k in classes))):
            terms.append(lovasz(np.abs(target - p[:, k][valid]), target))
    return mean(terms)


def lovasz_hinge(logits, label):
    valid = label != IGNORE
    score = (logits[:, 0] if logits.shape[1] == 1 else logits[:, 1] - logits[:, 0])[valid]
    target = label[valid] == 1
    return lovasz(np.maximum(0, 1 - np.where(target, score, -score)), target)


def bce(logits, label, weight=None, pos_weight=None, edge_label=False):
    if edge_label and not (label == 1).any():
        return 0.0
    valid = label != IGNORE
    classes = [1] if logits.shape[1] == 1 else range(logits.shape[1])
    positive = np.concatenate([label[valid] == k for k in classes])
    x = np.concatenate([logits[:, i][valid] for i in range(logits.shape[1])])
    if not len(x):
        return 0.0
    share = positive.mean()
    ce = -np.log(sigmoid(np.where(positive, x, -x)))
    if weight is not None:
        ce = ce * (np.where(positive, 2 * (1 - share), 2 * share) if weight == "dynamic" else weight)
    if pos_weight is not None:
        ce = ce * np.where(positive, 2 * (1 - share) if pos_weight == "dynamic" else pos_weight, 1)
    return mean(ce)


def focal(logits, label, alpha=0.25, gamma=2.0):
    terms = []
    for n, h, w in np.argwhere(label != IGNORE):
        for k in range(2):
            is_positive = label[n, h, w] == k
            p = sigmoid(logits[n, k, h, w] if is_positive else -logits[n, k, h, w])
            terms.append(-(alpha if is_positive else 1 - alpha) * (1 - p) ** gamma * np.log(p))
    return mean(terms)


def multi_class_focal(logits, label, num_class, alpha=1.0, gamma=2.0):
    assert logits.shape[1] == num_class
    p, ce, _ = pixels(logits, label)
    return mean(alpha * (1 - p) ** gamma * ce)


def relax_boundary(logits, label, border=1, calculate_weights=False, upper_bound=1.0):
    p, terms = softmax(logits), []
    for n in range(len(label)):
        windows = {
            (h, w): set(label[n, max(h - border, 0) : h + border + 1, max(w - border, 0) : w + border + 1].flat)
            - {IGNORE}
            for h, w in np.ndindex(*label.shape[1:])
        }
        everything = [k for classes in windows.values() for k in classes]
        weights = {k: 1 + upper_bound * (1 - everything.count(k) / len(everything)) for k in set(everything)}
        for (h, w), classes in windows.items():
            if classes:
                factor = np.mean([weights[k] for k in classes]) if calculate_weights else 1.0
                terms.append(-factor * np.log(sum(p[n, k, h, w] for k in classes)))
    return mean(terms)


def edge_attention(logits, edges, label, edge_threshold=0.8):
    return cross_entropy(logits, np.where(edges[:, 0] > edge_threshold, label, IGNORE))


def ohem_edge_attention(logits, edges, label, edge_threshold=0.8, thresh=0.7, min_kept=5000):
    return ohem(logits, np.where(edges[:, 0] > edge_threshold, label, IGNORE), thresh, min_kept)


def _edge_strength(x):
    kernel = np.array([1, 2, 3, 4, 5, 4, 3, 2, 1]) / 25
    for axis in (2, 3):
        around = [(4, 4) if a == axis else (0, 0) for a in range(4)]
        x = np.apply_along_axis(np.convolve, axis, np.pad(x, around, mode="symmetric"), kernel, mode="valid")
    x = np.pad(x, [(0, 0), (0, 0), (1, 1), (1, 1)])
    right = (x[:, :, 1:-1, 2:] - x[:, :, 1:-1, :-2]) / 2
    down = (x[:, :, 2:, 1:-1] - x[:, :, :-2, 1:-1]) / 2
    strength = np.sqrt(right**2 + down**2 + 1e-6)
    return strength / strength.max()


def dual_task(logits, label, tau=0.5):
    """With ``fixed_noise`` for the uniform numbers it draws."""
    valid = (label != IGNORE)[:, None]
    gumbel = -np.log(-np.log(fixed_noise(logits.shape)))
    sample = softmax((np.where(valid, logits, 0) + gumbel) / tau)
    target = np.stack([np.where(label == IGNORE, 0, label) == k for k in range(logits.shape[1])], axis=1)
    return float((np.abs(_edge_strength(sample) - _edge_strength(target.astype(float))) * valid).mean())


def mixed(logits, label, losses, coef):
    parts = [{k: v for k, v in spec.items() if k != "type"} for spec in losses]
    values = [DEFINITIONS[spec["type"]](logits, label, **part) for spec, part in zip(losses, parts)]
    return sum(c * v for c, v in zip(coef, values))


DEFINITIONS = {
    "BCELoss": bce,
    "BootstrappedCrossEntropyLoss": bootstrapped,
    "CrossEntropyLoss": cross_entropy,
    "DiceLoss": dice,
    "DualTaskLoss": dual_task,
    "EdgeAttentionLoss": edge_attention,
    "FocalLoss": focal,
    "LovaszHingeLoss": lovasz_hinge,
    "LovaszSoftmaxLoss": lovasz_softmax,
    "MixedLoss": mixed,
    "MultiClassFocalLoss": multi_class_focal,
    "OhemCrossEntropyLoss": ohem,
    "OhemEdgeAttentionLoss": ohem_edge_attention,
    "RelaxBoundaryLoss": relax_boundary,
}

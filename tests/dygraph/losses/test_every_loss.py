"""What holds of every registered loss: value and gradient of its definition, and equal bits in both modes."""

from __future__ import annotations

import numpy as np
import paddle
import pytest

from dygraph.build import build_losses
from scripts.oracle.loss_cases import fixed_noise
from shared.config.run_config import Component, LossTerm
from shared.registry import LOSSES
from tests.dygraph.losses.definitions import DEFINITIONS, IGNORE
from tests.dygraph.networks import static_mode

N, H, W = 2, 5, 6
RNG = np.random.default_rng(5)
LOGITS = RNG.normal(scale=2.0, size=(N, 4, H, W))
EDGES = RNG.uniform(size=(N, 1, H, W))
LABELS = RNG.integers(0, 4, size=(N, H, W))
LABELS[0, 0, :3] = LABELS[1, 2:4, 2:] = IGNORE
WEIGHT = [0.3, 1.0, 2.2, 0.1]
TWO = [{"type": "CrossEntropyLoss"}, {"type": "LovaszSoftmaxLoss"}]

#: (type, arguments, channels of the logits)
CASES = [
    ("BCELoss", {}, 1),
    ("BCELoss", {}, 4),
    ("BCELoss", {"weight": "dynamic"}, 1),
    ("BCELoss", {"pos_weight": "dynamic"}, 1),
    ("BCELoss", {"weight": 0.3, "pos_weight": 3.0}, 1),
    ("BCELoss", {"edge_label": True}, 1),
    ("BCELoss", {"edge_label": True, "weight": "dynamic"}, 1),
    ("BootstrappedCrossEntropyLoss", {"min_K": 5, "loss_th": 0.3}, 4),
    ("BootstrappedCrossEntropyLoss", {"min_K": 25, "loss_th": 3.0}, 4),
    ("BootstrappedCrossEntropyLoss", {"min_K": 4096, "loss_th": 0.3}, 4),
    ("BootstrappedCrossEntropyLoss", {"min_K": 8, "loss_th": 2.0, "weight": WEIGHT}, 4),
    ("CrossEntropyLoss", {}, 4),
    ("CrossEntropyLoss", {"weight": WEIGHT}, 4),
    ("CrossEntropyLoss", {"avg_non_ignore": False}, 4),
    ("CrossEntropyLoss", {"top_k_percent_pixels": 0.4}, 4),
    ("CrossEntropyLoss", {"top_k_percent_pixels": 0.4, "weight": WEIGHT}, 4),
    ("DiceLoss", {"smooth": 0.7}, 4),
    ("DiceLoss", {"weight": WEIGHT}, 4),
    ("DualTaskLoss", {}, 4),
    ("DualTaskLoss", {"tau": 1.5}, 2),
    ("EdgeAttentionLoss", {}, 4),
    ("EdgeAttentionLoss", {"edge_threshold": 0.3}, 2),
    ("FocalLoss", {}, 2),
    ("FocalLoss", {"alpha": 0.6, "gamma": 0.5}, 2),
    ("LovaszHingeLoss", {}, 1),
    ("LovaszHingeLoss", {}, 2),
    ("LovaszSoftmaxLoss", {}, 4),
    ("LovaszSoftmaxLoss", {"classes": "all"}, 4),
    ("LovaszSoftmaxLoss", {"classes": [0, 2]}, 4),
    ("LovaszSoftmaxLoss", {}, 2),
    ("MixedLoss", {"losses": TWO, "coef": [0.8, 0.2]}, 4),
    ("MultiClassFocalLoss", {"num_class": 4}, 4),
    ("MultiClassFocalLoss", {"num_class": 2, "alpha": 0.7, "gamma": 0.3}, 2),
    ("OhemCrossEntropyLoss", {"thresh": 0.3, "min_kept": 4}, 4),
    ("OhemCrossEntropyLoss", {"thresh": 0.01, "min_kept": 12}, 4),
    ("OhemCrossEntropyLoss", {"thresh": 0.3, "min_kept": 0}, 4),
    ("OhemCrossEntropyLoss", {"thresh": 0.01, "min_kept": 1000}, 4),
    ("OhemEdgeAttentionLoss", {"edge_threshold": 0.2, "thresh": 0.1, "min_kept": 8}, 4),
    ("OhemEdgeAttentionLoss", {"edge_threshold": 0.2}, 4),
    ("RelaxBoundaryLoss", {}, 4),
    ("RelaxBoundaryLoss", {"border": 0}, 4),
    ("RelaxBoundaryLoss", {"border": 2}, 4),
    ("RelaxBoundaryLoss", {"calculate_weights": True, "upper_bound": 1.5}, 4),
]
cases = pytest.mark.parametrize(
    ("name", "arguments", "channels"),
    CASES,
    ids=["-".join([n, str(c), *(f"{k}={v}" for k, v in a.items() if k != "losses")]) for n, a, c in CASES],
)
dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])


def test_every_loss_has_a_case_and_a_definition():
    assert {name for name, _, _ in CASES} == set(LOSSES) == set(DEFINITIONS)


@pytest.fixture
def fixed_random(monkeypatch):
    """``paddle.rand`` gives what the definitions draw."""
    monkeypatch.setattr(paddle, "rand", lambda shape, dtype: paddle.to_tensor(fixed_noise(shape), dtype=dtype))


def build(name, arguments):
    ((loss, _),) = build_losses([LossTerm(Component.from_dict({"type": name, **arguments}))])
    return loss


def inputs(loss, channels, labels=LABELS):
    """The maps and the labels in the classes that so many channels have."""
    classes = max(channels, 2)
    maps = [LOGITS[:, :channels], EDGES][: getattr(loss, "maps", 1)]
    if getattr(loss, "edge_label", False):  # labels of edges are zeros and ones alone
        return maps, (labels == 1).astype(np.int64)
    return maps, np.where(labels == IGNORE, IGNORE, labels % classes)


def run(loss, maps, labels, dtype="float64"):
    """Value and gradient to the logits."""
    tensors = [paddle.to_tensor(x.astype(dtype), stop_gradient=False) for x in maps]
    value = loss(tensors[0] if len(tensors) == 1 else tuple(tensors), paddle.to_tensor(labels))
    value.backward()
    assert [x.grad for x in tensors[1:]] == [None] * (len(tensors) - 1)
    return value.numpy(), tensors[0].grad.numpy()


def assert_as_defined(name, arguments, maps, labels):
    """Value and gradient are those of the definition, the gradient by central differences."""
    definition, step = DEFINITIONS[name], 1e-6
    value, gradient = run(build(name, arguments), maps, labels)
    assert value == pytest.approx(definition(*maps, labels, **arguments), rel=1e-11, abs=1e-14)
    for index in map(tuple, RNG.integers(0, maps[0].shape, size=(20, 4))):
        up, down = maps[0].copy(), maps[0].copy()
        up[index] += step
        down[index] -= step
        ends = [definition(x, *maps[1:], labels, **arguments) for x in (up, down)]
        assert gradient[index] == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=1e-5, abs=1e-8), index
    return gradient


@cases
@pytest.mark.usefixtures("fixed_random")
def test_value_and_gradient_are_the_definitions(name, arguments, channels):
    maps, labels = inputs(build(name, arguments), channels)
    gradient = assert_as_defined(name, arguments, maps, labels)
    if name != "RelaxBoundaryLoss":  # where an ignored pixel counts if its window holds a class
        assert (gradient[np.broadcast_to((labels == IGNORE)[:, None], gradient.shape)] == 0).all()


@cases
@pytest.mark.usefixtures("fixed_random")
def test_value_without_a_positive_pixel_is_the_definitions(name, arguments, channels):
    maps, labels = inputs(build(name, arguments), channels, np.where(LABELS == IGNORE, IGNORE, 0))
    assert_as_defined(name, arguments, maps, labels)


@pytest.mark.parametrize("name", sorted(set(LOSSES) - {"LovaszSoftmaxLoss", "FocalLoss", "MixedLoss"}))
@pytest.mark.usefixtures("fixed_random")
def test_value_one_channel_is_the_definitions(name):
    arguments = {"MultiClassFocalLoss": {"num_class": 1}, "BootstrappedCrossEntropyLoss": {"min_K": 9, "loss_th": 0.3}}
    loss = build(name, arguments.get(name, {}))
    maps, labels = inputs(loss, 1)
    if name not in ("BCELoss", "LovaszHingeLoss"):  # these two read one channel as a foreground
        labels = np.where(labels == IGNORE, IGNORE, 0)
    assert_as_defined(name, arguments.get(name, {}), maps, labels)


@cases
@dtypes
def test_value_nothing_to_learn_from_is_zero(name, arguments, channels, dtype):
    loss = build(name, arguments)
    maps, labels = inputs(loss, channels, np.full_like(LABELS, IGNORE))
    value, gradient = run(loss, maps, labels, dtype)
    assert value == 0.0
    assert (gradient == 0.0).all()


@cases
@pytest.mark.parametrize("scale", [1e3, -1e3])
def test_grad_is_finite_where_probabilities_round_to_zero_and_one(name, arguments, channels, scale):
    loss = build(name, arguments)
    (logits, *edges), labels = inputs(loss, channels)
    value, gradient = run(loss, [scale * logits, *edges], labels, "float32")
    assert np.isfinite(value)
    assert np.isfinite(gradient).all()


@cases
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.usefixtures("fixed_random")
def test_value_half_precision_logits_are_widened(name, arguments, channels, dtype):
    loss = build(name, arguments)
    maps, labels = inputs(loss, channels)
    rounded = [paddle.to_tensor(x).astype(dtype) for x in maps]
    value = loss(rounded[0] if len(maps) == 1 else tuple(rounded), paddle.to_tensor(labels))
    assert value.dtype == paddle.float32
    assert float(value) == run(loss, [x.astype("float32").numpy() for x in rounded], labels, "float32")[0]


@cases
@dtypes
@pytest.mark.parametrize("size", [(N, H, W), (None, None, None)], ids=["known", "unknown"])
def test_parity_static_is_bit_equal(name, arguments, channels, dtype, size):
    """With the sizes known or unknown while the program is built; what is drawn follows from the seed."""
    loss = build(name, arguments)
    maps, labels = inputs(loss, channels)
    paddle.seed(3)
    expected = run(loss, maps, labels, dtype)
    with static_mode() as (main, _):
        fed = [paddle.static.data(f"x{i}", [size[0], x.shape[1], *size[1:]], dtype) for i, x in enumerate(maps)]
        fed[0].stop_gradient = False
        value = loss(fed[0] if len(fed) == 1 else tuple(fed), paddle.static.data("y", list(size), "int64"))
        fetch = [value, *paddle.static.gradients([value], [fed[0]])]
        feed = {**{f"x{i}": x.astype(dtype) for i, x in enumerate(maps)}, "y": labels}
        paddle.seed(3)
        outputs = paddle.static.Executor(paddle.CPUPlace()).run(main, feed, fetch)
    for output, wanted in zip(outputs, expected):
        assert output.dtype == dtype
        np.testing.assert_array_equal(output, wanted)

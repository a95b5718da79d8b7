"""``compute_losses`` with losses that read edges or take a pair of maps."""

from __future__ import annotations

import numpy as np
import paddle
import pytest

import dygraph.build
from dygraph.build import build_losses, compute_losses
from dygraph.losses.edges import edge_label
from shared.config.run_config import Component, LossTerm
from shared.errors import ConfigError
from tests.dygraph.losses.definitions import bce, cross_entropy, edge_attention
from tests.dygraph.networks import static_mode

IGNORE = 255
RNG = np.random.default_rng(8)
LOGITS, EDGES = RNG.normal(size=(2, 3, 8, 9)), RNG.uniform(size=(2, 1, 8, 9))
LABEL = RNG.integers(0, 3, (2, 2, 3)).repeat(4, axis=1).repeat(3, axis=2)
LABEL[0, :3] = IGNORE
GSCNN = [  # the recipe's losses
    LossTerm(Component("CrossEntropyLoss")),
    LossTerm(Component("EdgeAttentionLoss")),
    LossTerm(Component("BCELoss", {"weight": "dynamic", "edge_label": True}), 20.0),
    LossTerm(Component("DualTaskLoss")),
]


def _terms(specs, maps, label=LABEL):
    return compute_losses(build_losses(specs, IGNORE), maps, paddle.to_tensor(label))


def _maps(dtype="float64"):
    logits, edges = (paddle.to_tensor(x.astype(dtype), stop_gradient=False) for x in (LOGITS, EDGES))
    return [logits, (logits, edges), edges, logits]


def test_value_each_loss_reads_its_maps_and_its_label():
    found = [float(term) for term in _terms(GSCNN, _maps())[:3]]
    edges = edge_label(paddle.to_tensor(LABEL), IGNORE).numpy()
    expected = [
        cross_entropy(LOGITS, LABEL),
        edge_attention(LOGITS, EDGES, LABEL),
        20 * bce(EDGES, edges, weight="dynamic"),
    ]
    assert found == pytest.approx(expected, rel=1e-11)


def test_value_edges_are_made_once_per_ignore_index(monkeypatch):
    asked = []

    def counted(label, ignore_index):
        asked.append(ignore_index)
        return edge_label(label, ignore_index)

    monkeypatch.setattr(dygraph.build, "edge_label", counted)
    _terms(GSCNN[:2], _maps()[:2])
    assert asked == []
    _terms([GSCNN[2], GSCNN[2], LossTerm(Component("BCELoss", {"edge_label": True}))], [_maps()[2]] * 3)
    assert asked == [IGNORE]
    other = LossTerm(Component("BCELoss", {"edge_label": True, "ignore_index": 2}))
    _terms([GSCNN[2], other], [_maps()[2]] * 2)
    assert asked == [IGNORE, IGNORE, 2]


@pytest.mark.parametrize("weight", [None, "dynamic"])
def test_value_all_ignored_is_zero(weight):
    edges = LossTerm(Component("BCELoss", {"weight": weight, "edge_label": True}))
    maps = _maps()
    terms = _terms([*GSCNN[:2], edges, GSCNN[3]], maps, np.full_like(LABEL, IGNORE))
    sum(terms).backward()
    assert [float(term) for term in terms] == [0.0] * 4
    assert (maps[0].grad.numpy() == 0).all()
    assert (maps[2].grad.numpy() == 0).all()


def test_parity_static_is_bit_equal():
    paddle.seed(2)
    maps = _maps("float32")
    expected = [term.numpy() for term in _terms(GSCNN, maps)]
    with static_mode() as (main, _):
        logits, edges = (paddle.static.data(n, list(x.shape), "float32") for n, x in (("x", LOGITS), ("e", EDGES)))
        label = paddle.static.data("y", list(LABEL.shape), "int64")
        terms = compute_losses(build_losses(GSCNN, IGNORE), [logits, (logits, edges), edges, logits], label)
        paddle.seed(2)
        feed = {"x": LOGITS.astype("float32"), "e": EDGES.astype("float32"), "y": LABEL}
        found = paddle.static.Executor(paddle.CPUPlace()).run(main, feed, terms)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("place", "given", "sentence"),
    [
        (0, 1, "loss.types.0: CrossEntropyLoss takes one map, but map 1 of the network is a pair (logits, edge"),
        (
            1,
            0,
            "loss.types.1: EdgeAttentionLoss takes a pair (logits, edge probabilities), but map 2 of the network is",
        ),
    ],
)
def test_error_pairs_that_do_not_fit(place, given, sentence):
    maps = _maps()
    maps[place] = maps[given]
    with pytest.raises(ConfigError) as caught:
        _terms(GSCNN, maps)
    (problem,) = caught.value.problems
    assert problem.startswith(sentence)
    assert problem.endswith("; name the losses in the order of the network's maps")


def test_error_maps_of_three():
    maps = _maps()
    maps[1] = (*maps[1], maps[0])
    with pytest.raises(ConfigError, match="but map 2 of the network is 3 maps"):
        _terms(GSCNN, maps)

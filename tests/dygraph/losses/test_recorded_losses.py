"""Values and gradients of the losses against what PaddleSeg 2.8.0 computed in float32; see ``scripts/oracle``."""

from __future__ import annotations

import numpy as np
import paddle
import pytest

from dygraph.build import build_losses
from scripts.oracle.loss_cases import LOSS_CASES, loss_inputs
from shared.config.run_config import Component, LossTerm
from tests.dygraph.networks import recorded, static_mode

RECORDS = recorded("losses")
# PaddleSeg adds 1e-5 to the divisor of its hard-example mining, which is a share of pixels.
TOLERANCE = {"OhemCrossEntropyLoss": 1e-4}
records = pytest.mark.parametrize(
    "record", RECORDS, ids=[f"{r['loss']}-{i}-{r['input']}".replace(" ", "_") for i, r in enumerate(RECORDS)]
)


def _build(record):
    ((loss, _),) = build_losses([LossTerm(Component.from_dict({"type": record["loss"], **record["args"]}))])
    return loss


def _eager(record, dtype):
    logits, labels = loss_inputs(record["input"])
    x = paddle.to_tensor(logits.astype(dtype), stop_gradient=False)
    value = _build(record)(x, paddle.to_tensor(labels))
    value.backward()
    return value.numpy(), x.grad.numpy()


def test_value_every_case_is_recorded():
    assert [(r["loss"], r["args"], r["input"]) for r in RECORDS] == LOSS_CASES


@records
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_value_and_gradient(record, dtype):
    value, gradient = _eager(record, dtype)
    tolerance = TOLERANCE.get(record["loss"], 5e-6)
    assert value.dtype == dtype
    assert float(value) == pytest.approx(record["value"], rel=tolerance, abs=1e-7)
    expected = record["grad"]
    sampled = gradient.reshape(-1)[:: expected["stride"]]
    np.testing.assert_allclose(sampled, expected["values"], rtol=0, atol=tolerance * expected["absmax"])
    assert np.abs(gradient).max() == pytest.approx(expected["absmax"], rel=tolerance)


@records
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_value_static_is_bit_equal(record, dtype):
    """With sizes known and unknown while the program is built."""
    logits, labels = loss_inputs(record["input"])
    feed, fetch = {}, []
    with static_mode() as (main, _):
        for i, size in enumerate(([2, 7, 9], [None, None, None])):
            x = paddle.static.data(f"x{i}", [size[0], logits.shape[1], *size[1:]], dtype)
            x.stop_gradient = False
            value = _build(record)(x, paddle.static.data(f"y{i}", size, "int64"))
            fetch += [value, *paddle.static.gradients([value], [x])]
            feed.update({f"x{i}": logits.astype(dtype), f"y{i}": labels})
        outputs = paddle.static.Executor(paddle.CPUPlace()).run(main, feed, fetch)
    for output, expected in zip(outputs, [*_eager(record, dtype)] * 2):
        np.testing.assert_array_equal(output, expected)

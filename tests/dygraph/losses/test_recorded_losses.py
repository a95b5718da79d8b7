"""Values and gradients of the losses against what PaddleSeg 2.8.0 computed in float32; see ``scripts/oracle``."""

from __future__ import annotations

import numpy as np
import paddle
import pytest

from dygraph.build import build_losses
from scripts.oracle.loss_cases import LOSS_CASES, fixed_noise, loss_inputs
from shared.config.run_config import Component, LossTerm
from tests.dygraph.networks import recorded

RECORDS = recorded("losses")
# PaddleSeg adds 1e-5 to the divisor of its hard-example mining, which is a share of pixels.
TOLERANCE = {"OhemCrossEntropyLoss": 1e-4}
records = pytest.mark.parametrize(
    "record", RECORDS, ids=[f"{r['loss']}-{i}-{r['input']}".replace(" ", "_") for i, r in enumerate(RECORDS)]
)


def test_value_every_case_is_recorded():
    assert [(r["loss"], r["args"], r["input"]) for r in RECORDS] == LOSS_CASES


@records
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_value_and_gradient(record, dtype, monkeypatch):
    monkeypatch.setattr(paddle, "rand", lambda shape, dtype: paddle.to_tensor(fixed_noise(shape), dtype=dtype))
    arrays, labels = loss_inputs(record["input"])
    maps = [paddle.to_tensor(x.astype(dtype), stop_gradient=False) for x in arrays]
    ((loss, _),) = build_losses([LossTerm(Component.from_dict({"type": record["loss"], **record["args"]}))])
    value = loss(maps[0] if len(maps) == 1 else tuple(maps), paddle.to_tensor(labels))
    value.backward()
    gradient = maps[0].grad.numpy()
    divisor = _divisor(record, labels)
    tolerance = TOLERANCE.get(record["loss"], 5e-6)
    assert value.numpy().dtype == dtype
    assert float(value) == pytest.approx(record["value"] * divisor, rel=tolerance, abs=1e-7)
    expected = record["grad"]
    sampled = gradient.reshape(-1)[:: expected["stride"]]
    wanted = np.array(expected["values"]) * divisor
    np.testing.assert_allclose(sampled, wanted, rtol=0, atol=tolerance * expected["absmax"])
    assert np.abs(gradient).max() == pytest.approx(expected["absmax"] * divisor, rel=tolerance)


def _divisor(record, labels):
    """PaddleSeg's divisor by ours: it divides the relaxed loss by one more than the number of pixels that count."""
    if record["loss"] != "RelaxBoundaryLoss":
        return 1.0
    around = np.pad(labels, [(0, 0), (1, 1), (1, 1)], constant_values=255)
    windows = np.lib.stride_tricks.sliding_window_view(around, (3, 3), axis=(1, 2))
    count = (windows != 255).any(axis=(3, 4)).sum()
    return (count + 1) / count

"""Runs with loss scaling as a user sees them: skipped steps in log and metrics, the scale in checkpoints, the end.

A CPU run scales no loss by itself, so the scaler is put in where the commands choose it.
"""

from __future__ import annotations

import json

import paddle
import pytest

import dygraph.engine.session
import legacy.pdseg.session
from dygraph.engine.loss_scaling import LossScaler
from shared.weights.safetensors_file import load_arrays
from tests.integration.conftest import records
from tests.integration.test_resume import train

MODES = ("eager", "static")


@pytest.fixture
def scaler(monkeypatch):
    """Use this scaler in the runs that follow."""

    def use(value):
        for module in (dygraph.engine.session, legacy.pdseg.session):
            monkeypatch.setattr(module, "make_scaler", lambda *_: value)

    return use


def always(overflow):
    return paddle.logical_or(overflow, paddle.logical_not(overflow))


def scaler_of(checkpoint):
    return json.loads((checkpoint / "state.json").read_text())["scaler"]


@pytest.mark.parametrize("mode", MODES)
def test_error_a_run_in_which_every_step_overflows_stops(mode, eager_yaml, scaler, tmp_path):
    scaler(LossScaler(initial=8.0, combine=always))
    ended = train(mode, eager_yaml, tmp_path, iters=12, code=1)
    assert "overflowed in each of the last 10 steps up to iteration 10" in ended.err
    assert "bf16" in ended.err
    assert [line["skipped"] for line in records(tmp_path)] == [1] * 10
    assert sum(", skipped: 1" in line for line in ended.log.splitlines()) == 10
    assert scaler_of(tmp_path / "iter_9") == {"scale": 1.0, "good": 0, "bad": 0}
    first, last = (load_arrays(tmp_path / f"iter_{n}" / "model.safetensors") for n in (3, 9))
    moved = {name for name in first if first[name].tobytes() != last[name].tobytes()}
    assert moved
    assert all(name.endswith(("._mean", "._variance")) for name in moved)


@pytest.mark.parametrize(("first", "second"), [("eager", "static"), ("static", "eager")])
def test_value_the_scale_goes_on_after_a_resume(first, second, eager_yaml, scaler, tmp_path):
    scaler(LossScaler(initial=8.0, growth_interval=2))
    train(first, eager_yaml, tmp_path / "one", iters=6)
    assert scaler_of(tmp_path / "one" / "iter_3") == {"scale": 16.0, "good": 1, "bad": 0}
    train(second, eager_yaml, tmp_path / "two", resume=tmp_path / "one" / "iter_3", iters=6)
    assert scaler_of(tmp_path / "two" / "iter_6") == {"scale": 64.0, "good": 0, "bad": 0}
    one, two = (load_arrays(tmp_path / run / "iter_6" / "model.safetensors") for run in ("one", "two"))
    assert [name for name in one if one[name].tobytes() != two[name].tobytes()] == []

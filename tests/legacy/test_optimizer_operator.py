"""An optimiser's step as one operator, against the branch of Paddle's own that it takes the place of."""

from __future__ import annotations

import paddle
import pytest

from dygraph.engine.loss_scaling import LossScaler
from dygraph.kernels.choice import lacking
from legacy.pdseg import program
from shared.config.run_config import OptimizerConfig
from tests.parity import ladder
from tests.zoo import ZOO

pytestmark = pytest.mark.skipif(lacking() is not None, reason=str(lacking()))

SHAPE = (2, 3, 32, 48)
OPTIMIZERS = {
    "momentum": OptimizerConfig("momentum", momentum=0.9, weight_decay=4e-5),
    "nesterov": OptimizerConfig("momentum", momentum=0.8, weight_decay=0.0, use_nesterov=True),
    "adam": OptimizerConfig("adam", beta1=0.8, epsilon=1e-7, weight_decay=1e-3),
    "adamw": OptimizerConfig("adamw", beta2=0.95, weight_decay=0.1),
}


def _stepper(optimizer, scaler=None):
    return ladder.make_pair(ZOO["DeepLabV3P"].small_spec, SHAPE, optimizer=optimizer, scaler=scaler).static


def _branch(stepper):
    (branch,) = (op for op in stepper.training.main.global_block().ops if op.name() == "pd_op.if")
    return [op.name() for op in branch.as_if_op().true_block().ops]


def _plain(monkeypatch, *args):
    with monkeypatch.context() as patch:
        patch.setattr(program, "join_updates", lambda _: None)
        return _stepper(*args)


@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_value_three_steps_have_the_bits_of_paddles_branch(monkeypatch, optimizer):
    joined, plain = _stepper(optimizer), _plain(monkeypatch, optimizer)
    updates = [name for name in _branch(plain) if name in ("pd_op.momentum_", "pd_op.adam_", "pd_op.adamw_")]
    assert len(updates) == len(plain.training.gradients) > 100
    own = _branch(joined)
    assert [name.startswith("py_op.dualseg_optimizer_") for name in own].count(True) == 1
    assert not set(updates) & set(own)
    start = joined.state()
    plain.load_state(start)
    for one in (joined, plain):
        ladder.steps(one, SHAPE, 3)
    assert len(ladder.differences(start.optimizer, joined.state().optimizer)) == len(start.optimizer)
    assert ladder.state_differences(joined.state(), plain.state()) == []


def test_value_a_step_that_overflows_is_skipped():
    """The scale is infinite, and so are the gradients; only batch norm's statistics move."""
    stepper = _stepper(OPTIMIZERS["momentum"], LossScaler(initial=2.0**127, dynamic=False))
    start = stepper.state()
    (result,) = ladder.steps(stepper, SHAPE, 1)
    assert result.skipped
    moved, still = stepper.state(), stepper.training.names.statistics
    weights = {key: value for key, value in start.model.items() if key not in still}
    assert ladder.differences(weights, {key: moved.model[key] for key in weights}) == []
    assert ladder.differences(start.optimizer, moved.optimizer) == []


def test_error_what_an_update_raises_is_raised(monkeypatch):
    """In an executor, which lets only a SystemError through."""
    plain = paddle._C_ops.momentum_

    def broken(*given):
        if paddle.in_dynamic_mode():
            raise RuntimeError("no such velocity")
        return plain(*given)

    monkeypatch.setattr(paddle._C_ops, "momentum_", broken)
    stepper = _stepper(OPTIMIZERS["momentum"])
    with pytest.raises(RuntimeError, match="no such velocity"):
        ladder.steps(stepper, SHAPE, 1)

"""A training Program under mixed precision, as far as a CPU builds one: bfloat16, in a network without batch norm."""

from __future__ import annotations

from functools import partial

import numpy as np
import paddle
import pytest
from paddle import nn

from dygraph.build import build_losses
from dygraph.engine.loss_scaling import LossScaler
from dygraph.engine.precision import Precision
from legacy.pdseg.program import build_train_program
from legacy.pdseg.session import weights_of
from legacy.pdseg.stepper import StaticStepper
from shared.config.run_config import OptimizerConfig
from tests.parity.ladder import CROSS_ENTROPY, IGNORE, images_and_labels

SHAPE = (2, 3, 8, 8)
LOW = "bfloat16"


class Plain(nn.Layer):
    """Two convolutions with biases and a factor of its own."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2D(3, 4, 3, padding=1)
        self.gain = self.create_parameter([1], default_initializer=nn.initializer.Constant(2.0))
        self.last = nn.Conv2D(4, 5, 1)

    def forward(self, x):
        return [self.last(nn.functional.relu(self.first(x)) * self.gain)]


@pytest.fixture(scope="module", params=["O1", "O2"])
def program(request):
    losses = partial(build_losses, CROSS_ENTROPY, IGNORE)
    precision = Precision(LOW, request.param)
    return build_train_program(Plain, losses, OptimizerConfig(), SHAPE, "float32", precision, LossScaler()), precision


def operators(program, name):
    return [op for op in program.main.global_block().ops if op.name() == f"pd_op.{name}"]


def operand_types(op):
    return [str(value.dtype).rsplit(".", 1)[-1].lower() for value in op.operands_source() if value.initialized()]


def test_value_convolutions_and_their_biases_are_low(program):
    built, _ = program
    assert [operand_types(op) for op in operators(built, "conv2d")] == [[LOW, LOW]] * 2
    assert [operand_types(op) for op in operators(built, "add")][:1] == [[LOW, LOW]]


def test_value_o2_casts_every_other_parameter_too(program):
    built, precision = program
    gain = next(op for op in operators(built, "multiply"))
    assert operand_types(gain) == ([LOW, LOW] if precision.level == "O2" else ["float32", "float32"])


def test_value_the_loss_is_float32(program):
    built, _ = program
    (loss,) = operators(built, "cross_entropy_with_softmax")
    assert operand_types(loss)[0] == "float32"
    assert [str(value.dtype).lower().endswith("float32") for value in built.fetches] == [True, True, False]


def test_value_parameters_gradients_and_optimizer_state_are_float32(program):
    built, _ = program
    parameters = [op for op in built.main.global_block().ops if op.name() == "builtin.parameter"]
    assert len(parameters) == 5
    assert {op.results()[0].dtype for op in parameters} == {paddle.pir.core.DataType.FLOAT32}
    assert {value.dtype for value in built.gradients.values()} == {paddle.pir.core.DataType.FLOAT32}
    assert set(built.gradients) == {"first.weight", "first.bias", "gain", "last.weight", "last.bias"}
    made = [op for op in built.startup.global_block().ops if op.name() == "builtin.set_parameter"]
    assert {str(op.operand_source(0).dtype).rsplit(".", 1)[-1] for op in made} <= {"float32", "int32"}


def test_value_the_optimizer_stands_inside_the_branch(program):
    built, _ = program
    (branch,) = operators(built, "if")
    inside = [op.name() for op in branch.as_if_op().true_block().ops]
    assert inside.count("pd_op.momentum_") == 5
    assert operators(built, "momentum_") == []
    order = [op.name() for op in built.main.global_block().ops]
    assert order.index("pd_op.check_finite_and_unscale_") < order.index("pd_op.if")
    assert order.index("pd_op.if") < order.index("pd_op.update_loss_scaling_")


class OneConvolution(nn.Layer):
    """All that Paddle's bfloat16 kernels for CPUs can train: what follows a second operator finds no matching one."""

    def __init__(self):
        super().__init__()
        self.only = nn.Conv2D(3, 5, 1, bias_attr=False)

    def forward(self, x):
        return [self.only(x)]


@pytest.mark.skipif(not paddle.base.core.supports_bfloat16(), reason="this CPU has no bfloat16 in oneDNN")
@pytest.mark.parametrize("level", ["O1", "O2"])
def test_value_one_convolution_trains_in_bfloat16_near_float32(level):
    losses = partial(build_losses, CROSS_ENTROPY, IGNORE)
    weights = weights_of(OneConvolution())
    common = (OneConvolution, weights, paddle.CPUPlace(), losses, OptimizerConfig(), SHAPE)
    mixed = StaticStepper(*common, Precision(LOW, level), LossScaler())
    plain = StaticStepper(*common)
    for index in range(4):
        batch = images_and_labels(SHAPE, seed=index)
        one, other = mixed.train_step(*batch, 0.1), plain.train_step(*batch, 0.1)
        assert one.loss != other.loss, "something ran in bfloat16"
        assert one.loss == pytest.approx(other.loss, rel=4e-3), "of which a number has eight bits"
        assert not one.skipped
    (found,), (wanted,) = mixed.state().model.values(), plain.state().model.values()
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, wanted, atol=1e-2)
    assert np.max(np.abs(found - weights["only.weight"])) > 0.02, "the weights moved by more than that"

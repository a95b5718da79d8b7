"""Lowering into Programs: names, feeds, fetches, and the mode afterwards."""

from __future__ import annotations

from functools import partial

import numpy as np
import paddle
import pytest
from paddle import static

from dygraph.build import build_losses, build_model
from dygraph.engine.static_mode import building, static_mode
from legacy.pdseg.program import build_inference_program, build_train_program, take_weights_out
from shared.config.run_config import OptimizerConfig
from tests.integration.conftest import BACKBONE
from tests.parity.ladder import CROSS_ENTROPY

SPEC = {"type": "FCN", "backbone": BACKBONE}
BUILD = partial(build_model, SPEC, num_classes=5)
SHAPE = (2, 3, 32, 48)


@pytest.fixture(scope="module")
def training():
    return build_train_program(BUILD, partial(build_losses, CROSS_ENTROPY), OptimizerConfig(), SHAPE, "float32")


@pytest.fixture(scope="module")
def inference():
    return build_inference_program(BUILD, "float32")


def test_value_static_mode_is_left_even_after_an_error():
    def fails():
        with static_mode():
            assert not paddle.in_dynamic_mode()
            raise RuntimeError("inside")

    with pytest.raises(RuntimeError, match="inside"):
        fails()
    assert paddle.in_dynamic_mode()


def test_value_static_mode_nests():
    with static_mode():
        with static_mode():
            pass
        assert not paddle.in_dynamic_mode(), "the inner one puts back what it found"
    assert paddle.in_dynamic_mode()


def test_value_building_leaves_the_default_program_empty():
    with building() as (main, _):
        static.data("image", [1, 3, 4, 4], "float32")
        assert len(main.global_block().ops) == 1
    with static_mode():
        assert len(static.default_main_program().global_block().ops) == 0
    assert paddle.in_dynamic_mode()


def test_value_both_programs_name_their_variables_alike(training, inference):
    """One Scope holds the weights of both."""
    assert training.names.model == inference.names.model
    assert inference.names.optimizer == {}
    assert inference.names.learning_rate is None


def test_value_names_are_the_eager_networks(training):
    network = BUILD()
    assert set(training.names.model) == set(network.state_dict())
    trainable = {name for name, p in network.named_parameters() if not p.stop_gradient}
    assert set(training.gradients) == trainable
    assert set(training.names.optimizer) == {f"velocity/{name}" for name in trainable}
    assert len(set(training.names.model.values())) == len(training.names.model)


def test_shape_fetches(training, inference):
    assert len(training.fetches) == 1 + len(CROSS_ENTROPY)
    assert all(list(fetch.shape) == [] for fetch in training.fetches)
    assert list(inference.image.shape) == [-1, 3, -1, -1]
    assert list(inference.logits.shape)[1] == 5
    assert inference.class_ids.dtype == paddle.int32 or "int32" in str(inference.class_ids.dtype)


def test_value_the_optimizer_has_a_block_of_its_own(training):
    main = [op.name() for op in training.main.global_block().ops]
    (branch,) = (op for op in training.main.global_block().ops if op.name() == "pd_op.if")
    own = [op.name() for op in branch.as_if_op().true_block().ops]
    assert main.count("pd_op.momentum_") == 0
    assert own.count("pd_op.momentum_") == len(training.gradients) > 0


def test_value_startup_fills_and_inference_runs(inference):
    scope = static.Scope()
    image = np.random.default_rng(0).standard_normal((1, 3, 40, 24)).astype(np.float32)
    with static_mode(), static.scope_guard(scope):
        executor = static.Executor(paddle.CPUPlace())
        executor.run(inference.startup)
        logits, ids = executor.run(
            inference.main, feed={"image": image}, fetch_list=[inference.logits, inference.class_ids]
        )
    assert logits.shape == (1, 5, 40, 24)
    assert np.array_equal(ids, logits.argmax(axis=1))
    for name in inference.names.model.values():
        assert scope.find_var(name) is not None


def test_value_a_startup_without_weights_sets_the_rest():
    """The weights' shapes are known, nothing draws any more, and velocities and learning rate are set as before."""
    program = build_train_program(BUILD, partial(build_losses, CROSS_ENTROPY), OptimizerConfig(), SHAPE, "float32")
    weights = program.names.model
    shapes = take_weights_out(program.startup, weights.values())
    assert {key: list(shapes[name]) for key, name in weights.items()} == {
        key: value.shape for key, value in BUILD().state_dict().items()
    }
    assert {op.name() for op in program.startup.global_block().ops} == {"pd_op.full", "builtin.shadow_output"}
    scope = static.Scope()
    with static_mode(), static.scope_guard(scope):
        static.Executor(paddle.CPUPlace()).run(program.startup)
    for name in program.names.optimizer.values():
        assert not np.array(scope.find_var(name).get_tensor()).any()
    assert scope.find_var(program.names.learning_rate) is not None
    assert not any(scope.find_var(name) for name in weights.values())

"""A checkpoint written in one mode goes on in the other as if nothing had happened."""

from __future__ import annotations

import pytest

from shared.config.run_config import OptimizerConfig
from shared.engine.checkpoint import Progress, load_checkpoint, save_checkpoint
from tests.parity import ladder

SPEC = {"type": "FCN", "backbone": {"type": "HRNet_W18_Small_V1"}}
SHAPE = (2, 3, 33, 49)
OPTIMIZERS = {
    "momentum": OptimizerConfig("momentum", momentum=0.9, weight_decay=5e-4),
    "adamw": OptimizerConfig("adamw", weight_decay=0.01),
}


@pytest.mark.parametrize(
    ("writer", "reader", "optimizer"),
    [
        ("eager", "static", "adamw"),
        ("static", "eager", "momentum"),
        pytest.param("eager", "static", "momentum", marks=pytest.mark.slow),
        pytest.param("static", "eager", "adamw", marks=pytest.mark.slow),
    ],
)
def test_parity_checkpoint_goes_on_in_the_other_mode(tmp_path, writer, reader, optimizer):
    make = {"shape": SHAPE, "optimizer": OPTIMIZERS[optimizer]}
    pair, fresh = ladder.make_pair(SPEC, **make), ladder.make_pair(SPEC, **make)
    first, second = getattr(pair, writer), getattr(fresh, reader)
    ladder.steps(first, SHAPE, 2)
    path = save_checkpoint(tmp_path, first.state(), Progress(2), mode=writer, config={}, keep_max=1)
    state, progress, meta = load_checkpoint(path)
    assert (progress.iteration, meta["mode"]) == (2, writer)
    second.load_state(state)
    assert ladder.state_differences(first.state(), second.state()) == []

    images, _ = ladder.images_and_labels(SHAPE)
    assert ladder.differences({"ids": first.class_ids(images)}, {"ids": second.class_ids(images)}) == []
    went_on = ladder.steps(first, SHAPE, 2, first_seed=9)
    assert ladder.steps(second, SHAPE, 2, first_seed=9) == went_on
    assert ladder.state_differences(first.state(), second.state()) == []


def test_value_a_lost_velocity_shows(tmp_path):
    """The comparison above would notice optimiser state that is not taken over."""
    pair, fresh = ladder.make_pair(SPEC, SHAPE), ladder.make_pair(SPEC, SHAPE)
    ladder.steps(pair.eager, SHAPE, 2)
    state = pair.eager.state()
    state.optimizer = {}
    fresh.static.load_state(state)
    ladder.steps(pair.eager, SHAPE, 1, first_seed=9)
    ladder.steps(fresh.static, SHAPE, 1, first_seed=9)
    assert ladder.state_differences(pair.eager.state(), fresh.static.state())

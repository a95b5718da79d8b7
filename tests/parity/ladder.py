"""The rungs on which eager and static mode are compared, and what "equal" means: every bit."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import paddle

from dygraph.build import build_losses, build_model, compute_losses
from dygraph.engine.device import seed_everything
from dygraph.engine.optimizer import trainable_names
from dygraph.engine.stepper import EagerStepper
from legacy.pdseg.session import weights_of
from legacy.pdseg.stepper import StaticStepper
from shared.config.run_config import Component, LossTerm, OptimizerConfig
from shared.engine.stepper import StepperState

NUM_CLASSES = 5
IGNORE = 255
SEED = 11
CROSS_ENTROPY = (LossTerm(Component("CrossEntropyLoss")),)
RECIPE = OptimizerConfig("momentum", momentum=0.9, weight_decay=4e-5)
LR = 0.01


@dataclass
class Pair:
    """The same network in both modes, from the same weights."""

    eager: EagerStepper
    static: StaticStepper


@contextmanager
def default_dtype(dtype: str):
    before = paddle.get_default_dtype()
    paddle.set_default_dtype(dtype)
    try:
        yield
    finally:
        paddle.set_default_dtype(before)


def images_and_labels(shape, dtype="float32", seed=3):
    """Noise images, and labels in blocks with an ignored corner."""
    rng = np.random.default_rng(seed)
    images = rng.standard_normal(shape).astype(dtype)
    blocks = rng.integers(0, NUM_CLASSES, (shape[0], -(-shape[2] // 8), -(-shape[3] // 8)))
    labels = blocks.repeat(8, axis=1).repeat(8, axis=2)[:, : shape[2], : shape[3]].astype(np.int64)
    labels[:, :3, :5] = IGNORE
    return images, labels


def make_pair(
    spec: Mapping[str, Any],
    shape=(2, 3, 64, 96),
    dtype="float32",
    losses=CROSS_ENTROPY,
    optimizer=RECIPE,
    data_format="NCHW",
    scaler=None,
) -> Pair:
    """Build both steppers. ``default_dtype`` must be kept by the caller while static Programs are built lazily."""
    build = partial(build_model, spec, num_classes=NUM_CLASSES, data_format=data_format)
    make_losses = partial(build_losses, losses, IGNORE)
    seed_everything(SEED, True)
    network = build()
    static = StaticStepper(build, weights_of(network), paddle.CPUPlace(), make_losses, optimizer, shape, scaler=scaler)
    return Pair(EagerStepper(network, make_losses(), optimizer, scaler=scaler), static)


def steps(stepper, shape, count, dtype="float32", first_seed=3):
    """``count`` training steps on batches of their own; dropout draws from the same seed in both modes."""
    paddle.seed(SEED)
    return [stepper.train_step(*images_and_labels(shape, dtype, first_seed + i), LR) for i in range(count)]


def eager_gradients(pair: Pair, images, labels) -> dict[str, np.ndarray]:
    """Gradients of the summed loss by structured name; weights and statistics are put back."""
    before = pair.eager.state()
    network = pair.eager.network
    network.train()
    paddle.seed(SEED)
    terms = compute_losses(pair.eager.losses, network(paddle.to_tensor(images)), paddle.to_tensor(labels))
    sum(terms[1:], terms[0]).backward()
    named = dict(network.named_parameters())
    gradients = {key: named[key].grad.numpy() for key in trainable_names(network) if named[key].grad is not None}
    pair.eager.optimizer.clear_grad()
    pair.eager.load_state(StepperState(before.model, {}))
    return gradients


def static_gradients(pair: Pair, images, labels) -> dict[str, np.ndarray]:
    """As :func:`eager_gradients`; the Program's optimiser step that comes with it is undone."""
    before = pair.static.state()
    pair.static._set_lr(pair.static.training, 0.0)
    paddle.seed(SEED)
    gradients = pair.static.training.gradients
    values = pair.static._run(pair.static.training.main, {"image": images, "label": labels}, list(gradients.values()))
    pair.static.load_state(before)
    return dict(zip(gradients, values))


def differences(one: Mapping[str, np.ndarray], other: Mapping[str, np.ndarray]) -> list[str]:
    """Names whose arrays are not the same bits, with the largest difference; and names only one side has."""
    found = [f"{name}: only in one mode" for name in sorted(set(one) ^ set(other))]
    for name in sorted(set(one) & set(other)):
        a, b = np.asarray(one[name]), np.asarray(other[name])
        if a.shape != b.shape or a.dtype != b.dtype:
            found.append(f"{name}: {a.dtype}{a.shape} against {b.dtype}{b.shape}")
        elif not np.array_equal(a, b, equal_nan=True):
            found.append(f"{name}: differs by up to {np.max(np.abs(a.astype(np.float64) - b)):.3e}")
    return found


def state_differences(one: StepperState, other: StepperState) -> list[str]:
    """As :func:`differences`, over weights, statistics and optimiser state."""
    return differences(one.model, other.model) + differences(one.optimizer, other.optimizer)

"""Pairs of steppers from a network's spec, and batches for them; the rungs themselves are in ``scripts/ladder``."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import paddle

from dygraph.build import build_losses, build_model
from dygraph.engine.device import seed_everything
from dygraph.engine.stepper import EagerStepper
from dygraph.kernels.choice import lacking
from legacy.pdseg.session import weights_of
from legacy.pdseg.stepper import StaticStepper
from scripts.ladder.bits import Both, compare_all
from shared.config.run_config import Component, LossTerm, OptimizerConfig
from shared.engine.stepper import StepperState

NUM_CLASSES = 5
IGNORE = 255
SEED = 11
CROSS_ENTROPY = (LossTerm(Component("CrossEntropyLoss")),)
RECIPE = OptimizerConfig("momentum", momentum=0.9, weight_decay=4e-5)
LR = 0.01


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
    fast_kernels=None,
) -> Both:
    """Build both steppers, with the fast kernels where they can be had.

    ``default_dtype`` must be kept by the caller while static Programs are built lazily.
    """
    build = partial(build_model, spec, num_classes=NUM_CLASSES, data_format=data_format)
    make_losses = partial(build_losses, losses, IGNORE)
    seed_everything(SEED, True)
    network = build()
    how = {"scaler": scaler, "fast_kernels": lacking() is None if fast_kernels is None else fast_kernels}
    static = StaticStepper(build, weights_of(network), paddle.CPUPlace(), make_losses, optimizer, shape, **how)
    return Both(EagerStepper(network, make_losses(), optimizer, **how), static)


def steps(stepper, shape, count, dtype="float32", first_seed=3):
    """``count`` training steps on batches of their own; dropout draws from the same seed in both modes."""
    paddle.seed(SEED)
    return [stepper.train_step(*images_and_labels(shape, dtype, first_seed + i), LR) for i in range(count)]


def differences(one: Mapping[str, np.ndarray], other: Mapping[str, np.ndarray]) -> list[str]:
    """Arrays that are not the same bits, and names only one side has."""
    return [str(found) for found in compare_all(one, other) if not found.equal]


def state_differences(one: StepperState, other: StepperState) -> list[str]:
    """As :func:`differences`, over weights, statistics and optimiser state."""
    return differences(one.model, other.model) + differences(one.optimizer, other.optimizer)

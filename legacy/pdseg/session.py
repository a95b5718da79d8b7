"""From a ``RunConfig`` to a static stepper or predictor."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import paddle

from dygraph.build import build_losses, build_model
from dygraph.engine.cpu_kernels import describe_kernels, uses_fast_kernels
from dygraph.engine.device import choose_place
from dygraph.engine.dry_forward import head_problems
from dygraph.engine.exchange import Exchange
from dygraph.engine.loss_scaling import describe_precision, make_scaler
from dygraph.engine.precision import FULL, effective_precision
from dygraph.engine.ranks import connect_ranks
from dygraph.engine.session import VERSIONS, initial_network, launched_world, prediction_place, trained_network
from dygraph.layers.sync_batch_norm import synchronise_batch_norm
from legacy.pdseg.stepper import StaticPredictor, StaticStepper
from shared.config.run_config import RunConfig
from shared.engine.train import Mode


def network_builder(run: RunConfig) -> Callable[[], paddle.nn.Layer]:
    """Builds the run's network where it stands, without fetching weights."""
    model = run.model.without("pretrained")
    return lambda: build_model(model, num_classes=run.num_classes, data_format=run.data_format)


def weights_of(network: paddle.nn.Layer) -> dict[str, np.ndarray]:
    """Copies of every tensor of an eager network by structured name."""
    return {name: value.numpy() for name, value in network.state_dict().items()}


def training_mode(run: RunConfig, use_gpu: bool | None) -> Mode:
    """How ``shared.engine.train`` trains in static mode."""
    place = choose_place(use_gpu)
    world = launched_world(place)
    precision, notes = effective_precision(run.precision, place)
    exchange = Exchange(world)
    scaler = make_scaler(run.precision, precision, exchange.any)
    fast_kernels = uses_fast_kernels(run, place, precision)

    def make_stepper(run: RunConfig, seed: int, image_shape: Sequence[int]) -> StaticStepper:
        build = network_builder(run)
        synchronised = run.train.sync_bn and world > 1
        return StaticStepper(
            build,
            weights_of(initial_network(run, seed)),
            place,
            lambda: build_losses(run.losses, run.ignore_index),
            run.optimizer,
            image_shape,
            precision,
            scaler,
            exchange,
            (lambda: synchronise_batch_norm(build())) if synchronised else build,
            fast_kernels,
        )

    if run.train.sync_bn and world > 1 and isinstance(place, paddle.CPUPlace):
        notes = [
            *notes,
            "synchronised batch norm on CPUs: Paddle takes minutes to prepare such a program, for a deep network very "
            "many; TRAIN.SYNC_BATCH_NORM False (sync_bn: false) leaves it away",
        ]
    words = describe_precision(precision, scaler) + describe_kernels(fast_kernels)
    return Mode("static", make_stepper, notes, VERSIONS, words, world, connect_ranks, head_problems)


def make_predictor(run: RunConfig, weights: str, use_gpu: bool | None) -> StaticPredictor:
    """A predictor with the weights of a file or checkpoint."""
    place = prediction_place(use_gpu)
    fast_kernels = uses_fast_kernels(run, place, FULL)
    return StaticPredictor(network_builder(run), weights_of(trained_network(run, weights)), place, fast_kernels)

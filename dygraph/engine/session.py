"""From a ``RunConfig`` to an eager stepper or predictor."""

from __future__ import annotations

from collections.abc import Sequence

import paddle

import shared
from dygraph.build import build_losses, build_model
from dygraph.engine.device import choose_place, seed_everything
from dygraph.engine.loss_scaling import describe_precision, make_scaler
from dygraph.engine.precision import effective_precision
from dygraph.engine.stepper import EagerPredictor, EagerStepper, set_weights
from dygraph.pretrained import load_pretrained
from shared.config.run_config import RunConfig
from shared.engine.train import Mode
from shared.errors import MachineError
from shared.weights.resolve import read_weights

VERSIONS = {"dualseg": shared.__version__, "paddle": paddle.__version__}


def require_one_process() -> None:
    """Several processes are refused: their gradients would not meet."""
    world = paddle.distributed.ParallelEnv().world_size
    if world > 1:
        raise MachineError(
            f"started as one of {world} processes, and this version trains in one: start the command without fleetrun"
        )


def initial_network(run: RunConfig, seed: int) -> paddle.nn.Layer:
    """The network with the weights a run begins from, the same in both modes: seeded, then pretrained."""
    seed_everything(seed, run.train.deterministic)
    network = build_model(run.model, num_classes=run.num_classes, data_format=run.data_format)
    if run.train.weights is not None:
        load_pretrained(network, run.train.weights)
    seed_everything(seed, run.train.deterministic)  # so that steps do not depend on what building drew
    return network


def trained_network(run: RunConfig, weights: str) -> paddle.nn.Layer:
    """The network with every tensor loaded strictly from ``weights`` (file or checkpoint directory)."""
    arrays = read_weights(weights)  # first: it is the quicker one to fail
    network = build_model(run.model.without("pretrained"), num_classes=run.num_classes, data_format=run.data_format)
    set_weights(network, arrays, weights)
    return network


def training_mode(run: RunConfig, use_gpu: bool | None) -> Mode:
    """How ``shared.engine.train`` trains eagerly."""
    require_one_process()
    place = choose_place(use_gpu)
    precision, notes = effective_precision(run.precision, place)
    scaler = make_scaler(run.precision, precision)

    def make_stepper(run: RunConfig, seed: int, _: Sequence[int]) -> EagerStepper:
        network = initial_network(run, seed)
        return EagerStepper(network, build_losses(run.losses, run.ignore_index), run.optimizer, precision, scaler)

    return Mode("eager", make_stepper, notes, VERSIONS, describe_precision(precision, scaler))


def make_predictor(run: RunConfig, weights: str, use_gpu: bool | None) -> EagerPredictor:
    """A predictor with the weights of a file or checkpoint."""
    require_one_process()
    choose_place(use_gpu)
    return EagerPredictor(trained_network(run, weights))

"""From a ``RunConfig`` to an eager stepper or predictor."""

from __future__ import annotations

from collections.abc import Sequence

import paddle

import shared
from dygraph.build import build_losses, build_model
from dygraph.engine.cpu_kernels import describe_kernels, uses_fast_kernels
from dygraph.engine.device import choose_place, seed_everything
from dygraph.engine.dry_forward import head_problems
from dygraph.engine.exchange import Exchange
from dygraph.engine.loss_scaling import describe_precision, make_scaler
from dygraph.engine.precision import FULL, effective_precision
from dygraph.engine.ranks import connect_ranks, require_fitting_backend
from dygraph.engine.stepper import EagerPredictor, EagerStepper, set_weights
from dygraph.layers.sync_batch_norm import synchronise_batch_norm
from dygraph.pretrained import load_pretrained
from shared.config.run_config import RunConfig
from shared.engine.ranks import launched_as
from shared.engine.train import Mode
from shared.errors import MachineError
from shared.freed_memory import keep_freed_memory
from shared.weights.resolve import read_weights

VERSIONS = {"dualseg": shared.__version__, "paddle": paddle.__version__}


def require_one_process() -> None:
    """Several processes are refused where they would all do the same work and write the same files."""
    world = launched_as()[1]
    if world > 1:
        raise MachineError(
            f"started as one of {world} processes, and only training takes several: start this command without fleetrun"
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
    place = choose_place(use_gpu)
    world = launched_world(place)
    precision, notes = effective_precision(run.precision, place)
    exchange = Exchange(world)
    scaler = make_scaler(run.precision, precision, exchange.any)
    fast_kernels = uses_fast_kernels(run, place, precision)

    def make_stepper(run: RunConfig, seed: int, _: Sequence[int]) -> EagerStepper:
        network = initial_network(run, seed)
        if run.train.sync_bn and world > 1:
            network = synchronise_batch_norm(network)
        losses = build_losses(run.losses, run.ignore_index)
        return EagerStepper(network, losses, run.optimizer, precision, scaler, exchange, fast_kernels)

    words = describe_precision(precision, scaler) + describe_kernels(fast_kernels)
    return Mode("eager", make_stepper, notes, VERSIONS, words, world, connect_ranks, head_problems)


def launched_world(place: paddle.CPUPlace | paddle.CUDAPlace) -> int:
    """How many processes train together, each on a device like ``place``.

    Raises:
        MachineError: their backend does not fit the device.
    """
    world = launched_as()[1]
    if world > 1:
        require_fitting_backend(place)
    return world


def prediction_place(use_gpu: bool | None) -> paddle.CPUPlace | paddle.CUDAPlace:
    """The device of a command that trains nothing, which it runs on alone."""
    require_one_process()
    place = choose_place(use_gpu)
    if isinstance(place, paddle.CPUPlace):
        keep_freed_memory(largest_mib=256, unused_mib=512)  # of one image for the next
    return place


def make_predictor(run: RunConfig, weights: str, use_gpu: bool | None) -> EagerPredictor:
    """A predictor with the weights of a file or checkpoint."""
    fast_kernels = uses_fast_kernels(run, prediction_place(use_gpu), FULL)
    return EagerPredictor(trained_network(run, weights), fast_kernels)

"""Faults planted in static mode alone: the ladder turns red first on the rung, and in the tensor, of the fault."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from paddle import nn

from dygraph.engine.export import InferenceNetwork
from legacy.pdseg import session
from legacy.pdseg.stepper import StaticPredictor, StaticStepper
from scripts.ladder.bits import Both
from scripts.ladder.climb import Ladder
from scripts.ladder.rung import RUNGS
from shared.config.run_config import EvalConfig, RunConfig
from shared.engine.inference import predict_ids
from shared.engine.stepper import StepperState
from shared.transforms.compose import undo_geometry
from tests.parity.runs import IGNORE, spread_weights, tiny_run, write_images

NETWORK = "FastSCNN"  # quick to lower; with dropout, strided and depthwise convolutions and an auxiliary head

Plant = Callable[[pytest.MonkeyPatch, RunConfig, Path], RunConfig]


@dataclass(frozen=True)
class Fault:
    """What is wrong in static mode, and where the ladder has to show it first.

    Attributes:
        name: for the test's name.
        rung: the first red one.
        tensor: the beginning of the name of the first tensor that differs there.
        plant: makes the fault; returns the run that static mode is given.
        eager: what the run of eager mode has otherwise than ``tiny_run``.
    """

    name: str
    rung: str
    tensor: str
    plant: Plant
    eager: dict[str, object] = dataclasses.field(default_factory=dict)


def _in_config(section: str, **changes: object) -> Plant:
    def plant(_: pytest.MonkeyPatch, run: RunConfig, __: Path) -> RunConfig:
        return run.replace(**{section: dataclasses.replace(getattr(run, section), **changes)})

    return plant


def _in_network(change: Callable[[nn.Layer], None]) -> Plant:
    """``change`` is done to each network that static mode lowers."""

    def plant(monkeypatch: pytest.MonkeyPatch, run: RunConfig, _: Path) -> RunConfig:
        builder = session.network_builder

        def faulty(run: RunConfig) -> Callable[[], nn.Layer]:
            def build() -> nn.Layer:
                network = builder(run)()
                change(network)
                return network

            return build

        monkeypatch.setattr(session, "network_builder", faulty)
        return run

    return plant


def _replaced(target: str, wrong: Callable[..., object]) -> Plant:
    """The function or method ``target`` becomes ``wrong``, which is given the right one first."""

    def plant(monkeypatch: pytest.MonkeyPatch, run: RunConfig, _: Path) -> RunConfig:
        module, _, name = target.rpartition(".")
        owner = StaticStepper if module == "StaticStepper" else importlib.import_module(module)
        right = getattr(owner, name)
        monkeypatch.setattr(owner, name, lambda *args, **kwargs: wrong(right, *args, **kwargs))
        return run

    return plant


def _shifted_labels(_: pytest.MonkeyPatch, run: RunConfig, folder: Path) -> RunConfig:
    args = {**run.train_data.dataset.args, "dataset_root": str(write_images(folder, shift=1))}
    dataset = dataclasses.replace(run.train_data.dataset, args=args)
    return run.replace(train_data=dataclasses.replace(run.train_data, dataset=dataset))


def _coefficient(_: pytest.MonkeyPatch, run: RunConfig, __: Path) -> RunConfig:
    main, auxiliary = run.losses
    return run.replace(losses=(main, dataclasses.replace(auxiliary, coef=0.40004)))


def _mean_over_all_pixels(right, losses, logits, label):
    main, *others = right(losses, logits, label)
    return [main * (label != IGNORE).astype("float32").mean(), *others]


def _weights_of_another_seed(right, run, seed):
    return right(run, seed + 1)


def _without_optimizer(right, self, state):
    right(self, StepperState(state.model, {}))


def _not_in_evaluation_mode(right, build_network, *rest):
    def build():
        network = build_network()
        network.eval = network.train
        return network

    return right(build, *rest)


def _ids_before_resize(right, predictor, batch, config):
    if not isinstance(predictor.predictor, StaticPredictor):  # the ladder asks through one that remembers
        return right(predictor, batch, config)
    ids = predict_ids(predictor, batch.images, config).astype(np.uint8)
    return [undo_geometry(one, undo).astype(np.int32) for one, undo in zip(ids, batch.undo)]


class _Softmax(InferenceNetwork):
    def __init__(self, network: nn.Layer, output_op: str) -> None:
        super().__init__(network, "softmax" if output_op == "none" else output_op)


FLIPPED = EvalConfig(aug_eval=True, flip_horizontal=True)
FAULTS = [
    Fault("channels", "samples", "batch 1: images", _in_config("train_data", to_rgb=False)),
    Fault("label_shifted_by_a_pixel", "samples", "batch 1: labels", _shifted_labels),
    Fault("schedule", "schedule", "learning rates", _in_config("schedule", power=0.91)),
    Fault(
        "first_weights",
        "first weights",
        "learning_to_downsample.conv_bn_relu._conv.weight",
        _replaced("legacy.pdseg.session.initial_network", _weights_of_another_seed),
    ),
    Fault(
        "epsilon",
        "layers, evaluation",
        "feature_fusion.dwconv._batch_norm",
        _in_network(lambda network: setattr(network.feature_fusion.dwconv._batch_norm, "_epsilon", 1.1e-5)),
    ),
    Fault(
        "padding_that_cannot_be_built",
        "layers, evaluation",
        "feature_fusion.dwconv._conv",
        _in_network(lambda network: network.feature_fusion.dwconv._conv._options.update(padding=[2, 2])),
    ),
    Fault(
        "dropout_rate",
        "layers, training",
        "classifier.dropout",
        _in_network(lambda network: setattr(network.classifier.dropout, "p", 0.11)),
    ),
    Fault(
        "dropout_seed",
        "layers, training",
        "classifier.dropout",
        _replaced("StaticStepper.reseed", lambda right, self, seed: right(self, seed + 1)),
    ),
    Fault(
        "batch_statistics_in_evaluation",
        "logits",
        "logits of the first batch",
        _replaced("legacy.pdseg.stepper.build_inference_program", _not_in_evaluation_mode),
    ),
    Fault("coefficient", "loss terms", "term 2", _coefficient),
    Fault("reduction", "loss terms", "term 1", _replaced("legacy.pdseg.program.compute_losses", _mean_over_all_pixels)),
    Fault(
        "untrained_weight",
        "gradients",
        "classifier.conv.bias",
        _in_network(lambda network: setattr(network.classifier.conv.bias, "stop_gradient", True)),
    ),
    Fault("decay", "one step", "velocity/", _in_config("optimizer", weight_decay=5e-5)),
    Fault(
        "skipped_statistics",
        "one step",
        "feature_fusion.dwconv._batch_norm._mean",
        _in_network(lambda network: setattr(network.feature_fusion.dwconv._batch_norm, "_momentum", 1.0)),
    ),
    Fault(
        "rate_on_its_way",
        "one step",
        "learning rate",
        _replaced("StaticStepper._set_lr", lambda right, self, program, lr: right(self, program, lr * 1.01)),
    ),
    Fault("momentum", "steps", "step 2: velocity/", _in_config("optimizer", momentum=0.89)),
    Fault(
        "ids_before_resize",
        "evaluation",
        "whole image: label map",
        _replaced("shared.engine.evaluate.label_maps", _ids_before_resize),
    ),
    Fault(
        "forgotten_flip",
        "evaluation",
        "as configured: logits",
        _in_config("evaluation", flip_vertical=False),
        {"evaluation": dataclasses.replace(FLIPPED, flip_vertical=True, scales=(0.75,))},
    ),
    Fault(
        "lost_velocity",
        "checkpoint",
        "eager to static: velocity/",
        _replaced("StaticStepper.load_state", _without_optimizer),
    ),
    Fault(
        "export",
        "export",
        "exported logits",
        _replaced("legacy.pdseg.export.InferenceNetwork", lambda _, network, output_op: _Softmax(network, output_op)),
    ),
]


def test_value_every_rung_has_a_fault():
    assert {fault.rung for fault in FAULTS} == set(RUNGS)
    assert len({fault.name for fault in FAULTS}) == len(FAULTS) >= 10


#: The first fault of each rung is in the default run.
FIRST = {fault.rung: fault for fault in reversed(FAULTS)}.values()


@pytest.mark.parametrize(
    "fault",
    [pytest.param(fault, id=fault.name, marks=[] if fault in FIRST else [pytest.mark.slow]) for fault in FAULTS],
)
def test_value_a_fault_is_found_where_it_is(fault, tmp_path, monkeypatch):
    folders = [tmp_path / name for name in ("right", "wrong")]
    for folder in folders:
        folder.mkdir()
    run = tiny_run(NETWORK, write_images(folders[0])).replace(**fault.eager)
    ladder = Ladder(Both(run, fault.plant(monkeypatch, run, folders[1])), steps=3, output_ops=("none",))
    for rung in ladder.climb():
        if not rung.equal:
            break
        if rung.name == "first weights" and ladder.pair is not None:
            spread_weights(ladder.pair)
    assert rung.name == fault.rung, str(rung.first)
    assert rung.first is not None
    assert rung.first.name.startswith(fault.tensor), str(rung.first)

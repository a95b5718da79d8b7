"""Lowering a network into static Programs.

A network is an ``nn.Layer`` of ``dygraph``; calling it under ``program_guard`` writes its operators into a Program.
Each Program is built under a fresh name guard by the same builder, so that a parameter has the same name in all of
them and one Scope holds the weights once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import paddle
from paddle import static

from dygraph.build import compute_losses
from dygraph.engine.exchange import Exchange
from dygraph.engine.loss_scaling import LossScaler, ScalerVariables
from dygraph.engine.optimizer import build_optimizer, trainable_names
from dygraph.engine.precision import FULL, Precision, forward
from dygraph.engine.static_mode import building
from legacy.pdseg.joining import join_operators
from legacy.pdseg.recomputing import recompute_norms
from shared.config.run_config import OptimizerConfig

NetworkBuilder = Callable[[], paddle.nn.Layer]
LossBuilder = Callable[[], Sequence[paddle.nn.Layer]]


@dataclass(frozen=True)
class ProgramNames:
    """Scope variables: ``model`` (weights and statistics) and ``optimizer`` by structured name, ``scaler`` by field.

    ``statistics`` are those of ``model`` that the forward pass moves and no optimiser.
    """

    model: dict[str, str]
    optimizer: dict[str, str]
    learning_rate: str | None
    scaler: dict[str, str] = field(default_factory=dict)
    statistics: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class TrainProgram:
    """One training step as a Program.

    Feeds ``image`` and ``label``; ``fetches`` are the total loss, then each term and, with a scaler, whether the
    gradients overflowed and the step was skipped; ``gradients`` are by structured name, for comparing modes.
    """

    main: static.Program
    startup: static.Program
    fetches: list
    gradients: dict[str, paddle.pir.Value]
    names: ProgramNames


@dataclass(frozen=True)
class InferenceProgram:
    """The evaluation forward pass as a Program. Feeds ``image``; gives the main logits and their class ids."""

    main: static.Program
    startup: static.Program
    image: paddle.pir.Value
    logits: paddle.pir.Value
    class_ids: paddle.pir.Value
    names: ProgramNames


def build_train_program(
    build_network: NetworkBuilder,
    build_losses: LossBuilder,
    optimizer_config: OptimizerConfig,
    image_shape: Sequence[int],
    dtype: str,
    precision: Precision = FULL,
    scaler: LossScaler | None = None,
    exchange: Exchange | None = None,
    fast_kernels: bool = False,
) -> TrainProgram:
    """Forward, losses, backward and the optimiser's step for batches of exactly ``image_shape`` ``[N, 3, H, W]``."""
    batch, _, height, width = image_shape
    exchange = exchange or Exchange()
    with building() as (main, startup):
        network = build_network()
        network.train()
        image = static.data("image", list(image_shape), dtype)
        label = static.data("label", [batch, height, width], "int64")
        terms = compute_losses(build_losses(), forward(network, image, precision), label)
        total = sum(terms[1:], terms[0])
        optimizer = build_optimizer(optimizer_config, network, lr=0.0)
        scaling = None if scaler is None else scaler.variables(dtype)
        pairs = optimizer.backward(total if scaler is None else scaler.scale(total, scaling))
        pairs = _exchanged(exchange, network, pairs)
        fetches = _averaged(exchange, [total, *terms])
        pairs, skipped = _apply(optimizer, pairs, scaler, scaling)
        fetches += [] if skipped is None else [skipped]
        model, trainable = _model_names(network), trainable_names(network)
        structured = {name: key for key, name in trainable.items()}
        names = ProgramNames(
            model=model,
            optimizer={
                f"{accumulator}/{structured[parameter]}": variable.name
                for accumulator, by_parameter in optimizer._accumulators.items()
                for parameter, variable in by_parameter.items()
            },
            learning_rate=optimizer._global_learning_rate().name,
            scaler={} if scaling is None else {name: value.name for name, value in scaling._asdict().items()},
            statistics={key: name for key, name in model.items() if key not in trainable},
        )
        gradients = {structured[parameter.name]: gradient for parameter, gradient in pairs if gradient is not None}
        if fast_kernels:
            recompute_norms(main)
            now = join_operators(main, [*fetches, *gradients.values()])
            fetches = [now(fetch) for fetch in fetches]
            gradients = {name: now(gradient) for name, gradient in gradients.items()}
    return TrainProgram(main, startup, fetches, gradients, names)


def _apply(
    optimizer: paddle.optimizer.Optimizer,
    pairs: list[tuple[Any, Any]],
    scaler: LossScaler | None,
    scaling: ScalerVariables | None,
) -> tuple[list[tuple[Any, Any]], paddle.pir.Value | None]:
    """Unscale and check, the optimiser's step or none, then the new scale; the gradients, and whether it skips."""
    overflow = None
    if scaler is not None:
        pairs, overflow = scaler.unscale(pairs, scaling)
    static.nn.cond(_always() if overflow is None else paddle.logical_not(overflow), lambda: _step(optimizer, pairs))
    if scaler is not None:
        scaler.update(pairs, overflow, scaling)
    return pairs, overflow


def _always() -> paddle.pir.Value:
    """True, on the host. With it the optimiser's step is a block of its own even where none is ever skipped.

    Paddle prepares a block in a time that grows with the square of its operators, and an optimiser has one for every
    parameter.
    """
    return paddle.tensor.fill_constant([1], "bool", True, force_cpu=True)


def _step(optimizer: paddle.optimizer.Optimizer, pairs: list[tuple[Any, Any]]) -> None:
    """The optimiser's step as a branch of a Program, which gives nothing."""
    optimizer.apply_gradients(pairs)


def _exchanged(exchange: Exchange, network: paddle.nn.Layer, pairs: list) -> list:
    """(parameter, gradient averaged over the ranks), exchanged in the network's order, as the eager mode does."""
    if exchange.world == 1:
        return pairs
    place = {parameter.name: i for i, parameter in enumerate(network.parameters())}
    pairs = sorted((p for p in pairs if p[1] is not None), key=lambda pair: place[pair[0].name])
    return list(zip([p for p, _ in pairs], exchange.average([gradient for _, gradient in pairs])))


def _averaged(exchange: Exchange, losses: list) -> list:
    """The losses to fetch, averaged over the ranks; before the optimiser, see :class:`Exchange`."""
    return losses if exchange.world == 1 else paddle.unstack(exchange.mean(paddle.stack(losses)))


def build_inference_program(build_network: NetworkBuilder, dtype: str, fast_kernels: bool = False) -> InferenceProgram:
    """The evaluation forward pass for batches of any size."""
    with building() as (main, startup):
        network = build_network()
        network.eval()
        image = static.data("image", [None, 3, None, None], dtype)
        logits = network(image)[0]
        class_ids = paddle.argmax(logits, axis=1, dtype="int32")
        names = ProgramNames(model=_model_names(network), optimizer={}, learning_rate=None)
        if fast_kernels:
            now = join_operators(main, [logits, class_ids])
            logits, class_ids = now(logits), now(class_ids)
    return InferenceProgram(main, startup, image, logits, class_ids, names)


def take_weights_out(startup: static.Program, variables: Iterable[str]) -> dict[str, tuple[int, ...]]:
    """Remove from a startup Program what draws these variables, which are set otherwise.

    A startup Program costs a millisecond an operator: 4 s for FCN-HRNet-W18, a tenth of it without its weights.

    Returns:
        the shapes of the variables.
    """
    block = startup.global_block()
    variables, shapes = set(variables), {}
    for op in list(block.ops):
        name = op.attrs()["parameter_name"] if op.name() == "builtin.set_parameter" else None
        if name in variables:
            value = op.operand_source(0)
            shapes[name] = tuple(value.shape)
            block.remove_op(op)
            _remove_if_unused(block, value.get_defining_op())
    return shapes


def _remove_if_unused(block: paddle.pir.Block, op: paddle.pir.Operation) -> None:
    """Remove an operator whose results nothing reads, and those that computed for it alone."""
    if all(result.use_empty() for result in op.results()):
        sources = [op.operand_source(i).get_defining_op() for i in range(op.num_operands())]
        block.remove_op(op)
        for source in sources:
            _remove_if_unused(block, source)


def _model_names(network: paddle.nn.Layer) -> dict[str, str]:
    return {structured: variable.name for structured, variable in network.state_dict().items()}

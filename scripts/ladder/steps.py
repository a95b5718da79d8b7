"""The rungs of training: logits, loss terms, gradients, and the steps, on what the steppers themselves compute."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import paddle

from dygraph.build import compute_losses
from dygraph.engine.optimizer import trainable_names
from dygraph.engine.stepper import EagerStepper, set_weights
from dygraph.kernels.choice import fast_kernels
from legacy.pdseg.stepper import StaticStepper
from scripts.ladder.bits import Both, Comparison, compare, compare_all, incomparable
from shared.engine.stepper import Stepper, StepperState, StepResult


@dataclass(frozen=True)
class Feed:
    """What one step is given.

    Attributes:
        images, labels: ``[N, 3, H, W]`` and ``[N, H, W]``.
        lr: learning rate of the step.
        seed: of what the step draws.
    """

    images: np.ndarray
    labels: np.ndarray
    lr: float
    seed: int


@dataclass(frozen=True)
class Probe:
    """One forward and backward pass: loss terms, and gradients by structured name."""

    terms: dict[str, np.ndarray]
    gradients: dict[str, np.ndarray]


def compare_logits(pair: Both, images: Mapping[str, Both[np.ndarray]]) -> list[Comparison]:
    """Main logits and class ids of each ``[N, 3, H, W]``, from the steppers' own evaluation passes."""
    found = []
    for name, both in images.items():
        found.append(compare(f"logits of {name}", pair.eager.logits(both.eager), pair.static.logits(both.static)))
        ids = pair.eager.class_ids(both.eager), pair.static.class_ids(both.static)
        found.append(compare(f"class ids of {name}", *ids))
    return found


def compare_weights(pair: Both) -> list[Comparison]:
    """Every tensor of the networks' ``state_dict()``."""
    return compare_all(pair.eager.state().model, pair.static.state().model)


def probe(pair: Both, feeds: Both[Feed]) -> Both[Probe]:
    """Loss terms and gradients of one batch in both modes; nothing of it stays."""
    return Both(_eager_probe(pair.eager, feeds.eager), _static_probe(pair.static, feeds.static))


def _eager_probe(stepper: EagerStepper, feed: Feed) -> Probe:
    before = stepper.state()
    network = stepper.network
    network.train()
    stepper.reseed(feed.seed)
    with fast_kernels(stepper.fast_kernels):
        logits = network(paddle.to_tensor(feed.images.astype(stepper.dtype, copy=False)))
        terms = compute_losses(stepper.losses, logits, paddle.to_tensor(feed.labels))
    total = sum(terms[1:], terms[0])
    total.backward()
    named = dict(network.named_parameters())
    gradients = {key: named[key].grad.numpy() for key in trainable_names(network) if named[key].grad is not None}
    stepper.optimizer.clear_grad()
    set_weights(stepper.network, before.model, "the state before")
    return Probe(_named_terms([total.numpy(), *(term.numpy() for term in terms)]), gradients)


def _static_probe(stepper: StaticStepper, feed: Feed) -> Probe:
    """The optimiser's step that stands in the same Program is undone."""
    before = stepper.state()
    program = stepper.training
    stepper.reseed(feed.seed)
    inputs = {"image": feed.images.astype(stepper.dtype, copy=False), "label": feed.labels}
    values = stepper._run(program.main, inputs, [*program.fetches, *program.gradients.values()])
    restore_static(stepper, before)
    count = len(program.fetches)
    return Probe(_named_terms(values[:count]), dict(zip(program.gradients, values[count:])))


def restore_static(stepper: StaticStepper, state: StepperState) -> None:
    """Put back what a run of a Program changed, past ``load_state``, which has a rung of its own."""
    names = stepper.training.names
    stepper._write(names.model, state.model, "the state before")
    stepper._write(names.optimizer, state.optimizer, "the state before")


def _named_terms(values: Iterable[np.ndarray]) -> dict[str, np.ndarray]:
    """The terms, then their sum; scalars of shape [] and [1] alike."""
    total, *terms = (np.asarray(value).reshape(()) for value in values)
    return {**{f"term {index}": term for index, term in enumerate(terms, 1)}, "summed loss": total}


def compare_gradients(gradients: Both[Mapping[str, np.ndarray]]) -> list[Comparison]:
    """From the output back to the input, so that the first one that differs is the nearest to the loss."""
    return compare_all(dict(reversed(list(gradients.eager.items()))), gradients.static)


def step(pair: Both, feeds: Both[Feed]) -> Both[StepResult]:
    """One training step in both modes."""
    return Both(*(step_alone(stepper, feed) for stepper, feed in zip(pair, feeds)))


def step_alone(stepper: Stepper, feed: Feed) -> StepResult:
    """One training step in one mode."""
    stepper.reseed(feed.seed)
    return stepper.train_step(feed.images, feed.labels, feed.lr)


def compare_step(pair: Both, results: Both[StepResult], where: str = "") -> list[Comparison]:
    """Learning rate as the optimiser took it, losses, batch-norm statistics, optimiser state, weights.

    Args:
        pair: the steppers after the step.
        results: what the step gave.
        where: put before every name.
    """
    rate = compare(f"{where}learning rate", *learning_rates(pair))
    return [rate, *compare_results(results, where), *compare_states(Both(*(s.state() for s in pair)), where)]


def compare_results(results: Both[StepResult], where: str = "") -> list[Comparison]:
    """Loss terms and their sum, as the steps gave them."""
    eager, static = ([*r.terms, r.loss] for r in results)
    if len(eager) != len(static):
        return [incomparable(f"{where}loss terms", f"{len(eager) - 1} in eager mode, {len(static) - 1} in static mode")]
    names = [*(f"term {index}" for index in range(1, len(eager))), "summed loss"]
    return [compare(f"{where}{name}", *_in_one_type(one, other)) for name, one, other in zip(names, eager, static)]


def _in_one_type(*numbers: float) -> list[np.floating]:
    """As float32 where they came from it, else as float64."""
    kind = np.float32 if all(np.float32(one) == one or np.isnan(one) for one in numbers) else np.float64
    return [kind(one) for one in numbers]


def compare_states(states: Both[StepperState], where: str = "") -> list[Comparison]:
    """Batch-norm statistics first, then optimiser state, then weights: the order in which a step makes them."""
    parts = []
    for state in states:
        statistics = {key: value for key, value in state.model.items() if _is_statistic(key)}
        weights = {key: value for key, value in state.model.items() if not _is_statistic(key)}
        parts.append(
            {f"{where}{key}": value for part in (statistics, state.optimizer, weights) for key, value in part.items()}
        )
    return compare_all(*parts)


def _is_statistic(name: str) -> bool:
    return name.rpartition(".")[2] in ("_mean", "_variance")


def learning_rates(pair: Both) -> tuple[np.ndarray, np.ndarray]:
    """The rates with which the optimisers made their last steps, float32."""
    static = pair.static._tensor(pair.static.training.names.learning_rate)
    return np.float32(pair.eager.optimizer.get_lr()), np.asarray(static, np.float32).reshape(())


def compare_steps(pair: Both, feeds: Sequence[Both[Feed]], losses: Both[list[float]], first: int) -> list[Comparison]:
    """Several steps: the losses of each, and the states where losses differ, after steps 2, 4, 8, ... and the last one.

    Args:
        pair: the steppers.
        feeds: one for each step; may read them as they are asked for.
        losses: the summed losses are added to them.
        first: number of the first step.
    """
    found: list[Comparison] = []
    last = first + len(feeds) - 1
    for number, both in zip(range(first, last + 1), feeds):
        results = step(pair, both)
        for kept, result in zip(losses, results):
            kept.append(result.loss)
        where = f"step {number}: "
        compared = compare_results(results, where)
        if number == last or number & (number - 1) == 0 or not all(one.equal for one in compared):
            compared = compare_step(pair, results, where)
        found += [one for one in compared if number == last or not one.equal or one.name.endswith("loss")]
    return found

"""The whole ladder for a run, one rung after the other."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from dygraph.engine import session as eager_session
from legacy.pdseg import session as static_session
from scripts.ladder.bits import Both, Comparison, compare_all, incomparable
from scripts.ladder.inference import (
    OUTPUT_OPS,
    compare_checkpoints,
    compare_evaluation,
    compare_exports,
    evaluation_ways,
)
from scripts.ladder.layers import compare_layers, compare_shapes, first_line
from scripts.ladder.rung import RUNGS, Rung
from scripts.ladder.samples import compare_samples, compare_schedules, schedule_of
from scripts.ladder.steps import (
    Feed,
    compare_gradients,
    compare_logits,
    compare_step,
    compare_steps,
    compare_weights,
    probe,
    step,
)
from shared.config.run_config import PrecisionConfig, RunConfig
from shared.engine.data import EvalData, TrainData
from shared.engine.stepper import Batch
from shared.errors import UserError
from shared.reading.collate import collate

BROKEN_OFF = "(an error)"


@dataclass
class Ladder:
    """One run in both modes. :meth:`climb` may be called once.

    Args:
        runs: the run as each mode has it; the same one, unless a test plants a fault in one of them.
        seed: of weights, order, transforms and dropout.
        steps: training steps, 2 or more.
        eval_images: images that are evaluated.
        output_ops: what is exported, of ``OUTPUT_OPS``.
    """

    runs: Both[RunConfig]
    seed: int = 1
    steps: int = 20
    eval_images: int = 1
    output_ops: Sequence[str] = OUTPUT_OPS
    losses: Both[list[float]] = field(default_factory=lambda: Both([], []))
    pair: Both | None = None
    shape: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        self._first_feeds: Both[Feed] | None = None
        self.runs = Both(*(run.replace(precision=PrecisionConfig()) for run in self.runs))  # float32

    def climb(self) -> Iterator[Rung]:
        """The rungs in their order. One that raises is red, and the last: what would stand on it is left out.

        Raises:
            UserError: the config or the data, not a mode, is wrong.
        """
        for position, (name, compare) in enumerate(self._rungs()):
            began = time.perf_counter()
            try:
                rung = compare()
            except UserError:
                raise
            except Exception as error:  # noqa: BLE001 - a mode that raises where the other does not is a difference
                rung = [incomparable(BROKEN_OFF, f"raised {first_line(error)}")]
            seconds = time.perf_counter() - began
            if isinstance(rung, str):
                yield Rung(name, left_out=rung, seconds=seconds)
                continue
            yield Rung(name, tuple(rung), seconds=seconds)
            if any(one.name == BROKEN_OFF for one in rung):
                for left in RUNGS[position + 1 :]:
                    yield Rung(left, left_out=f"“{name}” broke off")
                return

    def _rungs(self) -> list[tuple[str, Callable[[], list[Comparison] | str]]]:
        methods = (
            self._samples,
            self._schedule,
            self._first_weights,
            lambda: self._layers(training=False),
            lambda: self._layers(training=True),
            self._logits,
            self._loss_terms,
            lambda: compare_gradients(Both(*(one.gradients for one in self._probe))),
            self._one_step,
            self._more_steps,
            self._evaluation,
            lambda: compare_checkpoints(self.pair, self._feeds(self.steps)),
            lambda: compare_exports(self.pair, self._small_images(), self.output_ops),
        )
        return list(zip(RUNGS, methods))

    def _samples(self) -> list[Comparison]:
        self._data = Both(*(TrainData(run, self.seed, run.train.batch_size) for run in self.runs))
        self.shape = self._data.eager.batch_shape()
        return compare_samples(self._data, self.steps)

    def _schedule(self) -> list[Comparison]:
        self._schedules = Both(*(schedule_of(run, data) for run, data in zip(self.runs, self._data)))
        return compare_schedules(self._schedules)

    def _first_weights(self) -> list[Comparison]:
        shapes = Both(*(data.batch_shape() for data in self._data))
        eager = eager_session.training_mode(self.runs.eager, use_gpu=False)
        stepper = eager.make_stepper(self.runs.eager, self.seed, shapes.eager)
        static = static_session.training_mode(self.runs.static, use_gpu=False)
        self._eager_alone = stepper
        try:
            self.pair = Both(stepper, static.make_stepper(self.runs.static, self.seed, shapes.static))
        except UserError:
            raise
        except Exception as error:  # noqa: BLE001 - eager mode could build it; the next rung finds the layer
            self._not_built = first_line(error)
            return f"static mode could not build the network: {self._not_built}"
        return compare_weights(self.pair)

    def _layers(self, training: bool) -> list[Comparison]:
        if self.pair is None:
            builder = static_session.network_builder(self.runs.static)
            shapes = compare_shapes(self._eager_alone, builder, self._data.static.batch_shape(), training)
            return [*shapes, incomparable(BROKEN_OFF, f"static mode raised {self._not_built}")]
        return compare_layers(self.pair, Both(*(feed.images for feed in self._feeds(0))), training, self.seed)

    def _logits(self) -> list[Comparison]:
        feeds = self._feeds(0)
        images = {"the first batch": Both(*(feed.images for feed in feeds)), "a smaller image": self._small_images()}
        return compare_logits(self.pair, images)

    def _small_images(self) -> Both[np.ndarray]:
        """One image of another size than the batches have."""
        height, width = (max(1, size * 3 // 4) for size in self.shape[2:])
        return Both(*(np.ascontiguousarray(feed.images[:1, :, :height, :width]) for feed in self._feeds(0)))

    def _loss_terms(self) -> list[Comparison]:
        self._probe = probe(self.pair, self._feeds(0))
        return compare_all(*(one.terms for one in self._probe))

    def _one_step(self) -> list[Comparison]:
        feeds = self._feeds(0)
        results = step(self.pair, feeds)
        for losses, result in zip(self.losses, results):
            losses.append(result.loss)
        return compare_step(self.pair, results)

    def _more_steps(self) -> list[Comparison]:
        return compare_steps(self.pair, _Feeds(self._feeds, range(1, self.steps)), self.losses, first=2)

    def _evaluation(self) -> list[Comparison] | str:
        if self.runs.eager.val_data is None:
            return "the config has no val_dataset"
        window_hw = tuple(max(1, size * 3 // 4) for size in self.shape[2:])
        ways = Both(*(evaluation_ways(run.evaluation, window_hw) for run in self.runs))
        batches = Both(*(self._eval_batches(run) for run in self.runs))
        return compare_evaluation(self.pair, batches, ways, self.runs.eager.num_classes, self.runs.eager.ignore_index)

    def _eval_batches(self, run: RunConfig) -> list[Batch]:
        data = EvalData(run)
        return [collate([data.source.get(0, index)]) for index in range(min(self.eval_images, len(data)))]

    def _feeds(self, iteration: int) -> Both[Feed]:
        """What either mode is given at an iteration, counted from 0."""
        if iteration == 0 and self._first_feeds is not None:
            return self._first_feeds
        feeds = []
        for data, schedule in zip(self._data, self._schedules):
            batch = collate([data.source.get(*sample) for sample in data.sampler.batch_at(iteration)])
            rate = schedule(min(iteration, schedule.total_iters - 1))
            feeds.append(Feed(batch.images, batch.labels, rate, self.seed + iteration))
        if iteration == 0:
            self._first_feeds = Both(*feeds)
        return Both(*feeds)


@dataclass(frozen=True)
class _Feeds(Sequence):
    """The feeds of several iterations, each read when it is asked for."""

    read: Callable[[int], Both[Feed]]
    iterations: range

    def __len__(self) -> int:
        return len(self.iterations)

    def __getitem__(self, position: int) -> Both[Feed]:
        return self.read(self.iterations[position])

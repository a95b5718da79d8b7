"""The training loop of both modes. It knows nothing of Paddle: a stepper does the step."""

from __future__ import annotations

import logging
import math
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType

from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from shared.engine.records import Interval, RunRecords
from shared.engine.schedule import Schedule
from shared.engine.stepper import Batch, Stepper, StepResult
from shared.errors import RunFailedError

logger = logging.getLogger(__name__)

FEW_OVERFLOWS = 10


@dataclass(frozen=True)
class Cadence:
    """When the loop does what; all in iterations."""

    total_iters: int
    iters_per_epoch: int
    log_iters: int
    save_interval: int


class InterruptedRunError(RunFailedError):
    """SIGTERM or Ctrl-C: a checkpoint was saved, the exit code is 128 + the signal's number."""

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.exit_code = 128 + signal_number


@dataclass
class _Window:
    """Sums since the last log line."""

    started: float = field(default_factory=time.perf_counter)
    reader_seconds: float = 0.0
    steps: int = 0
    skipped: int = 0
    images: int = 0
    finite: int = 0
    loss: float = 0.0
    terms: tuple[float, ...] = ()

    def add(self, result: StepResult, batch: Batch, reader_seconds: float) -> None:
        self.reader_seconds += reader_seconds
        self.steps += 1
        self.images += len(batch.paths)
        self.skipped += result.skipped
        if not _is_finite(result):
            return
        self.finite += 1
        self.loss += result.loss
        self.terms = tuple(a + b for a, b in zip(self.terms or (0.0,) * len(result.terms), result.terms))


def _is_finite(result: StepResult) -> bool:
    return math.isfinite(result.loss) and all(math.isfinite(term) for term in result.terms)


class TrainLoop:
    """Runs a stepper over batches from ``first_iteration`` to the end.

    Args:
        stepper: does the steps.
        schedule: learning rate of each step.
        cadence: length and intervals.
        records: where log records go.
        save: called with the number of finished iterations: saves a checkpoint, then evaluates.
        first_iteration: finished iterations of a resumed run.
        seed: what a step draws is a function of this and its iteration, so that a resumed run draws the same.
        show_progress: draw a progress bar on stderr.
    """

    def __init__(
        self,
        stepper: Stepper,
        schedule: Schedule,
        cadence: Cadence,
        records: RunRecords,
        save: Callable[[int, bool], None],
        first_iteration: int = 0,
        seed: int = 0,
        show_progress: bool = False,
    ) -> None:
        self.stepper = stepper
        self.schedule = schedule
        self.cadence = cadence
        self.records = records
        self.save = save
        self.first_iteration = first_iteration
        self.seed = seed
        self.show_progress = show_progress
        self._signal: int | None = None
        self._skipped_in_a_row = 0

    def run(self, batches: Iterable[Batch]) -> None:
        """Train on ``batches``, which begin at ``first_iteration``.

        Raises:
            RunFailedError: the loss is not finite, every step of an interval overflowed, or the batches end early.
            InterruptedRunError: a signal asked for an end; a checkpoint was saved first.
        """
        source = iter(batches)
        window = _Window()
        with self._signals(), logging_redirect_tqdm(), self._progress_bar() as bar:
            for iteration in range(self.first_iteration, self.cadence.total_iters):
                lr = self.schedule(iteration)
                batch, reader_seconds = self._next_batch(source, iteration)
                logger.debug("iteration %d: %s", iteration + 1, ", ".join(batch.paths))
                self.stepper.reseed((self.seed + iteration) % 2**31)
                result = self.stepper.train_step(batch.images, batch.labels, lr)
                self._check_finite(result, batch, iteration, lr)
                window.add(result, batch, reader_seconds)
                self._skipped_in_a_row = self._skipped_in_a_row + 1 if result.skipped else 0
                done = iteration + 1
                bar.update()
                if done % self.cadence.log_iters == 0 or done == self.cadence.total_iters:
                    self._log(window, done, lr)
                    self._check_some_step_counted(window, done)
                    window = _Window()
                if done % self.cadence.save_interval == 0 or done == self.cadence.total_iters:
                    paused = time.perf_counter()
                    self.save(done, not self.interrupted)
                    window.started += time.perf_counter() - paused
                elif self.interrupted:
                    self.save(done, False)
                if self.interrupted and done < self.cadence.total_iters:
                    self._leave(done)

    @property
    def interrupted(self) -> bool:
        """Whether a signal has asked for the run's end."""
        return self._signal is not None

    def _next_batch(self, source: Iterator[Batch], iteration: int) -> tuple[Batch, float]:
        started = time.perf_counter()
        try:
            batch = next(source, None)
        except Exception:  # whatever the data did, the weights are sound
            if iteration > self.first_iteration:
                self.save(iteration, False)
            raise
        if batch is None:
            raise RunFailedError(f"the reader ended after {iteration} of {self.cadence.total_iters} iterations")
        return batch, time.perf_counter() - started

    def _check_finite(self, result: StepResult, batch: Batch, iteration: int, lr: float) -> None:
        if result.skipped or _is_finite(result):
            return
        raise RunFailedError(
            f"the loss is {result.loss} at iteration {iteration + 1} (terms {', '.join(map(str, result.terms))}; "
            f"lr {lr:g}; files {', '.join(batch.paths)}). The last checkpoint is kept: lower the learning rate or add "
            "a warm-up, and look at these files"
        )

    def _check_some_step_counted(self, window: _Window, done: int) -> None:
        """A dynamic scale halves at each overflow, so a few in a row are its way to begin; a whole interval is not.

        An interval shorter than :data:`FEW_OVERFLOWS` steps waits for as many, unless it is the run's last.
        """
        needed = window.steps if done == self.cadence.total_iters else max(window.steps, FEW_OVERFLOWS)
        if self._skipped_in_a_row < needed:
            return
        raise RunFailedError(
            f"the gradients overflowed in each of the last {self._skipped_in_a_row} steps up to iteration {done}, so "
            "none of them changed the weights. The last checkpoint is kept: train in bfloat16 (--precision bf16, "
            "MODEL.AMP_DTYPE bfloat16) or in float32 (--precision fp32, MODEL.FP16 False), or lower the learning rate; "
            "a fixed loss scale may be too large"
        )

    def _log(self, window: _Window, done: int, lr: float) -> None:
        seconds = time.perf_counter() - window.started
        cost = seconds / window.steps
        interval = Interval(
            epoch=(done - 1) // self.cadence.iters_per_epoch + 1,
            iteration=done,
            total_iters=self.cadence.total_iters,
            loss=window.loss / window.finite if window.finite else math.nan,
            terms=tuple(term / window.finite for term in window.terms),
            lr=lr,
            batch_cost=cost,
            reader_cost=window.reader_seconds / window.steps,
            ips=window.images / seconds,
            eta_seconds=cost * (self.cadence.total_iters - done),
            skipped=window.skipped,
        )
        logger.info("%s", interval.line())
        self.records.write(interval.record())

    def _progress_bar(self) -> tqdm:
        return tqdm(
            total=self.cadence.total_iters,
            initial=self.first_iteration,
            unit="iter",
            disable=not self.show_progress,
            dynamic_ncols=True,
            leave=False,
        )

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """The first SIGTERM or Ctrl-C ends the run after the current step; the second one at once."""

        def ask(number: int, _: FrameType | None) -> None:
            self._signal = number
            signal.signal(number, signal.SIG_DFL)
            logger.warning("signal %d: saving after this step; once more leaves at once", number)

        previous = {number: signal.signal(number, ask) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    def _leave(self, done: int) -> None:
        raise InterruptedRunError(
            f"stopped by signal {self._signal} after iteration {done}; resume from the checkpoint just saved",
            self._signal or 0,
        )

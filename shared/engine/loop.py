"""The training loop of both modes. It knows nothing of Paddle: a stepper does the step."""

from __future__ import annotations

import faulthandler
import logging
import math
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType

from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from shared.engine.ranks import Alone, RankLostError, Ranks
from shared.engine.records import Interval, RunRecords
from shared.engine.schedule import Schedule
from shared.engine.stepper import Batch, Stepper, StepResult
from shared.errors import RunFailedError
from shared.reading.broken import BrokenSamples

logger = logging.getLogger(__name__)

FEW_OVERFLOWS = 10
NEWS_SECONDS = 5.0  # how long a rank whose exchange broke waits to hear who died
STARVED_SHARE = 0.1  # of a step spent waiting for its batch, above which the log says what to raise
STUCK_SECONDS = 600.0  # after a step of this length every thread's stack is printed
_SEEDS_APART = 1_000_003  # between what two ranks draw in one step


@dataclass(frozen=True)
class Cadence:
    """When the loop does what; all in iterations."""

    total_iters: int
    iters_per_epoch: int
    log_iters: int
    save_interval: int

    def saves_after(self, done: int) -> bool:
        """Whether a checkpoint is due after ``done`` iterations."""
        return done % self.save_interval == 0 or done == self.total_iters


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
    broken: int = 0
    images: int = 0
    finite: int = 0
    loss: float = 0.0
    terms: tuple[float, ...] = ()

    def add(self, result: StepResult, batch: Batch, reader_seconds: float) -> None:
        self.reader_seconds += reader_seconds
        self.steps += 1
        self.images += len(batch.paths)
        self.skipped += result.skipped
        self.broken += len(batch.broken)
        if not _is_finite(result):
            return
        self.finite += 1
        self.loss += result.loss
        self.terms = tuple(a + b for a, b in zip(self.terms or (0.0,) * len(result.terms), result.terms))


@contextmanager
def _watched() -> Iterator[None]:
    """Print every thread's stack where the body takes :data:`STUCK_SECONDS`: a batch and its step never should."""
    if sys.__stderr__ is not None:
        faulthandler.dump_traceback_later(STUCK_SECONDS, file=sys.__stderr__)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()


def _is_finite(result: StepResult) -> bool:
    return math.isfinite(result.loss) and all(math.isfinite(term) for term in result.terms)


class TrainLoop:
    """Runs a stepper over batches from ``first_iteration`` to the end.

    Args:
        stepper: does the steps.
        schedule: learning rate of each step.
        cadence: length and intervals.
        records: where log records go.
        save: called with the number of finished iterations and whether to evaluate: saves a checkpoint, then evaluates,
            and says whether the run is to end early. A third argument, True, says that the run has broken and this rank
            is the one to save.
        first_iteration: finished iterations of a resumed run.
        seed: what a step draws is a function of this and its iteration, so that a resumed run draws the same.
        show_progress: draw a progress bar on stderr.
        ranks: the processes of the run; each runs this loop, step by step together.
        broken: told of samples that could not be read and were replaced.
        reading_advice: what to raise where the steps wait for data.
    """

    def __init__(
        self,
        stepper: Stepper,
        schedule: Schedule,
        cadence: Cadence,
        records: RunRecords,
        save: Callable[..., bool | None],
        first_iteration: int = 0,
        seed: int = 0,
        show_progress: bool = False,
        ranks: Ranks | None = None,
        broken: BrokenSamples | None = None,
        reading_advice: str = "",
    ) -> None:
        self.stepper = stepper
        self.schedule = schedule
        self.cadence = cadence
        self.records = records
        self.save = save
        self.first_iteration = first_iteration
        self.seed = seed
        self.show_progress = show_progress
        self.ranks = ranks or Alone()
        self.broken = broken
        self.reading_advice = reading_advice
        self._intervals = 0
        self._saved_at = first_iteration
        self._skipped_in_a_row = 0

    def run(self, batches: Iterable[Batch]) -> None:
        """Train on ``batches``, which begin at ``first_iteration``.

        Raises:
            RunFailedError: the loss is not finite, every step of an interval overflowed, or the batches end early.
            InterruptedRunError: a signal asked for an end; a checkpoint was saved first.
            RankLostError: another rank has died; the last finished iteration is in a checkpoint.
        """
        source = iter(batches)
        window = _Window()
        with self._signals(), logging_redirect_tqdm(), self._progress_bar() as bar:
            for iteration in range(self.first_iteration, self.cadence.total_iters):
                lr = self.schedule(iteration)
                with _watched():
                    batch, reader_seconds = self._next_batch(source, iteration)
                    logger.debug("iteration %d: %s", iteration + 1, ", ".join(batch.paths))
                    with self._surviving(iteration):
                        self.ranks.before_step(iteration)
                        self.stepper.reseed((self.seed + iteration + self.ranks.rank * _SEEDS_APART) % 2**31)
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
                if self.cadence.saves_after(done):
                    paused = time.perf_counter()
                    if self._save(done, self.ranks.stop_signal(done) is None):
                        return
                    window.started += time.perf_counter() - paused
                elif self.ranks.stop_signal(done) is not None:
                    self._save(done, False)
                if self.ranks.stop_signal(done) is not None and done < self.cadence.total_iters:
                    self._leave(done)

    @property
    def interrupted(self) -> bool:
        """Whether a signal has asked for the run's end."""
        return self.ranks.stop_wanted()

    def _save(self, done: int, with_evaluation: bool) -> bool:
        self._saved_at = done  # first: where the evaluation fails, the checkpoint is there
        return bool(self.save(done, with_evaluation))

    @contextmanager
    def _surviving(self, done: int) -> Iterator[None]:
        """With several ranks: a step that breaks leaves a checkpoint of the ``done`` steps before it.

        Raises:
            RankLostError: in place of whatever the death of another rank made of this one's exchanges.
        """
        if self.ranks.world == 1:
            yield
            return
        try:
            yield
        except Exception as error:
            lost = error if isinstance(error, RankLostError) else self.ranks.lost(wait=NEWS_SECONDS)
            alive = list(range(self.ranks.world)) if lost is None else lost.alive
            self.stepper.rewind()
            if done > self._saved_at and self.ranks.rank == min(alive):
                self._saved_at = done
                self.save(done, False, True)
            if lost is None:
                raise
            logger.debug("what this rank's step made of it", exc_info=error)
            raise lost.after(done, saved=0 < done == self._saved_at) from None

    def _next_batch(self, source: Iterator[Batch], iteration: int) -> tuple[Batch, float]:
        started = time.perf_counter()
        try:
            batch = next(source, None)
            if batch is not None and self.broken is not None:
                self.broken.add(batch.broken)
        except Exception:  # whatever the data did, the weights are sound
            if iteration > self.first_iteration:
                self._save(iteration, False)
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
            ips=window.images * self.ranks.world / seconds,
            eta_seconds=cost * (self.cadence.total_iters - done),
            skipped=window.skipped,
            broken=window.broken,
        )
        logger.info("%s", interval.line())
        self.records.write(interval.record())
        self._say_if_starved(interval)

    def _say_if_starved(self, interval: Interval) -> None:
        """Once a run, and not of its first interval, in which the workers start."""
        self._intervals += 1
        is_starved = self._intervals > 1 and interval.reader_cost > STARVED_SHARE * interval.batch_cost
        if not self.reading_advice or not is_starved:
            return
        logger.warning(
            "data is the bottleneck: %.0f %% of a step is spent waiting for its batch; %s",
            *(100 * interval.reader_cost / interval.batch_cost, self.reading_advice),
        )
        self.reading_advice = ""

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
        """The first SIGTERM or Ctrl-C ends the run after the current step; the second one at once.

        With several ranks a second SIGTERM changes nothing: fleetrun sends two, one second apart, before it kills.
        """

        def ask(number: int, _: FrameType | None) -> None:
            patient = self.ranks.world > 1 and number == signal.SIGTERM
            signal.signal(number, signal.SIG_IGN if patient else signal.SIG_DFL)
            self.ranks.ask_to_stop(number)
            logger.warning(
                "signal %d: saving after this step%s", number, "" if patient else "; once more leaves at once"
            )

        previous = {number: signal.signal(number, ask) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    def _leave(self, done: int) -> None:
        number = self.ranks.stop_signal(done) or 0
        self.ranks.barrier()  # fleetrun kills the others soon after the first has left: not before all is written
        raise InterruptedRunError(
            f"stopped by signal {number} after iteration {done}; resume from the checkpoint just saved", number
        )

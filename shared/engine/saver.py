"""A checkpoint first and its evaluation second, the best one kept, and the end of a run that no longer improves."""

from __future__ import annotations

import dataclasses
import logging
import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from shared.config.effective import config_to_dict
from shared.config.run_config import RunConfig
from shared.engine.checkpoint import Progress, save_best, save_checkpoint, update_progress
from shared.engine.data import EvalData
from shared.engine.evaluate import Evaluation, evaluate, merged
from shared.engine.loop import Cadence
from shared.engine.memory import MemoryGuard
from shared.engine.ranks import WRITER, Ranks
from shared.engine.records import NoRecords, RunRecords
from shared.engine.stepper import Stepper
from shared.errors import CheckpointError, RunFailedError
from shared.metrics.report import format_table

logger = logging.getLogger(__name__)

#: Keys of ``Progress.extra``.
SCORE = "miou"  # of this checkpoint, once it was evaluated
EVALUATION_DUE = "evaluation_due"  # it was saved to be evaluated, and has not been yet
WITHOUT_GAIN = "evaluations_without_gain"  # in a row, up to and with this one


def patience_is_at_its_end(run: RunConfig, progress: Progress) -> bool:
    """Whether as many evaluations in a row as ``early_stop_intervals`` says have brought no better mIoU."""
    patience = run.train.early_stop_intervals
    return patience is not None and progress.extra.get(WITHOUT_GAIN, 0) >= patience


@dataclass
class Saver:
    """Saves a checkpoint first and evaluates second, so that an evaluation that dies costs nothing.

    One rank writes; all evaluate, each its share of the images, and all know the progress afterwards. In an emergency
    the rank that is called writes, whichever it is.

    Attributes:
        run: the run.
        mode: ``eager`` or ``static``.
        versions: for the record.
        save_dir: where checkpoints go.
        stepper: what is saved and evaluated.
        eval_data: None for a run without evaluation.
        records: where the scores go.
        progress: changed as the run goes on.
        ranks: the processes of the run.
        cadence: says which checkpoints are evaluated.
        guard: of evaluations that run out of memory.
        last: the newest checkpoint.
        interrupted: whether a signal asked for the run's end.
    """

    run: RunConfig
    mode: str
    versions: Mapping[str, str]
    save_dir: Path
    stepper: Stepper
    eval_data: EvalData | None
    records: RunRecords | NoRecords
    progress: Progress
    ranks: Ranks
    cadence: Cadence
    guard: MemoryGuard
    last: Path | None = None
    interrupted: Callable[[], bool] = lambda: False

    def __call__(self, iteration: int, with_evaluation: bool, emergency: bool = False) -> bool:
        """Save, then evaluate if asked to; whether the run is to end early, alike on every rank."""
        self.progress.iteration = iteration
        self.progress.extra.pop(SCORE, None)
        self.progress.extra.pop(EVALUATION_DUE, None)
        if self.eval_data is not None and self.cadence.saves_after(iteration):
            self.progress.extra[EVALUATION_DUE] = True
        if self.ranks.rank == WRITER or (emergency and not (self.save_dir / f"iter_{iteration}").exists()):
            self._save()
        return with_evaluation and self.eval_data is not None and self._evaluate(iteration)

    def catch_up(self, resumed: Path | None) -> bool:
        """Evaluate a checkpoint whose evaluation was broken off; whether the run is to end early."""
        if resumed is None or self.eval_data is None or not self.progress.extra.get(EVALUATION_DUE):
            return False
        if self.ranks.rank == WRITER:
            if resumed.resolve().parent == self.save_dir.resolve():
                self.last = resumed
            else:
                self._save()  # another run's checkpoints are not written to
        logger.info("evaluating %s, which its run could not", resumed)
        return self._evaluate(self.progress.iteration)

    def _save(self) -> None:
        try:
            self.last = save_checkpoint(
                self.save_dir,
                self.stepper.state(),
                self.progress,
                mode=self.mode,
                config=config_to_dict(self.run),
                keep_max=self.run.train.keep_checkpoint_max,
                versions=self.versions,
            )
        except CheckpointError as error:
            newest = "nor is an earlier one" if self.last is None else f"{self.last} is: --resume goes on from it"
            raise RunFailedError(f"{error}; iteration {self.progress.iteration} is not saved, {newest}") from error
        logger.log(logging.INFO if self.ranks.rank == WRITER else logging.WARNING, "saved %s", self.last)

    def _evaluate(self, iteration: int) -> bool:
        if self.ranks.world > 1:  # what is scored is what was saved: the writing rank's statistics
            statistics = self.ranks.broadcast(self.stepper.statistics() if self.ranks.rank == WRITER else None)
            self.stepper.load_statistics(statistics)
        with self.eval_data.open() as batches:
            result = evaluate(
                self.stepper,
                batches,
                self.run.evaluation,
                self.run.num_classes,
                self.run.ignore_index,
                total=len(self.eval_data),
                show_progress=sys.stderr.isatty() and self.ranks.rank == WRITER,
                stop=self.interrupted,
                with_loss=True,
                guard=self.guard,
                broken=self.eval_data.broken,
            )
        result = merged(result, self.ranks)
        if result is None:
            if self.ranks.rank == WRITER:
                logger.warning("the evaluation at iteration %d was broken off; its checkpoint is saved", iteration)
            return False
        if self.ranks.rank == WRITER:
            self._keep_score(result, iteration)
        if self.ranks.world > 1:
            told = self.ranks.broadcast(dataclasses.asdict(self.progress) if self.ranks.rank == WRITER else None)
            for name, value in told.items():
                setattr(self.progress, name, value)
        return self._ends_early()

    def _keep_score(self, result: Evaluation, iteration: int) -> None:
        progress, score = self.progress, result.scores.miou
        is_better = not math.isnan(score) and (progress.best_score is None or score > progress.best_score)
        progress.extra.pop(EVALUATION_DUE, None)
        progress.extra[SCORE] = None if math.isnan(score) else score
        progress.extra[WITHOUT_GAIN] = 0 if is_better else progress.extra.get(WITHOUT_GAIN, 0) + 1
        self.records.write(evaluation_record(result, iteration))
        logger.info("[EVAL] iter: %d\n%s", iteration, format_table(result.scores, self.eval_data.dataset.class_names))
        if is_better:
            progress.best_score, progress.best_iteration = score, iteration
            # before the checkpoint's own progress: a process killed in between evaluates again and comes to the same
            save_best(self.save_dir, self.last, progress)
        update_progress(self.last, progress)
        logger.info(
            "[EVAL] mIoU %.4f, loss %.4f; best %.4f at iteration %d%s",
            score,
            result.loss,
            progress.best_score if progress.best_score is not None else math.nan,
            progress.best_iteration or 0,
            f"; {result.left_out} images could not be read and are left out" if result.left_out else "",
        )

    def _ends_early(self) -> bool:
        if not patience_is_at_its_end(self.run, self.progress):
            return False
        logger.log(
            logging.INFO,
            "early stop: the last %d evaluations brought no better mIoU than that of iteration %d",
            self.progress.extra[WITHOUT_GAIN],
            self.progress.best_iteration or 0,
        )
        return True


def evaluation_record(result: Evaluation, iteration: int) -> dict[str, object]:
    """One evaluation as a line of ``metrics.jsonl``."""
    return {
        "kind": "eval",
        "iter": iteration,
        "miou": result.scores.miou,
        "loss": result.loss,
        "pixel_accuracy": result.scores.pixel_accuracy,
        "kappa": result.scores.kappa,
        "images": result.images,
        "left_out": result.left_out,
        "seconds": result.seconds,
    }

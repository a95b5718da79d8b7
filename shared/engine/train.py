"""A training run of either mode, from a ``RunConfig`` to checkpoints; the mode gives a stepper."""

from __future__ import annotations

import dataclasses
import logging
import math
import secrets
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from shared.config.printing import config_to_dict
from shared.config.run_config import RunConfig
from shared.config.solver import reads_edges
from shared.datasets.base import SegmentationDataset
from shared.engine.checkpoint import (
    Progress,
    ensure_writable,
    load_checkpoint,
    resolve_resume,
    save_best,
    save_checkpoint,
    update_progress,
)
from shared.engine.data import EvalData, TrainData, batch_per_rank, reading_advice
from shared.engine.earlier_runs import move_later_aside, move_run_aside
from shared.engine.evaluate import Evaluation, evaluate, merged
from shared.engine.handshake import compare, config_facts, file_facts
from shared.engine.loop import Cadence, InterruptedRunError, TrainLoop
from shared.engine.ranks import WRITER, Alone, Ranks
from shared.engine.records import NoRecords, RunRecords, require_visualdl
from shared.engine.schedule import Schedule
from shared.engine.stepper import Stepper, StepperState
from shared.errors import CheckpointError, ConfigError
from shared.metrics.report import format_table
from shared.preflight.findings import grouped
from shared.preflight.inspection import SAMPLED, TRAIN, VAL, inspect

logger = logging.getLogger(__name__)

DEFAULT_SAVE_INTERVAL = 1000
MOST_SEEDS = 2**31


@dataclass(frozen=True)
class Mode:
    """What tells the modes apart, seen from here.

    Attributes:
        name: ``eager`` or ``static``.
        make_stepper: called with the run, the seed and ``[N, 3, H, W]`` of the batches.
        notes: sentences for the run plan (a type that the machine cannot run, ...).
        versions: of this toolkit and of Paddle, for the checkpoint.
        precision: what the steps compute in, for the run plan.
        world: number of processes of this run.
        connect: called once, when the config was found in order: meets the other processes.
    """

    name: str
    make_stepper: Callable[[RunConfig, int, Sequence[int]], Stepper]
    notes: Sequence[str] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    precision: str = "float32"
    world: int = 1
    connect: Callable[[], Ranks] = Alone


def train(run: RunConfig, mode: Mode) -> Path:
    """Train as ``run`` says and return the directory of the last checkpoint."""
    batch_size = batch_per_rank(run, mode.world)
    if mode.world > 1:
        TrainData(run, 0, batch_size, 0, mode.world)  # enough images for all, before anything is started
    ranks = mode.connect()
    try:
        last = _train(run, mode, ranks, batch_size)
    except InterruptedRunError:
        ranks.close()
        raise
    except BaseException as error:
        ranks.close(failed=f"{type(error).__name__}: {error}")
        raise
    ranks.close()
    return last


def _train(run: RunConfig, mode: Mode, ranks: Ranks, batch_size: int) -> Path:
    save_dir = Path(run.train.save_dir)
    compare(ranks, config_facts(run, mode.name, mode.versions))
    resumed, state, progress = _starting_point(run, save_dir, ranks)
    seed = progress.extra["seed"]
    listed = _preflight(run, ranks)
    data = TrainData(run, seed, batch_size, ranks.rank, ranks.world, listed.get(TRAIN))
    eval_data = EvalData(run, ranks.rank, ranks.world, listed.get(VAL)) if run.train.do_eval else None
    datasets = {"train_dataset": data.dataset, **({"val_dataset": eval_data.dataset} if eval_data else {})}
    compare(ranks, {k: v for name, dataset in datasets.items() for k, v in file_facts(dataset, name).items()})
    cadence = _cadence(run, data.sampler.iters_per_epoch)
    schedule = Schedule(run.schedule, cadence.total_iters, cadence.iters_per_epoch)
    _check_something_is_left(progress, cadence, resumed)
    shape = data.batch_shape()
    has_weights = state is not None or ranks.rank != WRITER
    stepper = mode.make_stepper(_without_first_weights(run) if has_weights else run, seed, shape)
    if state is not None:
        _take_over(stepper, state, resumed)
    _share_weights(stepper, ranks, resumed)
    with _open_records(run, save_dir, progress, resumed, ranks) as records:
        for line in _plan(run, mode, data, shape, cadence, schedule, resumed):
            logger.info("%s", line)
        saver = _Saver(run, mode, save_dir, stepper, eval_data, records, progress, ranks)
        show = sys.stderr.isatty() and ranks.rank == WRITER
        advice = reading_advice(run.reader)
        loop = TrainLoop(stepper, schedule, cadence, records, saver, progress.iteration, seed, show, ranks, advice)
        saver.interrupted = lambda: loop.interrupted
        with data.open(progress.iteration, cadence.total_iters) as batches:
            loop.run(batches)
    return saver.last or save_dir


def _starting_point(run: RunConfig, save_dir: Path, ranks: Ranks) -> tuple[Path | None, StepperState | None, Progress]:
    """The checkpoint to go on from, read by the writing rank alone (the others have None as state), and the progress.

    The progress holds the run's seed.
    """
    if ranks.rank != WRITER:
        path, progress = ranks.broadcast(None)
        return (None if path is None else Path(path)), None, Progress(**progress)
    ensure_writable(save_dir)
    if run.train.use_vdl:
        require_visualdl()
    resumed = None if run.train.resume_from is None else resolve_resume(run.train.resume_from, save_dir)
    state, progress = (None, Progress(0)) if resumed is None else load_checkpoint(resumed)[:2]
    _seed(run, progress)
    ranks.broadcast([None if resumed is None else str(resumed), dataclasses.asdict(progress)])
    return resumed, state, progress


def _share_weights(stepper: Stepper, ranks: Ranks, resumed: Path | None) -> None:
    """Every rank begins with the weights, statistics and optimiser state of the writing rank."""
    if ranks.world == 1:
        return
    if ranks.rank == WRITER:
        state = stepper.state()
        ranks.broadcast([state.model, {} if resumed is None else state.optimizer, state.scaler])
    else:
        stepper.load_state(StepperState(*ranks.broadcast(None)))


def _open_records(
    run: RunConfig, save_dir: Path, progress: Progress, resumed: Path | None, ranks: Ranks
) -> AbstractContextManager[RunRecords | NoRecords]:
    """The run's record files, after what stood in their place was moved aside; one rank writes them."""
    if ranks.rank != WRITER:
        return nullcontext(NoRecords())
    if resumed is None or resumed.resolve().parent != save_dir.resolve():
        move_run_aside(save_dir)
    else:
        move_later_aside(save_dir, progress.iteration)
    vdl_dir = Path(run.train.vdl_log_dir or save_dir / "vdl_log") if run.train.use_vdl else None
    return RunRecords(save_dir, vdl_dir, progress.iteration)


def _preflight(run: RunConfig, ranks: Ranks) -> dict[str, SegmentationDataset]:
    """A quick look at the data, before anything is built or written; DataError with everything that is wrong.

    Returns:
        the data sets by section, so that they are listed once.
    """
    if run.train_data is None or (run.train.do_eval and run.val_data is None):
        return {}  # TrainData and EvalData say so
    report = inspect(run, (TRAIN, VAL) if run.train.do_eval else (TRAIN,), most=SAMPLED, cards=ranks.world)
    if report.warnings and ranks.rank == WRITER:
        logger.warning("the data:\n%s", "\n".join(grouped(report.warnings)))
    report.raise_errors()
    return report.datasets


def _seed(run: RunConfig, progress: Progress) -> int:
    """The seed that was asked for, or else the resumed run's, or else a new one; kept with the progress."""
    progress.extra.setdefault("seed", secrets.randbelow(MOST_SEEDS))
    if run.train.seed is not None:
        if run.train.seed >= MOST_SEEDS:
            raise ConfigError(f"seed: got {run.train.seed}, expected a number below 2**31 = {MOST_SEEDS}")
        progress.extra["seed"] = run.train.seed
    return progress.extra["seed"]


def _check_something_is_left(progress: Progress, cadence: Cadence, resumed: Path | None) -> None:
    if progress.iteration >= cadence.total_iters:
        raise ConfigError(
            f"{resumed} is at iteration {progress.iteration}, and the run ends at {cadence.total_iters}: nothing is "
            "left to train; make the run longer (--iters, --epochs, SOLVER.NUM_EPOCHS) or resume an earlier checkpoint"
        )


def _without_first_weights(run: RunConfig) -> RunConfig:
    """A resumed run has its weights: none are fetched."""
    return run.replace(model=run.model.without("pretrained"), train=dataclasses.replace(run.train, weights=None))


def _take_over(stepper: Stepper, state: StepperState, resumed: Path | None) -> None:
    try:
        stepper.load_state(state)
    except CheckpointError as error:
        raise CheckpointError(f"cannot resume from {resumed}: {error}") from error


@dataclass
class _Saver:
    """Saves a checkpoint first and evaluates second, so that an evaluation that dies costs nothing.

    One rank writes; all evaluate, each its share of the images. In an emergency the rank that is called writes,
    whichever it is.
    """

    run: RunConfig
    mode: Mode
    save_dir: Path
    stepper: Stepper
    eval_data: EvalData | None
    records: RunRecords | NoRecords
    progress: Progress
    ranks: Ranks
    last: Path | None = None
    interrupted: Callable[[], bool] = lambda: False

    def __call__(self, iteration: int, with_evaluation: bool, emergency: bool = False) -> None:
        if self.ranks.rank == WRITER or (emergency and not (self.save_dir / f"iter_{iteration}").exists()):
            self._save(iteration)
        if with_evaluation and self.eval_data is not None:
            self._evaluate(iteration)

    def _save(self, iteration: int) -> None:
        self.progress.iteration = iteration
        self.progress.extra.pop("miou", None)  # this checkpoint's own, known once it was evaluated
        self.last = save_checkpoint(
            self.save_dir,
            self.stepper.state(),
            self.progress,
            mode=self.mode.name,
            config=config_to_dict(self.run),
            keep_max=self.run.train.keep_checkpoint_max,
            versions=self.mode.versions,
        )
        logger.log(logging.INFO if self.ranks.rank == WRITER else logging.WARNING, "saved %s", self.last)

    def _evaluate(self, iteration: int) -> None:
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
            )
        result = merged(result, self.ranks)
        if self.ranks.rank != WRITER:
            return
        if result is None:
            logger.warning("the evaluation at iteration %d was broken off; its checkpoint is saved", iteration)
            return
        score = result.scores.miou
        self.progress.extra["miou"] = None if math.isnan(score) else score
        self.records.write(evaluation_record(result, iteration))
        logger.info("[EVAL] iter: %d\n%s", iteration, format_table(result.scores, self.eval_data.dataset.class_names))
        best = self.progress.best_score
        if not math.isnan(score) and (best is None or score > best):
            self.progress.best_score, self.progress.best_iteration = score, iteration
            update_progress(self.last, self.progress)
            save_best(self.save_dir, self.last)
        else:
            update_progress(self.last, self.progress)
        logger.info(
            "[EVAL] mIoU %.4f; best %.4f at iteration %d",
            score,
            self.progress.best_score if self.progress.best_score is not None else math.nan,
            self.progress.best_iteration or 0,
        )


def evaluation_record(result: Evaluation, iteration: int) -> dict[str, object]:
    """One evaluation as a line of ``metrics.jsonl``."""
    return {
        "kind": "eval",
        "iter": iteration,
        "miou": result.scores.miou,
        "pixel_accuracy": result.scores.pixel_accuracy,
        "kappa": result.scores.kappa,
        "images": result.images,
        "seconds": result.seconds,
    }


def _cadence(run: RunConfig, iters_per_epoch: int) -> Cadence:
    total = run.train.iters if run.train.iters is not None else (run.train.epochs or 1) * iters_per_epoch
    if run.train.save_interval is not None:
        interval = run.train.save_interval
    elif run.train.save_interval_epochs is not None:
        interval = run.train.save_interval_epochs * iters_per_epoch
    else:
        interval = DEFAULT_SAVE_INTERVAL
    return Cadence(total, iters_per_epoch, run.train.log_iters, interval)


def _plan(
    run: RunConfig,
    mode: Mode,
    data: TrainData,
    shape: Sequence[int],
    cadence: Cadence,
    schedule: Schedule,
    resumed: Path | None,
) -> list[str]:
    start, peak, end = schedule.describe()
    saves = math.ceil(cadence.total_iters / cadence.save_interval)
    kept = saves if run.train.keep_checkpoint_max <= 0 else min(saves, run.train.keep_checkpoint_max)
    lines = [
        f"run plan: {run.model.type} in {mode.name} mode, {run.source}",
        f"  data: {len(data.dataset)} images, {run.num_classes} classes, {_batch_words(run, data)}, "
        f"reader {run.reader.kind}" + (f" with {run.reader.workers} workers" if run.reader.workers else ""),
        f"  length: {cadence.total_iters} iterations of {tuple(shape)}, {cadence.iters_per_epoch} an epoch, "
        f"{cadence.total_iters / cadence.iters_per_epoch:.1f} epochs",
        f"  optimizer: {run.optimizer.type}, lr {start:g} (peak {peak:g}, end {end:g}, {run.schedule.type}), "
        f"weight decay {run.optimizer.weight_decay:g}",
        f"  precision: {mode.precision}",
        f"  checkpoints: {saves} in {run.train.save_dir}, {kept} kept"
        + ("; evaluated each time" if run.train.do_eval else "; no evaluation (--do_eval)"),
        f"  seed: {data.source.seed}" + (", deterministic" if run.train.deterministic else ""),
    ]
    if resumed is not None:
        lines.append(f"  resumed from {resumed}")
    return lines + [f"  note: {note}" for note in (*mode.notes, *_notes_on_unused(run, mode.world))]


def _batch_words(run: RunConfig, data: TrainData) -> str:
    """Batch per card and over all cards, and the number of processes."""
    world = data.sampler.world
    if world == 1:
        return f"batch {data.batch_size} ({'global' if run.train.batch_is_global else 'per card'}, 1 process)"
    return f"batch {data.batch_size} per card, {data.batch_size * world} global, {world} processes"


def _notes_on_unused(run: RunConfig, world: int) -> list[str]:
    """What the config asks for and this run does not need, said rather than ignored."""
    notes = []
    if run.train.sync_bn and world == 1:
        notes.append("synchronised batch norm: one process, so there is nothing to synchronise")
    if run.train_data is not None and run.train_data.edge and not reads_edges(run.losses):
        notes.append("train_dataset.edge: no loss reads edges, so none are made")
    if run.val_data is not None and run.val_data.edge:
        notes.append("val_dataset.edge: an evaluation computes no loss, so no edges are made")
    return notes

"""A training run of either mode, from a ``RunConfig`` to checkpoints; the mode gives a stepper."""

from __future__ import annotations

import dataclasses
import logging
import secrets
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from shared.config.changes import differences
from shared.config.effective import config_to_dict
from shared.config.run_config import RunConfig
from shared.datasets.base import SegmentationDataset
from shared.engine.checkpoint import Progress, ensure_writable, load_checkpoint, resolve_resume
from shared.engine.data import EvalData, TrainData, batch_per_rank, reading_advice
from shared.engine.earlier_runs import move_later_aside, move_run_aside
from shared.engine.handshake import compare, config_facts, file_facts
from shared.engine.loop import Cadence, InterruptedRunError, TrainLoop
from shared.engine.memory import MemoryGuard, fallback_window
from shared.engine.plan import Plan, cadence_of
from shared.engine.ranks import WRITER, Alone, Ranks
from shared.engine.records import NoRecords, RunRecords, require_visualdl
from shared.engine.saver import EVALUATION_DUE, WITHOUT_GAIN, Saver, patience_is_at_its_end
from shared.engine.schedule import Schedule
from shared.engine.stepper import Stepper, StepperState
from shared.errors import CheckpointError, ConfigError
from shared.preflight.findings import grouped
from shared.preflight.inspection import SAMPLED, TRAIN, VAL, inspect

logger = logging.getLogger(__name__)

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
        head_problems: sentences about losses that do not fit the network, found without computing anything.
        connect: called once, when the config was found in order: meets the other processes.
    """

    name: str
    make_stepper: Callable[[RunConfig, int, Sequence[int]], Stepper]
    notes: Sequence[str] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    precision: str = "float32"
    world: int = 1
    connect: Callable[[], Ranks] = Alone
    head_problems: Callable[[RunConfig], Sequence[str]] | None = None


def train(run: RunConfig, mode: Mode) -> Path:
    """Train as ``run`` says and return the directory of the last checkpoint."""
    _check_early_stop(run)
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
    resumed, state, progress, changes = _starting_point(run, save_dir, ranks)
    seed = progress.extra["seed"]
    listed = _preflight(run, mode, ranks)
    data = TrainData(run, seed, batch_size, ranks.rank, ranks.world, listed.get(TRAIN))
    eval_data = EvalData(run, ranks.rank, ranks.world, listed.get(VAL)) if run.train.do_eval else None
    datasets = {"train_dataset": data.dataset, **({"val_dataset": eval_data.dataset} if eval_data else {})}
    compare(ranks, {k: v for name, dataset in datasets.items() for k, v in file_facts(dataset, name).items()})
    cadence = cadence_of(run, data.sampler.iters_per_epoch)
    schedule = Schedule(run.schedule, cadence.total_iters, cadence.iters_per_epoch)
    _check_something_is_left(run, progress, cadence, resumed)
    shape = data.batch_shape()
    has_weights = state is not None or ranks.rank != WRITER
    stepper = mode.make_stepper(_without_first_weights(run) if has_weights else run, seed, shape)
    if state is not None:
        _take_over(stepper, state, resumed)
    _share_weights(stepper, ranks, resumed)
    with _open_records(run, save_dir, progress, resumed, ranks) as records:
        if ranks.rank == WRITER:
            plan = Plan(run, mode.name, mode.precision, mode.notes, data, shape, cadence, schedule, stepper.state())
            for line in plan.lines(resumed, changes):
                logger.info("%s", line)
        guard = MemoryGuard(fallback_window(run))
        saver = Saver(
            run, mode.name, mode.versions, save_dir, stepper, eval_data, records, progress, ranks, cadence, guard
        )
        show = sys.stderr.isatty() and ranks.rank == WRITER
        loop = TrainLoop(
            stepper,
            schedule,
            cadence,
            records,
            saver,
            progress.iteration,
            seed,
            show,
            ranks,
            data.broken,
            reading_advice(run.reader),
        )
        saver.interrupted = lambda: loop.interrupted
        if not saver.catch_up(resumed):
            with data.open(progress.iteration, cadence.total_iters) as batches:
                loop.run(batches)
    return saver.last or save_dir


def _starting_point(
    run: RunConfig, save_dir: Path, ranks: Ranks
) -> tuple[Path | None, StepperState | None, Progress, list[str]]:
    """The checkpoint to go on from, read by the writing rank alone (the others have None as state), the progress, which
    holds the run's seed, and what the config says otherwise than the checkpoint's.
    """
    if ranks.rank != WRITER:
        path, progress = ranks.broadcast(None)
        return (None if path is None else Path(path)), None, Progress(**progress), []
    ensure_writable(save_dir)
    if run.train.use_vdl:
        require_visualdl()
    resumed = None if run.train.resume_from is None else resolve_resume(run.train.resume_from, save_dir)
    state, progress, meta = (None, Progress(0), None) if resumed is None else load_checkpoint(resumed)
    _seed(run, progress)
    ranks.broadcast([None if resumed is None else str(resumed), dataclasses.asdict(progress)])
    return resumed, state, progress, [] if meta is None else differences(meta["config"], config_to_dict(run))


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
    evaluates_again = run.train.do_eval and bool(progress.extra.get(EVALUATION_DUE))
    return RunRecords(save_dir, vdl_dir, progress.iteration, evaluates_again)


def _preflight(run: RunConfig, mode: Mode, ranks: Ranks) -> dict[str, SegmentationDataset]:
    """A quick look at data and losses, before anything is built or written; DataError with everything that is wrong.

    Returns:
        the data sets by section, so that they are listed once.
    """
    if run.train_data is None or (run.train.do_eval and run.val_data is None):
        return {}  # TrainData and EvalData say so
    report = inspect(
        run,
        (TRAIN, VAL) if run.train.do_eval else (TRAIN,),
        most=SAMPLED,
        cards=ranks.world,
        head_problems=mode.head_problems,
    )
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


def _check_early_stop(run: RunConfig) -> None:
    if run.train.early_stop_intervals is not None and not run.train.do_eval:
        raise ConfigError(
            f"early_stop_intervals: is {run.train.early_stop_intervals}, and counts evaluations, which this run has "
            "none of: add --do_eval, or leave it away (static: TRAIN.EARLY_STOP_INTERVALS)"
        )


def _check_something_is_left(run: RunConfig, progress: Progress, cadence: Cadence, resumed: Path | None) -> None:
    if patience_is_at_its_end(run, progress):
        raise ConfigError(
            f"{resumed} is where the run ended early: {progress.extra[WITHOUT_GAIN]} evaluations in a row brought no "
            f"better mIoU than that of iteration {progress.best_iteration}; raise early_stop_intervals "
            f"({run.train.early_stop_intervals}), leave it away, or resume an earlier checkpoint"
        )
    evaluation_is_left = run.train.do_eval and progress.extra.get(EVALUATION_DUE)
    if progress.iteration >= cadence.total_iters and not evaluation_is_left:
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

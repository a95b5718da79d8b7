"""What a run is about to do, said before its first step: lengths, rates, checkpoints and the disk they need."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from shared.config.run_config import OptimizerConfig, RunConfig
from shared.config.solver import reads_edges
from shared.engine.data import TrainData
from shared.engine.loop import Cadence
from shared.engine.schedule import Schedule
from shared.engine.stepper import StepperState
from shared.reading.parcel import room_in_memory
from shared.weights.atomic import free_bytes

DEFAULT_SAVE_INTERVAL = 1000
_MOMENTS = {"momentum": 1, "adam": 2, "adamw": 2}  # arrays an optimiser keeps for each weight


def cadence_of(run: RunConfig, iters_per_epoch: int) -> Cadence:
    """The length of a run and its intervals in iterations."""
    total = run.train.iters if run.train.iters is not None else (run.train.epochs or 1) * iters_per_epoch
    if run.train.save_interval is not None:
        interval = run.train.save_interval
    elif run.train.save_interval_epochs is not None:
        interval = run.train.save_interval_epochs * iters_per_epoch
    else:
        interval = DEFAULT_SAVE_INTERVAL
    return Cadence(total, iters_per_epoch, run.train.log_iters, interval)


@dataclass(frozen=True)
class Plan:
    """What is known of a run before its first step.

    Attributes:
        run: the run.
        mode, precision, notes: see :class:`shared.engine.train.Mode`.
        data: its training data.
        shape: ``[N, 3, H, W]`` of the batches.
        cadence, schedule: its length and learning rates.
        state: the weights it begins with, by which the size of its checkpoints is told.
    """

    run: RunConfig
    mode: str
    precision: str
    notes: Sequence[str]
    data: TrainData
    shape: Sequence[int]
    cadence: Cadence
    schedule: Schedule
    state: StepperState

    def lines(self, resumed: Path | None, changes: Sequence[str]) -> list[str]:
        """The plan as it is logged.

        Args:
            resumed: the checkpoint the run goes on from.
            changes: what its config says otherwise than that checkpoint's.
        """
        run, cadence = self.run, self.cadence
        start, peak, end = self.schedule.describe()
        lines = [
            f"run plan: {run.model.type} in {self.mode} mode, {run.source}",
            f"  data: {len(self.data.dataset)} images, {run.num_classes} classes, {_batch_words(run, self.data)}, "
            f"reader {run.reader.kind}" + (f" with {run.reader.workers} workers" if run.reader.workers else ""),
            f"  length: {cadence.total_iters} iterations of {tuple(self.shape)}, {cadence.iters_per_epoch} an epoch, "
            f"{cadence.total_iters / cadence.iters_per_epoch:.1f} epochs",
            f"  optimizer: {run.optimizer.type}, lr {start:g} (peak {peak:g}, end {end:g}, {run.schedule.type}), "
            f"weight decay {run.optimizer.weight_decay:g}",
            f"  precision: {self.precision}",
            f"  checkpoints: {_checkpoint_words(run, cadence, self.state)}",
            f"  seed: {self.data.source.seed}" + (", deterministic" if run.train.deterministic else ""),
        ]
        if resumed is not None:
            lines.append(f"  resumed from {resumed}")
        lines += [f"  changed since that checkpoint: {change}" for change in changes]
        unused, tight = _notes_on_unused(run, self.data.sampler.world), _notes_on_room(self)
        return lines + [f"  note: {note}" for note in (*self.notes, *unused, *tight)]


def checkpoint_bytes(state: StepperState, optimizer: OptimizerConfig) -> int:
    """About how large a checkpoint is: the weights, and what the optimiser will keep for each."""
    weights = sum(np.asarray(array).nbytes for array in state.model.values())
    return weights * (1 + _MOMENTS.get(optimizer.type, 2))


def _kept(run: RunConfig, cadence: Cadence) -> tuple[int, int]:
    """How many checkpoints are written, and how many are there at the end."""
    saves = math.ceil(cadence.total_iters / cadence.save_interval)
    return saves, saves if run.train.keep_checkpoint_max <= 0 else min(saves, run.train.keep_checkpoint_max)


def _checkpoint_words(run: RunConfig, cadence: Cadence, state: StepperState) -> str:
    saves, kept = _kept(run, cadence)
    words = f"{saves} in {run.train.save_dir}, {kept} kept, {_size(checkpoint_bytes(state, run.optimizer))} each"
    if not run.train.do_eval:
        return f"{words}; no evaluation (--do_eval)"
    patience = run.train.early_stop_intervals
    stops = "" if patience is None else f"; the run ends after {patience} without a better mIoU"
    return f"{words}; evaluated each time{stops}"


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
        notes.append("val_dataset.edge: the loss of an evaluation reads no edges, so none are made")
    return notes


def _notes_on_room(plan: Plan) -> list[str]:
    """Disk and shared memory that look too small for what the run will put there."""
    run, notes = plan.run, []
    _, kept = _kept(run, plan.cadence)
    # one more is written before the oldest goes; the best one may be a copy of its own
    needed = checkpoint_bytes(plan.state, run.optimizer) * (kept + 1 + run.train.do_eval)
    free = free_bytes(Path(run.train.save_dir))
    if free is not None and free < needed:
        notes.append(
            f"the checkpoints may need {_size(needed)} in {run.train.save_dir}, and {_size(free)} are free: free some, "
            "or keep fewer (keep_checkpoint_max)"
        )
    room = room_in_memory() if run.reader.kind == "process" else None
    images, _, height, width = plan.shape
    # float32 colours and int64 labels of the batches that wait to be taken
    under_way = images * height * width * (3 * 4 + 8) * run.reader.workers * run.reader.prefetch
    if room is not None and room < under_way:
        notes.append(
            f"/dev/shm has {_size(room)} free, and the batches under way may need {_size(under_way)}: what does not "
            "fit there travels through files, which is slower; give the container more (--shm-size)"
        )
    return notes


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"

"""What a run writes down: log lines, ``train.log``, ``metrics.jsonl`` and, when asked for, VisualDL scalars."""

from __future__ import annotations

import json
import logging
import math
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared.engine.ranks import WRITER
from shared.errors import MachineError
from shared.weights.atomic import atomic_open

logger = logging.getLogger(__name__)

LOG_FORMAT = "%(asctime)s [%(levelname)s] %(message)s"


def setup_console(verbose: bool = False, rank: int = WRITER) -> None:
    """Log to stderr in one format; ``verbose`` shows debug lines too. Ranks that do not write log only warnings."""
    level = logging.DEBUG if verbose else logging.INFO if rank == WRITER else logging.WARNING
    line = LOG_FORMAT if rank == WRITER else LOG_FORMAT.replace("%(message)s", f"rank {rank}: %(message)s")
    logging.basicConfig(level=level, format=line, stream=sys.stderr, force=True)
    for noisy in ("matplotlib", "PIL", "urllib3"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def format_eta(seconds: float) -> str:
    """``h:mm:ss``, as in ``26:41:12``."""
    whole = max(0, round(seconds))
    return f"{whole // 3600}:{whole % 3600 // 60:02d}:{whole % 60:02d}"


@dataclass(frozen=True)
class Interval:
    """Means over one logging interval. Costs are seconds per step, ips is images per second over all cards.

    ``skipped`` counts the steps whose scaled gradients overflowed; the loss is that of the steps where it was finite.
    ``broken`` counts the samples that could not be read and were replaced.
    """

    epoch: int
    iteration: int
    total_iters: int
    loss: float
    terms: tuple[float, ...]
    lr: float
    batch_cost: float
    reader_cost: float
    ips: float
    eta_seconds: float
    skipped: int = 0
    broken: int = 0

    def line(self) -> str:
        """The line both modes print."""
        terms = "" if len(self.terms) < 2 else " (" + " + ".join(f"{t:.4f}" for t in self.terms) + ")"
        skipped = f", skipped: {self.skipped}" if self.skipped else ""
        skipped += f", broken samples: {self.broken}" if self.broken else ""
        return (
            f"[TRAIN] epoch: {self.epoch}, iter: {self.iteration}/{self.total_iters}, loss: {self.loss:.4f}{terms}, "
            f"lr: {self.lr:.6f}, batch_cost: {self.batch_cost:.4f}, reader_cost: {self.reader_cost:.5f}, "
            f"ips: {self.ips:.4f} images/s, ETA {format_eta(self.eta_seconds)}{skipped}"
        )

    def record(self) -> dict[str, Any]:
        """The same as one line of ``metrics.jsonl``."""
        return {
            "kind": "train",
            "iter": self.iteration,
            "epoch": self.epoch,
            "loss": self.loss,
            "terms": list(self.terms),
            "lr": self.lr,
            "batch_cost": self.batch_cost,
            "reader_cost": self.reader_cost,
            "ips": self.ips,
            "skipped": self.skipped,
            "broken": self.broken,
        }


class RunRecords:
    """The record files of one training run; a context manager that closes them.

    Args:
        save_dir: holds ``train.log`` and ``metrics.jsonl``, both appended to.
        vdl_dir: where VisualDL scalars go; None writes none.
        resumed_at: iteration of a resumed run: ``metrics.jsonl`` is cut back to it, so that no step stands twice.
        evaluates_again: the evaluation at that iteration comes once more, so a record of it is cut away too.
    """

    def __init__(
        self,
        save_dir: Path,
        vdl_dir: Path | None = None,
        resumed_at: int | None = None,
        evaluates_again: bool = False,
    ) -> None:
        self._vdl = require_visualdl()(logdir=str(vdl_dir)) if vdl_dir is not None else None
        path = save_dir / "metrics.jsonl"
        _cut_back(path, resumed_at or 0, evaluates_again)
        self._metrics = path.open("a", encoding="utf-8")
        self._handler = _LogFile(save_dir / "train.log", encoding="utf-8")
        self._handler.setFormatter(logging.Formatter(LOG_FORMAT))
        logging.getLogger().addHandler(self._handler)

    def __enter__(self) -> RunRecords:
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger().removeHandler(self._handler)
        for file in (self._handler, self._metrics):
            with suppress(OSError):  # what is still to be written was said to be lost already
                file.close()
        if self._vdl is not None:
            self._vdl.close()

    def write(self, record: Mapping[str, Any]) -> None:
        """Append one line to ``metrics.jsonl``; its numbers also become VisualDL scalars."""
        plain = {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in record.items()}
        try:
            self._metrics.write(json.dumps(plain) + "\n")
            self._metrics.flush()
        except OSError as error:
            logger.warning("metrics.jsonl cannot be written (%s): this record is lost, the run goes on", error.strerror)
        if self._vdl is None:
            return
        for key, value in record.items():
            if isinstance(value, (int, float)) and key not in ("iter", "epoch"):
                self._vdl.add_scalar(tag=f"{record['kind']}/{key}", value=value, step=record["iter"])


class _LogFile(logging.FileHandler):
    """``train.log``; a disk that fills up costs its lines and one on stderr, not the run."""

    _said = False

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Called within the except clause of a line that could not be written."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handleError(record)
        elif not self._said:
            self._said = True
            logger.warning("train.log cannot be written (%s): its lines are lost, the run goes on", error.strerror)


class NoRecords:
    """The records of a rank that writes none."""

    def write(self, record: Mapping[str, Any]) -> None:
        """Nothing."""


def _cut_back(path: Path, iteration: int, evaluates_again: bool) -> None:
    """Keep the records up to ``iteration``; a new run (0) begins with an empty file, an old one kept as ``.bak``."""
    if not path.exists():
        return
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
    kept = [line for line in lines if line.endswith("\n") and _is_before(line, iteration, evaluates_again)]
    if iteration == 0 and lines:
        path.replace(path.with_suffix(".jsonl.bak"))
    else:
        with atomic_open(path) as file:
            file.write("".join(kept).encode("utf-8"))


def _is_before(line: str, iteration: int, evaluates_again: bool) -> bool:
    """Whether a record stays when a run goes on from ``iteration``; a line that a crash left unreadable does not."""
    try:
        record = json.loads(line)
        at, kind = int(record["iter"]), record.get("kind")
    except (ValueError, KeyError, TypeError, AttributeError):
        logger.warning("metrics.jsonl: dropped an unreadable line: %.60r", line)
        return False
    return at < iteration or (at == iteration and not (evaluates_again and kind == "eval"))


def require_visualdl() -> type:
    """VisualDL's LogWriter.

    Raises:
        MachineError: VisualDL is not installed; the message holds the pip line.
    """
    try:
        from visualdl import LogWriter
    except ImportError as error:
        raise MachineError(
            f"--use_vdl needs VisualDL, which is not installed ({error}): pip install visualdl, or leave it away"
        ) from None
    return LogWriter

"""The ``val`` command of both modes: scores of saved weights over the validation set, as table, JSON and picture."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from pathlib import Path

from shared.config.run_config import RunConfig
from shared.engine.checkpoint import ensure_writable, stored_score
from shared.engine.data import EvalData
from shared.engine.evaluate import Evaluation, evaluate
from shared.engine.memory import MemoryGuard, fallback_window
from shared.engine.stepper import Predictor
from shared.metrics.report import confusion_picture, format_table, save_json

logger = logging.getLogger(__name__)


def validate(run: RunConfig, make_predictor: Callable[[], Predictor], weights: str, save_dir: Path) -> Evaluation:
    """Evaluate and write ``metrics.json`` and ``confusion.png`` to ``save_dir``.

    Args:
        make_predictor: called once the data set was found in order.
        weights: where the predictor's weights come from; a checkpoint's stored mIoU is printed beside the new one.
    """
    data = EvalData(run)
    ensure_writable(save_dir)
    predictor = make_predictor()
    with data.open() as batches:
        result = evaluate(
            predictor,
            batches,
            run.evaluation,
            run.num_classes,
            run.ignore_index,
            total=len(data),
            show_progress=sys.stderr.isatty(),
            guard=MemoryGuard(fallback_window(run)),
            broken=data.broken,
        )
    names = data.dataset.class_names
    print(format_table(result.scores, names))
    stored = stored_score(Path(weights))
    beside = f" (stored with the checkpoint: {stored:.4f})" if stored is not None else ""
    if result.left_out:
        print(f"{result.left_out} images could not be read and are left out")
    print(
        f"images {result.images}, mIoU {result.scores.miou:.4f}{beside}, "
        f"pixel accuracy {result.scores.pixel_accuracy:.4f}, kappa {result.scores.kappa:.4f}, "
        f"{result.seconds / max(result.images, 1):.2f} s per image"
    )
    save_json(save_dir / "metrics.json", result.scores, names)
    confusion_picture(result.matrix, names, save_dir / "confusion.png")
    logger.info("wrote %s and %s", save_dir / "metrics.json", save_dir / "confusion.png")
    return result

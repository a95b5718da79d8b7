"""The rungs after training: evaluation in all its ways, checkpoints from one mode to the other, and the exports."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from dygraph.engine.export import ExportedPredictor, ExportSpec, export_eager
from dygraph.engine.stepper import EagerPredictor
from legacy.pdseg.export import export_static
from scripts.ladder.bits import Both, Comparison, compare
from scripts.ladder.steps import Feed, compare_results, compare_states, step, step_alone
from shared.config.run_config import EvalConfig
from shared.engine import evaluate as evaluation
from shared.engine.checkpoint import Progress, load_checkpoint, save_checkpoint
from shared.engine.inference import predict_logits
from shared.engine.stepper import Batch, Predictor

OUTPUT_OPS = ("none", "argmax")


def evaluation_ways(config: EvalConfig, window_hw: tuple[int, int]) -> dict[str, EvalConfig]:
    """The run's own evaluation and every other way, by name.

    Args:
        config: the run's.
        window_hw: size of sliding windows where the run names none.
    """
    crop_hw = config.crop_hw or window_hw
    stride_hw = config.stride_hw or tuple(max(1, size * 2 // 3) for size in crop_hw)
    ways = {
        "whole image": EvalConfig(),
        "sliding window": EvalConfig(is_slide=True, crop_hw=crop_hw, stride_hw=stride_hw),
        "scales": EvalConfig(aug_eval=True, scales=(0.75, 1.25)),
        "flips": EvalConfig(aug_eval=True, flip_horizontal=True, flip_vertical=True),
    }
    return ways if config in ways.values() else {**ways, "as configured": config}


def compare_evaluation(
    pair: Both,
    batches: Both[list[Batch]],
    ways: Both[Mapping[str, EvalConfig]],
    num_classes: int,
    ignore_index: int,
) -> list[Comparison]:
    """For every way: logits of the first image where they are put together from several, label maps, confusion matrix.

    Args:
        pair: the predictors.
        batches: labelled, labels at their own size.
        ways: settings by name, the same names for both modes.
        num_classes, ignore_index: of the confusion matrix.
    """
    found = []
    for name in ways.eager:
        predictors = Both(*(_Remembering(predictor) for predictor in pair))
        configs = Both(ways.eager[name], ways.static[name])
        if configs.eager.is_slide or configs.eager.aug_eval:
            logits = (predict_logits(p, b[0].images, c) for p, b, c in zip(predictors, batches, configs))
            found.append(compare(f"{name}: logits", *logits))
        maps = (evaluation.label_maps(p, b[0], c)[0] for p, b, c in zip(predictors, batches, configs))
        found.append(compare(f"{name}: label map", *maps))
        matrices = (
            evaluation.evaluate(p, b, c, num_classes, ignore_index).matrix
            for p, b, c in zip(predictors, batches, configs)
        )
        found.append(compare(f"{name}: confusion matrix", *matrices))
    return found


class _Remembering:
    """A predictor that runs an image once: its logits, its labels and its share of the scores ask for the same.

    Attributes:
        predictor: what it asks.
    """

    def __init__(self, predictor: Predictor) -> None:
        self.predictor = predictor
        self._known: dict[tuple, np.ndarray] = {}

    def logits(self, images: np.ndarray) -> np.ndarray:
        return self._once("logits", images)

    def class_ids(self, images: np.ndarray) -> np.ndarray:
        return self._once("class_ids", images)

    def _once(self, what: str, images: np.ndarray) -> np.ndarray:
        key = (what, images.shape, images.tobytes())
        if key not in self._known:
            self._known[key] = getattr(self.predictor, what)(images)
        return self._known[key]


def compare_checkpoints(pair: Both, feeds: Both[Feed]) -> list[Comparison]:
    """A checkpoint of each mode, read by the other one, which has gone astray by a step; then one step in both.

    Args:
        pair: the steppers, after steps of training.
        feeds: of the step afterwards.
    """
    found = []
    for writer, reader in (("eager", "static"), ("static", "eager")):
        first, second = getattr(pair, writer), getattr(pair, reader)
        where = f"{writer} to {reader}: "
        with tempfile.TemporaryDirectory() as folder:
            path = save_checkpoint(Path(folder), first.state(), Progress(1), mode=writer, config={}, keep_max=1)
            state, _, _ = load_checkpoint(path)
        written = first.state()
        step_alone(second, getattr(feeds, reader))
        second.load_state(state)
        found += compare_states(Both(written, second.state()), where)
        going_on = f"{where}one step later, "
        results = step(pair, feeds)
        found += compare_results(results, going_on)
        found += compare_states(Both(*(stepper.state() for stepper in pair)), going_on)
    return found


def compare_exports(pair: Both, images: Both[np.ndarray], output_ops: Sequence[str] = OUTPUT_OPS) -> list[Comparison]:
    """Logits and class ids of both exports under Paddle Inference, beside each other and beside the eager network's.

    The network computes by Paddle's own kernels here, as an export does.

    Args:
        pair: the predictors.
        images: ``[N, 3, H, W]`` for each.
        output_ops: what is exported.
    """
    found = []
    network = EagerPredictor(pair.eager.network)
    for output_op in output_ops:
        outputs = Both(*(_exported(pair, mode, output_op, getattr(images, mode)) for mode in ("eager", "static")))
        what = "class ids" if output_op == "argmax" else "logits"
        found.append(compare(f"exported {what}", *outputs))
        own = network.class_ids(images.eager) if output_op == "argmax" else network.logits(images.eager)
        found.append(compare(f"exported {what} and the network's own", own, outputs.eager))
    return found


def _exported(pair: Both, mode: str, output_op: str, images: np.ndarray) -> np.ndarray:
    with tempfile.TemporaryDirectory() as folder:
        spec = ExportSpec(Path(folder), output_op)
        if mode == "eager":
            export_eager(pair.eager.network, spec)
        else:
            export_static(pair.static, spec)
        return ExportedPredictor(spec).run(images)

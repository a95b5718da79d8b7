"""Prediction over images of one's own: label maps, overlays and, when asked for, probabilities."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

import shared.datasets  # noqa: F401 - fills the registry
from shared.config.run_config import EvalConfig
from shared.datasets.reading import read_image
from shared.engine.evaluate import label_maps, logit_maps
from shared.engine.inference import softmax_classes
from shared.engine.memory import DEFAULT_WINDOW_HW, MemoryGuard
from shared.engine.stepper import Batch, Predictor
from shared.errors import DataError
from shared.transforms.base import Sample
from shared.transforms.compose import Compose
from shared.visualize.render import overlay, save_index_png, save_rgb

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Prediction:
    """What was written, and the images that could not be read."""

    written: int
    skipped: tuple[str, ...]


def predict(
    predictor: Predictor,
    images: Sequence[Path],
    root: Path,
    transforms: Compose,
    config: EvalConfig,
    save_dir: Path,
    palette: np.ndarray,
    save_probabilities: bool = False,
    show_progress: bool = False,
    guard: MemoryGuard | None = None,
) -> Prediction:
    """Write ``pseudo_color_prediction/<name>.png`` (a palette PNG whose values are the class ids),
    ``added_prediction/<name>.png`` (the overlay) and, if asked, ``probabilities/<name>.npz`` (float16 ``[K, h, w]``).

    An image that cannot be read is skipped with a line in the log.

    Args:
        images: files below ``root``; their sub-folders are kept.
        palette: ``[K, 3]`` uint8 RGB.
        guard: predicts what is too large for the memory through windows; one is made where none is given.
    """
    guard = guard or MemoryGuard(DEFAULT_WINDOW_HW)
    skipped = []
    names = Counter(path.with_suffix("") for path in images)
    for path in tqdm(images, unit="image", disable=not show_progress, leave=False, dynamic_ncols=True):
        try:
            image = read_image(str(path), rgb=True)
        except DataError as error:
            logger.warning("skipped: %s", error)
            skipped.append(str(path))
            continue
        kept = path.with_suffix("") if names[path.with_suffix("")] == 1 else path  # a.jpg beside a.png: a.jpg.png
        name = Path(f"{kept.relative_to(root)}.png")
        batch = _as_batch(image, str(path), transforms)
        place = (batch.images.shape[2:], str(path))
        if save_probabilities:
            logits = guard.run(lambda how, batch=batch: logit_maps(predictor, batch, how)[0], config, *place)
            _save_probabilities(save_dir / "probabilities" / name.with_suffix(".npz"), logits)
            ids = logits.argmax(axis=0).astype(np.int32)
        else:
            ids = guard.run(lambda how, batch=batch: label_maps(predictor, batch, how)[0], config, *place)
        save_index_png(save_dir / "pseudo_color_prediction" / name, ids, palette)
        painted = overlay(image, ids, palette)
        save_rgb(save_dir / "added_prediction" / name, painted)
    if skipped and len(skipped) == len(images):
        raise DataError(f"none of the {len(images)} images could be read, {skipped[0]} first")
    return Prediction(len(images) - len(skipped), tuple(skipped))


def _as_batch(image: np.ndarray, path: str, transforms: Compose) -> Batch:
    sample = Sample(image=image, path=path, rgb=True)
    transforms(sample, np.random.default_rng(0))
    return Batch(sample.image[None], None, [path], [sample.undo])


def _save_probabilities(path: Path, logits: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, probabilities=softmax_classes(logits[None])[0].astype(np.float16))

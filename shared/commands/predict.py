"""The ``predict`` command of both modes: find the images, predict them, say what was written."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import shared.datasets  # noqa: F401 - fills the registry
from shared.config.run_config import RunConfig
from shared.datasets.files import IMAGE_SUFFIXES
from shared.datasets.list_file import read_list
from shared.engine.checkpoint import ensure_writable
from shared.engine.data import build_dataset, inference_section, inference_transforms
from shared.engine.memory import MemoryGuard, fallback_window
from shared.engine.predict import Prediction, predict
from shared.engine.stepper import Predictor
from shared.errors import DataError
from shared.registry import DATASETS
from shared.visualize.palette import resolve_palette

logger = logging.getLogger(__name__)


def predict_command(
    run: RunConfig,
    make_predictor: Callable[[], Predictor],
    image_path: str | None,
    save_dir: Path,
    custom_color: Sequence[int] | None = None,
    save_probabilities: bool = False,
) -> Prediction:
    """The ``predict`` command of both modes: find the images, predict, say what was written.

    The transforms are the validation set's. Without ``image_path`` the config's list of images is taken, or else the
    validation set.
    """
    if image_path is not None:
        images, root = find_images(image_path)
    elif run.files.predict_images is not None:
        images, root = find_images(run.files.predict_images, run.files.predict_root, run.files.predict_separator)
    else:
        images, root = validation_images(run)
    palette = resolve_palette(custom_color, run.num_classes, _dataset_palette(run))
    ensure_writable(save_dir)
    transforms = inference_transforms(inference_section(run), "val_dataset")
    result = predict(
        make_predictor(),
        images,
        root,
        transforms,
        run.evaluation,
        save_dir,
        palette,
        save_probabilities,
        show_progress=sys.stderr.isatty(),
        guard=MemoryGuard(fallback_window(run)),
    )
    print(
        f"{result.written} predictions in {save_dir}" + (f", {len(result.skipped)} skipped" if result.skipped else "")
    )
    return result


def _dataset_palette(run: RunConfig) -> Sequence[Sequence[int]] | None:
    data = run.val_data or run.train_data
    return None if data is None else getattr(DATASETS[data.dataset.type], "palette", None)


def find_images(path: str, list_root: str | None = None, separator: str | None = None) -> tuple[list[Path], Path]:
    """The images ``path`` means, and the directory their names are kept relative to.

    A file with an image's ending is itself; a directory is walked; any other file is a list as data sets have them,
    with or without labels.

    Args:
        list_root: where a list's relative paths begin; default: beside the list.
        separator: between a list's columns; default: a tab or spaces.
    """
    given = Path(path)
    if list_root is not None and not given.exists():
        given = Path(list_root) / path  # as the lists of data sets: from the working directory, else from the root
    if given.is_dir():
        found = sorted(p for p in given.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES)
        if not found:
            raise DataError(f"{path}: no image in this directory; looked for {', '.join(sorted(IMAGE_SUFFIXES))}")
        return found, given
    if not given.is_file():
        raise DataError(f"{path}: no such file or directory; expected an image, a directory or a list file")
    if given.suffix.lower() in IMAGE_SUFFIXES:
        return [given], given.parent
    root = Path(list_root) if list_root is not None else given.parent
    records, problems = read_list(str(given), str(root), separator, labels_optional=True)
    for problem in problems:
        logger.warning("skipped: %s", problem)
    if not records:
        raise DataError(f"{path}: no line of this list names an image that exists")
    return _with_common_root([Path(record.image) for record in records])


def validation_images(run: RunConfig) -> tuple[list[Path], Path]:
    """The images of the validation set, for a prediction that names none."""
    records = build_dataset(run.val_data, "val_dataset").records
    return _with_common_root([Path(record.image) for record in records])


def _with_common_root(images: list[Path]) -> tuple[list[Path], Path]:
    return images, Path(os.path.commonpath([image.parent for image in images]))

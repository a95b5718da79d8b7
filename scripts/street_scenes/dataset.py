"""Writes a data set of scenes to a folder laid out like Cityscapes."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import cv2

from shared.errors import DataError, MachineError, UserError

from .classes import CLASS_NAMES, choose_classes, names_of
from .render import render_scene

MANIFEST = "street_scenes.json"
VERSION = 1
SMALLEST_HW, LARGEST_HW = (32, 64), (1024, 2048)
MOST = 1_000_000
CITIES = {"train": ("kirchbach", "lindenau", "seehausen", "waldheim"), "val": ("altmuehl", "brueckstadt")}
SPLITS = ("train", "val")


def write_street_scenes(
    out: Path,
    train: int,
    val: int,
    size_hw: tuple[int, int],
    seed: int,
    workers: int = 1,
    force: bool = False,
    report: Callable[[int, int], None] | None = None,
    classes: Sequence[str] | None = None,
) -> None:
    """Write ``train`` + ``val`` scenes to ``out``.

    The folder gets ``leftImg8bit/`` (RGB PNG), ``gtFine/`` (``labelTrainIds`` PNG, uint8, 0..18 and 255), ``train.txt``
    and ``val.txt`` (``image label``, relative), ``classes.txt`` and the manifest ``street_scenes.json``. The same
    arguments give the same bytes, with any number of workers. A set written earlier is replaced.

    Args:
        out: the folder; made if missing.
        train: number of scenes to train on, 0 or more.
        val: number of scenes to validate on, 0 or more; at least one of the two is 1 or more.
        size_hw: height and width in pixels, 32x64 to 1024x2048.
        seed: 0 or more.
        workers: processes that draw.
        force: write into a folder that holds other things; they stay, files of the same name are replaced.
        report: called with (scenes done, scenes in all).
        classes: names of the classes to draw, None for all nineteen. Road, building and sky are always drawn. Labels
            and ``classes.txt`` keep the numbering of the nineteen.

    Raises:
        UserError: a number is out of range, or a class is unknown or lacks what carries it.
        DataError: ``out`` holds files that were not written by this function, and ``force`` is off.
        MachineError: ``out`` cannot be written.
    """
    counts = {"train": train, "val": val}
    _check(counts, size_hw, seed, workers)
    chosen = choose_classes(classes)
    out = Path(out)
    jobs = []
    try:
        _prepare(out, force)
        for split in SPLITS:
            names = [_names(split, index) for index in range(counts[split])]
            for index, (image, label) in enumerate(names):
                jobs.append((str(out), image, label, seed, split, index, tuple(size_hw), chosen))
                for name in (image, label):
                    (out / name).parent.mkdir(parents=True, exist_ok=True)
        _draw_all(jobs, workers, report)
        for split in SPLITS:
            lines = [f"{image} {label}\n" for _, image, label, _, of, *_ in jobs if of == split]
            (out / f"{split}.txt").write_text("".join(lines), encoding="utf-8")
        (out / "classes.txt").write_text("".join(f"{name}\n" for name in CLASS_NAMES), encoding="utf-8")
        _write_manifest(out, counts, size_hw, seed, names_of(chosen))
    except OSError as error:
        raise MachineError(
            f"cannot write the street scenes to {out}: {error.strerror or error}; choose a folder you may write to"
        ) from error


def _check(counts: dict[str, int], size_hw: tuple[int, int], seed: int, workers: int) -> None:
    for split, count in counts.items():
        if not 0 <= count <= MOST:
            raise UserError(f"--{split} is {count}; give a number of images from 0 to {MOST}")
    if not any(counts.values()):
        raise UserError("--train and --val are both 0; ask for at least one image")
    height, width = size_hw
    if not (SMALLEST_HW[0] <= height <= LARGEST_HW[0] and SMALLEST_HW[1] <= width <= LARGEST_HW[1]):
        raise UserError(
            f"--size is {width}x{height} (WxH); give a width of 64 to 2048 and a height of 32 to 1024, such as 256x128"
        )
    if seed < 0:
        raise UserError(f"--seed is {seed}; give a whole number from 0")
    if workers < 1:
        raise UserError(f"--workers is {workers}; give 1 or more")


def _prepare(out: Path, force: bool) -> None:
    """Make the folder ready: refuse foreign content, remove an earlier set, leave a manifest that says unfinished."""
    if out.exists() and not out.is_dir():
        raise DataError(f"{out} is a file; name a folder for the street scenes")
    out.mkdir(parents=True, exist_ok=True)
    ours = _is_ours(out / MANIFEST)
    if not ours and not force and any(out.iterdir()):
        raise DataError(
            f"{out} is not empty and holds no {MANIFEST} of an earlier run; name another folder or add --force"
        )
    if ours:
        for folder in ("leftImg8bit", "gtFine"):
            for split in SPLITS:
                for city in CITIES[split]:
                    shutil.rmtree(out / folder / split / city, ignore_errors=True)
    (out / MANIFEST).write_text(json.dumps({"generator": "street_scenes", "complete": False}) + "\n", encoding="utf-8")


def _is_ours(manifest: Path) -> bool:
    try:
        return json.loads(manifest.read_text(encoding="utf-8")).get("generator") == "street_scenes"
    except (FileNotFoundError, ValueError, AttributeError):
        return False


def _write_manifest(out: Path, counts: dict[str, int], size_hw: tuple[int, int], seed: int, classes: list[str]) -> None:
    content = {
        "generator": "street_scenes",
        "version": VERSION,
        "seed": seed,
        "size_hw": list(size_hw),
        "counts": counts,
        "classes": classes,
        "complete": True,
    }
    (out / MANIFEST).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _names(split: str, index: int) -> tuple[str, str]:
    """Relative paths of image and label; cities take turns, as do their sequence numbers."""
    cities = CITIES[split]
    city = cities[index % len(cities)]
    stem = f"{city}_{index // len(cities):06d}_{(index * 7919 + 19) % 30000:06d}"
    return (
        f"leftImg8bit/{split}/{city}/{stem}_leftImg8bit.png",
        f"gtFine/{split}/{city}/{stem}_gtFine_labelTrainIds.png",
    )


def _draw_all(jobs: list[tuple], workers: int, report: Callable[[int, int], None] | None) -> None:
    if workers == 1 or len(jobs) == 1:
        for done, job in enumerate(jobs, 1):
            _draw(job)
            if report:
                report(done, len(jobs))
        return
    with ProcessPoolExecutor(
        min(workers, len(jobs)), mp_context=get_context("spawn"), initializer=cv2.setNumThreads, initargs=(1,)
    ) as pool:
        for done, _ in enumerate(pool.map(_draw, jobs, chunksize=max(1, min(8, len(jobs) // workers))), 1):
            if report:
                report(done, len(jobs))


def _draw(job: tuple) -> None:
    """Draw and write one scene."""
    out, image_name, label_name, seed, split, index, size_hw, classes = job
    image, label = render_scene(seed, SPLITS.index(split), index, size_hw, classes)
    for name, pixels in ((image_name, cv2.cvtColor(image, cv2.COLOR_RGB2BGR)), (label_name, label)):
        good, data = cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, 3])
        if not good:
            raise OSError(f"OpenCV could not encode {name}")
        with open(os.path.join(out, name), "wb") as file:  # imwrite cannot name the error, nor write to every path
            file.write(data.tobytes())

"""Turning many label files into PNGs of class ids: in parallel, going on where it stopped, all findings together."""

from __future__ import annotations

import argparse
import os
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from shared.datasets.list_file import read_lines
from shared.errors import DataError, EntriesError, MachineError, UserError

Convert = Callable[[Path], np.ndarray]


def convert_all(pairs: Sequence[tuple[Path, Path]], convert: Convert, workers: int) -> int:
    """Write ``convert(source)`` to ``target`` as PNG for every pair; targets that are there already are kept.

    Args:
        pairs: source and target files.
        convert: a function of a module (workers must be able to import it) that gives ``[H, W]`` uint8 class ids.
        workers: processes; with 1 this one does the work.

    Returns:
        How many files were written.

    Raises:
        DataError: with every source that cannot be converted; the others are written.
        MachineError: a worker was killed.
    """
    waiting = [pair for pair in pairs if not _is_written(pair[1])]
    for folder in {target.parent for _, target in waiting}:
        folder.mkdir(parents=True, exist_ok=True)
    convert_one = partial(_convert_one, convert)
    bar = partial(tqdm, total=len(waiting), unit="file", disable=not sys.stderr.isatty())
    if workers == 1:
        findings = list(bar(map(convert_one, waiting)))
    else:
        try:
            with ProcessPoolExecutor(workers) as pool:
                findings = list(bar(pool.map(convert_one, waiting, chunksize=8)))
        except BrokenProcessPool as error:
            raise MachineError(
                "a worker was killed, perhaps for lack of memory; run again with fewer --workers"
            ) from error
    problems = [finding for finding in findings if finding]
    if problems:
        raise EntriesError("label files cannot be converted; copy or download them again", problems)
    return len(waiting)


def _is_written(target: Path) -> bool:
    return target.is_file() and target.stat().st_size > 0


def _convert_one(convert: Convert, pair: tuple[Path, Path]) -> str | None:
    source, target = pair
    try:
        write_png(target, convert(source))
    except DataError as error:
        return str(error)
    return None


def write_png(target: Path, label: np.ndarray) -> None:
    """Write ``[H, W]`` uint8 so that ``target`` is whole or not there."""
    _, data = cv2.imencode(".png", label)
    _write(target, data.tobytes())


def write_list(target: Path, names: Sequence[str]) -> None:
    """Write one name a line so that ``target`` is whole or not there."""
    target.parent.mkdir(parents=True, exist_ok=True)
    _write(target, "".join(f"{name}\n" for name in names).encode())


def _write(target: Path, data: bytes) -> None:
    temporary = target.with_name(f".{target.name}.tmp-{os.getpid()}")
    try:
        temporary.write_bytes(data)
        os.replace(temporary, target)
    except OSError as error:
        raise MachineError(f"{target} cannot be written: {error}") from error
    finally:
        temporary.unlink(missing_ok=True)


def read_names(path: Path) -> list[str]:
    """The names of a list, one a line."""
    return [name for _, name in read_lines(str(path))]


def check_there(paths: Sequence[Path], headline: str) -> None:
    """DataError that names every file and folder of ``paths`` that is missing."""
    missing = [f"{path} does not exist" for path in paths if not path.exists()]
    if missing:
        raise EntriesError(headline, missing)


def read_mat(path: Path, variable: str) -> np.ndarray:
    """A variable of a MATLAB file.

    Raises:
        DataError: the file is missing, damaged or has no such variable.
        MachineError: SciPy is not installed.
    """
    require_scipy()
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    damaged = (OSError, ValueError, TypeError, KeyError, EOFError, NotImplementedError, zlib.error, MatReadError)
    try:
        return loadmat(str(path), variable_names=[variable])[variable]
    except damaged as error:
        raise DataError(f"{path} is damaged or holds no {variable!r}: {error}") from error


def require_scipy() -> None:
    """MachineError where SciPy, which reads MATLAB files, is missing."""
    try:
        import scipy.io  # noqa: F401
    except ImportError as error:
        raise MachineError("reading .mat files needs SciPy: pip install scipy") from error


def add_workers(parser: argparse.ArgumentParser) -> None:
    """The option ``--workers``."""
    parser.add_argument(
        "--workers", type=_positive, default=os.cpu_count() or 1, metavar="N", help="processes (default: %(default)s)"
    )


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


@contextmanager
def errors_told() -> Iterator[None]:
    """Ends the process with one message and an exit code where a user's error is raised."""
    try:
        yield
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)

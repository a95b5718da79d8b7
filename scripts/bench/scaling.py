"""How costs grow: data with crop and workers, the confusion matrix with size and classes, training with size and ranks.

python scripts/bench/scaling.py
python scripts/bench/scaling.py --questions data matrix
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from scripts.bench import frames, report
from scripts.bench.contest import Contender, hold
from scripts.bench.data import ONE_CORE
from scripts.bench.launched import COMMANDS, images_per_second, threads

Rows = list[list[str]]


def data(arguments: Any) -> tuple[tuple[str, ...], Rows]:
    """Images per second by crop and number of workers."""
    root = frames.root_of_frames(arguments.data)
    common = {"root": str(root), "train_list": str(frames.list_file(root)), "batch": 2, "batches": 8}
    rows = []
    for crop in ([512, 256], [1024, 512], [2048, 1024]):
        for workers in (0, 1, 2, 4):
            work = {**common, "steps": frames.training_steps(crop), "workers": workers}
            (record,) = hold([Contender("ours", "ours", "data", work, ONE_CORE)], arguments.rounds).values()
            rows.append([f"{crop[0]}x{crop[1]}", str(workers), f"{16 / record.median():.1f}"])
    return ("crop of 2048x1024 frames", "workers", "images/s"), rows


def matrix(arguments: Any) -> tuple[tuple[str, ...], Rows]:
    """Milliseconds of one confusion matrix by size and classes."""
    rows = []
    for size in ([256, 512], [1024, 2048], [2048, 4096]):
        for classes in (2, 19, 150):
            work = {"size_hw": size, "classes": classes, "with_argmax": False, "repeats": 5}
            (record,) = hold([Contender("ours", "ours", "matrix", work)], arguments.rounds).values()
            rows.append([f"{size[1]}x{size[0]}", str(classes), f"{1000 * record.median() / 5:.2f}"])
    return ("confusion matrix of", "classes", "ms"), rows


def train(arguments: Any) -> tuple[tuple[str, ...], Rows]:
    """Seconds of a training step by size, with both modes taking turns."""
    rows = []
    for shape in ([2, 3, 128, 256], [2, 3, 256, 512], [4, 3, 256, 512]):
        work = {"network": "FCN-HRNet-W18", "shape": shape}
        records = hold(
            [Contender(mode, "ours", "train", {**work, "mode": mode}) for mode in ("eager", "static")], arguments.rounds
        )
        rows.append([str(shape), *(f"{record.median():.2f}" for record in records.values())])
    return ("step of FCN-HRNet-W18", "eager, s", "static, s"), rows


def ranks(arguments: Any) -> tuple[tuple[str, ...], Rows]:
    """Images per second of training by ranks that share the machine's cores."""
    root, rows = frames.root_of_frames(arguments.data), []
    for count in (1, 2):
        for batch in (1, 2):
            found = [
                [images_per_second(mode, count, root, batch, [512, 256], steps=8) for mode in COMMANDS]
                for _ in range(arguments.rounds)
            ]
            rows.append(
                [str(count), str(threads(count)), str(batch), *(f"{statistics.median(one):.2f}" for one in zip(*found))]
            )
    return ("ranks", "threads of each", "batch of each", *(f"{mode}, images/s" for mode in COMMANDS)), rows


QUESTIONS: dict[str, Callable[[Any], tuple[tuple[str, ...], Rows]]] = {
    "data": data,
    "matrix": matrix,
    "train": train,
    "ranks": ranks,
}


def main() -> None:
    """Measure and report."""
    parser = report.parser("How data, metric and training costs grow.", rounds=3)
    parser.add_argument("--questions", nargs="+", default=list(QUESTIONS), choices=list(QUESTIONS), help="(all)")
    parser.add_argument("--data", type=Path, metavar="DIR", help="frames in the Cityscapes layout (drawn ones)")
    arguments = parser.parse_args()
    tables = {question: QUESTIONS[question](arguments) for question in arguments.questions}
    text = "\n\n".join(report.table(*found) for found in tables.values())
    report.finish("scaling", arguments.json, ("ours",), {name: rows for name, (_, rows) in tables.items()}, text)


if __name__ == "__main__":
    main()
